"""The proof of the variance: its witness against mpmath, its parts against quadrature, and the lies that it rejects."""

from functools import cache

import mpmath
import nudged
import numpy as np
import pytest
from numpy.polynomial import chebyshev

from tablegen.make.moments import log_ratio
from tablegen.verify import patches, rounding, second, series, units
from tablegen.verify.chart import unit_square
from tablegen.verify.patches import FLOOR, Row
from tanhlut.compute.functions import moments_of
from tanhlut.formula import plain, surrogate

pytest.importorskip("flint")
FILE = moments_of(None)
WITNESS = FILE.witnesses["mean"]
# Rows, and columns in them, whose bound of the rounding exceeds what one point's roundings can add up to by little.
TIGHT = {4: (0, 31), 10: (1, 24, 25), 18: (7, 21), 28: (12, 18), 43: (0, 1), 51: (7,), 59: (1, 20)}


@cache
def rows() -> tuple[Row, ...]:
    with np.errstate(over="ignore"):
        return tuple(patches.rows(FILE.vector, WITNESS))


@cache
def honest() -> patches.Proven:
    return patches.prove(FILE.vector, WITNESS)


def test_series_are_exact() -> None:
    some = np.array([[0.3, -0.2, 0.1], [0.5, 0.4, -0.1], [0.2, 0.1, 0.3], [0.0, 0.7, 0.0]])
    p = series.exact(some)
    x, w = 0.37, 0.81

    def at(part: series.Series) -> float:
        return float(chebyshev.chebval2d(2.0 * x - 1.0, 2.0 * w - 1.0, series.rounded(part)))

    start = float(chebyshev.chebval2d(2.0 * x - 1.0, -1.0, some))
    for found, wanted in (
        (series.times(p, 0), x * at(p)),
        (series.times(p, 1), w * at(p)),
        (series.complement(p, 1), (1.0 - w) * at(p)),
        (series.quotient(p), (at(p) - start) / w),
        (series.total(p, series.times(p, 0)), (1.0 + x) * at(p)),
    ):
        assert at(found) == pytest.approx(wanted, abs=1e-14)
    h = 1e-5
    rise = chebyshev.chebval2d(2.0 * (x + np.array([h, -h])) - 1.0, np.full(2, 2.0 * w - 1.0), some)
    assert at(series.derivative(p, 0)) == pytest.approx(float(rise[0] - rise[1]) / (2.0 * h), abs=1e-8)


@mpmath.workdps(40)
def test_the_witness_is_the_variance() -> None:
    """V_c against 1 − S − M² by trapezoids of 40 digits, relative to w, from small w to large."""
    certified = second.certify(WITNESS)
    over, _ = second.ratio(WITNESS)
    c = mpmath.mpf(surrogate.LOGISTIC)
    for z in (0.35, 0.6, 0.8, 0.95):
        for q in (1e-4, 0.05, 0.3, 0.45):
            w = mpmath.mpf(q) * (2 - mpmath.mpf(q))
            tau = c / (1 - w)
            scale, loc = mpmath.sqrt(w * tau), 3 * mpmath.sqrt((1 - mpmath.mpf(z) ** 2) * tau) / mpmath.mpf(z)
            step = mpmath.mpf(1) / 16
            nodes = [k * step for k in range(-224, 225)]
            weights = [step * mpmath.exp(-t * t / 2) / mpmath.sqrt(2 * mpmath.pi) for t in nodes]
            values = [mpmath.tanh(loc + scale * t) for t in nodes]
            mean = mpmath.fdot(weights, values)
            variance = mpmath.fdot(weights, [(v - mean) ** 2 for v in values])
            found = chebyshev.chebval2d(2.0 * z - 1.0, 2.0 * q - 1.0, over) / (2.0 - q)
            off = abs(float(variance / w) - float(found))
            assert off <= float(certified.of(np.array([float(w)]), np.array([float(w)]))[0]) <= 1.5e-9


