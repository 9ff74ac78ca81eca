"""Mean, variance and E[log cosh X] against 30 digits, on both sides of the seam, with the errors the module states."""

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
from tanhlut.distributions import quadrature as moments

LOCS = (0.0, 1e-3, 0.3, 1.0, 2.5, 6.0, 12.0, 30.0)
SCALES = (1e-4, 1e-2, 0.1, 0.5, 0.97, 1.0, 1.0001, 1.5, 4.0, 100.0, 1e4)
STATED = {  # mean, variance (relative), E[log cosh] relative to 1 + itself: the module's table
    torch.float64: (1.2e-15, 6.7e-14, 1.2e-14),
    torch.float32: (6.7e-8, 1.1e-5, 1.1e-7),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_errors_are_those_stated(dtype: torch.dtype) -> None:
    worst = [mpmath.mpf(0)] * 3
    for loc in LOCS:
        for scale in SCALES:
            a, b = torch.tensor(loc).to(dtype), torch.tensor(scale).to(dtype)  # the same numbers in both
            mean, variance, log_cosh = oracle.moments(a.item(), b.item())
            errors = (
                abs(moments.mean(a, b).item() - mean),
                abs(moments.variance(a, b).item() / variance - 1) if variance > 1e-15 else 0,
                abs(moments.expected_log_cosh(a, b).item() - log_cosh) / (1 + log_cosh),
            )
            worst = [max(pair) for pair in zip(worst, errors, strict=True)]
    for error, bound in zip(worst, STATED[dtype], strict=True):
        assert error < 1.1 * bound


@settings(deadline=None)
@given(st.floats(-50, 50), st.floats(1e-6, 1e6))
def test_odd_even_and_in_range(loc: float, scale: float) -> None:
    a, b = torch.tensor([loc, -loc], dtype=torch.float64), torch.tensor(scale, dtype=torch.float64)
    mean, variance, log_cosh = moments.mean(a, b), moments.variance(a, b), moments.expected_log_cosh(a, b)
    assert mean[0] == -mean[1]
    assert mean[0].abs() <= 1
    assert variance[0] == variance[1]
    assert 0 <= variance[0] <= 1
    assert log_cosh[0] == log_cosh[1] >= 0


def test_edges() -> None:
    nan, inf = torch.nan, torch.inf
    loc, scale = torch.tensor([nan, 0.0, 0.0, inf, 0.5]), torch.tensor([1.0, nan, -1.0, 1.0, 0.0])
    mean = moments.mean(loc, scale)
    assert mean[:3].isnan().all()
    assert mean[3] == 1
    torch.testing.assert_close(mean[4], torch.tensor(0.5).tanh())
    assert moments.variance(loc, scale)[:3].isnan().all()
    assert moments.variance(loc, scale)[4] == 0
    assert moments.expected_log_cosh(loc, scale)[:3].isnan().all()
    half = moments.mean(torch.tensor(0.3, dtype=torch.bfloat16), torch.tensor(0.5, dtype=torch.bfloat16))
    assert half.dtype == torch.bfloat16


def test_derivatives() -> None:
    loc = torch.tensor([-2.0, 0.0, 0.4, 3.0, 0.1], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.3, 0.9, 1.2, 2.0, 0.01], dtype=torch.float64, requires_grad=True)
    for moment in (moments.mean, moments.variance, moments.expected_log_cosh):
        assert torch.autograd.gradcheck(moment, (loc, scale))
        assert torch.autograd.gradgradcheck(moment, (loc, scale))
    # d E[log cosh X]/d loc = E[tanh X]
    (slope,) = torch.autograd.grad(moments.expected_log_cosh(loc, scale).sum(), loc)
    torch.testing.assert_close(slope, moments.mean(loc, scale), rtol=0, atol=1e-11)
