"""TanhNormal against mpmath densities and torch.distributions' contract."""

import math

import mpmath
import pytest
import torch

from tanhlut import TanhNormal, mode
from tanhlut.distributions import quadrature as moments
from torch_versions import compiles_distributions

mpmath.mp.prec = 100


def density(y: float, loc: float, scale: float, low: float, high: float) -> mpmath.mpf:
    u = 2 * (mpmath.mpf(y) - low) / (mpmath.mpf(high) - low) - 1
    x = mpmath.atanh(u)
    return mpmath.npdf(x, loc, scale) / (1 - u**2) * 2 / (mpmath.mpf(high) - low)


def of_float64(loc: float, scale: float, low: float, high: float) -> TanhNormal:
    wide = torch.tensor([loc, scale, low, high], dtype=torch.float64)
    return TanhNormal(wide[0], wide[1], wide[2], wide[3])


@pytest.mark.parametrize(("loc", "scale", "low", "high"), [(0.2, 1.0, -1.0, 1.0), (-0.4, 0.6, -2.0, 3.0)])
def test_log_prob_and_mode(loc: float, scale: float, low: float, high: float) -> None:
    distribution = of_float64(loc, scale, low, high)
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
    assert distribution.loc.item() == pytest.approx(0.2)
    assert distribution.scale.item() == 1.0


@pytest.mark.parametrize(
    ("loc", "scale", "low", "high"),
    [
        *((0.0, -1.0, -1.0, 1.0), (0.0, 0.0, -1.0, 1.0), (float("nan"), 1.0, -1.0, 1.0)),
        *((0.0, 1.0, 1.0, 1.0), (0.0, 1.0, 2.0, -2.0)),
    ],
)
def test_bad_parameters_raise(loc: float, scale: float, low: float, high: float) -> None:
    with pytest.raises(ValueError, match=r"scale|loc|low"):
        TanhNormal(loc, scale, low, high, validate_args=True)  # tracing switches the global default off


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize(
    ("loc", "scale", "low", "high"),
    [
        *((0.3, 1.0, -1e39, 1e39), (0.3, 1.0, -1e39, 1.0), (0.3, 1e300, -1.0, 1.0)),
        *((1e39, 1.0, -1.0, 1.0), (-1e39, 1.0, -1.0, 1.0)),
    ],
)
def test_numbers_that_do_not_fit_are_refused(loc: float, scale: float, low: float, high: float, validate: bool) -> None:
    for convert in (float, torch.tensor):
        with pytest.raises(ValueError, match=r"does not fit torch\.float32.*float64"):
            TanhNormal(convert(loc) if abs(loc) < 1 else loc, scale, low, high, validate)
    assert TanhNormal(torch.tensor(0.3, dtype=torch.float64), 1e300, -1e39, 1e39).mode.isfinite()


def test_bounds_that_are_none_in_their_dtype() -> None:
    wide, close = (torch.tensor(bounds, dtype=torch.float64) for bounds in ((-1e39, 1e39), (1.0, 1.0 + 1e-9)))
    for low, high in (wide, close):
        with pytest.raises(ValueError, match=r"finite and distinct in torch\.float32"):
            TanhNormal(torch.tensor(0.3), torch.tensor(1.0), low, high, validate_args=True)
        unchecked = TanhNormal(torch.tensor(0.3), torch.tensor(1.0), low, high, validate_args=False)
        assert unchecked.log_prob(unchecked.sample()).isnan()


