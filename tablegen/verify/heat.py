"""The witnesses of mean and E log cosh, certified by the heat equation's own residual: no quadrature is trusted.

X ~ Normal(m, v): M = E tanh X and L = E log(2·cosh X) solve f_v = ½·f_mm. In the chart τ = v + c, w = v/τ, t = m/√τ,
ρ² = m² + 9τ, b = m/ρ, x = b², y = 1 − x, which every c > 0 makes, that reads f_w = (f_tt + t·f_t)/(2(1 − w)). A witness
is a polynomial P(x, w): b·P stands for M, ρ·P for L. Put into the equation they leave

    b·E/(2(1 − w)),  E = 2(1 − w)·P_w − y·(Q·(1 − y/3) + (2/9)·y²·Q_x),   Q = P + 2x·P_x
    ρ·E/(2(1 − w)),  E = 2(1 − w)·P_w − (y²/9·(F + 2x·F_x) + x·F − P),    F = P + 2y·P_x

polynomials again. By Duhamel's principle |M − bP| ≤ e + ½·sup|E|·ln(1/d) for w ≤ 1 − d, e being its supremum at w = 0;
so is |L − ρP|/ρ, since ρ is a supersolution, ρ_v − ½·ρ_mm = (9/2ρ)(1 − τ/ρ²) ≥ 0. For w in [1 − d, 1] both sides move
by little: at fixed t, with Stein's lemma,

    M_w = E k(X)/(1 − w), k = (x/2 − c·tanh x)·sech² x, where |φ(x − m) − φ(x + m)| ≤ 0.484·x/v, ∫|x·k| ≤ 0.823 over
        x > 0: |M_w| ≤ 0.4·τ/(v·c) ≤ 1/2
    (L/ρ)_w = E q(X)/(2ρ(1 − w)), q = x·tanh x + c·sech² x − log(2·cosh x), ∫|q| ≤ 3.29: |(L/ρ)_w| ≤ 0.27/√w ≤ 1/2

A polynomial's supremum on [0, 1]² is at most 1/cos²(π/2k) times its largest value on the zeros of Chebyshev's
polynomials of k times its degree (Ehlich and Zeller 1964). At w = 0, where M = tanh m and L = log(2·cosh m), Taylor
models in ball arithmetic (python-flint) bound the distance.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from tanhlut.errors import require
from tanhlut.formula.surrogate import LOGISTIC

Array = NDArray[np.float64]

_D = 1e-10
_TIMES = 4  # points are so many times the degree
_CELLS, _ORDER = 160, 14  # of the Taylor models at w = 0
_MOST_B = 0.986  # beyond, tanh m is 1 but for 2·exp(−2m), and so on
_ROUNDING = 2.0**-53


def error_of(name: str, coefficients: Array) -> float:
    """A bound of |M − b·P|, or of |L − ρ·P|/ρ, over the half-plane, for the witness "mean", "log_cosh" of a file.

    Raises:
        MissingExtraError: python-flint is not installed.
    """
    residual, slope = residual_of(name, coefficients)
    start = at_zero(name, coefficients)
    return start + 0.5 * residual * math.log(1.0 / _D) + _D * (slope + 1.0)


def residual_of(name: str, coefficients: Array) -> tuple[float, float]:
    """(sup|E|, sup|P_w|) over the square."""
    rows, columns = coefficients.shape
    x, w = zeros(_TIMES * (rows + 3)), zeros(_TIMES * (columns + 1))
    by_x = _derivative(coefficients, 0)
    parts = (coefficients, by_x, _derivative(by_x, 0), _derivative(coefficients, 1))
    on_x, on_w = chebyshev.chebvander(2.0 * x - 1.0, rows - 1), chebyshev.chebvander(2.0 * w - 1.0, columns - 1)
    p, p_x, p_xx, p_w = (on_x @ part @ on_w.T for part in parts)
    x, w = x[:, None], w[None, :]
    y = 1.0 - x
    if name == "mean":
        q, q_x = p + 2.0 * x * p_x, 3.0 * p_x + 2.0 * x * p_xx
        rest = y * (q * (1.0 - y / 3.0) + (2.0 / 9.0) * y * y * q_x)
    else:
        f, f_x = p + 2.0 * y * p_x, -p_x + 2.0 * y * p_xx
        rest = y * y / 9.0 * (f + 2.0 * x * f_x) + x * f - p
    # Float64: each value is a sum of rows·columns terms, which the coefficients bound, through a dozen operations.
    loose = (rows + columns + 20) * _ROUNDING * sum(4.0 * float(np.abs(part).sum()) for part in parts)
    factor = between(_TIMES) ** 2
    largest = float(np.abs(2.0 * (1.0 - w) * p_w - rest).max())
    return factor * (largest + loose), factor * (float(np.abs(p_w).max()) + loose)


def zeros(count: int) -> Array:
    """Of Chebyshev's polynomial of that degree, on (0, 1)."""
    return np.asarray((1.0 + np.cos(np.pi * (np.arange(count) + 0.5) / count)) / 2.0)


@cache
def inverse(count: int) -> Array:
    """From values at the `zeros` to Chebyshev coefficients."""
    found = 2.0 / count * chebyshev.chebvander(2.0 * zeros(count) - 1.0, count - 1).T
    found[0] /= 2.0
    return np.asarray(found)


def between(times: int) -> float:
    """How much larger a polynomial can be between the zeros of one of `times` its degree."""
    return 1.0 / math.cos(math.pi / (2 * times)) * (1.0 + 1e-14)


