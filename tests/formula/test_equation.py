"""The equation's building blocks against mpmath, on both sides of each seam."""

import mpmath
import numpy as np
import pytest
import torch

from tanhlut.formula import equation, tensors
from tanhlut.formula.coefficients import SEAM
from tanhlut.formula.excess import excess

mpmath.mp.prec = 200
DTYPES = [torch.float32, torch.float64]


def ulp(dtype: torch.dtype) -> float:
    return float(torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_excess_keeps_relative_accuracy_through_the_cancellation(dtype: torch.dtype) -> None:
    near = torch.tensor([np.sqrt(0.5)], dtype=dtype)
    neighbours = [near]
    for direction in (0.0, 1.0):
        step = near
        for _ in range(50):
            step = torch.nextafter(step, torch.tensor([direction], dtype=dtype))
            neighbours.append(step)
    scale = torch.cat([*neighbours, torch.logspace(-30, 1, 200, dtype=dtype), torch.tensor([0.0], dtype=dtype)])
    for given, got in zip(scale.tolist(), excess(scale).tolist(), strict=True):
        truth = 2 * mpmath.mpf(given) ** 2 - 1
        assert abs(mpmath.mpf(got) - truth) <= 2 * ulp(dtype) * abs(truth), given


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_parts_are_relatively_accurate_on_both_sides_of_the_seam(dtype: torch.dtype) -> None:
    seam = torch.tensor([SEAM], dtype=dtype)
    near_seam = [torch.nextafter(seam, torch.zeros_like(seam)), seam, torch.nextafter(seam, 2 * seam)]
    x = torch.cat([torch.logspace(-12, 1.3, 400, dtype=dtype), torch.linspace(1, 1.5, 200, dtype=dtype), *near_seam])
    near, *parts = tensors.of(x).tanh_parts(x)
    parts[2] = torch.where(near, parts[2], x - parts[0])  # the last counts below the seam only
    for given, *got in zip(x.tolist(), *(part.tolist() for part in parts), strict=True):
        tanh = mpmath.tanh(given)
        for value, truth in zip(got, (tanh, 1 - tanh**2, given - tanh), strict=True):
            # Above the seam x − tanh x is a plain difference and 1 − tanh² a product of exp's; a few ulp either way.
            assert abs(mpmath.mpf(value) - truth) <= 6 * ulp(dtype) * abs(truth), given


def test_closed_form_start_is_within_its_stated_error() -> None:
    m = torch.cat([torch.zeros(1), torch.logspace(-25, 1.3, 300)]).double()
    delta = torch.cat([-torch.logspace(-15, 0, 150), torch.logspace(-15, 1, 160)]).double()
    wide_m, wide_delta = (part.flatten() for part in torch.meshgrid(m, delta, indexing="ij"))
    start = tensors.DOUBLE.closed_form(wide_m, wide_delta)
    y = start
    for _ in range(4):
        y = tensors.DOUBLE.step(wide_m + (1 + wide_delta) * y, wide_m, 1 + wide_delta, wide_delta)
    assert float((start - y).abs().max()) <= 0.21
    relative = ((start - y).abs() / y)[y > 0]
    assert float(relative.max()) <= 0.23


@pytest.mark.parametrize(("loc", "scale"), [(0.3, 0.5), (0.01, 0.7071), (1.0, 1.2), (1e-4, 0.72), (2.0, 0.1)])
def test_partials_are_the_derivatives(loc: float, scale: float) -> None:
    def mode(a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
        start = a + 2 * b**2
        return mpmath.tanh(mpmath.findroot(lambda x: x - a - 2 * b**2 * mpmath.tanh(x), (start, 0.9 * start)))

    y = torch.tensor([float(mode(mpmath.mpf(loc), mpmath.mpf(scale)))], dtype=torch.float64)
    by_loc, by_scale = equation.partials(y, torch.tensor([scale], dtype=torch.float64))
    assert float(by_loc) == pytest.approx(float(mpmath.diff(lambda a: mode(a, mpmath.mpf(scale)), loc)), rel=1e-9)
    assert float(by_scale) == pytest.approx(float(mpmath.diff(lambda b: mode(mpmath.mpf(loc), b), scale)), rel=1e-9)


def test_is_bimodal_counts_peaks_on_both_sides_of_its_threshold() -> None:
    for scale in [0.70711, 0.71, 0.75, 0.8, 0.9, 1.0, 1.5, 3.0, 50.0]:
        s = 2 * mpmath.mpf(scale) ** 2
        threshold = mpmath.sqrt(s * (s - 1)) - mpmath.acosh(mpmath.sqrt(s))
        sides = torch.tensor([float(threshold * (1 - 1e-9)), float(threshold * (1 + 1e-9))], dtype=torch.float64)
        both = torch.full((2,), scale, dtype=torch.float64)
        assert equation.is_bimodal(sides, both).tolist() == [True, False], scale
        assert equation.is_bimodal(-sides, both).tolist() == [True, False], scale
    nan, inf = float("nan"), float("inf")
    loc = torch.tensor([0.0, -0.0, 0.0, nan, 0.0, inf, 1.0, 0.0])
    scale_ = torch.tensor([0.7, 1.0, nan, 1.0, -1.0, 1.0, inf, inf])
    assert equation.is_bimodal(loc, scale_).tolist() == [False, True, False, False, False, False, True, True]
