"""The likelihood of values as floats have them, against masses and derivatives by mpmath."""

import math
from collections.abc import Callable

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tanhlut import TanhNormal
from tanhlut.distributions.likelihood import BLEND, FLOATS, _half_steps
from torch_versions import compiles_distributions

DIGITS = 150
INFINITY = mp.inf
BOUNDS = [(-1.0, 1.0), (0.0, 1.0), (-2.0, 3.0), (100.0, 101.0)]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
WIDTHS = {torch.float32: 9.0, torch.float64: 18.0, torch.bfloat16: 3.0, torch.float16: 4.0}  # loc where y saturates


def neighbour(y: float, toward: float, dtype: torch.dtype) -> float:
    return torch.nextafter(torch.tensor(y, dtype=dtype), torch.tensor(toward, dtype=dtype)).item()


def inwards(bound: float, other: float, floats: int, dtype: torch.dtype) -> float:
    for _ in range(floats):
        bound = neighbour(bound, other, dtype)
    return bound


def cell(y: float, low: float, high: float, dtype: torch.dtype) -> tuple[mp.mpf, mp.mpf]:
    """What rounds to y, within the bounds."""
    with mp.workdps(DIGITS):
        ends = [(mp.mpf(y) + mp.mpf(neighbour(y, end, dtype))) / 2 for end in (-math.inf, math.inf)]
        return max(ends[0], mp.mpf(low)), min(ends[1], mp.mpf(high))


def width(y: float, low: float, high: float, dtype: torch.dtype) -> float:
    first, last = cell(y, low, high, dtype)
    with mp.workdps(DIGITS):
        return float(last - first)


def preimage(y: mp.mpf, low: float, high: float) -> mp.mpf:
    if y in (low, high):
        return -INFINITY if y == low else INFINITY
    return mp.log((y - low) / (high - y)) / 2


def log_mass(a: mp.mpf, b: mp.mpf) -> mp.mpf:
    a, b = (-b, -a) if a + b > 0 else (a, b)  # the smaller tails
    return mp.log((mp.erfc(-b / mp.sqrt(2)) - mp.erfc(-a / mp.sqrt(2))) / 2)


def with_gradients(f: Callable[[mp.mpf, mp.mpf], mp.mpf], loc: float, scale: float) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    """f and its derivatives to loc and scale, by central differences of many digits."""
    with mp.workdps(DIGITS):
        m, s, h = mp.mpf(loc), mp.mpf(scale), mp.mpf(10) ** -18
        to_loc = (f(m + h * s, s) - f(m - h * s, s)) / (2 * h * s)
        return f(m, s), to_loc, (f(m, s * (1 + h)) - f(m, s * (1 - h))) / (2 * h * s)


def mass(
    y: float, loc: float, scale: float, low: float, high: float, dtype: torch.dtype
) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    """log(mass/width) and its gradients."""
    with mp.workdps(DIGITS):
        first, last = cell(y, low, high, dtype)
        a, b = preimage(first, low, high), preimage(last, low, high)
        return with_gradients(lambda m, s: log_mass((a - m) / s, (b - m) / s) - mp.log(last - first), loc, scale)


def ours(
    y: float, loc: float, scale: float, low: float, high: float, dtype: torch.dtype
) -> tuple[float, float, float, float, float]:
    """log_prob, its gradients to loc and scale, and the parameters as this dtype has them."""
    m, s = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in (loc, scale))
    log_prob = TanhNormal(m, s, low, high, validate_args=True).log_prob(torch.tensor(y, dtype=dtype))
    gradients = torch.autograd.grad(log_prob, (m, s))
    return log_prob.item(), gradients[0].item(), gradients[1].item(), m.item(), s.item()