@mpmath.workdps(30)
def test_the_slope_is_as_near_as_certified() -> None:
    """E sech² X against what the witness makes of it, where that is further off than float64 rounds."""
    x_slope = 2.0 * chebyshev.chebder(WITNESS, axis=0)
    certified, best = second.certify(WITNESS).slope, 0.0
    for z in (0.3, 0.5, 0.7, 0.9, 0.99):
        for q in (0.02, 0.2, 0.4, 0.6):
            x, w = 1.0 - z * z, q * (2.0 - q)
            at = 2.0 * x - 1.0, 2.0 * w - 1.0
            found = chebyshev.chebval2d(*at, WITNESS) + 2.0 * x * chebyshev.chebval2d(*at, x_slope)
            tau = mpmath.mpf(surrogate.LOGISTIC) / (1 - mpmath.mpf(w))
            scale, loc = mpmath.sqrt(w * tau), 3 * mpmath.sqrt(x * tau) / mpmath.mpf(z)
            step = mpmath.mpf(1) / 16
            nodes = [k * step for k in range(-180, 181)]
            weights = [step * mpmath.exp(-t * t / 2) / mpmath.sqrt(2 * mpmath.pi) for t in nodes]
            slope = mpmath.fdot(weights, [mpmath.sech(loc + scale * t) ** 2 for t in nodes])
            off = abs(float(slope) - second.KAPPA * z**3 * (1.0 - q) * float(found))
            assert off <= certified + 1e-15
            best = max(best, off)
    assert best > 1e-14


def test_a_moved_witness_is_not_certified() -> None:
    for place in ((0, 0), (3, 2), (20, 10)):
        moved = WITNESS.copy()
        moved[place] += 1e-6
        assert second.certify(moved).anywhere >= 1e-7


def test_no_cell_is_further_off_than_bounded() -> None:
    """exp Λ against a quadrature in every cell, corners included; some come near the bound."""
    rng = np.random.default_rng(0)
    best = 0.0
    for row in rows()[8::7]:
        f, h = rng.uniform(-1.0, 1.0, (2, surrogate.COLUMNS, 40))
        f[:, 0], h[:, 0] = 1.0, -1.0
        z = 0.5 * sum(row.z) + 0.5 * (row.z[1] - row.z[0]) * f
        q = (0.5 * (row.q[0] + row.q[1]))[:, None] + (0.5 / surrogate.COLUMNS) * h
        inside = z < 1.0
        powers = np.arange(4)
        found = np.einsum("cyx,cnx,cny->cn", row.values, f[..., None] ** powers, h[..., None] ** powers)
        z = np.where(inside, z, 0.999)
        off = np.where(inside, np.abs(np.exp(found) - np.exp(log_ratio(z, np.maximum(q, 1e-9)))), 0.0)
        assert (off <= row.off[:, None] + 1.5e-9).all()
        best = max(best, float((off / row.off[:, None]).max()))
    assert best > 0.7


def test_rounding_moves_no_answer_further_than_bounded() -> None:
    """The text in float32 against the same text's formula in float64, in cells here and there."""
    rng = np.random.default_rng(1)
    best = 0.0
    one = np.float32(1.0)
    for row in rows()[20::6]:
        allowed = patches.rounding(row, True)
        for column in (0, 1, 7, 20, 30):
            z = rng.uniform(*row.z, 4000)
            q = (column + rng.random(4000)) / surrogate.COLUMNS
            tau = surrogate.LOGISTIC / (1.0 - q) ** 2
            scale = np.sqrt(q * (2.0 - q) * tau).astype(np.float32)
            loc = (3.0 * np.sqrt((1.0 - z * z) * tau) / z).astype(np.float32)
            found = plain.SINGLE.variance(loc, scale, FILE.vector, -one, one)
            wide = scale.astype(np.float64) ** 2
            tau, w = wide + surrogate.LOGISTIC, wide / (wide + surrogate.LOGISTIC)
            z = 3.0 * np.sqrt(tau / (loc.astype(np.float64) ** 2 + 9.0 * tau))
            q = w / (1.0 + np.sqrt(surrogate.LOGISTIC / tau))
            f = 2.0 * (z * surrogate.ROWS - round(row.z[0] * surrogate.ROWS)) - 1.0
            h = 2.0 * (q * surrogate.COLUMNS - column) - 1.0
            inside = (np.abs(f) < 1.0) & (np.abs(h) < 1.0)
            exact = w * np.exp(np.polynomial.polynomial.polyval2d(h, f, row.values[column]))
            off = np.abs(np.log(found[inside] / exact[inside]))
            assert off.max() <= allowed[column]
            best = max(best, float(off.max() / allowed[column]))
    assert best > 0.4


