# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The chart on which the moments of tanh X, X ~ Normal(loc, scale²), are smooth; standard deviation and variance on it.

The half-plane is the unit square of (ζ, w): with c = π²/12 (the variance of the logistic law whose density is
sech²/2, so that τ = scale² + c is the variance of X plus that noise),

    τ = scale² + c,  w = scale²/τ = 1 − c/τ,  ρ = √(loc² + 9·τ),  b = |loc|/ρ,  ζ = 9·τ/ρ² = 1 − b²,
    z = √ζ,  q = 1 − √(1 − w) = 1 − √(c/τ),

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
def sums_of(loc, scale):
    """(k·|loc|, k·scale, k, k²·c, k²·τ, k²·9·τ, k²·ρ²), k a power of two that keeps the squares in range.

    Where k is not 1, c is nothing to |loc| or to scale. Then τ may be nothing, too, and is the smallest normal number:
    so nothing is divided by 0, and no answer depends on whether subnormal numbers are flushed.
    """
    m = without_sign(loc)
    big = at_least(m, scale) > BIG
    k, c = select(big, OF_BIG, ONE), select(big, ZERO, LOGISTIC)
    m, scaled = at_most(m * k, CAP), at_most(scale * k, CAP)
    tau = at_least(fma(scaled, scaled, c), SMALLEST_NORMAL)
    nine = NINE * tau
    return m, scaled, k, c, tau, nine, fma(m, m, nine)


@element
def base_of(loc, scale):
    """(b, k·ρ, k²·c, 1/(k²·τ)).

    A rounding of ρ² or ρ moves b alone, and what follows from b as the truth moves; one of τ is another scale².
    """
    m, _, _, c, tau, _, square = sums_of(loc, scale)
    rho = square_root(square)
    return divide(m, rho), rho, c, divide(ONE, tau)


@element
def square_of(loc, scale):
    """(b, ζ, w, k·ρ)."""
    b, rho, c, inverse = base_of(loc, scale)
    return b, fma(-b, b, ONE), fma(-c, inverse, ONE), rho


@element
def whole(x, loc, scale):
    """x of k·x, k that of `sums_of`."""
    return x * select(at_least(absolute(loc), scale) > BIG, FROM_BIG, ONE)


@element
def centred(x):
    """2x − 1."""
    return fma(TWO, x, -ONE)


@element
def centred_square_of(loc, scale):
    """(b, 2ζ − 1, 2w − 1, k·ρ)."""
    b, rho, c, inverse = base_of(loc, scale)
    return b, fma(-TWO * b, b, ONE), fma(-TWO * c, inverse, ONE), rho


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
    _, scaled, k, _, _, _, _ = sums_of(loc, scale)
    b, rho, c, inverse = base_of(loc, scale)
    zeta = fma(-b, b, ONE)
    inside = value - TWO * (b * b) * by_zeta
    nowhere = (absolute(loc) == INFINITY) | (scale == INFINITY)
    by_loc = at_most(select(nowhere, ZERO, divide(zeta, rho) * k * at_least(inside, ZERO)), ONE)
    falls = (b * scaled) * inverse * k * fma(zeta, inside, -(TWO * (c * inverse) * by_w))
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
    column = at_least(select(y == y, y, ONE) * columns, ZERO)
    i, j = at_most(floor(row), rows - ONE), at_most(floor(column), columns - ONE)
    at = integer(integer(fma(i - first_row, columns, j)) * PATCH + begin)
    return at, centred(row - i), centred(column - j)


@element
def roots_of(loc, scale):
    """(z, 1/(k·√τ))."""
    _, _, _, _, tau, nine, square = sums_of(loc, scale)
    return square_root(divide(nine, square)), square_root(divide(ONE, tau))


@element
def stddev_place(loc, scale):
    """Where in Λ's patches, and √w as scale/√τ, which keeps its digits where scale² and q have none."""
    _, scaled, k, _, _, _, _ = sums_of(loc, scale)
    z, inverse = roots_of(loc, scale)
    at, f, h = place(z, fma(-ROOT_LOGISTIC * k, inverse, ONE), ROWS, FIRST_ROW, COLUMNS, PATCHES)
    return at, f, h, scaled * inverse


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
    _, scaled, k, _, _, _, _ = sums_of(loc, scale)
    b, rho, _, _ = base_of(loc, scale)
    z, inverse = roots_of(loc, scale)
    at, f, h, root_w = stddev_place(loc, scale)
    log_ratio, by_f, by_h = patch_slopes(data, at, f, h)
    by_z, by_q = by_f * ROWS, by_h * COLUMNS  # half the derivatives: f = 2·z·ROWS − …
    unit = exp_minus_twice(at_most(-QUARTER * log_ratio, LEAST)) * inverse
    w, p = root_w * root_w, ROOT_LOGISTIC * k * inverse  # p = 1 − q
    rest = fma(by_z * (b * b), z, by_q * p)
    half, _ = image(low, high)
    nowhere = (absolute(loc) == INFINITY) | (scale == INFINITY)
    by_loc = select(nowhere, ZERO, scaled * unit * divide(k * by_z * b * z, rho))
    by_scale = select(nowhere, ZERO, k * unit * fma(w, rest, p * p))
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
