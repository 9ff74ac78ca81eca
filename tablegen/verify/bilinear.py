"""Bilinear interpolation: a signed bound per cell, sharpened by branch and bound where it is largest.

In a box inside one cell the interpolant L is bilinear in (m, δ), so with I the interpolation between the box's own
corners, L − y = I(L − y) + (I y − y). The first part lies between the corners' smallest and largest L − y, which are
enclosed; the second, with y_mm ≤ 0, within

    −(h_m²/8·max|y_mm| + h_s²/8·max(−y_ss)⁺)   and   h_s²/8·max(y_ss)⁺,

since I y − y is the interpolation along m of y at fixed δ plus a mean of interpolations along δ at the two ends of m.
Both are intersected with the hull [min L − y(m1, δ1), max L − y(m0, δ0)], which holds because y is monotone. Stored
values that are not the mode's enter through L: a wrong node needs no separate treatment. Halving a box quarters the
second part, so a few levels leave only the corners: errors that really occur.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tablegen.verify.boxes import SLACK, Array, Boxes, Corners, corners, curvature, grid_corners, mode_at, slope_minimum
from tablegen.verify.cells import Cells
from tablegen.verify.refine import Flags, Indices, largest, quarter_until
from tablegen.verify.rounding import U

# Boxes are halved until none exceeds the largest error seen by more than this factor, or the rounds are spent.
CLOSE_ENOUGH = 1.004
_ROUNDS = 14
LOOSE = 2.0**-48  # L costs 9 roundings of numbers ≤ its largest corner value, a difference with it one more: 2^-49.6
_MOST_BOXES = 4_000_000  # halved ones, beyond the cells themselves
_NEGLIGIBLE = U / 64.0  # nor are boxes halved that are off by less than this, which rounding drowns


class Verdict(NamedTuple):
    """What is known of L − y over boxes: within [low, high] everywhere, and off by at least `seen` at (m, delta)."""

    low: Array
    high: Array
    seen: Array
    m: Array
    delta: Array


class Outcome(NamedTuple):
    """Signed bounds of L − y per clipped cell (m-major), the largest error seen, candidates for it, boxes examined."""

    boxes: Boxes
    y: Corners
    slope: Array
    low: Array
    high: Array
    seen: float
    m: Array
    delta: Array
    examined: int


def judge(cells: Cells, boxes: Boxes, y: Corners, slope: Array, row: Indices, column: Indices) -> Verdict:
    """Bounds of L − y over boxes that lie in the given cells."""
    points = [(boxes.m0, boxes.d0), (boxes.m0, boxes.d1), (boxes.m1, boxes.d0), (boxes.m1, boxes.d1)]
    at = np.stack([cells.interpolant(m, d, row, column) for m, d in points])
    loose = LOOSE * np.maximum(cells.values[row + 1, column + 1], y.y11[1])
    below = np.stack([at[k] - end[1] for k, end in enumerate(y)]) - loose
    above = np.stack([at[k] - end[0] for k, end in enumerate(y)]) + loose
    bend = curvature(y, slope)
    along_m = _sags(boxes.m1 - boxes.m0, bend.along_m)
    up, down = (_sags(boxes.d1 - boxes.d0, part) for part in (bend.up, bend.down))
    low = below.min(axis=0) - (along_m + down)
    high = above.max(axis=0) + up
    hull_low, hull_high = at.min(axis=0) - y.y11[1] - loose, at.max(axis=0) - y.y00[0] + loose
    sure = np.maximum(below, -above)
    which = sure.argmax(axis=0)
    index = np.arange(len(which))
    return Verdict(
        np.maximum(low, hull_low),
        np.minimum(high, hull_high),
        sure[which, index],
        np.stack([m for m, _ in points])[which, index],
        np.stack([d for _, d in points])[which, index],
    )


def _sags(width: Array, bend: Array) -> Array:
    """width²/8·|y''|; infinite, not NaN, where nothing is known of y'' and the square underflows."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(bend), np.inf, width**2 / 8.0 * (1.0 + SLACK) * bend)


def bound(cells: Cells, progress: Callable[[int], None] = lambda boxes: None) -> Outcome:
    """Bounds of every cell; the largest within a factor CLOSE_ENOUGH of an error that occurs, where rounds suffice."""
    first, y = grid_corners(cells.m_edges, cells.d_edges)
    slope = slope_minimum(first, y)
    at = _cells_at(cells, np.arange(len(first.m0)))
    found = judge(cells, first, y, slope, *at)
    own = found
    # Interpolation is best at the nodes; the middles of the cells say at once which of them matter.
    kept = [largest(*found[2:]), _middles(cells, first, *at)]
    low, high = np.full(len(first.m0), np.inf), np.full(len(first.m0), -np.inf)

    def open_(boxes: Boxes, parent: Indices) -> Flags:
        nonlocal found
        if boxes is not first:
            ends = corners(boxes)
            found = judge(cells, boxes, ends, slope_minimum(boxes, ends), *_cells_at(cells, parent))
            kept.append(largest(*found[2:]))
        seen = max(float(part[0].max()) for part in kept)
        return np.asarray(~(np.maximum(-found.low, found.high) <= max(CLOSE_ENOUGH * seen, _NEGLIGIBLE)))

    def keep(parent: Indices, done: Flags) -> None:
        np.minimum.at(low, parent, found.low[done])
        np.maximum.at(high, parent, found.high[done])

    examined = quarter_until(first, np.arange(len(low)), open_, keep, _ROUNDS, _MOST_BOXES + len(low), progress)
    seen, m, delta = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    low, high = np.maximum(low, own.low), np.minimum(high, own.high)
    return Outcome(first, y, slope, low, high, float(seen.max()), m, delta, examined)


def _cells_at(cells: Cells, number: Indices) -> tuple[Indices, Indices]:
    """(row, column) of clipped cells, counted m-major."""
    columns = len(cells.column)
    return cells.row[number // columns], cells.column[number % columns]


def _middles(cells: Cells, boxes: Boxes, row: Indices, column: Indices) -> tuple[Array, ...]:
    """The largest errors at the middles of the boxes."""
    m, delta = 0.5 * (boxes.m0 + boxes.m1), 0.5 * (boxes.d0 + boxes.d1)
    y_low, y_high = mode_at(m, delta)
    at = cells.interpolant(m, delta, row, column)
    return largest(np.maximum(at - y_high, y_low - at) - LOOSE, m, delta)
