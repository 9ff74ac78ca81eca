"""The table-free method in float32 outside a table's bounds: closed-form start, a rough step, then a Halley step.

The start y0 = c/√(1 + c²) (`tanhlut.formula.element.closed_form`) increases in m and in δ, like the mode: with
a = 3|δ|, w³ = 3m, for δ > 0 the derivative of a + w³/√(w² + a) by a is at least 1/2 and by w positive; for δ ≤ 0, with
r = a/w², c = w/(r + 1/(1 + 2r/3)), whose denominator increases in r (derivative 1 − (2/3)/(1 + 2r/3)² > 0) and r falls
with w. So over a box y0 lies between its values at the lower and the upper corner, the mode too, and their distance is
bounded; `halley.rough_error` and `step_error` give the result's error, and boxes for which that is not small are
halved.

Rounding of the start: in torch operations, |log 3m| ≤ 70 (cubes are taken for 1e-30 at least), a third of it with 2
ulp and two roundings is within 70/3·6·U = 140·U absolute, so w², and with it everything after, within 300·U < 2e-5
relative, ROUNDING. The compiled kernels guess roots, with factors of the true ones within ROOT and CUBE_ROOT
(tests/formula/test_coefficients.py). The start falls with w² (w³/(a + w⁴/(w² + 2a/3)) with a fixed numerator does: the
derivative of (w² + 2a/3)/(a·(w² + 2a/3) + w⁴) by w² is negative) and rises with the first 1/√, which cancels for δ ≤ 0.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from tablegen.verify.boxes import Array, Boxes, corners, slope_minimum
from tablegen.verify.halley import Start, from_y, rough_error, step_error
from tablegen.verify.refine import Flags, Indices, quarter_until
from tablegen.verify.rounding import DELTA_ABOVE, DELTA_BELOW
from tanhlut.formula.coefficients import SINGLE

ROOT, CUBE_ROOT, ROUNDING = (0.9999, 1.0887), (0.9685, 1.039), 1e-4
LOC_CLAMP, DELTA_CLAMP = SINGLE.loc_saturation, 2.0 * SINGLE.scale_saturation**2 - 1.0  # where `fold` clamps

TARGET = 4.2e-7  # boxes bounded by less are not halved; about what rounding alone is charged near the seam
_ROUNDS = 30
_MOST_BOXES = 3_000_000


def exact_error(inside: Boxes | None, progress: Callable[[int], None] = lambda boxes: None) -> tuple[float, int]:
    """(bound of the float32 method "exact" over the half-plane less the box `inside`, boxes examined)."""
    error, examined = _exact_error(None if inside is None else tuple(float(end[0]) for end in inside))
    progress(examined)
    return error, examined


@cache
def _exact_error(inside: tuple[float, ...] | None) -> tuple[float, int]:
    """No table has a part in it, so what was proven of a box holds for the next method too."""
    box = None if inside is None else Boxes(*(np.array([end]) for end in inside))
    return over_half_plane(box_error, box, lambda boxes: None)


def over_half_plane(
    box_error: Callable[[Boxes], Array], inside: Boxes | None, progress: Callable[[int], None]
) -> tuple[float, int]:
    """(the largest of `box_error` over the half-plane less the box `inside`, halving boxes; boxes examined)."""
    worst, errors = 0.0, np.zeros(0)

    def open_(boxes: Boxes, parent: Indices) -> Flags:
        nonlocal errors
        errors = np.zeros(len(boxes.m0))
        asked = _outside(boxes, inside)
        errors[asked] = box_error(boxes.take(asked))
        return np.asarray(~(errors <= TARGET))

    def keep(parent: Indices, done: Flags) -> None:
        nonlocal worst
        worst = float(errors[done].max(initial=worst))  # NaN, if there is one

    boxes = _octaves()
    examined = quarter_until(boxes, np.arange(len(boxes.m0)), open_, keep, _ROUNDS, _MOST_BOXES, progress)
    return worst, examined


def box_error(boxes: Boxes) -> Array:
    """An upper bound of |float32 "exact" − mode| over each box."""
    y = corners(boxes)
    low, high = y.y00[0], y.y11[1]
    slope = slope_minimum(boxes, y)
    start_low, start_high = starts(boxes)
    error = np.maximum(start_high - low, high - start_low)
    off = rough_error(boxes, from_y(boxes, low, high, slope, error))
    return step_error(boxes, Start(low, high, slope, off))


def starts(boxes: Boxes) -> tuple[Array, Array]:
    """(lowest, highest) start over each box, whatever the roots."""
    low = closed_form(boxes.m0, boxes.d0, CUBE_ROOT[1], ROOT[0]) * (ROOT[0] - ROUNDING)
    return low, closed_form(boxes.m1, boxes.d1, CUBE_ROOT[0], ROOT[1]) * (ROOT[1] + ROUNDING)


def closed_form(m: Array, delta: Array, cube_root: float = 1.0, root: float = 1.0) -> Array:
    """The start in float64, with those factors of 1/∛(3m) and of the first 1/√."""
    a, cube = 3.0 * np.abs(delta), 3.0 * m
    w2 = np.cbrt(cube) ** 2 * cube_root
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.sqrt(a + np.where(w2 + a > 0, root * cube / np.sqrt(w2 + a), 0.0))
        below = cube / (a + np.where(w2 > 0, w2 * w2 / (w2 + a * (2.0 / 3.0)), 0.0))
    c = np.where(delta > 0, above, below)
    return np.asarray(c / np.sqrt(1.0 + c * c))


def _octaves() -> Boxes:
    """The reachable half-plane in octaves of m and δ; below 2^-70 the mode's part that m causes is below 1e-13."""
    m = np.concatenate([[0.0], 2.0 ** np.arange(-70.0, math.log2(LOC_CLAMP)), [LOC_CLAMP]])
    above = np.concatenate([[DELTA_ABOVE], 2.0 ** np.arange(-22.0, math.log2(DELTA_CLAMP)), [DELTA_CLAMP]])
    below = -np.concatenate([[1.0], 2.0 ** np.arange(-1.0, -25.0, -1.0), [-DELTA_BELOW]])
    parts = []
    for d in (below, above):
        i, j = (index.ravel() for index in np.indices((len(m) - 1, len(d) - 1)))
        parts.append((m[i], m[i + 1], d[j], d[j + 1]))
    return Boxes(*(np.concatenate(pair) for pair in zip(*parts, strict=True)))


def _outside(boxes: Boxes, inside: Boxes | None) -> Flags:
    """Which boxes are not wholly within `inside`."""
    if inside is None:
        return np.ones(len(boxes.m0), dtype=bool)
    return np.asarray(~((boxes.m1 < inside.m1) & (boxes.d0 > inside.d0) & (boxes.d1 < inside.d1)))
