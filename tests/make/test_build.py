"""The generator: promises kept, gates, and a command line that fails in one line."""

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import NARROW
from oracle import REFERENCE, prove
from tablegen import store
from tablegen.__main__ import main
from tablegen.claims import certified
from tablegen.make import layout
from tablegen.make.build import build, largest_error
from tablegen.verify import witness
from tanhlut import ModeTable, mode
from tanhlut.file.axes import delta_nodes
from tanhlut.file.bounds import Bounds

QUICK = ["--tol", "0.01", "--solver", "newton"]


def test_every_node_of_the_default_table_is_the_proven_mode() -> None:
    table = ModeTable.default()
    rng = np.random.default_rng(1)
    rows, columns = rng.integers(0, len(table.loc), 20_000), rng.integers(0, len(table.scale), 20_000)
    values = table.values[rows, columns].astype(np.float64)
    loc, scale = table.loc[rows], table.scale[columns]
    truth = prove(loc, scale, mode(loc, scale, method="exact"))
    np.testing.assert_array_equal(values.astype(np.float32), truth.astype(np.float32))


def test_both_solvers_build_the_same_table() -> None:
    by_newton, _ = build(Bounds(1.0, 0.3, 1.0), 1e-2, "newton", "tests")
    by_adam, _ = build(Bounds(1.0, 0.3, 1.0), 1e-2, "adam", "tests")
    np.testing.assert_array_equal(by_newton.values, by_adam.values)
    again, _ = build(Bounds(1.0, 0.3, 1.0), 1e-2, "adam", "tests")
    assert store.image(again) == store.image(by_adam)


def test_the_claimed_tolerance_holds_on_points_the_builder_did_not_use(narrow: ModeTable) -> None:
    assert narrow.bounds == NARROW
    rng = np.random.default_rng(2)
    loc = np.concatenate([rng.uniform(0, 3, 50_000), 3 * 10.0 ** rng.uniform(-20, 0, 50_000)])
    delta = np.clip(rng.choice([-1, 1], 100_000) * 10.0 ** rng.uniform(-12, 0.5, 100_000), -1, 4)
    scale = np.clip(np.sqrt((1 + delta) / 2), 0.1, 1.5)
    for dtype in (np.float32, np.float64):
        a, b = loc.astype(dtype), scale.astype(dtype)
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        truth = prove(wide_a, wide_b, mode(wide_a, wide_b, method="exact"))
        assert np.abs(mode(a, b, method="bilinear", table=narrow) - truth).max() <= narrow.tolerance


@pytest.mark.parametrize(
    ("bounds", "tolerance"),
    [
        (Bounds(1e-3, 0.7, 0.72), 1e-3), (Bounds(20.0, 0.0, 0.5), 1e-3), (Bounds(0.5, 0.9, 50.0), 1e-3),
        (Bounds(float("inf"), 0.0, 1.0), 5e-3), (Bounds(1e-30, 0.1, 0.2), 1e-2), (Bounds(20.0, 5.0, 6.0), 1e-2),
    ],
)  # fmt: skip
def test_odd_bounds(bounds: Bounds, tolerance: float) -> None:
    table, found = build(bounds, tolerance, "newton", "tests")
    assert found.error <= tolerance
    assert table.loc[-1] >= min(bounds.loc_max, 16.0)
    assert table.scale[0] <= bounds.scale_min
    assert table.scale[-1] >= min(bounds.scale_max, 2.9)
    rng = np.random.default_rng(3)
    least, most = np.clip(bounds[1:], 0, 4)
    loc, scale = rng.uniform(0, min(bounds.loc_max, 9), 500), rng.uniform(least, most, 500)
    truth = prove(loc, scale, mode(loc, scale, method="exact"))
    assert np.abs(mode(loc, scale, method="bilinear", table=table) - truth).max() <= tolerance
    np.testing.assert_allclose(mode(loc, scale, table=table), truth, rtol=1e-13)