def test_bounds_whose_difference_overflows() -> None:
    distribution = TanhNormal(torch.tensor(0.3), torch.tensor(0.7), -3e38, 3e38, validate_args=True)
    plain = TanhNormal(torch.tensor(0.3), torch.tensor(0.7), -3.0, 3.0)
    y = torch.tensor([-2.9, -1.0, 0.7, 2.0, 2.9])
    expected = plain.log_prob(y) - 38.0 * math.log(10.0)
    torch.testing.assert_close(distribution.log_prob((1e38 * y.double()).float()), expected, rtol=1e-5, atol=1e-5)
    assert (distribution.mode / 1e38).item() == pytest.approx(plain.mode.item(), rel=1e-6)
    assert (distribution.stddev / 1e38).item() == pytest.approx(plain.stddev.item(), rel=1e-6)
    assert (distribution.mean / 1e38).item() == pytest.approx(plain.mean.item(), rel=1e-6)
    assert distribution.entropy().item() == pytest.approx(plain.entropy().item() + 38.0 * math.log(10.0), rel=1e-6)
    for q in (0.01, 0.1, 0.5, 0.9, 0.99):
        quantile = distribution.icdf(torch.tensor(q))
        assert distribution.cdf(quantile).item() == pytest.approx(q, rel=1e-4)


def test_validation_can_be_switched_off() -> None:
    assert TanhNormal(torch.tensor(0.0), torch.tensor(-1.0), validate_args=False).mode.isnan()


def test_the_mode_by_another_method() -> None:
    loc, scale = torch.randn(4, 2), torch.rand(4, 2) + 0.1
    for options in ({"method": "mlp"}, {"method": "mlp", "refine": True}, {"method": "exact"}):
        distribution = TanhNormal(loc, scale, -2.0, 1.0, **options)
        expected = mode(loc, scale, -2.0, 1.0, **options)
        torch.testing.assert_close(distribution.mode, expected, rtol=0, atol=0)
        torch.testing.assert_close(distribution.expand((3, 4, 2)).mode[1], expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("loc", "scale", "low", "high"),
    [(0.2, 1.3, -2.0, 3.0), pytest.param(-0.7, 0.4, 0.0, 10.0, marks=pytest.mark.slow)],
)
def test_moments_and_entropy_against_mpmath(loc: float, scale: float, low: float, high: float) -> None:
    distribution = of_float64(loc, scale, low, high)

    def action(x: mpmath.mpf) -> mpmath.mpf:
        return low + (high - low) * (mpmath.tanh(x) + 1) / 2

    def expectation(f):  # type: ignore[no-untyped-def]
        ends = [loc + k * scale for k in (-14, -5, -2, 0, 2, 5, 14)]
        return mpmath.quad(lambda x: f(x) * mpmath.npdf(x, loc, scale), ends)

    mean = expectation(action)
    variance = expectation(lambda x: (action(x) - mean) ** 2)
    entropy = -expectation(
        lambda x, a=loc, b=scale, half=(high - low) / 2: mpmath.log(mpmath.npdf(x, a, b) * mpmath.cosh(x) ** 2 / half)
    )
    assert distribution.mean.item() == pytest.approx(float(mean), abs=1e-13)
    assert distribution.variance.item() == pytest.approx(float(variance), rel=1e-12)
    assert distribution.stddev.item() == pytest.approx(float(mpmath.sqrt(variance)), rel=1e-12)
    assert distribution.entropy().item() == pytest.approx(float(entropy), abs=1e-12)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (-2.0, 3.0)])
