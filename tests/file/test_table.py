"""Table files: what loads, and that nothing damaged or hostile ever does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from edits import check_refused, edit, replace
from tablegen import store
from tanhlut import ModeLookup, ModeTable, TableError, mode
from tanhlut.file import schema


def test_a_file_gives_back_the_table(coarse: ModeTable, coarse_file: Path) -> None:
    table = ModeTable.load(coarse_file)
    for name in ("loc", "scale", "values"):
        array = getattr(table, name)
        np.testing.assert_array_equal(array, getattr(coarse, name))
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 1
    assert table.metadata == coarse.metadata
    assert table.digest == coarse.digest
    assert store.image(table) == coarse_file.read_bytes()
    with pytest.raises(TypeError):
        table.metadata["tolerance"] = 1.0  # type: ignore[index]
    with pytest.raises(AttributeError, match="immutable"):
        table.loc = coarse.loc


def test_an_ordinary_hdf5_reader_understands_the_file(coarse_file: Path) -> None:
    with h5py.File(coarse_file, "r") as file:
        value = file["mode/value"]
        assert [value.dims[axis].label for axis in (0, 1)] == ["loc", "scale"]
        assert value.dims[0][0] == file["mode/loc"]
        assert value.dims[1][0] == file["mode/scale"]
        assert value.attrs["units"] == "1"
        assert file.attrs["schema"] == "tanhlut-table"


def test_every_flipped_byte_is_refused(coarse_file: Path) -> None:
    whole = coarse_file.read_bytes()
    rng = np.random.default_rng(0)
    spots = [*range(0, 80), *range(500, 2000, 7), *rng.integers(0, len(whole), 300).tolist(), len(whole) - 1]
    for spot in spots:
        damaged = bytearray(whole)
        damaged[spot] ^= 1 << int(rng.integers(8))
        coarse_file.write_bytes(damaged)
        check_refused(coarse_file)


def test_truncated_or_extended(coarse_file: Path) -> None:
    whole = coarse_file.read_bytes()
    for size in [0, 1, 511, 512, 513, 1000, len(whole) // 2, len(whole) - 1]:
        coarse_file.write_bytes(whole[:size])
        check_refused(coarse_file, "tablegen build")
    coarse_file.write_bytes(whole + b"\0")
    check_refused(coarse_file, "damaged")


def test_not_a_table_at_all(tmp_path: Path, coarse_file: Path) -> None:
    check_refused(tmp_path / "missing.h5", "cannot be read")
    check_refused(tmp_path, "not a regular file")
    text = tmp_path / "notes.txt"
    text.write_text("loc,scale\n0.2,1.0\n")
    check_refused(text, "not a table file")
    plain = tmp_path / "plain.h5"
    with h5py.File(plain, "w") as file:
        file["mode/value"] = np.zeros((2, 2))
    check_refused(plain, "not a table file")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_refused(pipe, "not a regular file")
    body = b"not HDF5 at all"
    coarse_file.write_bytes(schema.header(body) + body)
    check_refused(coarse_file, "not readable as HDF5")
    with pytest.raises(TableError, match="not a path"):
        ModeTable.load("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(coarse_file: Path) -> None:
    coarse_file.chmod(0)
    check_refused(coarse_file, "cannot be read", "Permission denied")


def test_newer_and_foreign_schemas(coarse_file: Path) -> None:
    edit(coarse_file, lambda file: file.attrs.__setitem__("schema_version", np.int64(2)))
    check_refused(coarse_file, "schema_version", "upgrade tanhlut")
    edit(coarse_file, lambda file: file.attrs.__setitem__("schema_version", np.int64(0)))
    check_refused(coarse_file, "schema_version", "tablegen build")
    edit(coarse_file, lambda file: file.attrs.__setitem__("schema", "other"))
    check_refused(coarse_file, "'other'")
    coarse_file.write_bytes(coarse_file.read_bytes().replace(b"tanhlut table 1", b"tanhlut table 2", 1))
    check_refused(coarse_file, "another schema version", "upgrade tanhlut")


@pytest.mark.parametrize("name", [*schema.METADATA, "digest", "schema", "schema_version"])
def test_missing_or_mistyped_attributes(name: str, coarse_file: Path) -> None:
    edit(coarse_file, lambda file: file.attrs.__setitem__(name, np.zeros(3)))
    check_refused(coarse_file, name)
    edit(coarse_file, lambda file: file.attrs.__delitem__(name))
    check_refused(coarse_file, name, "missing")


@pytest.mark.parametrize(
    ("name", "value"),
    [("loc_max", -1.0), ("loc_max", float("nan")), ("scale_min", 9.0), ("scale_max", 0.0), ("tolerance", 0.0)],
)
def test_senseless_claims(name: str, value: float, coarse_file: Path) -> None:
    edit(coarse_file, lambda file: file.attrs.__setitem__(name, value))
    check_refused(coarse_file)


def test_a_claim_that_does_not_match_the_digest(coarse_file: Path) -> None:
    edit(coarse_file, lambda file: file.attrs.__setitem__("tolerance", 0.05))
    check_refused(coarse_file, "digest")


def test_wrong_arrays(coarse: ModeTable, coarse_file: Path) -> None:
    whole = coarse_file.read_bytes()
    loc, scale, values = coarse.loc, coarse.scale, coarse.values
    nan_node, moved, low, swapped = (values.copy() for _ in range(4))
    nan_node[5, 5], moved[100, 100], low[0, 0] = np.nan, 0.0, -1e-9
    swapped[:, [80, 120]] = swapped[:, [120, 80]]
    infinite, late, backward, negative = loc.copy(), loc.copy(), scale[::-1].copy(), loc - 1
    infinite[-1], late[0] = np.inf, 1e-30
    cases: list[tuple[str, np.ndarray, str]] = [
        ("value", values.astype(np.float64), "dtype"),
        ("value", values.astype(">f4"), "dtype"),
        ("value", values.astype("S4"), "dtype"),
        ("value", values.flatten(), "shape"),
        ("value", values[None], "shape"),
        ("value", np.array(1.0, np.float32), "shape"),
        ("value", values[:1], "shape"),
        ("value", values[:-1], "nodes"),
        ("value", values.T.copy(), "nodes"),
        ("value", nan_node, "NaN"),
        ("value", low, "outside"),
        ("value", moved, "increasing"),
        ("value", swapped, "increasing"),
        ("loc", infinite, "finite"),
        ("loc", negative, "≥ 0"),
        ("loc", late, "not 0"),
        ("loc", loc.astype(np.float32), "dtype"),
        ("scale", backward, "increasing"),
        ("scale", np.full_like(scale, 1.0), "increasing"),
        ("value", np.nextafter(values, np.float32(0)), "digest"),
    ]
    for name, array, word in cases:
        coarse_file.write_bytes(whole)
        edit(coarse_file, replace(name, array))
        check_refused(coarse_file, word)


def test_storage_tricks(coarse: ModeTable, coarse_file: Path, tmp_path: Path) -> None:
    whole = coarse_file.read_bytes()
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["value"] = coarse.values
    layout = h5py.VirtualLayout(shape=coarse.values.shape, dtype="<f4")
    layout[:] = h5py.VirtualSource(str(other), "value", shape=coarse.values.shape)

    def soft(file: h5py.File) -> None:
        file["elsewhere"] = coarse.values
        del file["mode/value"]
        file["mode/value"] = h5py.SoftLink("/elsewhere")

    def external(file: h5py.File) -> None:
        del file["mode/value"]
        file["mode/value"] = h5py.ExternalLink(str(other), "/value")

    def soft_group(file: h5py.File) -> None:
        file.move("mode", "elsewhere")
        file["mode"] = h5py.SoftLink("/elsewhere")

    def virtual(file: h5py.File) -> None:
        del file["mode/value"]
        file["mode"].create_virtual_dataset("value", layout)

    def outside(file: h5py.File) -> None:
        del file["mode/value"]
        shape = coarse.values.shape
        raw = [(str(tmp_path / "raw"), 0, coarse.values.nbytes)]
        file["mode"].create_dataset("value", shape, dtype="<f4", external=raw)

    def huge(file: h5py.File) -> None:
        del file["mode/value"]
        file["mode"].create_dataset("value", (1 << 15, 1 << 15), dtype="<f4", chunks=(1024, 1024))

    def group_for_dataset(file: h5py.File) -> None:
        del file["mode/value"]
        file["mode"].create_group("value")

    def missing(file: h5py.File) -> None:
        del file["mode/scale"]

    tricks = {
        soft: "SoftLink", external: "ExternalLink", soft_group: "SoftLink", virtual: "outside", outside: "outside",
        huge: "in chunks", group_for_dataset: "Group", missing: "missing",
        replace("value", coarse.values, compression="gzip"): "filters",
        replace("value", coarse.values, fletcher32=True): "filters",
    }  # fmt: skip
    for trick, word in tricks.items():
        coarse_file.write_bytes(whole)
        edit(coarse_file, trick)
        check_refused(coarse_file, word)


def test_what_does_not_matter_may_change(coarse: ModeTable, coarse_file: Path) -> None:
    edit(coarse_file, lambda file: file.attrs.__setitem__("comment", "seen on Tuesday"))
    edit(coarse_file, lambda file: file.create_group("variance"))
    assert ModeTable.load(coarse_file).digest == coarse.digest


def test_bounds_are_those_of_the_certificates() -> None:
    table = ModeTable.default()
    most_of = {"bilinear": table.tolerance, "refined": 5e-7, "exact": 5e-7, "mlp": 6e-6, "mlp_refined": 5e-7}
    for method, most in most_of.items():
        assert 0 < table.error_bound(method) <= most
        assert ModeLookup(method=method).error_bound == table.error_bound(method)  # type: ignore[arg-type]


def test_a_table_without_certificates_claims_nothing(coarse: ModeTable) -> None:
    with pytest.raises(ValueError, match="proven: none"):
        coarse.error_bound("bilinear")
    with pytest.raises(ValueError, match="no bound is proven"):
        _ = ModeLookup(coarse).error_bound


def test_a_certificate_that_was_touched_or_moved(coarse: ModeTable, coarse_file: Path) -> None:
    coarse_file.write_bytes(store.image(ModeTable.default()))
    whole = coarse_file.read_bytes()
    text = schema.certificates_text([*ModeTable.default().certificates.values()])

    def put(changed: str, digest: str) -> Callable[[h5py.File], None]:
        def change(file: h5py.File) -> None:
            file.attrs["certificates"] = changed
            file.attrs["certificates_digest"] = digest

        return change

    own = ModeTable.default().digest
    better = text.replace('"bound": 4', '"bound": 3')
    forged = text.replace(own, coarse.digest)
    cases = [
        (put(better, schema.certificates_digest(own, text)), "certificates"),
        (put(better, schema.certificates_digest(own, better)), "below what was observed"),
        (put(forged, schema.certificates_digest(own, forged)), "another table"),
        (put("[{}]", schema.certificates_digest(own, "[{}]")), "not readable"),
        (put("{", schema.certificates_digest(own, "{")), "not readable"),
    ]
    for change, word in cases:
        coarse_file.write_bytes(whole)
        edit(coarse_file, change)
        check_refused(coarse_file, word)


def test_the_default_is_found_small_and_loaded_once() -> None:
    table = ModeTable.default()
    assert table is ModeTable.default()
    assert table.bounds.whole_plane
    assert (Path(__file__).parents[2] / "data" / "default.h5").stat().st_size <= 2_000_000
    assert "ModeTable(" in repr(table)


def test_reading_imports_nothing_heavy() -> None:
    code = (
        "import sys, numpy, tanhlut; print(tanhlut.mode(0.2, 1.0, backend='eager'));"
        "tanhlut.mode(numpy.ones((3, 1)), numpy.ones(2), backend='eager');"
        "heavy = {'h5py', 'scipy', 'matplotlib', 'llvmlite', 'triton', 'tablegen', 'torch._dynamo', 'sympy'};"
        "loaded = heavy & set(sys.modules);"
        "assert not loaded, loaded"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("0.97301568665")


def test_a_narrow_table_answers_exactly_outside(narrow: ModeTable) -> None:
    loc = np.array([2.9, 3.1, 0.2, 0.2, 0.2, 0.2])
    scale = np.array([0.5, 0.5, 0.0999, 0.1001, 1.4999, 1.5001])
    exact = mode(loc, scale, method="exact")
    difference = mode(loc, scale, method="bilinear", table=narrow) != exact
    assert difference.tolist() == [True, False, False, True, True, False]
