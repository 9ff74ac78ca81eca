# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The chart on which the moments of tanh X, X ~ Normal(loc, scale²), are smooth; standard deviation and variance on it.

The half-plane is the unit square of (ζ, w): with c = π²/12 (the variance of the logistic law whose density is
sech²/2, so that τ = scale² + c is the variance of X plus that noise),

    τ = scale² + c,  w = scale²/τ,  ρ = √(loc² + 9·τ),  b = |loc|/ρ,  ζ = 9·τ/ρ² = 1 − b²,
    z = √ζ,  q = 1 − √(1 − w) = w/(1 + √(c/τ)),

on which these are smooth (G, A: `moments`, `patched`):

    E tanh X = b·(1 + ζ·G(ζ, w))            E sech² X = d/dloc of it
    E log cosh X + log 2 = ρ·A(ζ, w)        entropy of tanh X = ½·log(2πe·scale²) − 2·E log cosh X
    Var tanh X = w·exp Λ(z, q)

A function that is kept in patches is written in two halves: `…_place`, where its patch is, and one number more of the
chart; `…_of`, what follows from the patch's value and that number. A loop over an array does each half for many
elements at once, and between them one element's patch at a time (compute/cpu_patch_loop.py).

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
def mean_by(value, loc, scale, low, high):
    """The mean of the action by E tanh |X|: odd in loc bit for bit on symmetric bounds, a bound at loc = ±inf."""
    inside = select(absolute(loc) == INFINITY, ONE, at_least(at_most(value, ONE), ZERO))
    half, middle = image(low, high)
    return answered(finish(inside, loc, half, middle, low, high), loc, scale)


@element
def mean_slopes_by(value, by_zeta, by_w, loc, scale, low, high):
    """d mean/d loc = half·E sech² X and d mean/d scale, from F = E tanh |X|/b and its derivatives by ζ and w.

    With loc, b moves by ζ/ρ and ζ by −2·b·ζ/ρ; with scale, b by −b·ζ·scale/τ and w by 2·(1 − w)·scale/τ.
    """
    b, zeta, w, rho, tau, scaled, k = square_of(loc, scale)
    inside = value - TWO * (b * b) * by_zeta
    nowhere = (absolute(loc) == INFINITY) | (scale == INFINITY)
    by_loc = at_most(select(nowhere, ZERO, divide(zeta, rho) * k * at_least(inside, ZERO)), ONE)
    falls = divide(b * scaled, tau) * k * fma(zeta, inside, -(TWO * (ONE - w) * by_w))
    by_scale = -signed(without_sign(select(nowhere | (falls < ZERO), ZERO, falls)), loc)
    half, _ = image(low, high)
    return answered(half * by_loc, loc, scale), answered(half * by_scale, loc, scale)


@element
def entropy_by(a, rho, loc, scale, low, high):
    """The entropy of the action by A(ζ, w): −inf at scale 0 and where loc or scale is infinite."""
    half, _ = image(low, high)
    found = fma(-TWO * a, rho, (logarithm(scale) + ENTROPY_OF_UNIT) + logarithm(half))
    nowhere = (absolute(loc) == INFINITY) | (scale == INFINITY) | (scale == ZERO)
    return answered(select(nowhere, -INFINITY, found), loc, scale)


@element
def place(x, y, rows, first_row, columns, begin):
    """Of a point of a square in patches: where the patch's numbers begin, and the point's coordinates f, h in it.

    Rows run over x ∈ [first_row/rows, 1], nearer 0 the first serves; columns over y ∈ [0, 1]. f, h ∈ [−1, 1].
    """
    row = at_least(select(x == x, x, ONE) * rows, first_row)
    column = select(y == y, y, ONE) * columns
    i, j = at_most(floor(row), rows - ONE), at_most(floor(column), columns - ONE)
    at = integer(integer(fma(i - first_row, columns, j)) * PATCH + begin)
    return at, centred(row - i), centred(column - j)


@element
def stddev_place(loc, scale):
    """Where in Λ's patches, and √w as scale/√τ, which keeps its digits where scale² has none."""
    _, zeta, w, _, tau, scaled, k = square_of(loc, scale)
    q = divide(w, ONE + square_root(divide(k * k * LOGISTIC, tau)))
    at, f, h = place(square_root(zeta), q, ROWS, FIRST_ROW, COLUMNS, PATCHES)
    return at, f, h, divide(scaled, square_root(tau))


@element
def stddev_of(log_ratio, root_w, loc, scale, low, high):
    """half·√w·exp(Λ/2)."""
    root = root_w * exp_minus_twice(at_most(-QUARTER * log_ratio, LEAST))
    half, _ = image(low, high)
    return answered(half * select(absolute(loc) == INFINITY, ZERO, root), loc, scale)


@element
def stddev(loc, scale, data, low, high):
    """√Var of the action."""
    at, f, h, root_w = stddev_place(loc, scale)
    return stddev_of(patch(data, at, f, h), root_w, loc, scale, low, high)


@element
def stddev_slopes(loc, scale, data, low, high):
    """Its derivatives by loc and scale.

    With loc, z moves by −b·z/ρ; with scale, by b²·z·scale/τ, q by (1 − q)·scale/τ, log √w by (1 − w)/scale.
    """
    b, zeta, w, rho, tau, scaled, k = square_of(loc, scale)
    at, f, h, _ = stddev_place(loc, scale)
    log_ratio, by_f, by_h = patch_slopes(data, at, f, h)
    z, by_z, by_q = square_root(zeta), by_f * ROWS, by_h * COLUMNS  # half the derivatives: f = 2·z·ROWS − …
    unit = divide(exp_minus_twice(at_most(-QUARTER * log_ratio, LEAST)), square_root(tau))
    rest = fma(by_z * (b * b), z, by_q * square_root(divide(k * k * LOGISTIC, tau)))
    half, _ = image(low, high)
    nowhere = (absolute(loc) == INFINITY) | (scale == INFINITY)
    by_loc = select(nowhere, ZERO, scaled * unit * divide(k * by_z * b * z, rho))
    by_scale = select(nowhere, ZERO, k * unit * fma(w, rest, ONE - w))
    odd = select(by_loc < ZERO, signed(-by_loc, loc), -signed(by_loc, loc))
    return answered(half * odd, loc, scale), answered(half * by_scale, loc, scale)


@element
def variance_place(loc, scale):
    """As the standard deviation's."""
    return stddev_place(loc, scale)


@element
def variance_of(log_ratio, root_w, loc, scale, low, high):
    """The standard deviation's square."""
    root = stddev_of(log_ratio, root_w, loc, scale, low, high)
    return root * root


@element
def variance(loc, scale, data, low, high):
    """Var of the action."""
    at, f, h, root_w = variance_place(loc, scale)
    return variance_of(patch(data, at, f, h), root_w, loc, scale, low, high)
