"""The mean in a C header: the cpu backend's bits in every build, a square root of its own, a self-test that notices."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import c_variants
import numpy as np
import pytest
from c_builds import BUILDS, C99, CPP, DEFAULT, PROGRAM, answers, asked, compiled, counted, fails, unlike

from conftest import table_named
from tablegen.__main__ import main
from tablegen.export import c_header, c_mean
from tanhlut import ModeTable, mean, mode
from tanhlut.distributions import quadrature
from tanhlut.formula import plain, surrogate

MEAN = PROGRAM.replace("tanhlut_mode", "tanhlut_mean")

if shutil.which("gcc") is None or shutil.which("g++") is None:
    pytest.skip("there is no C compiler here (gcc, g++)", allow_module_level=True)


@cache
def header(*quantities: str) -> str:
    return c_header.header(ModeTable.default(), "exact", "tests", quantities).decode()


@cache
def points() -> np.ndarray:
    """Those of the mode, and far out, where the mean takes its arguments smaller."""
    rng = np.random.default_rng(5)
    far = np.exp(rng.uniform(30, 88, (20_000, 2))) * rng.choice([-1.0, 1.0], (20_000, 2), p=[0.3, 0.7])
    mixed = np.where(rng.random((20_000, 2)) < 0.5, far, rng.normal(size=(20_000, 2)))
    return np.concatenate([asked(), far.astype(np.float32), mixed.astype(np.float32)])


@cache
def wanted(low: float = -1.0, high: float = 1.0) -> np.ndarray:
    loc, scale = (np.ascontiguousarray(part) for part in points().T)
    return np.asarray(mean(loc, scale, low, high, backend="cpu"))


@pytest.mark.parametrize(
    ("quantities", "build"),
    [(("mode", "mean"), build) for build in BUILDS] + [(("mean",), build) for build in ("-O0", "contracting", "C++17")],
)
def test_the_bits_are_the_cpu_backends(quantities: tuple[str, ...], build: str, tmp_path: Path) -> None:
    found = answers(compiled(tmp_path, header(*quantities), BUILDS[build], MEAN), points())
    assert unlike(found[:, 0], wanted()) == 0
    assert unlike(found[:, 1], wanted(float(np.float32(-0.3)), float(np.float32(1.9)))) == 0
    assert unlike(found[:, 2], wanted()) == 0


def test_the_mode_beside_it_is_the_mode(tmp_path: Path) -> None:
    found = answers(compiled(tmp_path, header("mode", "mean"), BUILDS["-O3 native"]), asked())
    loc, scale = (np.ascontiguousarray(part) for part in asked().T)
    assert unlike(found[:, 0], np.asarray(mode(loc, scale, method="exact", backend="cpu"))) == 0


def test_the_truth_is_within_the_bound(tmp_path: Path) -> None:
    import torch

    rng = np.random.default_rng(1)
    pairs = np.stack([rng.normal(size=4000) * 2, np.exp(rng.uniform(-6, 3, 4000))], 1).astype(np.float32)
    found = answers(compiled(tmp_path, header("mean"), BUILDS["-O0"], MEAN), pairs)[:, 0]
    loc, scale = torch.from_numpy(pairs.astype(np.float64)).T
    moments = ModeTable.default().moments
    assert moments is not None
    assert np.abs(found - quadrature.mean(loc, scale).numpy()).max() <= float(moments.metadata["mean_bound"])
    assert f"|answer - mean| <= {moments.metadata['mean_bound']:.3g} on" in header("mean")
    assert "|answer - mode| <= 4.2e-07 and |answer - mean|" in " ".join(
        header("mode", "mean").replace(" *", "").split()
    )


ROOTS = """
#include "tanhlut.h"
#include <math.h>
int main(void)
{
    uint32_t word;
    for (word = 0x3F800000u; word < 0x40800000u; ++word) /* [1, 4): every significand, both parities of the exponent */
        if (tanhlut_square_root(tanhlut_from_bits((int32_t)word)) != sqrtf(tanhlut_from_bits((int32_t)word)))
            return 1;
    for (word = 0x21800000u; word < 0x7E800000u; word += 4099u) /* [2^-60, 2^126) */
        if (tanhlut_square_root(tanhlut_from_bits((int32_t)word)) != sqrtf(tanhlut_from_bits((int32_t)word)))
            return 2;
    return 0;
}
"""


def test_every_square_root_is_rounded_to_nearest(tmp_path: Path) -> None:
    for flags in (["-O2"], ["-O2", "-march=native", "-ffp-contract=fast"]):
        subprocess.run([compiled(tmp_path, header("mean"), [*C99, *flags], ROOTS)], check=True)


def test_the_square_root_of_nan_is_none() -> None:
    root = c_mean.square_root(plain.fma, plain.SINGLE.inverse_root, np.float32(0.5))
    np.testing.assert_array_equal(root(np.array([np.nan, 2.0], np.float32)), np.sqrt(np.array([np.nan, 2], np.float32)))


def test_the_self_test_notices_each_number_and_fused_product(tmp_path: Path) -> None:
    text = header("mean")
    wrong = [*c_variants.numbers(text)]
    assert len(wrong) > 14 + 5
    array = text[text.index("static const float") : text.index("};")]
    numbers = [*re.finditer(r"-?\d\.\d+(?:e-\d+)?f", array)]
    assert len(numbers) == sum(surrogate.POLYNOMIALS[name].size for name in c_mean.NAMES)
    for found in numbers[::9]:
        moved = c_variants.replaced(array, found, 0, c_variants.beside(found[0], np.inf))
        wrong.append((found[0], text.replace(array, moved)))
    contents = c_header.Contents(None, mean=c_mean.numbers(ModeTable.default()))
    fused = [*c_variants.fused(text, contents)]
    assert len(fused) == 1
    wrong += fused
    first, *rest = counted(tmp_path, [text, *(changed for _, changed in wrong)], ["-O1"])
    assert first == 0
    assert [what for (what, _), count in zip(wrong, rest, strict=True) if count == 0] == []


@pytest.mark.parametrize("switch", ["0x8040", "0x2000", "0x4000", "0x6000"])
def test_the_self_test_notices_flushed_subnormals_and_other_rounding(switch: str, tmp_path: Path) -> None:
    if not subprocess.check_output(["gcc", "-dumpmachine"], text=True).startswith("x86_64"):
        pytest.skip("another processor's switch")
    switched = f"_mm_setcsr(_mm_getcsr() | {switch});\n    const int wrong"
    program = "#include <immintrin.h>\n" + MEAN.replace("const int wrong", switched)
    assert fails(compiled(tmp_path, header("mean"), ["gcc", "-O2"], program))


def test_without_fma_the_answers_are_near(tmp_path: Path) -> None:
    program = compiled(tmp_path, header("mean"), [*C99, "-O2", "-march=native", "-DTANHLUT_NO_FMA"], MEAN)
    found = answers(program, points())[:, 0]
    assert unlike(found, wanted()) > 1000
    assert np.nanmax(np.abs(found - wanted())) <= 1e-6
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted()))


LONE = """
#include "tanhlut.h"
float lone(float loc, float scale);
float lone(float loc, float scale) { return tanhlut_mean(loc, scale); }
"""


def test_there_is_no_branch_and_no_library(tmp_path: Path) -> None:
    if shutil.which("objdump") is None or shutil.which("nm") is None:
        pytest.skip("objdump or nm is missing (binutils)")
    (tmp_path / "tanhlut.h").write_text(header("mode", "mean"))
    (tmp_path / "lone.c").write_text(LONE)
    for flags in (["-O2"], ["-Os"], ["-O3", "-march=native"]):
        subprocess.run([*C99, *flags, "-c", "lone.c"], cwd=tmp_path, check=True)
        shown = subprocess.check_output(["objdump", "-d", "lone.o"], cwd=tmp_path, text=True)
        assert [line for line in shown.splitlines() if re.search(r"\tj(?!mp)\w+", line)] == []
        symbols = subprocess.check_output(["nm", "lone.o"], cwd=tmp_path, text=True).splitlines()
        assert {line.split()[-2] for line in symbols} <= {"T", "t", "r", "R"}


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(DEFAULT), "--format", "c", "--quantity", "mode,mean"]) == 0
    assert "mode, method 'exact', mean" in capsys.readouterr().out
    text = (tmp_path / "tanhlut.h").read_text("ascii")
    moments = ModeTable.default().moments
    assert moments is not None
    assert moments.digest in text.replace("\n *", "")
    assert max(map(len, text.splitlines())) <= 120
    compiled(tmp_path, text, CPP, MEAN)
    assert main(["export", str(DEFAULT), "--format", "c", "--quantity", "entropy"]) == 2
    assert "only mode, mean: try --format onnx" in capsys.readouterr().err
    assert main(["export", str(DEFAULT), "--quantity", "median", "-o", "m.onnx"]) == 2
    assert "'median' is unknown" in capsys.readouterr().err


def test_a_table_without_moments_has_no_mean() -> None:
    with pytest.raises(ValueError, match="holds no moments"):
        c_header.header(table_named("coarse"), "exact", "tests", ("mean",))
