# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The text of what follows from a mode or stands beside it, and no kernel computes: for torch and JAX.

Derived in `equation`. Written in `operations`, run by `instantiate` after `element`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.operations import *


@element
def pre_tanh(y, loc, scale):
    """x with tanh x = y, the mode: the equation itself, accurate also where tanh saturates."""
    return loc + TWO * scale * scale * y


@element
def partials(y, scale):
    """(∂y/∂loc, ∂y/∂scale) of the mode from its own value y, by the implicit function theorem.

    D is written y² − δ·(1 − y²), which does not cancel on this branch. Saturated elements have derivative 0.
    """
    scale = at_most(scale, SCALE_SATURATION)
    slope = (ONE - y) * (ONE + y)
    by_loc = slope / (y * y - excess(scale) * slope)
    return by_loc, FOUR * scale * y * by_loc


@element
def is_bimodal(loc, scale):
    """Whether the density has two peaks: s > 1 and m < m_c = s·v − artanh(v), v = √(δ/s), tanh of h's inflection.

    s·v − artanh v = v/(1 − v²) − artanh v = Σ_k v^(2k+1)·2k/(2k+1), summed below v² = 0.05 where the difference
    cancels (12 terms: 0.05^12 ≈ 2e-16 relative). NaN gives False.
    """
    m, scale = absolute(loc), at_most(scale, FARTHEST)
    s, delta = TWO * scale * scale, excess(scale)
    v2 = select(delta > ZERO, delta, ZERO) / s
    v = square_root(v2)
    series = ZERO
    for k in range(12, 0, -1):
        series = v2 * (2.0 * k / (2 * k + 1) + series)
    limit = select(v2 < 0.05, v * series, s * v - logarithm(square_root(s) * (ONE + v)))
    return (scale > ZERO) & (delta > ZERO) & (m < limit)
