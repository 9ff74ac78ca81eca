"""TanhNormal against mpmath densities and torch.distributions' contract."""

import mpmath
import pytest
import torch

from tanhlut import TanhNormal, mode

mpmath.mp.prec = 100


def density(y: float, loc: float, scale: float, low: float, high: float) -> mpmath.mpf:
    u = 2 * (mpmath.mpf(y) - low) / (mpmath.mpf(high) - low) - 1
    x = mpmath.atanh(u)
    return mpmath.npdf(x, loc, scale) / (1 - u**2) * 2 / (mpmath.mpf(high) - low)


@pytest.mark.parametrize(("loc", "scale", "low", "high"), [(0.2, 1.0, -1.0, 1.0), (-0.4, 0.6, -2.0, 3.0)])
def test_log_prob_and_mode(loc: float, scale: float, low: float, high: float) -> None:
    distribution = TanhNormal(*(torch.tensor(v, dtype=torch.float64) for v in (loc, scale, low, high)))
    for fraction in (0.02, 0.3, 0.5, 0.9, 0.999):
        y = low + (high - low) * fraction
        got = distribution.log_prob(torch.tensor(y, dtype=torch.float64)).item()
        assert got == pytest.approx(float(mpmath.log(density(y, loc, scale, low, high))), rel=1e-9)
    peak = distribution.mode.item()
    assert peak == mode(loc, scale, low, high)
    step = 1e-5 * (high - low)
    top = density(peak, loc, scale, low, high)
    assert density(peak - step, loc, scale, low, high) < top > density(peak + step, loc, scale, low, high)


def test_shapes_samples_and_gradients() -> None:
    loc = torch.zeros(4, 1, requires_grad=True)
    distribution = TanhNormal(loc, torch.tensor([0.3, 0.4, 0.5]), -2.0, torch.tensor([1.0, 2.0, 3.0]))
    assert distribution.batch_shape == distribution.mode.shape == (4, 3)
    wide = distribution.expand((2, 4, 3))
    assert isinstance(wide, TanhNormal)
    assert wide.mode.shape == wide.rsample().shape == (2, 4, 3)
    sample = wide.rsample((5,))
    assert distribution.support.check(sample).all()
    assert wide.log_prob(sample).shape == (5, 2, 4, 3)
    (gradient,) = torch.autograd.grad(wide.mode.sum(), loc)
    assert (gradient > 0).all()


def test_scalar_parameters_and_independence() -> None:
    distribution = TanhNormal(0.2, 1.0)
    assert distribution.mode.item() == pytest.approx(0.97301568665, abs=1e-7)
    joint = torch.distributions.Independent(TanhNormal(torch.zeros(3), torch.ones(3)), 1)
    assert joint.mode.shape == (3,)
    assert (distribution.loc.item(), distribution.scale.item()) == (pytest.approx(0.2), 1.0)


@pytest.mark.parametrize(
    "arguments", [(0.0, -1.0), (0.0, 0.0), (float("nan"), 1.0), (0.0, 1.0, 1.0, 1.0), (0.0, 1.0, 2.0, -2.0)]
)
def test_bad_parameters_raise(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"scale|loc|low"):
        TanhNormal(*arguments, validate_args=True)  # tracing switches the global default off


def test_validation_can_be_switched_off() -> None:
    assert TanhNormal(torch.tensor(0.0), torch.tensor(-1.0), validate_args=False).mode.isnan()


def test_the_mode_by_another_method() -> None:
    loc, scale = torch.randn(4, 2), torch.rand(4, 2) + 0.1
    for options in ({"method": "mlp"}, {"method": "mlp", "refine": True}, {"method": "exact"}):
        distribution = TanhNormal(loc, scale, -2.0, 1.0, **options)  # type: ignore[arg-type]
        expected = mode(loc, scale, -2.0, 1.0, **options)
        torch.testing.assert_close(distribution.mode, expected, rtol=0, atol=0)
        torch.testing.assert_close(distribution.expand((3, 4, 2)).mode[1], expected, rtol=0, atol=0)
