"""The method "refined": what one float32 Halley step leaves of the bilinear lookup's error, cell by cell.

A step wants bounds of its start and of the mode's curvature over the same box. Over most cells those of the whole cell
do; cells where they do not give TARGET, about the rounding of the step itself, are halved, as in `bilinear`.
"""

from collections.abc import Callable

import numpy as np

from tablegen.verify import exact
from tablegen.verify.bilinear import judge
from tablegen.verify.boxes import Array, Boxes, Corners, corners, slope_minimum
from tablegen.verify.cells import Cells, reachable
from tablegen.verify.halley import Start, from_y, step_error
from tablegen.verify.refine import Flags, Indices, quarter_until
from tablegen.verify.rounding import EXCESS, MARGIN, NODE, U

TARGET = exact.TARGET
_ROUNDS = 8
_MOST_BOXES = 2_000_000


def bound(
    cells: Cells,
    boxes: Boxes,
    y: Corners,
    start_error: Array,
    added: Array,
    over: tuple[bool, bool],
    progress: Callable[[int], None] = lambda boxes: None,
) -> tuple[Array, int]:
    """(bound of |refined − mode| per cell, boxes examined); cells that no float32 scale can reach count for nothing.

    Args:
        cells, boxes, y: the grid, its clipped cells (m-major) and the mode at their corners.
        start_error: bound of the float32 bilinear lookup per cell.
        added: the part of it that is not interpolation in exact arithmetic: rounding and clamping.
        over: whether queries beyond the last m, beyond the last δ are answered by clamping.
    """

    def after_steps(part: Boxes, ends: Corners, error: Array) -> Array:
        stretched, start = _start(cells, part, ends, error, over)
        return step_error(stretched, start)

    errors = after_steps(boxes, y, start_error)
    halved = ~(errors <= TARGET) & reachable(boxes.d0, boxes.d1)
    last, worst = errors, np.zeros(len(errors))

    def open_(part: Boxes, parent: Indices) -> Flags:
        nonlocal last
        ends, columns = corners(part), len(cells.column)
        found = judge(
            *(cells, part, ends, slope_minimum(part, ends)),
            *(cells.row[parent // columns], cells.column[parent % columns]),
        )
        last = after_steps(part, ends, np.maximum(-found.low, found.high) + added[parent])
        last[~reachable(part.d0, part.d1)] = 0.0
        return np.asarray(~(last <= TARGET))

    def keep(parent: Indices, done: Flags) -> None:
        np.maximum.at(worst, parent, last[done])

    examined = len(errors)
    if halved.any():
        quarters, parent = boxes.take(halved).quarters(), np.tile(np.flatnonzero(halved), 4)
        examined += quarter_until(quarters, parent, open_, keep, _ROUNDS - 1, _MOST_BOXES, progress)
    return np.where(halved, np.minimum(errors, worst), errors), examined


def _start(cells: Cells, boxes: Boxes, y: Corners, error: Array, over: tuple[bool, bool]) -> tuple[Boxes, Start]:
    """The boxes as the true arguments of their lookups: stretched by the rounding of m and δ, and by clamping."""
    near = (EXCESS + 2.0 * NODE) * U
    last_row: Flags = (boxes.m1 == cells.m_edges[-1]) & over[0]
    last_column: Flags = (boxes.d1 == cells.d_edges[-1]) & over[1]
    beyond = last_row | last_column
    stretched = Boxes(
        boxes.m0 * (1.0 - near),
        np.where(last_row, exact.LOC_CLAMP, boxes.m1 * (1.0 + near)),
        np.maximum(boxes.d0 - near * np.abs(boxes.d0), -1.0),
        np.where(last_column, exact.DELTA_CLAMP, boxes.d1 + near * np.abs(boxes.d1)),
    )
    low = y.y00[0] * (1.0 - 2.0 * near)
    high = np.where(beyond, 1.0, np.minimum(y.y11[1] * (1.0 + 2.0 * near), 1.0))
    top = np.where(beyond, 1.0, np.minimum(y.y01[1] * (1.0 + 2.0 * near), 1.0))
    ends = Corners((low, low), (top, top), (low, low), (high, high))
    return stretched, from_y(stretched, low, high, slope_minimum(stretched, ends) / MARGIN, error)
