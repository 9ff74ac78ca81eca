"""What the proof takes from measurement of the text's parts, over every float32 where they matter: as LLVM compiles
them, as torch runs them without fma, and, on a sample, in NumPy, whose bits are the kernels'."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tablegen.verify import halley
from tablegen.verify.boxes import Boxes
from tablegen.verify.exact import starts
from tablegen.verify.halley import EXP
from tanhlut.compute import calls, machine
from tanhlut.compute.cpu_ops import SINGLE
from tanhlut.compute.strips import Strips
from tanhlut.compute.vectors import FLOAT32
from tanhlut.formula import coefficients, plain, tensors
from tanhlut.formula.coefficients import SEAM

U = 2.0**-24
Floats = NDArray[np.float32]


def _run(part: Callable[..., Any], outputs: int, *given: Floats) -> list[Floats]:
    """A part of the text over arrays, compiled."""
    strips = Strips(FLOAT32, len(given), outputs)
    with strips.arrays() as arrays, strips.each() as i:
        found = part(*(array[i] for array in arrays[: len(given)]))
        for array, value in zip(arrays[len(given) :], found, strict=True):
            array[i] = value
    given = tuple(map(np.ascontiguousarray, given))
    out = [np.empty_like(given[0]) for _ in range(outputs)]
    name = calls.on_addresses(strips.function, len(given) + outputs + 2, "")
    run = calls.builtin(name, *machine.compiled(strips.module, name))
    run(*(array.ctypes.data for array in (*given, *out)), 0, len(given[0]), 1)
    return out


def by_llvm(x: Floats) -> list[Floats]:
    """(tanh x, x − tanh x, 1 − tanh x if far)."""
    return _run(lambda x: SINGLE.tanh_and_gap(x)[1:], 3, x)


def by_torch(x: Floats) -> list[Floats]:
    with torch.no_grad():
        _, t, gap, rest = tensors.SINGLE.tanh_and_gap(torch.from_numpy(x))
    return [t.numpy(), gap.numpy(), rest.numpy()]


Parts = Callable[[Floats], list[Floats]]
EACH = pytest.mark.parametrize("parts", [by_llvm, by_torch])


def floats(low: float, high: float) -> Floats:
    """Every float32 from low to high."""
    first, last = np.array([low, high], np.float32).view(np.int32)
    return np.arange(first, last + 1, dtype=np.int32).view(np.float32)


@EACH
@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_the_gap_rounds_as_the_proof_assumes(parts: Parts, step: int) -> None:
    """x − tanh x below the seam: every float32 in [1/2, 5/4], where least is allowed, and a sample below; the fast
    tests ask one in 17."""
    rng = np.random.default_rng(1)
    for x in (floats(0.5, SEAM)[::step], np.exp2(rng.uniform(-20, -1, 2_000_000 // step)).astype(np.float32)):
        wide = x.astype(np.longdouble)
        z = wide * wide
        truth = wide - np.tanh(wide)
        series = wide * z * (1 / np.longdouble(3) - z * (2 / np.longdouble(15) - z * 17 / np.longdouble(315)))
        truth = np.where(wide < 2.0**-8, series, truth)
        t, gap, _ = (part.astype(np.longdouble) for part in parts(x))
        ratio = wide / np.tanh(wide) - 1
        allowed = 3.6 / (1 + ratio) + 2.9  # of tablegen.verify.halley, less the second-order terms
        assert (np.abs(gap / truth - 1) <= allowed * U).all()
        assert (np.abs(t - np.tanh(wide)) <= allowed * U * truth + 0.51 * U).all()


@EACH
def test_the_complement_rounds_as_the_proof_assumes(parts: Parts) -> None:
    """1 − tanh x above the seam: every float32 to 2.6, a sample to underflow."""
    x = np.concatenate([floats(SEAM, 2.6)[1:], np.random.default_rng(2).uniform(2, 34, 10**6).astype("f4")])
    wide = x.astype(np.longdouble)
    t, _, complement = (part.astype(np.longdouble) for part in parts(x))
    truth = 2 / (np.exp(2 * wide) + 1)
    assert np.abs(complement / truth - 1).max() <= (EXP + 1.9) * U
    assert (np.abs(t - np.tanh(wide)) <= (EXP + 2) * U * truth + 0.51 * U).all()


def test_the_start_is_as_near_the_closed_form_as_the_proof_assumes() -> None:
    rng = np.random.default_rng(3)
    delta = rng.choice([-1.0, 1.0], 3_000_000) * np.exp2(rng.uniform(-25, 0, 3_000_000))
    m = np.where(
        rng.random(len(delta)) < 0.5, np.abs(delta) ** 1.5 * np.exp2(rng.uniform(-8, 8, len(delta))), 0.0
    ) + np.exp2(rng.uniform(-125, 4, len(delta)))
    m32, delta32 = m.astype(np.float32), np.where(m > 2, np.abs(delta) * 16, delta).astype(np.float32)
    (y,) = _run(lambda m, delta: [SINGLE.closed_form(m, delta)], 1, m32, delta32)
    wide_m, wide_delta = m32.astype(np.float64), delta32.astype(np.float64)
    low, high = starts(Boxes(wide_m, wide_m, wide_delta, wide_delta))
    counted = low > 1e-30
    assert ((low <= y) & (y <= high))[counted].all()
    assert ((y - low) / (high - low))[counted].max() > 0.9
    assert ((y - low) / (high - low))[counted].min() < 0.1


def test_the_rational_of_the_rough_step_is_as_near_as_the_proof_assumes() -> None:
    """As float32 arithmetic of NumPy has it, at most 1e-6 from the kernels'."""
    x = np.concatenate([floats(1.0, 5.5)[::7], np.geomspace(1e-6, 36.0, 2_000_000).astype(np.float32)])
    g0, g1, q1, q2 = map(np.float32, coefficients.ROUGH)
    z, wide = x * x, x.astype(np.longdouble)
    q = (z * q2 + q1) * z + np.float32(1.0)
    gap = (x * z) * (z * g1 + g0)
    t = np.minimum(x * q - gap, q)
    truth = np.where(wide < 2.0**-8, wide**3 / 3 - 2 * wide**5 / 15, wide - np.tanh(wide))
    off = np.abs(gap / q.astype(np.longdouble) / truth - 1)
    assert (off <= halley.allowed(x.astype(np.float64)) - 1e-6).all()
    assert np.abs(t / q.astype(np.longdouble) - np.tanh(wide)).max() <= halley.TANH - 1e-6


