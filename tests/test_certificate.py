"""`certify` against 200-bit arithmetic: never below the true distance, and hardly above it."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from flint import arb, ctx
from numpy.typing import NDArray

from tanhlut import certificate
from tanhlut.certificate import enclose_mode, excess, gap
from tanhlut.proof import certify

Array = NDArray[np.float64]
U = 2.0**-53


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    previous, ctx.prec = ctx.prec, 200
    yield
    ctx.prec = previous


def true_modes(loc: Array, scale: Array) -> tuple[Array, Array]:
    """(high, low): the mode for loc ≥ 0 as an unevaluated sum, by Newton from the right in 200-bit arithmetic."""
    high, low = np.empty(len(loc)), np.empty(len(loc))
    for k, (m, sigma) in enumerate(zip(loc.tolist(), scale.tolist(), strict=True)):
        y = _true_mode(m, sigma)
        high[k] = float(y)
        low[k] = float(y - arb(high[k]))
    return high, low


def _true_mode(m: float, sigma: float) -> arb:
    delta = 2 * arb(sigma) * arb(sigma) - 1
    if m == 0 and not delta > 0:
        return arb(0)
    cubic = ((3 * delta).sqrt() if delta > 0 else arb(0)) + ((3 * arb(m)).root(3) if m else arb(0))
    y = min(cubic, (arb(m) + (1 + delta)).tanh(), key=float).mid()
    for _ in range(200):
        step = ((y.atanh() - y - delta * y - m) / (1 / ((1 - y) * (1 + y)) - 1 - delta)).mid()
        y = (y - step).mid()
        if abs(step) < y * arb(2) ** -120:
            return y
    raise AssertionError((m, sigma))


def queries(count: int, seed: int) -> tuple[Array, Array]:
    """(loc ≥ 0, scale) everywhere, most of them near the cusp, at the jump or in the tails."""
    rng = np.random.default_rng(seed)
    k = count // 5
    sign = rng.choice([-1.0, 1.0], k)
    near = np.sqrt((1.0 + sign * np.exp(rng.uniform(-36, -0.1, k))) / 2.0)
    loc = [abs(rng.normal(size=k)), np.exp(rng.uniform(-80, 2, k)), np.exp(rng.uniform(-60, 1, k)), np.zeros(k)]
    scale = [rng.uniform(0.01, 2.0, k), np.exp(rng.uniform(-8, 1, k)), near, rng.uniform(0.708, 2.5, k)]
    loc.append(rng.uniform(0, 9, k))
    scale.append(np.exp(rng.uniform(-3, 0.5, k)))
    return np.concatenate(loc), np.concatenate(scale)


def test_never_violated_and_within_2_5_on_a_million_values() -> None:
    loc, scale = queries(10_000, 1)
    high, low = true_modes(loc, scale)
    rng = np.random.default_rng(2)
    for _ in range(100):
        side = rng.choice([-1.0, 1.0], len(loc))
        size = 10.0 ** rng.uniform(-16, np.log10(2.0), len(loc)) * np.where(rng.random(len(loc)) < 0.5, 1.0, high)
        value = high + size * rng.choice([-1.0, 1.0], len(loc))
        truth = np.abs((value - high) - low)
        bound = certify(side * loc, scale, side * value)
        assert (bound >= truth * (1 - U)).all()
        assert (bound <= truth * (1 + 8 * U) + 20 * U * high + 1e-300).all()
        seen = truth > 10 * U * high  # 7.5 measured on 2 M values
        assert (bound[seen] <= 2.5 * truth[seen]).all()


def test_the_enclosure_is_proven_and_narrow() -> None:
    loc, scale = queries(5_000, 3)
    high, low = true_modes(loc, scale)
    below, above = (part.numpy() for part in enclose_mode(torch.from_numpy(loc), torch.from_numpy(scale)))
    assert (((below - high) - low) <= 0).all()
    assert (((above - high) - low) >= 0).all()
    assert (above - below <= 32 * U * above).all()


def test_gap_error_is_within_its_derivation() -> None:
    rng = np.random.default_rng(4)
    centres = np.array([0.5, 0.8125, 0.9375])
    y = np.concatenate([rng.random(4000), 10.0 ** rng.uniform(-100, 0, 2000), 1 - 10.0 ** rng.uniform(-15.9, -1, 2000)])
    y = np.concatenate([y, centres, np.nextafter(centres, 0), np.nextafter(centres, 1), [1 - U]])
    found = gap(torch.from_numpy(y)).numpy()
    ctx.prec = 1200
    for value, result in zip(y.tolist(), found.tolist(), strict=True):
        exact = arb(value).atanh() - arb(value)
        allowed = 8 * U * exact if value < 0.9375 else 7 * U * (exact + arb(value))
        assert abs(arb(result) - exact) <= allowed, value


def test_excess_error_is_within_two_units() -> None:
    rng = np.random.default_rng(5)
    half = np.sqrt(0.5)
    scale = np.concatenate(
        [rng.uniform(0, 4, 20_000), half + np.spacing(half) * np.arange(-50, 51), [0.0, 0.5, 1.0, 4.0]]
    )
    found = excess(torch.from_numpy(scale)).numpy()
    for sigma, delta in zip(scale.tolist(), found.tolist(), strict=True):
        exact = 2 * arb(sigma) * arb(sigma) - 1
        assert abs(arb(delta) - exact) <= 2 * U * abs(exact)


def test_the_assumption_on_log_holds_with_margin() -> None:
    """Within 2 ulp is assumed of torch.log; arguments as they occur, vector and scalar code paths."""
    x = np.concatenate(
        [np.random.default_rng(6).uniform(31, 100, 5000), 10.0 ** np.random.default_rng(7).uniform(1.5, 16, 5000)]
    )
    found = torch.cat([torch.log(torch.from_numpy(x)), *(torch.log(torch.tensor([v])) for v in x[:500])])
    for value, result in zip([*x.tolist(), *x[:500].tolist()], found.tolist(), strict=True):
        assert abs(arb(result) - arb(value).log()) <= 1.1 * np.spacing(result)


@pytest.mark.parametrize("scale", [0.0, 0.3, 0.7071067811865475, 0.7071067811865476, 0.8, 2.0, float("inf")])
@pytest.mark.parametrize("loc", [0.0, 5e-324, 1e-30, 1e-9, 0.2, 3.0, 50.0, float("inf")])
def test_seams_and_ends(loc: float, scale: float) -> None:
    clamped = _clamped(loc, scale)
    low, high = (float(part) for part in enclose_mode(*torch.tensor([[loc], [scale]], dtype=torch.float64)))
    assert low <= clamped <= high
    for value in (clamped, -clamped, 0.0, 1.0, -1.0, 1.5, -40.0, 1e-16, 1e300):
        assert certify(loc, scale, value) >= abs(value - clamped) * (1 - 4 * U)
        assert certify(-loc, scale, -value) == certify(loc, scale, value)
        assert certify(loc, scale, value) <= abs(value - clamped) * (1 + 8 * U) + 32 * U * clamped + 1e-300


def _clamped(loc: float, scale: float) -> float:
    return float(_true_mode(min(loc, 45.0), min(scale, 5.0)))


def test_the_sign_bit_picks_the_peak() -> None:
    y = float(_true_mode(0.0, 0.8))
    assert certify(0.0, 0.8, y) == certify(-0.0, 0.8, -y) < 1e-15
    assert certify(-0.0, 0.8, y) == certify(0.0, 0.8, -y) == pytest.approx(2 * y, rel=1e-15)
    assert certify(0.0, 0.8, -0.5) > 1.0
    assert certify(-0.0, 0.8, 0.5) > 1.0


def test_nan_and_infinite_arguments() -> None:
    nan, inf = float("nan"), float("inf")
    for arguments in (
        (nan, 1.0, 0.0),
        (0.1, nan, 0.0),
        (0.1, 1.0, nan),
        (0.1, -1.0, 0.0),
        (inf, nan, 1.0),
        (nan, inf, 1.0),
    ):
        assert np.isnan(certify(*arguments))
    assert certify(0.1, 1.0, inf) == inf
    assert certify(0.1, 1.0, -inf) == inf


def test_kinds_in_and_out() -> None:
    number = certify(0.2, 1.0, 0.973)
    assert type(number) is float
    array = certify(np.array([0.25, 0.5], np.float32), 1.0, np.zeros((3, 1)))
    assert isinstance(array, np.ndarray)
    assert array.shape == (3, 2)
    assert array.dtype == np.float64
    tensor = certify(torch.tensor([0.25, 0.5], requires_grad=True), torch.tensor(1.0), torch.tensor(0.1).bfloat16())
    assert tensor.dtype == torch.float64
    assert tensor.tolist() == certify(np.array([0.25, 0.5]), 1.0, float(torch.tensor(0.1).bfloat16())).tolist()
    # A wide 0-dim value is not rounded to the narrow dtype of the others.
    assert certify(torch.tensor([0.25]), torch.tensor([1.0]), torch.tensor(0.1, dtype=torch.float64)) == certify(
        0.25, 1.0, 0.1
    )
    with pytest.raises(TypeError, match="complex"):
        certify(torch.tensor([0.25]), torch.tensor([1.0]), torch.tensor([1j]))


def test_the_proof_does_not_depend_on_the_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong proposal for the root may only widen the bound."""
    loc, scale = queries(500, 8)
    high, low = true_modes(loc, scale)
    honest = certificate._root
    for spoil in (lambda y: y * 0.9, lambda y: (y * 1.1).clamp(max=1 - U), lambda y: y * 0, lambda y: y * 0 + 0.5):
        monkeypatch.setattr(certificate, "_root", lambda m, d, spoil=spoil: spoil(honest(m, d)))
        bound = certify(loc, scale, high)
        assert (bound >= np.abs(low)).all()
        assert (certify(loc, scale, np.zeros(len(loc))) >= high).all()