@pytest.mark.parametrize("fused", [True, False])
def test_every_rounding_is_counted(fused: bool) -> None:
    """What each operation moves the answer by, found by moving it alone, and all of that together."""
    rng = np.random.default_rng(3)
    best = 0.0
    text = nudged.text(fused)
    data = FILE.vector.astype(np.float64)
    for number, columns in TIGHT.items():
        row = rows()[number]
        allowed = patches.rounding(row, fused) / rounding.U
        for column in columns:
            z = row.z[0] + (row.z[1] - row.z[0]) * rng.uniform(0.01, 0.99, 200)
            q = (column + rng.uniform(0.01, 0.99, 200)) / surrogate.COLUMNS
            tau = surrogate.LOGISTIC / (1.0 - q) ** 2
            scale, loc = np.sqrt(q * (2.0 - q) * tau), 3.0 * np.sqrt((1.0 - z * z) * tau) / z
            found = nudged.moved(text.variance, loc, scale, data, -1.0, 1.0)
            assert found.max() <= allowed[column]
            best = max(best, float(found.max() / allowed[column]))
    assert best > 0.93


def test_units_are_half_units_in_the_last_place() -> None:
    rng = np.random.default_rng(2)
    low = np.exp(rng.uniform(-5.0, 5.0, 300))
    high = low * (1.0 + rng.uniform(0.0, 1.5, 300))
    values = low[:, None] + (high - low)[:, None] * rng.random((300, 4000))
    moved = np.abs(values.astype(np.float32) / values - 1.0).max(axis=1) * 2.0**24
    allowed = units.units(low, high)
    assert (moved <= allowed).all()
    assert (moved > 0.8 * allowed).mean() > 0.9
    of = units.roundings(unit_square(8))
    assert all((part <= 1.0).all() for part in of)
    assert all((part >= 0.0).all() for part in of)


def test_what_the_witness_may_be_off_by_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    known, more = second.certify(WITNESS), 1e-5
    expected = honest()
    worse = known._replace(sources=(*known.sources[:2], known.sources[2] + more), anywhere=known.anywhere + more)
    monkeypatch.setattr(second, "certify", lambda witness: worse)
    found = patches.prove(FILE.vector, WITNESS)
    assert found.witness >= more
    assert found.relative[0] >= expected.relative[0] + 0.9 * more
    assert found.absolute[0] >= expected.absolute[0] + 0.5 * more * FLOOR


def test_lies_are_noticed() -> None:
    """A patch's coefficient moved by 1e-5 in a cell that counts, two patches swapped, and a NaN."""
    true = honest()
    assert true.approximation <= true.relative[0] <= true.relative[1] <= float(FILE.metadata["variance_bound"])
    shape = surrogate.ROWS - surrogate.FIRST_ROW, surrogate.COLUMNS, surrogate.PATCH
    for lie in ("moved", "NaN"):
        vector = FILE.vector.copy()
        cells = vector[surrogate.PATCHES :].reshape(shape)
        cells[60, 3, 0] += np.float32(1e-5 if lie == "moved" else np.nan)
        found = patches.prove(vector, WITNESS)
        if lie == "moved":
            assert found.approximation > 5.0 * FLOOR * 1e-3
            assert found.approximation > 3.0 * true.approximation
        else:
            assert not found.relative[0] < 1.0