def test_delta_is_rounded_once() -> None:
    scale = np.concatenate([floats(0.7, 0.715), np.random.default_rng(4).uniform(0, 3, 10**6).astype(np.float32)])
    (got,) = _run(lambda scale: [SINGLE.fold(scale, scale)[2]], 1, scale)
    truth = 2 * scale.astype(np.float64) ** 2 - 1  # exact: 49 bits at most, but for tiny scales
    assert (np.abs(got - truth) <= U * np.abs(truth) * (1 + 1e-9)).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_fma_of_numpy_rounds_once(kind: type[np.floating]) -> None:
    """Against rational arithmetic: cancelling, far apart, halfway."""
    from fractions import Fraction

    rng = np.random.default_rng(5)
    a, b = (rng.uniform(1, 2, 3000).astype(kind) for _ in range(2))
    near = np.nextafter((-a * b).astype(kind), kind(0))
    c = np.where(rng.random(3000) < 0.4, near, rng.normal(size=3000) * np.exp2(rng.uniform(-60, 60, 3000))).astype(kind)
    halfway = kind(1 + 2.0**-12), kind(1 + 2.0**-12), kind(2.0**-60)
    a[:1], b[:1], c[:1] = halfway
    for x, y, z, found in zip(a, b, c, plain.fma(a, b, c), strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        off = abs(Fraction(float(found)) - exact)
        for beside in (np.nextafter(found, kind(-np.inf)), np.nextafter(found, kind(np.inf))):
            assert off <= abs(Fraction(float(beside)) - exact)
