# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""THE text: what a kernel computes on one element, for every backend and precision.

Written in `operations`, run by `instantiate`; the formulas and their sources are in `equation`, the numbers in
`coefficients`. There is no branch on data: where a formula has two forms, `select` takes one. The order of operations
counts: where a backend rounds as IEEE 754 says, its answers have the same bits as every other's that does.

A mode is: `fold`; a start x (`rough_start`, or m + s·y with y between the `corners` of a table's cell); a `step`;
`finish`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.operations import *


@element
def fold(loc, scale):
    """(m, s, δ) of the folded, saturated problem; NaN where loc or scale is NaN; s and δ also where scale < 0."""
    scale = at_most(invalid_if(scale < ZERO, scale), SCALE_SATURATION)
    return at_most(absolute(loc), LOC_SATURATION), (scale + scale) * scale, excess(scale)


@element
def tanh_and_gap(x):
    """Whether x ≥ 0 is near, tanh x, x − tanh x, each to a few units relative, and the quotient they come from.

    Below the seam x·coth x − 1 is a rational in z = x², above it all comes from exp(−2x); one division serves both.
    """
    z = x * x
    near = x <= SEAM
    e = exp_minus_twice(x)
    # (x − tanh x)/x near, 1 − tanh x far
    ratio = divide(select(near, z * numerator(z), e + e), select(near, denominator(z), ONE + e))
    gap = x * ratio
    t = select(near, x - gap, ONE - ratio)
    return near, t, select(near, gap, x - t), ratio


@element
def tanh_parts(x):
    """Whether x ≥ 0 is near, and tanh x, 1 − tanh² x, x − tanh x, each to a few units relative."""
    near, t, gap, ratio = tanh_and_gap(x)
    return near, t, select(near, ONE - t, ratio) * (ONE + t), gap


@element
def residual(x, m, delta):
    """(tanh x, −h(x)); δ·t + m − (x − t) does not cancel at the cusp."""
    _, t, gap, _ = tanh_and_gap(x)
    return t, fma(delta, t, m) - gap


@element
def corrected(t, h, s, delta):
    """tanh of x after the Halley step from there, given (t, h) = `residual` of x.

    The step is applied to tanh x by its second-order expansion, which keeps relative accuracy.
    """
    slope = fma(-t, t, ONE)  # its error is relative to 1, but scales the step only
    d = fma(t, t, -(delta * slope))
    change = divide_roughly(h, fma(d, d, (h * s) * (t * slope))) * d  # in this order nothing underflows at the cusp
    return at_least(at_most(fma(slope * change, fma(-t, change, ONE), t), ONE), ZERO)


@element
def step(x, m, s, delta):
    """The y = tanh x that one Halley step on h leads to from x; cubic, so an error e becomes about e³ (relative)."""
    t, h = residual(x, m, delta)
    return corrected(t, h, s, delta)


@element
def rough_step(x, m, s, delta):
    """A better x by a Halley step, with t/q for tanh x, at most 1, and gap/q for x − tanh x (ROUGH of `coefficients`).

    One division, since all is multiplied by powers of q.
    """
    z = x * x
    q = fma(fma(z, ROUGH_Q2, ROUGH_Q1), z, ONE)
    gap = (x * z) * fma(z, ROUGH_G1, ROUGH_G0)
    t = at_most(fma(x, q, -gap), q)
    h = fma(delta, t, fma(m, q, -gap))
    slope = fma(q, q, -(t * t))
    d = fma(t, t, -(delta * slope))
    return at_least(fma(divide_roughly(h, fma(d, d, (s * h) * (t * slope))), d * q, x), ZERO)


@element
def cubic(m, delta):
    """(p, q) with p/√q = c near the positive root of c³ = 3δc + 3m (`equation`), in numbers that stay in range.

    Above (δ > 0) c² = a + w³/√(w² + a); else c = w³/(a + w⁴/(w² + 2a/3)).
    """
    a, cube = THREE * absolute(delta), THREE * m
    w2 = cube * inverse_cube_root(at_least(cube, SMALLEST_CUBE))
    q = fma(TWO_THIRDS, a, w2)
    inverse = inverse_root(w2 + a)
    square = fma(cube, inverse, a)
    scale = inverse * inverse  # keeps the squares below in range
    n = cube * (q * scale)
    d = fma(a, q, w2 * w2) * scale
    above = delta > ZERO
    return select(above, square, n), select(above, square, d * d)


@element
def closed_form(m, delta):
    """A first y = c/√(1 + c²), off by at most 0.21 absolute and 0.23 relative (the worst being loc ≈ 1, scale → 0), if
    the roots are exact."""
    p, q = cubic(m, delta)
    return p * inverse_root(fma(p, p, q))


@element
def rough_start(m, s, delta):
    """An x whose tanh is within 2e-3 of the mode, without a table."""
    return rough_step(fma(s, closed_form(m, delta), m), m, s, delta)


@element
def corners(y00, y01, y10, y11, u, v):
    """Between the four corners of a cell. Weights may be below 0, by an ulp."""
    low = fma(y01 - y00, v, y00)
    high = fma(y11 - y10, v, y10)
    return at_least(fma(high - low, u, low), ZERO)


@element
def image(low, high):
    """(half, middle) of [low, high], none of which overflows; the middle of symmetric bounds is −0.0, which adds to
    anything, ±0.0 included, without a trace."""
    return HALF * high - HALF * low, -(-HALF * low + -HALF * high)


@element
def finish(y, loc, half, middle, low, high):
    """loc's sign, and the image of y ∈ [0, 1] in [low, high]."""
    return at_most(at_least(half * signed(y, loc) + middle, low), high)
