"""The CPU kernel's own parts, where the proof (tablegen/verify) rests on them. Whole answers: test_backends.py."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tablegen.verify.exact import START
from tanhlut import cpu
from tanhlut.compute.cpu_ops import SINGLE
from tanhlut.formula import tensors
from tanhlut.formula.coefficients import SEAM

U = 2.0**-24


@numba.njit(error_model="numpy")
def _parts(x: Any, t: Any, complement: Any, gap: Any) -> None:
    for i in range(x.size):
        _, tanh, _, rest = SINGLE.tanh_parts(x[i])
        t[i], gap[i] = tanh, rest
        complement[i] = rest / x[i]


@numba.njit(error_model="numpy")
def _starts(m: Any, delta: Any, y: Any) -> None:
    for i in range(m.size):
        y[i] = SINGLE.closed_form(m[i], delta[i])


def parts(x: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    out = [np.empty_like(x) for _ in range(3)]
    _parts(x, *out)
    return [array.astype(np.longdouble) for array in out]


def floats(low: float, high: float) -> NDArray[np.float32]:
    """Every float32 from low to high."""
    first, last = np.array([low, high], np.float32).view(np.int32)
    return np.arange(first, last + 1, dtype=np.int32).view(np.float32)


def test_the_gap_rounds_as_the_proof_assumes() -> None:
    """x − tanh x below the seam: every float32 in [1/2, 5/4], where least is allowed, and a sample below."""
    rng = np.random.default_rng(1)
    for x in (floats(0.5, SEAM), np.exp2(rng.uniform(-20, -1, 2_000_000)).astype(np.float32)):
        wide = x.astype(np.longdouble)
        z = wide * wide
        truth = wide - np.tanh(wide)
        series = wide * z * (1 / np.longdouble(3) - z * (2 / np.longdouble(15) - z * 17 / np.longdouble(315)))
        truth = np.where(wide < 2.0**-8, series, truth)
        t, _, gap = parts(x)
        ratio = wide / np.tanh(wide) - 1
        allowed = 3.6 / (1 + ratio) + 2.9  # of tablegen.verify.halley, less the second-order terms
        assert (np.abs(gap / truth - 1) <= allowed * U).all()
        assert (np.abs(t - np.tanh(wide)) <= allowed * U * truth + 0.51 * U).all()


def test_the_complement_rounds_as_the_proof_assumes() -> None:
    """1 − tanh x above the seam, to underflow."""
    x = np.concatenate([floats(SEAM, 2.6)[1:], np.random.default_rng(2).uniform(2, 34, 10**6).astype("f4")])
    wide = x.astype(np.longdouble)
    t, complement, _ = parts(x)
    truth = 2 / (np.exp(2 * wide) + 1)
    assert np.abs(complement / truth - 1).max() <= 5.9 * U  # (EXP + 2)·U of tablegen.verify.halley
    assert (np.abs(t - np.tanh(wide)) <= 6 * U * truth + 0.51 * U).all()


def test_the_start_is_as_near_the_closed_form_as_the_proof_assumes() -> None:
    rng = np.random.default_rng(3)
    delta = rng.choice([-1.0, 1.0], 3_000_000) * np.exp2(rng.uniform(-25, 0, 3_000_000))
    m = np.where(
        rng.random(len(delta)) < 0.5, np.abs(delta) ** 1.5 * np.exp2(rng.uniform(-8, 8, len(delta))), 0.0
    ) + np.exp2(rng.uniform(-125, 4, len(delta)))
    m32, delta32 = m.astype(np.float32), np.where(m > 2, np.abs(delta) * 16, delta).astype(np.float32)
    y = np.empty_like(m32)
    _starts(m32, delta32, y)
    truth = tensors.DOUBLE.closed_form(torch.from_numpy(m32).double(), torch.from_numpy(delta32).double()).numpy()
    counted = truth > 1e-30
    assert 1e-3 < np.abs(y / truth - 1)[counted].max() <= 0.003 < START


def test_delta_is_rounded_once() -> None:
    scale = np.concatenate([floats(0.7, 0.715), np.random.default_rng(4).uniform(0, 3, 10**6).astype(np.float32)])
    got = _excess(scale)
    truth = 2 * scale.astype(np.float64) ** 2 - 1  # exact: 49 bits at most, but for tiny scales
    assert (np.abs(got - truth) <= U * np.abs(truth) * (1 + 1e-9)).all()


def _excess(scale: NDArray[np.float32]) -> NDArray[np.float64]:
    @numba.njit(error_model="numpy")
    def run(scale: Any, out: Any) -> None:
        for i in range(scale.size):
            out[i] = SINGLE.fold(scale[i], scale[i])[2]

    out = np.empty_like(scale)
    run(scale, out)
    return out.astype(np.float64)


@pytest.mark.parametrize("name", ["mode32", "mode64"])
def test_loops_are_vectorised(name: str) -> None:
    """Speed is not tested, but what it rests on: divisions and fused multiply-adds on whole vectors."""
    features = llvm.get_host_cpu_features()
    if not features.get("avx2"):
        pytest.skip("reads the assembly of AVX2 and later only")
    fresh = numba.njit(cpu._ADDRESSES, error_model="numpy")(getattr(cpu, name).py_func)
    (assembly,) = fresh.inspect_asm().values()
    real = "s" if name == "mode32" else "d"
    assert re.search(rf"vdivp{real}\s.*%[yz]mm", assembly)
    assert re.search(rf"vfn?madd\d+p{real}\s.*%[yz]mm", assembly)


def test_a_changed_source_is_compiled_anew(tmp_path: Path) -> None:
    """numba watches cpu.py alone: a change in what it inlines must not leave the old kernel running."""
    package = tmp_path / "tanhlut"
    shutil.copytree(Path(cpu.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(cpu.__file__).parent.parent / "data", tmp_path / "data")
    code = "import tanhlut; print(tanhlut.mode(0.2, 1.0, backend='cpu'), tanhlut.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}

    def answer() -> float:
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(tmp_path)},
        )
        number, path = run.stdout.split()
        assert path.startswith(str(tmp_path))
        return float(number)

    assert answer() == pytest.approx(0.9730156866523543)
    source = package / "formula" / "element.py"
    text = source.read_text()
    assert "half * signed(y, loc) + middle" in text
    source.write_text(text.replace("half * signed(y, loc) + middle", "signed(y, loc) - half"))
    assert answer() == pytest.approx(0.9730156866523543 - 1.0)