def _derivative(coefficients: Array, axis: int) -> Array:
    """Of a Chebyshev series on [0, 1], of the same shape."""
    pad = [(0, 0), (0, 0)]
    pad[axis] = (0, 1)
    return np.pad(2.0 * chebyshev.chebder(coefficients, axis=axis), pad)


def at_zero(name: str, coefficients: Array) -> float:
    """sup over b of |b·P(b², 0) − tanh m|, or |P(b², 0) − log(2·cosh m)/ρ|; ρ = 3·√c/√(1 − b²), m = b·ρ.

    Of "slope", P being the mean's: sup of |y^(3/2)·(P + 2x·P_x)/(3·√c) − sech² m|, the derivatives by m.
    """
    flint = require("flint", "paranoid")
    before, flint.ctx.prec = flint.ctx.prec, 400
    cap = flint.ctx.cap
    try:
        of_x = _monomials(flint, coefficients)
        if name == "slope":
            of_x = (of_x + flint.arb_poly([0, 2]) * of_x.derivative()) * (1 / (3 * flint.arb(LOGISTIC).sqrt()))
        return max(_inside(flint, name, of_x), _outside(flint, name, of_x))
    finally:
        flint.ctx.prec, flint.ctx.cap = before, cap


def _monomials(flint: Any, coefficients: Array) -> Any:
    """P(x, 0) as a polynomial in x with balls."""
    rows = [sum((flint.arb(float(row[j])) * (-1) ** j for j in range(len(row))), flint.arb(0)) for row in coefficients]
    before, now = flint.arb_poly([1]), flint.arb_poly([-1, 2])
    total = flint.arb_poly([rows[0]]) + now * flint.arb_poly([rows[1]])
    for row in rows[2:]:
        before, now = now, flint.arb_poly([-2, 4]) * now - before
        total = total + now * flint.arb_poly([row])
    return total


def _inside(flint: Any, name: str, of_x: Any) -> float:
    """For b ≤ _MOST_B: in each cell the polynomial less the function's Taylor polynomial, and that one's remainder."""
    arb, series = flint.arb, flint.arb_series
    root = 3 * arb(LOGISTIC).sqrt()
    of_b = of_x(flint.arb_poly([0, 0, 1]))
    if name == "mean":
        of_b = of_b * flint.arb_poly([0, 1])

    def function(centre: Any, order: int) -> Any:
        flint.ctx.cap = order
        one, b = series([1], order), series([centre, 1], order)
        inverse = (one - b * b).rsqrt()
        m = b * inverse * series([root], order)
        e = (m * series([-2], order)).exp()
        if name == "mean":
            return (one - e) / (one + e)
        if name == "slope":
            return e * series([4], order) / ((one + e) * (one + e)) * inverse * inverse * inverse
        return (m + (one + e).log()) / (inverse * series([root], order))

    edges = (1.0 - (1.0 - np.linspace(0.0, 1.0, _CELLS + 1)) ** 1.5) * _MOST_B
    worst = 0.0
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        middle, half = arb((low + high) / 2.0), arb((high - low) / 2.0 * (1.0 + 1e-12))
        own = of_b(flint.arb_poly([middle, 1]))
        taylor = function(middle, _ORDER)
        remainder = function(middle + arb(0, half.upper()), _ORDER + 1)[_ORDER]
        total = abs(remainder) * half**_ORDER
        for k in range(max(_ORDER, own.degree() + 1)):
            term = own[k] if k <= own.degree() else arb(0)
            total += abs(term - taylor[k] if k < _ORDER else term) * half**k
        weight = (1 - arb(low) ** 2) ** arb(1.5) if name == "slope" else arb(1)
        worst = max(worst, _upper(total * weight))
    return worst


def _outside(flint: Any, name: str, of_x: Any) -> float:
    """For b ≥ _MOST_B: against 1, or b, or 0, from which the functions are off by 4·exp(−2m) at most."""
    arb, series = flint.arb, flint.arb_series
    last = 1 - arb(_MOST_B) ** 2
    m = 3 * arb(LOGISTIC).sqrt() * arb(_MOST_B) / last.sqrt()
    of_y = of_x(flint.arb_poly([1, -1]))
    coefficients = [of_y[k] for k in range(of_y.degree() + 1)]
    cells, order = 200, 6

    def difference(centre: Any, order: int) -> Any:
        flint.ctx.cap = order
        one, y = series([1], order), series([centre, 1], order)
        total = series([coefficients[-1]], order)
        for coefficient in coefficients[-2::-1]:
            total = total * y + series([coefficient], order)
        b = (one - y).sqrt()
        return total if name == "slope" else b * total - one if name == "mean" else total - b

    worst = 0.0
    for i in range(cells):
        middle, half = last * (2 * i + 1) / (2 * cells), last / (2 * cells)
        taylor = difference(middle, order)
        remainder = difference(middle + half * arb(0, 1.000001), order + 1)[order]
        total = abs(remainder) * (half * arb(1.000001)) ** order
        for k in range(order):
            total += abs(taylor[k]) * (half * arb(1.000001)) ** k
        worst = max(worst, _upper(total))
    weight = last ** arb(1.5) if name == "slope" else arb(1)
    return worst * _upper(weight) + _upper(4 * (-2 * m).exp())


def _upper(ball: Any) -> float:
    """The ball's upper end, rounded up."""
    return float(np.nextafter(float(ball.upper()), np.inf))
