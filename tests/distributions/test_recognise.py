"""mode_of on the ways people write a squashed Gaussian."""

from collections.abc import Callable

import pytest
import torch
from torch.distributions import (
    AffineTransform,
    Beta,
    ComposeTransform,
    Distribution,
    ExpTransform,
    Independent,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
    SigmoidTransform,
    TanhTransform,
    Transform,
    TransformedDistribution,
    constraints,
)

from tanhlut import TanhNormal, mode, mode_of

torch.manual_seed(0)
LOC, SCALE = torch.randn(4, 3), torch.rand(4, 3) + 0.2
NORMAL = Normal(LOC, SCALE, validate_args=False)
DIAGONAL = MultivariateNormal(LOC, torch.diag_embed(SCALE.square()), validate_args=False)


def squashed(*transforms: torch.distributions.Transform, base: Distribution = NORMAL) -> Distribution:
    return TransformedDistribution(base, list(transforms), validate_args=False)


class HandWritten(Transform):
    """A transform as people write them: no more than what it does."""

    domain = codomain = constraints.real
    bijective = True

    def __init__(self, forward: Callable[[torch.Tensor], torch.Tensor], cache_size: int = 1) -> None:
        super().__init__(cache_size=cache_size)
        self.forward = forward

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)


class Called(HandWritten):
    """Another habit: the call itself overridden."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)


LOW, HIGH = torch.tensor([-1.0, 0.0, 2.0]), torch.tensor([1.0, 5.0, 2.5])
SQUASHINGS = [
    (lambda x: x.tanh(), (-1.0, 1.0)),
    (lambda x: 1.0 - 2.0 / (1.0 + torch.exp(2.0 * x)), (-1.0, 1.0)),
    (lambda x: torch.tanh(x).clamp(-0.999999, 0.999999), (-1.0, 1.0)),
    (lambda x: 2.5 * torch.tanh(x), (-2.5, 2.5)),
    (lambda x: -0.999 * torch.tanh(-x), (-0.999, 0.999)),
    (lambda x: LOW + (HIGH - LOW) * (torch.tanh(x) + 1.0) / 2.0, (LOW, HIGH)),
]


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
        (Independent(TanhNormal(LOC, SCALE, -2.0, 3.0, False), 1, validate_args=False), mode(LOC, SCALE, -2.0, 3.0)),
    ],
)
def test_recognised(distribution: Distribution, expected: torch.Tensor) -> None:
    torch.testing.assert_close(mode_of(distribution), expected, rtol=0, atol=1e-6)
    top = distribution.log_prob(mode_of(distribution))  # a peak of their own density
    for step in (-1e-3, 1e-3):
        beside = distribution.log_prob(mode_of(distribution) + step)
        assert (beside.isnan() | ~top.isfinite() | (beside <= top)).all()  # outside the bounds, or the mode on one


@pytest.mark.parametrize("kind", [HandWritten, Called])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("forward", "bounds"), SQUASHINGS)
def test_recognised_by_what_it_does(
    forward: Callable[[torch.Tensor], torch.Tensor], bounds: tuple[float, float], dtype: torch.dtype, kind: type
) -> None:
    """On a Normal and, as in LeRobot, on a diagonal MultivariateNormal; rl_games' own is the first."""
    if dtype == torch.float64 and forward is SQUASHINGS[2][0]:
        return  # clamped far from float64's bounds
    loc, scale = LOC.to(dtype), SCALE.to(dtype)
    expected = mode(loc, scale, *bounds).to(dtype)
    bases: list[Distribution] = [Normal(loc, scale)]
    if dtype != torch.bfloat16:  # which has no Cholesky
        bases.append(MultivariateNormal(loc, scale_tril=torch.diag_embed(scale)))
    for base in bases:
        found = mode_of(squashed(kind(forward), base=base))
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=0, atol=16 * torch.finfo(dtype).eps)


def test_hand_written_affine_maps() -> None:
    before, behind = HandWritten(lambda x: 0.25 - 2.0 * x), HandWritten(lambda y: LOW + (HIGH - LOW) * 0.5 * (y + 1.0))
    expected = mode(0.25 - 2.0 * LOC, 2.0 * SCALE, LOW, HIGH)
    torch.testing.assert_close(mode_of(squashed(before, TanhTransform(), behind)), expected, rtol=0, atol=2e-6)
    halves = squashed(HandWritten(lambda x: 1.0 / (1.0 + torch.exp(-x))))
    torch.testing.assert_close(mode_of(halves), mode(0.5 * LOC, 0.5 * SCALE, 0.0, 1.0), rtol=0, atol=1e-6)


def test_the_cache_survives() -> None:
    transform = HandWritten(torch.tanh)
    distribution = squashed(transform)
    sample = distribution.rsample()
    mode_of(distribution)
    assert transform._cached_x_y[1] is sample


def raising(x: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("no")


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: torch.tanh(1.001 * x),
        lambda x: torch.where(x > 4.0, 1.0, torch.tanh(x)),
        lambda x: torch.atan(x) / (torch.pi / 2),
        lambda x: torch.erf(x),
        lambda x: x / (1.0 + x.abs()),
        lambda x: torch.tanh(x) + torch.tensor([0.0, 0.0, 1e-5]) * x,  # one element only
        lambda x: torch.tanh(torch.tensor([1.0, 1.0, 0.5]) * x),
        lambda x: torch.tanh(x + 0.001 * (x.roll(1, -1) - x)),  # coupled, and tanh of equal elements
        lambda x: torch.tanh(x - x.mean(-1, keepdim=True) + x[..., :1]),
        lambda x: torch.tanh(x).double(),
        lambda x: torch.tanh(x).sum(-1, keepdim=True),
        lambda x: torch.zeros_like(x),
        lambda x: torch.full_like(x, torch.nan),
        lambda x: x + 1e-4 * x * x,
        raising,
    ],
)
def test_others_are_not_taken_for_tanh(forward: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(TypeError, match="HandWritten"):
        mode_of(squashed(HandWritten(forward)))


def test_correlated_bases_are_refused() -> None:
    correlated = torch.diag_embed(SCALE.square())
    correlated[2, 0, 1] = correlated[2, 1, 0] = 1e-6
    base = MultivariateNormal(LOC, correlated)
    with pytest.raises(TypeError, match="correlations"):
        mode_of(TransformedDistribution(base, [TanhTransform()]))
    low_rank = LowRankMultivariateNormal(LOC, torch.zeros(4, 3, 1), SCALE)
    with pytest.raises(TypeError, match="LowRankMultivariateNormal"):
        mode_of(TransformedDistribution(low_rank, [TanhTransform()]))
    torch.testing.assert_close(mode_of(squashed(TanhTransform(), base=DIAGONAL)), mode(LOC, SCALE), rtol=0, atol=1e-6)


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