def test_log_prob_next_to_the_bounds(low: float, high: float) -> None:
    distribution = of_float64(0.3, 2.0, low, high)
    distances = (1e-3, 1e-9, 1e-14)
    for y in [low + d for d in distances] + [high - d for d in distances]:
        with mpmath.workdps(60):
            expected = float(mpmath.log(density(y, 0.3, 2.0, low, high)))
        assert distribution.log_prob(torch.tensor(y, dtype=torch.float64)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_prob_at_saturation(dtype: torch.dtype) -> None:
    loc = torch.tensor([40.0, -40.0], dtype=dtype, requires_grad=True)
    scale = torch.tensor([0.1, 0.1], dtype=dtype, requires_grad=True)
    distribution = TanhNormal(loc, scale, -2.0, 3.0, validate_args=True)
    sample = distribution.rsample()
    assert sample.tolist() == [3.0, -2.0]
    copy = sample.detach().clone()
    scored = distribution.log_prob(copy)
    # All mass rounds to the bound, whose cell reaches half a spacing inwards: a density of 1/width, as flat as can be.
    widths = [abs(math.nextafter(y, 0.5) - y) / 2 for y in (3.0, -2.0)]
    if dtype == torch.float32:
        widths = [width * 2.0**29 for width in widths]
    torch.testing.assert_close(scored, -torch.tensor(widths, dtype=dtype).log())
    assert torch.equal(scored, distribution.log_prob(sample))
    gradients = torch.autograd.grad(scored.sum(), (loc, scale))
    assert all((gradient == 0).all() for gradient in gradients)
    assert TanhNormal(0.0, 1.0, validate_args=False).log_prob(torch.tensor(1.5)) == -torch.inf
    assert TanhNormal(0.0, 1.0, validate_args=False).log_prob(torch.tensor(torch.nan)).isnan()
    with pytest.raises(ValueError, match="support"):
        distribution.log_prob(torch.tensor([3.5, 0.0], dtype=dtype))


def test_cdf_icdf() -> None:
    distribution = of_float64(-0.4, 0.8, -2.0, 3.0)
    for y in (-1.999999, -1.0, 0.5, 2.0, 2.9999):
        with mpmath.workdps(40):
            expected = float(mpmath.ncdf(mpmath.atanh((mpmath.mpf(y) - 0.5) / 2.5), -0.4, 0.8))
        got = distribution.cdf(torch.tensor(y, dtype=torch.float64))
        assert got.item() == pytest.approx(expected, rel=1e-9)
        assert distribution.icdf(got).item() == pytest.approx(y, abs=1e-6)
    ends = distribution.cdf(torch.tensor([-5.0, -2.0, 3.0, 7.0], dtype=torch.float64))
    assert ends.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert distribution.icdf(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist() == [-2.0, 3.0]


def test_kl_divergence() -> None:
    p, q = TanhNormal(0.2, 1.0, -2.0, 3.0), TanhNormal(-0.1, 0.7, -2.0, 3.0)
    expected = torch.distributions.kl_divergence(p.base_dist, q.base_dist)
    assert torch.distributions.kl_divergence(p, q) == expected
    torch.manual_seed(0)
    y = p.sample((200_000,))
    assert (p.log_prob(y) - q.log_prob(y)).mean().item() == pytest.approx(expected.item(), abs=0.02)
    with pytest.raises(NotImplementedError, match="equal bounds"):
        torch.distributions.kl_divergence(p, TanhNormal(0.0, 1.0))


@compiles_distributions
def test_compiled_and_mapped() -> None:
    def everything(loc: torch.Tensor, scale: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, ...]:
        d = TanhNormal(loc, scale, -2.0, 3.0, validate_args=False)
        return d.mode, d.mean, d.variance, d.entropy(), d.log_prob(value), d.cdf(value)

    arguments = torch.randn(6, 2), torch.rand(6, 2) + 0.1, torch.rand(6, 2)
    expected = everything(*arguments)
    compiled = torch.compile(everything, backend="eager", fullgraph=True)(*arguments)
    for got in (compiled, torch.func.vmap(everything)(*arguments)):
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)  # of a variance near 2.6, too


def test_bounds_keep_their_digits_and_inference_mode_leaves_no_trace() -> None:
    loc, scale = (torch.tensor(v, dtype=torch.float64) for v in (0.3, 0.7))
    assert TanhNormal(loc, scale, -0.1, 0.3).high.item() == 0.3
    moments._kept.clear()
    with torch.inference_mode():
        TanhNormal(loc, scale).entropy()
    loc.requires_grad_()
    (gradient,) = torch.autograd.grad(TanhNormal(loc, scale).entropy(), loc)
    assert gradient < 0