def test_the_faults_that_were_reported() -> None:
    """(20, 0.1) scored 39 when sampled and −6407 from storage, with a gradient of 1.3e5; (9, 0.05) 17.7 and −4.5."""
    for loc, scale in ((20.0, 0.1), (9.0, 0.05)):
        m, s = torch.tensor(loc, requires_grad=True), torch.tensor(scale, requires_grad=True)
        torch.manual_seed(0)
        distribution = TanhNormal(m, s)
        sample = distribution.rsample()
        at_sampling = distribution.log_prob(sample)
        stored = sample.detach().clone()
        from_storage = distribution.log_prob(stored)
        assert torch.equal(at_sampling, from_storage)
        expected = mass(stored.item(), m.item(), s.item(), -1.0, 1.0, torch.float32)
        got = from_storage.item(), *(g.item() for g in torch.autograd.grad(from_storage, (m, s)))
        assert got == pytest.approx([float(value) for value in expected], rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_the_mass_on_and_next_to_a_bound(low: float, high: float, dtype: torch.dtype) -> None:
    eps = torch.finfo(dtype).eps
    edge = WIDTHS[dtype]
    for floats in (0, 1, 2, 7, 15):
        for bound, other, side in ((high, low, 1.0), (low, high, -1.0)):
            y = inwards(bound, other, floats, dtype)
            if abs(y) < 1e-30 and dtype == torch.float64:
                continue  # next to 0 floats are dense, down to subnormals
            for loc, scale in ((1.0, 0.05), (0.6, 1.0), (1.1, 1e-3), (-0.5, 2.0), (1.0, 40.0), (-1.0, 3000.0)):
                *got, m, s = ours(y, side * loc * edge, scale, low, high, dtype)
                expected = mass(y, m, s, low, high, dtype)
                least, most = torch.finfo(dtype).tiny * eps, torch.finfo(dtype).max
                for value, true in zip(got, expected, strict=True):
                    if abs(true) < most:
                        relative, absolute = max(2 * eps, 1e-10), max(4e-5 * eps / scale, least)
                        assert value == pytest.approx(float(true), rel=relative, abs=absolute)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_density_away_from_the_bounds(dtype: torch.dtype) -> None:
    eps = torch.finfo(dtype).eps
    for low, high in BOUNDS if dtype == torch.float64 else BOUNDS[:3]:  # floats in [100, 101] are 8e-6 apart
        for fraction in (0.001, 0.2, 0.26, 0.5, 0.74, 0.9, 0.99):
            y = torch.tensor(low + (high - low) * fraction, dtype=dtype).item()
            for loc, scale in ((0.3, 0.7), (-2.0, 0.1), (0.0, 30.0), (40.0, 1.0)):
                *got, m, s = ours(y, loc, scale, low, high, dtype)
                with mp.workdps(DIGITS):
                    x = preimage(mp.mpf(y), low, high)
                    slope = (mp.mpf(y) - low) * (high - mp.mpf(y)) * 2 / (mp.mpf(high) - low)
                    expected = with_gradients(
                        lambda m, s, x=x, slope=slope: mp.log(mp.npdf(x, m, s) / slope),  # type: ignore[misc]
                        m,
                        s,
                    )
                for value, true in zip(got, expected, strict=True):
                    tolerance = eps if dtype == torch.float32 else 1e-12
                    assert value == pytest.approx(float(true), rel=tolerance, abs=tolerance / scale)


@pytest.mark.parametrize("floats", [int(FLOATS) - 2, int(FLOATS) + 2, 100, 3000])
def test_no_seam_between_density_and_mass(floats: int) -> None:
    """Across the blend, and across a hundredth to a hundred times its k, near the cell's middle and far out."""
    y = inwards(1.0, 0.0, floats, torch.float32)
    with mp.workdps(DIGITS):
        x, ends = preimage(mp.mpf(y), -1.0, 1.0), cell(y, -1.0, 1.0, torch.float32)
        half_width = float(preimage(ends[1], -1.0, 1.0) - preimage(ends[0], -1.0, 1.0)) / 2
    for z in (0.0, 0.5, 2.0, 6.0, 40.0):
        for k in [BLEND * factor for factor in (0.01, 0.5, 0.99, 1.01, 1.3, 1.6, 1.99, 2.01, 4.0, 30.0, 100.0)]:
            scale = half_width / k
            *got, m, s = ours(y, float(x) - z * scale, scale, -1.0, 1.0, torch.float32)
            expected = mass(y, m, s, -1.0, 1.0, torch.float32)
            assert abs(got[0] - expected[0]) < 4e-4 * (1 + abs(expected[0]))
            for value, true in zip(got[1:], expected[1:], strict=True):
                assert abs(value - true) < 4e-4 * (abs(true) + 1 / scale)
    many = torch.linspace(0.5 * BLEND, 4.0 * BLEND, 1001, dtype=torch.float64)
    scales = half_width / many
    log_prob = TanhNormal(float(x) - 2.0 * scales, scales).log_prob(torch.tensor(y).double().float())
    steps = (log_prob - many.log()).diff()  # what is left is constant but for k²(z² − 1)/6
    assert steps.abs().max() < 1e-6


def far(y: float, loc: float, scale: float) -> tuple[float, mp.mpf]:
    *got, m, s = ours(y, loc, scale, -1.0, 1.0, torch.float32)
    assert all(math.isfinite(value) for value in got)
    return got[0], mass(y, m, s, -1.0, 1.0, torch.float32)[0]


def test_far_outliers() -> None:
    for y in (1.0, -1.0, neighbour(1.0, 0.0, torch.float32), 0.5, 0.0, -0.999):
        for loc in (-45.0, -3.0, 0.0, 12.0, 50.0):
            for scale in (0.003, 0.1, 1.0, 1e4, 1e19, 1e37):
                got, expected = far(y, loc, scale)
                assert got == pytest.approx(float(expected), rel=2e-5, abs=4e-4)
    lowest = torch.finfo(torch.float32).min
    for scale in (1e-18, 1e-23, 1e-30, 1e-45):
        for y in (-1.0, 0.25, 1.0):
            log_prob = TanhNormal(torch.tensor(0.3), torch.tensor(scale)).log_prob(torch.tensor(y))
            exact = mass(y, torch.tensor(0.3).item(), torch.tensor(scale).item(), -1.0, 1.0, torch.float32)[0]
            assert log_prob.item() == pytest.approx(max(float(exact), lowest), rel=1e-5)


def test_scales_that_no_float_resolves() -> None:
    """All the mass rounds to one float: 1/width. At loc = 0, where floats are dense, the density."""
    for dtype, scales in ((torch.float32, (1e-12, 1e-23, 1e-38, 1e-45)), (torch.float64, (1e-20, 1e-150, 1e-300))):
        for scale in scales:
            m, s = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in (2.0, scale))
            distribution = TanhNormal(m, s, -2.0, 3.0)
            y = distribution.sample()
            log_prob = distribution.log_prob(y)
            ends = cell(y.item(), -2.0, 3.0, dtype)
            assert log_prob.item() == pytest.approx(
                -math.log(float(ends[1] - ends[0])), abs=2.0
            )  # float64: some floats
            assert [g.item() for g in torch.autograd.grad(log_prob, (m, s))] == [0.0, 0.0]
    for dtype, scale in ((torch.float32, 1e-23), (torch.float32, 1e-30), (torch.float64, 1e-140)):
        distribution = TanhNormal(torch.tensor(0.0, dtype=dtype), torch.tensor(scale, dtype=dtype))
        expected = -math.log(scale) - 0.5 * math.log(2 * math.pi) - 0.5
        assert distribution.log_prob(torch.tensor(scale, dtype=dtype)).item() == pytest.approx(expected, rel=1e-5)


