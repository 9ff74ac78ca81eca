"""The variance that the mean's witness makes, certified: V = 1 − S − M², S = dM/dm.

S and E tanh² X = 1 − S solve the heat equation as M does (`heat`, whose words are used here), and V_v = ½·V_mm + S².
With the witness b·P, Q = P + 2x·P_x, y = z² = 1 − x, w = q(2 − q), κ = 1/(3·√c):

    S_R = κ·z³·(1 − q)·Q,   V_R = 1 − S_R − x·P²,   less what it is at w = 0:   V_c = V_R − V_R(x, 0)

which vanishes with w: the variance is of w's size, and so shall be what is proven. In w at constant t, where
dv = c/(1 − w)² dw, S_R leaves κ·√(1 − w)·z³·(E + 2x·E_x)/(2(1 − w)) in the equation, so that by Duhamel's principle

    |S − S_R| ≤ sup at w = 0 + κ·sup|z³·(E + 2x·E_x)|                                    (∫ dw/√(1 − w) ≤ 2)

and V − V_c, which is 0 at w = 0, has the sources (S² − S_R²)·c/(1 − w)², the residual of S_R, 2M_R times that of M_R,
and (f_tt + t·f_t)/(2(1 − w)) of f = V_R(x, 0): their sum over all w' < w is at most w times the largest. That is for
w well below 1. Beyond, V is as near to V_R as 1 − S − M² tells.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

from tablegen.verify import heat
from tablegen.verify.heat import Array, between, inverse, zeros
from tablegen.verify.series import Series, at_zero, complement, derivative, exact, quotient, rounded, times, total
from tanhlut.formula.surrogate import LOGISTIC

KAPPA = 1.0 / (3.0 * math.sqrt(LOGISTIC))  # within 2^-52 of itself, which `_LAST_BITS` covers many times
_TIMES = 4
_LAST_BITS = 1e-15
_UNIT = 2.0**-53


class Certified(NamedTuple):
    """|V − V_c| ≤ w·min(near of 1 − w, far/w): the sources' suprema, and what holds anywhere."""

    slope: float  # sup |S − S_R|
    sources: tuple[float, float, float]  # of (1 − w)^-2, (1 − w)^-1, (1 − w)^(-1/2)
    anywhere: float

    def of(self, w0: Array, w1: Array) -> Array:
        """A bound of |V − V_c|/w over [w0, w1]."""
        left = np.maximum(1.0 - w1, 1e-9)
        near = self.sources[0] / left**2 + self.sources[1] / left + self.sources[2] / np.sqrt(left)
        with np.errstate(divide="ignore"):
            return np.asarray(np.minimum(near, self.anywhere / w0) * (1.0 + 1e-9))


def certify(coefficients: Array) -> Certified:
    """What is proven of V_c by the mean's witness.

    Raises:
        MissingExtraError: python-flint is not installed.
    """
    p = exact(coefficients)
    e = _residual(p)
    of_e = _sup(e, "x")
    more = total(e, 2 * times(derivative(e, 0), 0))
    of_f = _sup(more, "z³")
    start, moved = _at_start(p)
    slope = heat.at_zero("slope", coefficients) + KAPPA * of_f + _LAST_BITS
    mean = heat.error_of("mean", coefficients)
    sources = (
        slope * (2.0 + slope) * LOGISTIC + _LAST_BITS,
        (1.0 + mean) * of_e + moved / 2.0,
        KAPPA * of_f / 2.0,
    )
    return Certified(slope, sources, slope + mean * (2.0 + mean) + start)


def ratio(coefficients: Array) -> tuple[Array, float]:
    """V_c/q, a polynomial: Chebyshev coefficients over (z, q) ∈ [0, 1]², and what float64 may be off at any point."""
    p = exact(coefficients)
    q = total(p, 2 * times(derivative(p, 0), 0))
    slope, mean = rounded(quotient(q)), rounded(quotient(p))
    p_0, q_0 = rounded(at_zero(p)), rounded(at_zero(q))
    rows, columns = coefficients.shape
    z, of_q = zeros(4 * rows + 4), zeros(4 * columns + 4)
    on_x = chebyshev.chebvander(1.0 - 2.0 * z * z, rows)  # 2x − 1
    on_w = chebyshev.chebvander(2.0 * of_q * (2.0 - of_q) - 1.0, columns)

    def at(part: Array) -> Array:
        return np.asarray(on_x[:, : part.shape[0]] @ part @ on_w[:, : part.shape[1]].T)

    def edge(part: Array) -> Array:
        return np.asarray((on_x[:, : len(part)] @ part)[:, None])

    zz, qq = z[:, None], of_q[None, :]
    of_s = KAPPA * zz**3 * ((1.0 - qq) * (2.0 - qq) * at(slope) - edge(q_0))
    of_m = (1.0 - zz * zz) * (2.0 - qq) * at(mean) * (at(rounded(p)) + edge(p_0))
    size = 2.0 * KAPPA * (_size(slope) + _size(q_0)) + 4.0 * _size(mean) * _size(p_0)
    loose = (rows + columns + 20) * _UNIT * size
    inverses = [inverse(count) for count in (len(z), len(of_q))]
    # Off by `loose` at the points, the interpolant is off by Lebesgue's constant of each axis times it.
    spread = math.prod(1.0 + math.log(count) for count in (len(z), len(of_q)))
    return np.asarray(inverses[0] @ -(of_s + of_m) @ inverses[1].T), 2.0 * loose * spread


