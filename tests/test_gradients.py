"""What docs/proof.md says of gradient errors, against proven modes."""

import numpy as np
import pytest
import torch

import points
from oracle import prove
from tanhlut import mode, solve_mode
from tanhlut.methods import Method

U = 2.0**-24


@pytest.mark.parametrize("method", ["bilinear", "refined", "exact"])
@pytest.mark.parametrize("sample", [points.uniform, points.cusp, points.jump])
def test_errors_are_within_their_first_order_bounds(sample: points.Sample, method: Method) -> None:
    loc, scale = sample(50_000, seed=11)
    y = prove(loc, scale, solve_mode(loc, scale, solver="newton"))
    q = (1 - y) * (1 + y)
    delta = 2 * scale**2 - 1  # float32-exact scales: the square is exact in float64
    d = y**2 - delta * q
    a, b = (torch.tensor(part, dtype=torch.float32, requires_grad=True) for part in (loc, scale))
    answer = mode(a, b, method=method)
    by_loc, by_scale = (part.double().numpy() for part in torch.autograd.grad(answer.sum(), (a, b)))
    with np.errstate(invalid="ignore"):
        rho = np.nan_to_num(np.abs(answer.detach().double().numpy() - y) / y)
    small = (rho < 0.01) & (y > 1e-30)
    assert small.mean() > 0.7
    for got, truth, limit in (
        (by_loc, q / d, 3 * rho / d),
        (by_scale, 4 * scale * y * q / d, 16 * scale * y * rho / d),
    ):
        # 1.1: terms of second order; 20·U: the rounding of δ, q and D in float32, and 1 − y² where y saturates.
        allowed = 1.1 * limit + 20 * U * (np.abs(truth) + (1 + scale) * U)
        assert (np.abs(got - truth) <= allowed)[small].all()