@settings(max_examples=150, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    bounds=st.sampled_from([*BOUNDS, (-3e4, 3e4), (-1e-3, 1e-3)]),
    loc=st.floats(-50, 50),
    exponent=st.floats(-30, 6),
    seed=st.integers(0, 1000),
)
def test_an_action_has_one_log_prob(
    dtype: torch.dtype, bounds: tuple[float, float], loc: float, exponent: float, seed: int
) -> None:
    scale = torch.tensor(10.0**exponent, dtype=dtype).clamp(min=torch.finfo(dtype).tiny, max=torch.finfo(dtype).max)
    m, s = torch.full((3,), loc, dtype=dtype).requires_grad_(), scale.expand(3).clone().requires_grad_()
    distribution = TanhNormal(m, s, *bounds)
    torch.manual_seed(seed)
    sample = distribution.rsample((4,))
    at_sampling = distribution.log_prob(sample)
    stored = sample.detach().clone()
    from_storage = distribution.log_prob(stored)
    assert torch.equal(at_sampling, from_storage)
    assert torch.equal(distribution.log_prob(stored.double()).to(dtype), from_storage)
    one = TanhNormal(m[1], s[1], *bounds).log_prob(stored[2, 1])
    assert torch.equal(one, from_storage[2, 1])
    again, scored = distribution.rsample_and_log_prob((2,))
    assert torch.equal(scored, distribution.log_prob(again.detach().clone()))
    # A sample is never an outlier: it lies within twice its noise of loc, up to what rounds to it.
    assert (from_storage > -40.0 - abs(math.log(bounds[1] - bounds[0]))).all()
    gradients = torch.autograd.grad(from_storage.double().sum(), (m, s))
    assert not any(gradient.isnan().any() for gradient in gradients)
    for gradient in gradients:  # 1/scale may be more than float16 can say
        assert (gradient.double().abs().clamp(max=torch.finfo(dtype).max) <= 500.0 / s.double()).all()


