# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The text of the moments of tanh X, X ~ Normal(loc, scale²): mean, standard deviation, variance, entropy, E sech² X.

The half-plane is the unit square of (ζ, w): with c = π²/12 (the variance of the logistic law whose density is
sech²/2, so that τ = scale² + c is the variance of X plus that noise),

    τ = scale² + c,  w = scale²/τ,  ρ = √(loc² + 9·τ),  b = |loc|/ρ,  ζ = 9·τ/ρ² = 1 − b²,
    z = √ζ,  q = 1 − √(1 − w) = w/(1 + √(c/τ)),

on which these are smooth, G and A rational, Λ in bicubic patches (`surrogate`):

    E tanh X = b·(1 + ζ·G(ζ, w))            E sech² X = d/dloc of it
    E log cosh X + log 2 = ρ·A(ζ, w)        entropy of tanh X = ½·log(2πe·scale²) − 2·E log cosh X
    Var tanh X = w·exp Λ(z, q)

Written in `operations`, run by `instantiate` after `element`. `data` is the vector of numbers, or what stands for it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.element import finish, image
    from tanhlut.formula.operations import *


@element
def square_of(loc, scale):
    """(b, ζ, w, ρ, τ, k·scale, k) of k·|loc| and k·scale, k a power of two that keeps the squares in range."""
    m = without_sign(loc)
    size = at_least(m, scale)
    k = select(size > BIG, select(size > HUGE, OF_HUGE, OF_BIG), ONE)
    m, scale = at_most(m * k, CAP), at_most(scale * k, CAP)
    variance = scale * scale
    tau = fma(k * k, LOGISTIC, variance)
    nine = NINE * tau
    square = fma(m, m, nine)
    rho = square_root(square)
    return divide(m, rho), divide(nine, square), divide(variance, tau), rho, tau, scale, k


@element
def centred(x):
    """2x − 1."""
    return fma(TWO, x, -ONE)


@element
def answered(value, loc, scale):
    """The value; NaN where loc or scale is, or scale < 0."""
    return invalid_if((loc != loc) | (scale != scale) | (scale < ZERO), value)


@element
def mean(loc, scale, data, low, high):
    """E of the action: odd in loc bit for bit on symmetric bounds, a bound at loc = ±inf."""
    b, zeta, w, _, _, _, _ = square_of(loc, scale)
    y, u = centred(zeta), centred(w)
    g = divide(mean_numerator(data, y, u), mean_denominator(data, y, u))
    value = select(absolute(loc) == INFINITY, ONE, at_least(at_most(fma(b * zeta, g, b), ONE), ZERO))
    half, middle = image(low, high)
    return answered(finish(value, loc, half, middle, low, high), loc, scale)


@element
def slope(loc, scale, data, low, high):
    """d mean/d loc = half·E sech² X, from the rational's own derivative: b, ζ move by ζ/ρ and −2·b·ζ/ρ with loc."""
    b, zeta, w, rho, _, _, k = square_of(loc, scale)
    y, u = centred(zeta), centred(w)
    p, p_y = mean_numerator_slope(data, y, u)
    q, q_y = mean_denominator_slope(data, y, u)
    g = divide(p, q)
    g_zeta = TWO * divide(p_y - g * q_y, q)
    inside = fma(zeta, g, ONE) - TWO * (b * b) * fma(zeta, g_zeta, g)
    value = select(
        (absolute(loc) == INFINITY) | (scale == INFINITY), ZERO, divide(zeta, rho) * k * at_least(inside, ZERO)
    )
    half, _ = image(low, high)
    return answered(half * at_most(value, ONE), loc, scale)


@element
def stddev(loc, scale, data, low, high):
    """√Var of the action = half·√w·exp(Λ/2), √w as scale/√τ, which keeps its digits where scale² has none."""
    _, zeta, w, _, tau, scaled, k = square_of(loc, scale)
    z = square_root(zeta)
    q = divide(w, ONE + square_root(divide(k * k * LOGISTIC, tau)))
    row = at_least(select(z == z, z, ONE) * ROWS, FIRST_ROW)
    column = select(q == q, q, ONE) * COLUMNS
    i, j = at_most(floor(row), LAST_ROW), at_most(floor(column), LAST_COLUMN)
    at = integer(integer(fma(i - FIRST_ROW, COLUMNS, j)) * PATCH + PATCHES)
    f, h = centred(row - i), centred(column - j)
    a0, a1, a2, a3 = entries(data, at)
    b0, b1, b2, b3 = entries(data, integer(at + 4))
    c0, c1, c2, c3 = entries(data, integer(at + 8))
    d0, d1, d2, d3 = entries(data, integer(at + 12))
    p0, p1 = fma(fma(fma(d0, h, c0), h, b0), h, a0), fma(fma(fma(d1, h, c1), h, b1), h, a1)
    p2, p3 = fma(fma(fma(d2, h, c2), h, b2), h, a2), fma(fma(fma(d3, h, c3), h, b3), h, a3)
    log_ratio = fma(fma(fma(p3, f, p2), f, p1), f, p0)
    root = divide(scaled, square_root(tau)) * exp_minus_twice(at_most(-QUARTER * log_ratio, LEAST))
    half, _ = image(low, high)
    return answered(half * select(absolute(loc) == INFINITY, ZERO, root), loc, scale)


@element
def variance(loc, scale, data, low, high):
    """Var of the action."""
    root = stddev(loc, scale, data, low, high)
    return root * root


@element
def entropy(loc, scale, data, low, high):
    """The differential entropy of the action: −inf at scale 0 and where loc or scale is infinite."""
    b, zeta, w, rho, _, _, k = square_of(loc, scale)
    y, u = centred(zeta), centred(w)
    ratio = divide(log_cosh_numerator(data, y, u), log_cosh_denominator(data, y, u))
    a = fma(b * b, ratio, log_cosh_edge(data, u))
    half, _ = image(low, high)
    found = fma(-TWO * a, divide(rho, k), (logarithm(scale) + ENTROPY_OF_UNIT) + logarithm(half))
    nowhere = (absolute(loc) == INFINITY) | (scale == INFINITY) | (scale == ZERO)
    return answered(select(nowhere, -INFINITY, found), loc, scale)
