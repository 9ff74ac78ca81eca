# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The text of mean and entropy in float32: rationals on the chart of `half_plane` (`surrogate`).

Written in `operations`, run by `instantiate` after `half_plane`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.half_plane import centred_square_of, entropy_by, mean_by, mean_slopes_by, whole
    from tanhlut.formula.operations import *


@element
def mean_of(b, g, loc, scale, low, high):
    """E of the action by b and G."""
    return mean_by(fma(b * fma(-b, b, ONE), g, b), loc, scale, low, high)


@element
def mean(loc, scale, data, low, high):
    """E of the action: odd in loc bit for bit on symmetric bounds, a bound at loc = ±inf."""
    b, y, u, _ = centred_square_of(loc, scale)
    g = divide(mean_numerator(data, y, u), mean_denominator(data, y, u))
    return mean_of(b, g, loc, scale, low, high)


@element
def mean_slopes(loc, scale, data, low, high):
    """Its derivatives by loc and scale, from the rational's own: F = 1 + ζ·G."""
    b, y, u, _ = centred_square_of(loc, scale)
    zeta = fma(-b, b, ONE)
    p, p_y, p_u = mean_numerator_slopes(data, y, u)
    q, q_y, q_u = mean_denominator_slopes(data, y, u)
    inverse = divide(ONE, q)
    g = p * inverse
    g_zeta, g_w = TWO * (p_y - g * q_y) * inverse, TWO * (p_u - g * q_u) * inverse
    return mean_slopes_by(fma(zeta, g, ONE), fma(zeta, g_zeta, g), zeta * g_w, loc, scale, low, high)


@element
def entropy_of(b, u, rho, ratio, loc, scale, data, low, high):
    """The differential entropy of the action by b, 2w − 1, k·ρ and the surrogate's rational."""
    return entropy_by(fma(b * b, ratio, log_cosh_edge(data, u)), whole(rho, loc, scale), loc, scale, low, high)


@element
def entropy(loc, scale, data, low, high):
    """The differential entropy of the action: −inf at scale 0 and where loc or scale is infinite."""
    b, y, u, rho = centred_square_of(loc, scale)
    ratio = divide(log_cosh_numerator(data, y, u), log_cosh_denominator(data, y, u))
    return entropy_of(b, u, rho, ratio, loc, scale, data, low, high)