def test_samples_fall_as_often_as_the_mass_says() -> None:
    """Frequencies of single floats, on and next to the bounds, within five standard deviations."""
    count = 400_000
    torch.manual_seed(0)
    for low, high, loc, scale in (
        (-1.0, 1.0, 8.9, 0.1),
        (-2.0, 3.0, -8.6, 0.2),
        (0.0, 1.0, 8.3, 0.3),
        (5.0, 9.0, 8.0, 0.2),
    ):
        distribution = TanhNormal(torch.tensor(loc), torch.tensor(scale), low, high)
        values, counts = distribution.sample((count,)).unique(return_counts=True)
        for y, seen in zip(values[counts > 400].tolist(), counts[counts > 400].tolist(), strict=True):
            likelihood = math.exp(distribution.log_prob(torch.tensor(y)).item())
            expected = count * likelihood * width(y, low, high, torch.float32)
            assert abs(seen - expected) < 5.0 * math.sqrt(expected) + 1e-3 * expected


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # torch's own, in its forward mode
@pytest.mark.parametrize(("loc", "scale"), [(0.3, 0.5), (9.0, 0.05), (20.0, 0.1), (-30.0, 2.0)])
def test_pathwise_gradients(loc: float, scale: float) -> None:
    """d/dloc = 2·tanh x and d/dscale = −1/scale + 2·ε·tanh x, by three roads, in reverse and forward mode."""

    def by_idiom(m: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        distribution = TanhNormal(m, s, -2.0, 3.0, validate_args=False)
        return distribution.log_prob(distribution.rsample())

    def by_method(m: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return TanhNormal(m, s, -2.0, 3.0, validate_args=False).rsample_and_log_prob()[1]

    torch.manual_seed(1)
    x = torch.distributions.Normal(torch.tensor(loc), torch.tensor(scale)).sample()
    noise = (x.double() - loc) / scale
    expected = 2.0 * x.double().tanh(), -1.0 / scale + 2.0 * noise * x.double().tanh()
    arguments = torch.tensor(loc), torch.tensor(scale)
    for road in (by_idiom, by_method):
        leaves = [argument.clone().requires_grad_() for argument in arguments]
        reverse = torch.autograd.grad(road(*leaves), leaves)
        for got in (reverse, torch.func.grad(road, (0, 1))(*arguments)):
            for a, b in zip(got, expected, strict=True):
                torch.testing.assert_close(a, b.float(), rtol=1e-3, atol=1e-3)
        for tangents, b in zip(((1.0, 0.0), (0.0, 1.0)), expected, strict=True):
            _, forward = torch.func.jvp(road, arguments, tuple(torch.tensor(t) for t in tangents))[:2]
            torch.testing.assert_close(forward, b.float(), rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        assert torch.equal(by_idiom(*arguments), by_method(*arguments))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_neighbours_in_half_precision(dtype: torch.dtype) -> None:
    """All of them."""
    y = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    y = y[y.isfinite()]
    down, up = _half_steps(y, torch.float64)
    for step, end, sign in ((down, -torch.inf, 1.0), (up, torch.inf, -1.0)):
        other = torch.nextafter(y, torch.full_like(y, end))
        assert torch.equal(step, 0.25 * sign * (y.double() - other.double()))


def test_whole_numbers_are_actions_too() -> None:
    distribution = TanhNormal(torch.tensor([0.3, 9.0]), torch.tensor([0.7, 0.1]), -2.0, 3.0)
    whole = torch.tensor([1, 3])
    assert torch.equal(distribution.log_prob(whole), distribution.log_prob(whole.float()))


def test_derivatives_by_finite_differences() -> None:
    """First and second ones, to value, parameters and bounds: density, blend, mass on either side of loc, bounds."""
    y = [0.3, -0.9, 1.0, -1.0, inwards(1.0, 0.0, 3, torch.float64)]
    values = torch.tensor(y, dtype=torch.float64)
    loc = torch.tensor([0.2, 0.4, 17.0, 3.0, 18.5], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.5, 0.8, 1.3, 4.0, 0.9], dtype=torch.float64, requires_grad=True)

    def f(loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return TanhNormal(loc, scale).log_prob(values)

    assert torch.autograd.gradcheck(f, (loc, scale), eps=1e-6, atol=1e-6, rtol=1e-5)
    assert torch.autograd.gradgradcheck(f, (loc, scale), eps=1e-6, atol=1e-5, rtol=1e-4)
    low, high = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (-2.0, 3.0))
    inside = torch.tensor([0.3, 2.5], dtype=torch.float64, requires_grad=True)

    def g(value: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        return TanhNormal(loc[:2].detach(), scale[:2].detach(), low, high).log_prob(value)

    assert torch.autograd.gradcheck(g, (inside, low, high), eps=1e-6, atol=1e-6, rtol=1e-5)
    at_bounds = torch.tensor([-1.0, 1.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(TanhNormal(0.3, 0.7).log_prob(at_bounds).sum(), at_bounds)
    assert gradient.isfinite().all()


@compiles_distributions
def test_compiled_and_mapped() -> None:
    """The same bits as in eager mode where all is recorded, density and mass in one batch."""
    y = torch.tensor([0.3, 1.0, -1.0, inwards(1.0, 0.0, 20, torch.float32)])
    loc, scale = torch.tensor([0.3, 9.0, -4.0, 7.0]), torch.tensor([0.5, 0.05, 2.0, 0.4])

    def score(loc: torch.Tensor, scale: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return TanhNormal(loc, scale, validate_args=False).log_prob(y)

    expected = torch.stack([score(*arguments) for arguments in zip(loc, scale, y, strict=True)])
    assert torch.equal(score(loc, scale, y), expected)
    compiled = torch.compile(score, backend="eager", fullgraph=True)
    for got in (compiled(loc, scale, y), torch.func.vmap(score)(loc, scale, y)):
        assert torch.equal(got, expected)

    def loss(loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        y, log_prob = TanhNormal(loc, scale, validate_args=False).rsample_and_log_prob()
        return (y + log_prob).sum()

    leaves = loc.clone().requires_grad_(), scale.clone().requires_grad_()
    gradients = torch.autograd.grad(torch.compile(loss, backend="eager", fullgraph=True)(*leaves), leaves)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert gradients[0][1].item() == pytest.approx(2.0)  # pathwise, at a bound
