"""What docs/proof.md says of gradient errors, against proven modes."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-2.0, 3.0)])
def test_many_at_once_are_as_few(dtype: torch.dtype, bounds: tuple[float, float]) -> None:
    """From some thousands on a kernel gives the derivatives: those of its parts, whatever the layout, shared or not."""
    generator = torch.Generator().manual_seed(3)
    loc = (2.0 * torch.randn(300, 300, generator=generator)).to(dtype)
    scale = (3.0 * torch.rand(300, 300, generator=generator)).to(dtype)
    loc[0, :4] = torch.tensor([math.inf, -math.inf, 0.0, 20.0], dtype=dtype)
    scale[1, :4] = torch.tensor([math.inf, 0.0, 1e-30, 1e30], dtype=dtype)
    above = torch.randn(300, 300, generator=generator).to(dtype)

    def gradients(a: Tensor, b: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        a, b = a.requires_grad_(), b.requires_grad_()
        return torch.autograd.grad((mode(a, b, *bounds) * weight).sum(), (a, b))

    def parts(x: Tensor) -> list[Tensor]:
        return [row.clone() for row in x.clone()]

    whole = gradients(loc.clone(), scale.clone(), above)
    rows = zip(*map(gradients, parts(loc), parts(scale), parts(above)), strict=True)
    turned = gradients(loc.T.clone().T, scale.T.clone().T, above)
    limit = 1e-6 if dtype == torch.float32 else 2e-15
    for found, other, row in zip(whole, turned, rows, strict=True):
        torch.testing.assert_close(found, torch.stack(row), rtol=limit, atol=0.0, equal_nan=True)
        torch.testing.assert_close(other, torch.stack(row), rtol=limit, atol=0.0, equal_nan=True)


def test_derivatives_of_many_can_be_differentiated() -> None:
    """Where a derivative of the derivative is wanted, operations give it, not the kernel."""
    loc, scale = torch.linspace(0.1, 2, 5000, dtype=torch.float64).requires_grad_(), torch.full((5000,), 0.8).double()
    (first,) = torch.autograd.grad(mode(loc, scale).sum(), loc, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), loc)
    step = 1e-5
    ends = [torch.autograd.grad(mode(x, scale).sum(), x)[0] for x in (loc + step, loc - step)]
    torch.testing.assert_close(second, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-2.0, 3.0)])
def test_first_and_second_derivatives_of_a_few(bounds: tuple[float, float]) -> None:
    """Against differences, on bounds of either kind; what is not asked for, or has no gradient above, is nothing."""
    loc = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.9, 0.4, 1.5], dtype=torch.float64, requires_grad=True)

    def answer(loc: Tensor, scale: Tensor) -> Tensor:
        return mode(loc, scale, *bounds)  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(answer, (loc, scale))
    assert torch.autograd.gradgradcheck(answer, (loc, scale))
    (alone,) = torch.autograd.grad(answer(loc.detach(), scale).sum(), scale)
    assert torch.equal(alone, torch.autograd.grad(answer(loc, scale).sum(), scale)[0])