def _residual(p: Series) -> Series:
    """The mean's E."""
    p_x, p_w = derivative(p, 0), derivative(p, 1)
    q = total(p, 2 * times(p_x, 0))
    q_x = derivative(q, 0)
    third = total(q, -complement(q, 0) / 3)
    rest = complement(total(third, complement(complement(q_x, 0), 0) * 2 / 9), 0)
    return total(2 * complement(p_w, 1), -rest)


def _at_start(p: Series) -> tuple[float, float]:
    """(sup|f|, sup|f_tt + t·f_t|) of f = V_R(x, 0) = 1 − x·P² − κ·y^(3/2)·Q, in which little is left of the parts.

    t·h_t = −2xy·h_y and h_tt = (4/9)·xy³·h_yy + (8x − 2)/9·y²·h_y; of y^(3/2)·h, y^(3/2) apart, the sum is
    (4/9)·xy³·h_yy + h_y·(y²·(20x − 2)/9 − 2xy) + h·(3y·(8x − 2)/18 + xy/3 − 3x).
    """
    q = at_zero(total(p, 2 * times(derivative(p, 0), 0)))
    mean: Any = at_zero(p)
    f = total(exact(np.ones(1)), -times(chebyshev.chebmul(mean, mean), 0))
    of_f, of_q = _moved(f, 0), _moved(q, 1)
    degree = 2 * max(len(of_f), len(of_q)) + 3
    z = zeros(_TIMES * degree)

    def sup(even: Series, odd: Series) -> float:
        parts = rounded(even), KAPPA * rounded(odd)
        values = chebyshev.chebval(1.0 - 2.0 * z * z, parts[0]) - z**3 * chebyshev.chebval(1.0 - 2.0 * z * z, parts[1])
        loose = (degree + 20) * _UNIT * sum(_size(part) for part in parts)
        return between(_TIMES) * (float(np.abs(values).max()) + loose)

    return sup(f, q), sup(of_f, of_q)


def _moved(h: Series, odd: int) -> Series:
    """The polynomial of `_at_start` of h, or of y^(3/2)·h."""
    h_x = derivative(h, 0)
    h_xx = derivative(h_x, 0)
    by_y = complement(-h_x, 0)  # y·h_y, and so on
    by_yy = complement(complement(h_xx, 0), 0)
    bent = times(complement(by_yy, 0), 0) * 4 / 9
    if not odd:
        steep = total(complement(total(8 * times(by_y, 0), -2 * by_y), 0) / 9, -2 * times(by_y, 0))
        return total(bent, steep)
    steep = total(complement(total(20 * times(by_y, 0), -2 * by_y), 0) / 9, -2 * times(by_y, 0))
    y_h = complement(h, 0)
    level = total(total(8 * times(y_h, 0), -2 * y_h) / 6, times(y_h, 0) / 3, -3 * times(h, 0))
    return total(bent, steep, level)


def _sup(f: Series, weight: str) -> float:
    """sup|f| over [0, 1]², or of |z³·f|: an odd polynomial in z."""
    of_f = rounded(f)
    rows, columns = of_f.shape
    if weight == "z³":
        z = np.cos(np.pi * (np.arange(_TIMES * (2 * rows + 3)) + 0.5) / (_TIMES * (2 * rows + 3)))
        z = z[z > -1e-9]
    else:
        z = np.sqrt(1.0 - zeros(_TIMES * rows))
    on_x = chebyshev.chebvander(1.0 - 2.0 * z * z, rows - 1)
    on_w = chebyshev.chebvander(2.0 * zeros(_TIMES * columns) - 1.0, columns - 1)
    values = np.abs(on_x @ of_f @ on_w.T)
    if weight == "z³":
        values *= z[:, None] ** 3
    loose = (rows + columns + 20) * _UNIT * _size(of_f)
    return float(between(_TIMES) ** 2 * (values.max() + loose))


def _size(coefficients: Array) -> float:
    return float(np.abs(coefficients).sum())