def test_the_layout_keeps_the_rules_refinement_needs() -> None:
    table = ModeTable.default()
    delta = delta_nodes(table.scale)
    assert (table.loc.astype(np.float32) == table.loc).all()
    for nodes, deep in ((table.loc[1:], layout.LOC_DEEP), (delta[delta > 0], layout.DELTA_DEEP)):
        assert (nodes[1:] / nodes[:-1])[nodes[:-1] >= 2.0**deep].max() <= 1.34
        assert (nodes[1:] / nodes[:-1])[nodes[:-1] >= 2.0**-48].max() <= 2.2
    gap = np.searchsorted(delta, 0.0)
    assert np.nextafter(table.scale[gap - 1], 1) == table.scale[gap]  # no float64 scale inside the gap cell


def test_a_moved_node_is_found() -> None:
    table, found = build(Bounds(1.0, 0.3, 1.0), 1e-2, "newton", "tests")
    values = table.values.copy()
    i, j = np.argwhere((values > 0.4) & (values < 0.5))[7]
    values[i, j] += 2 * found.error
    values = np.maximum.accumulate(np.maximum.accumulate(values, 0), 1)
    moved = ModeTable(table.loc.copy(), table.scale.copy(), values, table.metadata)
    assert largest_error(moved, 3, "tests").error > 1.5 * found.error


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the largest error seen, of which these tests say little."""
    monkeypatch.setattr(witness, "search", partial(witness.search, size=4000))


@pytest.mark.usefixtures("short_search")
def test_command_line_build_info_and_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "table.h5"
    assert main(["build", "-o", str(out), *QUICK, "--loc-max", "2"]) == 0
    summary = capsys.readouterr().out
    for word in ("nodes", "bytes", "seconds", "error"):
        assert word in summary
    first = out.read_bytes()
    assert main(["build", "-o", str(out), *QUICK, "--loc-max", "2"]) == 0
    assert out.read_bytes() == first
    table = ModeTable.load(out)
    assert table.metadata["command"] == f"tablegen build -o {out} --tol 0.01 --solver newton --loc-max 2"
    assert table.bounds == Bounds(2.0, 0.0, float("inf"))
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert table.digest in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.h5"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--loc-max", "0"], "--loc-max 0"), (["--loc-max", "nan"], "--loc-max nan"),
        (["--scale-min", "-1"], "--scale-min -1"), (["--scale-min", "2", "--scale-max", "1"], "min < max"),
        (["--scale-min", "inf"], "min < max"), (["--tol", "1e-9"], "--tol 1e-09"), (["--tol", "nan"], "--tol nan"),
        (["--tol", "0.5"], "--tol 0.5"), (["--tol", "0"], "--tol 0"), (["--tol", "inf"], "--tol inf"),
        (["--loc-max", "-1"], "--loc-max -1"), (["--loc-max=-inf"], "--loc-max -inf"),
        (["--scale-min", "nan"], "--scale-min nan"), (["--scale-max", "nan"], "--scale-max nan"),
        (["--scale-max", "0"], "min < max"), (["--tol", "1.999e-6"], "give 2e-06 to 0.01"),
        (["--scale-min", "0.7", "--scale-max", "0.7"], "min < max"),
        (["--scale-min", "0.7000000000000001", "--scale-max", "0.7"], "--scale-min 0.7000000000000001 --scale-max 0.7"),
    ],
)  # fmt: skip
def test_bad_requests_are_one_line(
    options: list[str], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "-o", str(tmp_path / "t.h5"), *options]) == 2
    message = capsys.readouterr().err
    assert word in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_bad_targets_fail_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for target, word in ((tmp_path, "directory"), (tmp_path / "no" / "t.h5", "does not exist")):
        assert main(["build", "-o", str(target)]) == 2
        assert word in capsys.readouterr().err
    assert main(["info", str(tmp_path / "none.h5")]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:os.fork")  # jax warns, where a test before this one ran it
@pytest.mark.parametrize(
    "signal_number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_an_interrupted_build_leaves_the_old_file(signal_number: int, tmp_path: Path) -> None:
    out = tmp_path / "table.h5"
    out.write_bytes(b"the old file")
    command = [sys.executable, "-m", "tablegen", "build", "-o", str(out), "--tol", "1e-5"]

    def heed() -> None:  # what a shell starts in the background ignores SIGINT, and so would the child
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    assert process.stderr is not None
    process.stderr.read(8)  # the first progress bar: work has begun
    time.sleep(0.2)
    process.send_signal(signal_number)
    _, message = process.communicate(timeout=60)
    assert process.returncode == (130 if signal_number == signal.SIGINT else -signal_number)
    assert "Traceback" not in message
    assert out.read_bytes() == b"the old file"
    assert [path.name for path in tmp_path.iterdir()] == ["table.h5"]


def test_reference_rows_with_a_rebuilt_table(narrow: ModeTable) -> None:
    for dtype in (np.float32, np.float64):
        error = np.abs(mode(REFERENCE.loc.astype(dtype), REFERENCE.scale.astype(dtype), table=narrow) - REFERENCE.mode)
        assert error.max() <= (2.4e-7 if dtype == np.float32 else 1e-14)


@pytest.mark.usefixtures("short_search")
def test_verify_on_the_command_line(coarse_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0 for a proven claim, 1 with one line for a broken one, 2 for no table."""
    assert main(["verify", str(coarse_file)]) == 0  # its tolerance is proven
    assert "proven" in capsys.readouterr().out
    assert main(["verify", str(coarse_file), "--method", "refined"]) == 1
    assert "claims no bound" in capsys.readouterr().err
    table = certified(ModeTable.load(coarse_file))
    coarse_file.write_bytes(store.image(table))
    outputs = tmp_path / "result.json", tmp_path / "map.png"
    options = ["--method", "refined", "--json", str(outputs[0]), "--plot", str(outputs[1])]
    assert main(["verify", str(coarse_file), *options]) == 0
    result = json.loads(outputs[0].read_text())
    assert result["digest"] == table.digest
    assert result["witness"]["error"] <= result["bound"] <= result["claim"] == table.error_bound("refined")
    assert outputs[1].read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    lowered = [c._replace(bound=max(0.9 * c.bound, c.observed)) for c in table.certificates.values()]
    coarse_file.write_bytes(store.image(altered(table, certificates=lowered)))
    for method in ("bilinear", "refined"):
        assert main(["verify", str(coarse_file), "--method", method]) == 1
        message = capsys.readouterr().err
        assert "but only" in message.splitlines()[-1]
    assert main(["verify", str(tmp_path)]) == 2
    assert main(["verify", str(coarse_file), "--json", str(tmp_path / "no" / "x.json")]) == 2


def altered(table: ModeTable, **changes: Any) -> ModeTable:
    arrays = {name: getattr(table, name).copy() for name in ("loc", "scale", "values")}
    parts = {**arrays, "metadata": dict(table.metadata), "certificates": [], **changes}
    return ModeTable(**parts)


def test_a_forged_table_is_not_certified(coarse: ModeTable) -> None:
    values = coarse.values.copy()
    room = (np.diff(values, axis=0)[:, 1:] > 1e-4) & (np.diff(values, axis=1)[1:] > 1e-4)
    i, j = np.argwhere(room)[50] + 1
    for _ in range(2):
        values[i, j] = np.nextafter(values[i, j], np.float32(0), dtype=np.float32)
    with pytest.raises(ArithmeticError, match="1 node values are not the mode"):
        certified(altered(coarse, values=values))
    with pytest.raises(ArithmeticError, match=r"claims 0\.001 .*but only 0\.00"):
        certified(altered(coarse, metadata={**coarse.metadata, "tolerance": 0.001}))
