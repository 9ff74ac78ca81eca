"""mode_of on the ways people write a squashed Gaussian."""

import pytest
import torch
from torch.distributions import (
    AffineTransform,
    Beta,
    ComposeTransform,
    Distribution,
    ExpTransform,
    Independent,
    Normal,
    SigmoidTransform,
    TanhTransform,
    TransformedDistribution,
)

from tanhlut import TanhNormal, mode, mode_of

torch.manual_seed(0)
LOC, SCALE = torch.randn(4, 3), torch.rand(4, 3) + 0.2
NORMAL = Normal(LOC, SCALE)


def squashed(*transforms: torch.distributions.Transform, base: Distribution = NORMAL) -> Distribution:
    return TransformedDistribution(base, list(transforms), validate_args=False)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (squashed(TanhTransform()), mode(LOC, SCALE)),
        (squashed(ComposeTransform([TanhTransform(), AffineTransform(0.5, 2.5)])), mode(LOC, SCALE, -2.0, 3.0)),
        (Independent(squashed(TanhTransform(), AffineTransform(0.5, 2.5)), 1), mode(LOC, SCALE, -2.0, 3.0)),
        (squashed(TanhTransform(), base=Independent(NORMAL, 1)), mode(LOC, SCALE)),
        (squashed(AffineTransform(0.25, -2.0), TanhTransform()), mode(0.25 - 2.0 * LOC, 2.0 * SCALE)),
        (squashed(TanhTransform(), AffineTransform(0.0, -1.0)), -mode(LOC, SCALE)),
        (squashed(TanhTransform(), AffineTransform(-1.0, 2.0).inv), mode(LOC, SCALE, 0.0, 1.0)),
        (squashed(SigmoidTransform()), mode(0.5 * LOC, 0.5 * SCALE, 0.0, 1.0)),
        (squashed(TanhTransform(), AffineTransform(1.0, 1.0), AffineTransform(0.0, 3.0)), mode(LOC, SCALE, 0.0, 6.0)),
        (Independent(TanhNormal(LOC, SCALE, -2.0, 3.0), 1), mode(LOC, SCALE, -2.0, 3.0)),
    ],
)
def test_recognised(distribution: Distribution, expected: torch.Tensor) -> None:
    torch.testing.assert_close(mode_of(distribution), expected, rtol=0, atol=1e-6)
    top = distribution.log_prob(mode_of(distribution))  # a peak of their own density
    for step in (-1e-3, 1e-3):
        beside = distribution.log_prob(mode_of(distribution) + step)
        assert (beside.isnan() | ~top.isfinite() | (beside <= top)).all()  # outside the bounds, or the mode on one


def test_differentiable() -> None:
    loc = torch.tensor([0.3], requires_grad=True)
    (gradient,) = torch.autograd.grad(mode_of(TransformedDistribution(Normal(loc, 0.5), [TanhTransform()])), loc)
    assert gradient > 0


@pytest.mark.parametrize(
    ("distribution", "said"),
    [
        (NORMAL, "not squashed"),
        (squashed(ExpTransform()), "ExpTransform"),
        (squashed(TanhTransform(), TanhTransform()), "TanhTransform"),
        (TransformedDistribution(Beta(torch.ones(2), torch.ones(2)), [TanhTransform()]), "Beta"),
    ],
)
def test_refused(distribution: Distribution, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        mode_of(distribution)
