# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The text of the network's chart: where a query lies in the unit square, the base of its mode, the activation.

On raw (loc, scale) a small network stalls at 2e-2, since the mode has a cusp. The chart takes the cusp away: replace
tanh x by its Padé approximant x/(1 + x²/3), and the equation x = m + s·tanh x becomes

    X³ − m·X² − 3·δ·X − 3·m = 0,    p'(X) = X²·(2 − ρ) + 3·ρ > 0 at its largest root,    ρ = m/X ∈ [0, 1].

With u = v² = X²/(3 + X²), every (m ≥ 0, scale > 0) is one point of the unit square and back again:

    m = ρ·X,    s = (1 − ρ)/(1 − u),    δ = (u − ρ)/(1 − u),

where the mode is y = b·(1 + N(u, ρ)), b = X/√(1 + X²) = √3·v/√(1 + 2u): exact at X = 0 and, as both tend to 1, in the
tails, so that the network N only has to supply up to 11 % of it, smoothly. tanh x ≥ x/(1 + x²/3) puts X at or below x*.

Written in `operations`, run by `instantiate` after `element`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.element import cubic
    from tanhlut.formula.operations import *


@element
def chart(m, delta):
    """(u, ρ, b) of (m, δ). At m = 0 < −δ, where X = 0 and ρ no longer matters, ρ = 0.

    Newton from √(m² + c²), which is within −14 % and +42 % of X.
    """
    p, q = cubic(m, delta)
    x = square_root(m * m + divide(p * p, q))
    three_delta, three_m = THREE * delta, THREE * m
    for _ in range(ROOT_STEPS):
        value = x * (x * (x - m) - three_delta) - three_m
        slope = x * (THREE * x - TWO * m) - three_delta
        x = at_least(x - divide(value, slope), ZERO)
    square = x * x
    rho = at_most(select(x == ZERO, ZERO, divide(m, x)), ONE)
    return divide(square, THREE + square), rho, divide(x, square_root(ONE + square))


@element
def algebraic(z):
    """The activation z/√(1 + z²): correctly rounded operations only, so the proof rests on no library's tanh."""
    return divide(z, square_root(ONE + z * z))


@element
def saturate(y, m, s):
    """y, or 1 where the mode is; NaN stays."""
    return select(((m >= LOC_SATURATION) | (s >= S_SATURATION)) & (y == y), ONE, y)
