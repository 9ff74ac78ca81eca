"""The C header, compiled: the cpu backend's bits in every build, a self-test that notices, refusals."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import c_variants
import numpy as np
import pytest
from c_builds import BUILDS, C99, DEFAULT, PROGRAM, ROOT, answers, asked, compiled, counted, fails, unlike
from numpy.typing import NDArray

from conftest import table_named
from oracle import REFERENCE
from tablegen.__main__ import main
from tablegen.export import c_header, c_parts
from tanhlut import ModeTable, mode
from tanhlut.methods import EXACT_BOUND

CASES = [
    ("exact", "default"),
    ("refined", "coarse"),
    ("bilinear", "coarse"),
    ("refined", "small"),
    ("bilinear", "small"),
]
# Of a table's headers these: the small one holds all that the other does, and the exact method.
ENOUGH = {"coarse": {"-O3 native", "sanitized"}, "small": {"-O0", "contracting", "C++17", "sanitized"}}
if shutil.which("gcc") is None or shutil.which("g++") is None:
    pytest.skip("there is no C compiler here (gcc, g++)", allow_module_level=True)


@cache
def header(method: str, name: str) -> str:
    return c_header.header(table_named(name), method, "tests").decode()  # type: ignore[arg-type]


def refused(folder: Path, text: str, command: Sequence[str]) -> str:
    (folder / "tanhlut.h").write_text(text)
    (folder / "main.c").write_text(PROGRAM)
    run = subprocess.run([*command, "-c", "main.c"], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    return run.stderr


def machine() -> str:
    return subprocess.check_output(["gcc", "-dumpmachine"], text=True)


@cache
def wanted(method: str, name: str, low: float = -1.0, high: float = 1.0) -> NDArray[np.float32]:
    loc, scale = (np.ascontiguousarray(part) for part in asked().T)
    table = None if method == "exact" else table_named(name)
    return np.asarray(mode(loc, scale, low, high, method=method, table=table, backend="cpu"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "name", "build"),
    [(*case, build) for case in CASES for build in BUILDS if build in ENOUGH.get(case[1], BUILDS)],
)
def test_the_bits_are_the_cpu_backends(method: str, name: str, build: str, tmp_path: Path) -> None:
    program = compiled(tmp_path, header(method, name), BUILDS[build])
    found = answers(program, asked())
    assert unlike(found[:, 0], wanted(method, name)) == 0
    assert unlike(found[:, 1], wanted(method, name, float(np.float32(-0.3)), float(np.float32(1.9)))) == 0
    assert unlike(found[:, 2], wanted(method, name)) == 0


def test_the_truth_is_within_the_bound(tmp_path: Path) -> None:
    points = np.stack([REFERENCE.loc, REFERENCE.scale], 1).astype(np.float32)
    rows = (points.astype(np.float64) == np.stack([REFERENCE.loc, REFERENCE.scale], 1)).all(1)
    assert rows.sum() > 100
    found = answers(compiled(tmp_path, header("exact", "default"), BUILDS["-O0"]), points)[:, 0]
    assert np.abs(found - REFERENCE.mode)[rows].max() <= EXACT_BOUND


def test_the_shipped_table_whole(tmp_path: Path) -> None:
    text = header("refined", "default")
    found = answers(compiled(tmp_path, text, ["gcc", "-std=c99", "-O1", "-march=native"]), asked())
    assert unlike(found[:, 0], wanted("refined", "default")) == 0
    assert "<= 4.02e-07" in text
    assert ModeTable.default().digest in text


def test_without_fma_the_answers_are_near(tmp_path: Path) -> None:
    program = compiled(tmp_path, header("exact", "default"), [*C99, "-O2", "-march=native", "-DTANHLUT_NO_FMA"])
    found, expected = answers(program, asked())[:, 0], wanted("exact", "default")
    assert unlike(found, expected) > 1000
    assert np.nanmax(np.abs(found - expected)) <= 5e-7
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))


def test_the_self_test_notices_each_number_and_each_fused_product(tmp_path: Path) -> None:
    text = header("exact", "default")
    wrong = [*c_variants.numbers(text), *c_variants.fused(text)]
    assert len(wrong) > 70
    first, *rest = counted(tmp_path, [text, *(changed for _, changed in wrong)], ["-O1"])
    assert first == 0
    missed = [what for (what, changed), count in zip(wrong, rest, strict=True) if count == 0 and changed != text]
    assert missed == []


def test_the_self_test_notices_a_number_of_a_table(tmp_path: Path) -> None:
    text = header("refined", "small")
    begin = text.index("tanhlut_values[")
    place = text.index("0.", begin + len(text[begin:]) // 3)
    digit = place + 4
    changed = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]
    index = text.index("0x", text.index("tanhlut_delta_index[")) + 4
    other = text[:index] + ("1" if text[index] == "0" else "0") + text[index + 1 :]
    assert [count > 0 for count in counted(tmp_path, [text, changed, other], ["-O1"])] == [False, True, True]


def test_the_self_test_notices_contraction(tmp_path: Path) -> None:
    """Without the pragma gcc fuses products, where the machine can."""
    text = header("exact", "default")
    bare = text.replace('#pragma GCC optimize("fp-contract=off")\n', "")
    assert bare != text
    flags = ["gcc", "-std=c99", "-O2", "-march=native", "-ffp-contract=fast"]
    macros = subprocess.run([*flags, "-dM", "-E", "-"], input="", capture_output=True, text=True, check=True).stdout
    if "__FP_FAST_FMAF" not in macros:
        pytest.skip("this machine has no fma")
    assert fails(compiled(tmp_path, bare, flags))
    assert not fails(compiled(tmp_path, text, flags))


@pytest.mark.parametrize("switch", ["0x8040", "0x2000", "0x4000", "0x6000"])
def test_the_self_test_notices_flushed_subnormals_and_other_rounding(switch: str, tmp_path: Path) -> None:
    if not machine().startswith("x86_64"):
        pytest.skip("another processor's switch")
    switched = f"_mm_setcsr(_mm_getcsr() | {switch});\n    const int wrong"
    program = "#include <immintrin.h>\n" + PROGRAM.replace("const int wrong", switched)
    assert fails(compiled(tmp_path, header("exact", "default"), ["gcc", "-O2"], program))


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-ffinite-math-only", "-funsafe-math-optimizations"])
def test_fast_math_is_refused(flag: str, tmp_path: Path) -> None:
    assert "fast-math voids" in refused(tmp_path, header("exact", "default"), ["gcc", "-O2", flag])


def test_excess_precision_is_refused(tmp_path: Path) -> None:
    if not machine().startswith("x86_64"):
        pytest.skip("another processor's switch")
    assert "-mfpmath=sse" in refused(tmp_path, header("exact", "default"), ["gcc", "-std=c99", "-mfpmath=387"])


LONE = """
#include "tanhlut.h"
float lone(float loc, float scale);
float lone(float loc, float scale) { return tanhlut_mode(loc, scale); }
"""


def lone(folder: Path, text: str, *flags: str) -> Path:
    (folder / "tanhlut.h").write_text(text)
    (folder / "lone.c").write_text(LONE)
    subprocess.run([*C99, *flags, "-c", "lone.c"], cwd=folder, check=True)
    return folder / "lone.o"


@pytest.mark.parametrize(("method", "name"), CASES)
def test_there_is_no_branch(method: str, name: str, tmp_path: Path) -> None:
    """So that the number of instructions does not depend on the data."""
    if shutil.which("objdump") is None:
        pytest.skip("objdump is missing (binutils)")
    for flags in (["-O2"], ["-Os"], ["-O3", "-march=native"]):
        shown = subprocess.check_output(["objdump", "-d", lone(tmp_path, header(method, name), *flags)], text=True)
        jumps = [line for line in shown.splitlines() if re.search(r"\tj(?!mp)\w+", line)]
        assert jumps == []


def test_nothing_is_linked_and_nothing_written(tmp_path: Path) -> None:
    if shutil.which("nm") is None:
        pytest.skip("nm is missing (binutils)")
    for case in CASES:
        symbols = subprocess.check_output(["nm", lone(tmp_path, header(*case), "-O2")], text=True).splitlines()
        kinds = {line.split()[-2]: line for line in symbols}
        assert set(kinds) <= {"T", "t", "r", "R"}, kinds


def test_tables_go_where_the_macro_says(tmp_path: Path) -> None:
    flash = '-DTANHLUT_FLASH=__attribute__((section(".flash")))'
    shown = subprocess.check_output(
        ["objdump", "-h", lone(tmp_path, header("bilinear", "small"), "-O2", flash)], text=True
    )
    table = table_named("small").packed
    assert table is not None
    size = next(int(line.split()[2], 16) for line in shown.splitlines() if " .flash " in line)
    assert size >= table.values.nbytes + table.delta_index.nbytes + table.loc_index.nbytes // 2


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(DEFAULT), "--format", "c"]) == 0
    assert "method 'exact'" in capsys.readouterr().out
    data = (tmp_path / "tanhlut.h").read_bytes()
    assert len(data) < 20_000
    text = data.decode("ascii")
    assert max(map(len, text.splitlines())) <= 120
    about = " ".join(text[: text.index("#ifndef")].replace(" *", " ").split())
    assert "<= 4.2e-07" in about
    assert ModeTable.default().digest in about
    assert "tanhlut 0.1.0" in about
    assert "--format c" in about
    assert (ROOT / "LICENSE").read_text() == c_parts.LICENCE
    assert all(line.strip() in text for line in c_parts.LICENCE.splitlines())
    assert main(["export", str(DEFAULT), "--format", "c"]) == 0
    assert (tmp_path / "tanhlut.h").read_bytes() == data


def test_a_command_cannot_leave_its_comment(tmp_path: Path) -> None:
    text = c_header.header(ModeTable.default(), "exact", "tablegen export 'a*/ int x; /*??/\n\\' é.h5").decode("ascii")
    compiled(tmp_path, text, [*C99, "-Wtrigraphs"])


def test_what_cannot_be_written(coarse_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "t.h"
    for method in ("mlp", "mlp_refined"):
        assert main(["export", str(coarse_file), "--format", "c", "--method", method, "-o", str(target)]) == 2
        assert "try --format onnx" in capsys.readouterr().err
    assert main(["export", str(DEFAULT)]) == 2
    assert "needs -o OUT" in capsys.readouterr().err
    assert main(["export", str(DEFAULT), "--format", "c", "-o", str(tmp_path / "no" / "t.h")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".h"] == []


def test_a_table_that_kernels_cannot_read(tmp_path: Path) -> None:
    whole = table_named("coarse")
    loc = whole.loc.copy()
    loc[-9] = (loc[-9] + loc[-8]) / 2
    odd = ModeTable(loc, whole.scale.copy(), whole.values.copy(), whole.metadata)
    assert odd.packed is None
    with pytest.raises(ValueError, match="rebuild it"):
        c_header.header(odd, "bilinear", "tests")
    assert b"tanhlut_mode" in c_header.header(odd, "exact", "tests")


def test_a_table_without_a_certificate_says_so() -> None:
    assert "nothing of this method" in header("bilinear", "small")
