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
from numpy.typing import NDArray

from tablegen.verify.boxes import SLACK, Array, Boxes, Corners, corners, curvature, grid_corners, mode_at, slope_minimum
from tablegen.verify.rounding import U, Widths

Indices = NDArray[np.intp]

# Boxes are halved until none exceeds the largest error seen by more than this factor, or the rounds are spent.
CLOSE_ENOUGH = 1.004
_ROUNDS = 14
LOOSE = 2.0**-48  # L costs 9 roundings of numbers ≤ its largest corner value, a difference with it one more: 2^-49.6
_MOST_BOXES = 4_000_000  # halved ones, beyond the cells themselves
_NEGLIGIBLE = U / 64.0  # nor are boxes halved that are off by less than this, which rounding drowns
_KEPT = 64  # candidates for the witness kept in each round


class Cells(NamedTuple):
    """The part of a table that lookups use: cells clipped to its bounds, and exact numbers for its nodes.

    Attributes:
        m, delta: all nodes of the table, float64, taken as exact.
        values: stored values, float64.
        m_edges, d_edges: the ends of the clipped cells, increasing.
        row, column: for each clipped interval of m_edges, d_edges the table's cell that it lies in.
    """

    m: Array
    delta: Array
    values: Array
    m_edges: Array
    d_edges: Array
    row: Indices
    column: Indices

    def corner_values(self, row: Indices, column: Indices) -> tuple[Array, Array, Array, Array]:
        """Stored v00, v01, v10, v11 of the given cells."""
        v = self.values
        return v[row, column], v[row, column + 1], v[row + 1, column], v[row + 1, column + 1]

    def widths(self, row: Indices, column: Indices) -> Widths:
        """Of the given cells."""
        m0, m1, d0, d1 = self.m[row], self.m[row + 1], self.delta[column], self.delta[column + 1]
        return Widths(m1 - m0, d1 - d0, m1, np.maximum(np.abs(d0), np.abs(d1)))

    def interpolant(self, m: Array, delta: Array, row: Indices, column: Indices) -> Array:
        """The bilinear interpolant of the given cells at points in them, in float64."""
        u = (m - self.m[row]) / (self.m[row + 1] - self.m[row])
        v = (delta - self.delta[column]) / (self.delta[column + 1] - self.delta[column])
        v00, v01, v10, v11 = self.corner_values(row, column)
        low, high = v00 + (v01 - v00) * v, v10 + (v11 - v10) * v
        return np.asarray(low + (high - low) * u)


class Seen(NamedTuple):
    """Errors |L − y| of at least `seen` at points (m, delta)."""

    seen: Array
    m: Array
    delta: Array


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
    boxes, y = grid_corners(cells.m_edges, cells.d_edges)
    columns = len(cells.column)
    parent = np.arange(len(boxes.m0))
    slope = slope_minimum(boxes, y)
    found = judge(cells, boxes, y, slope, cells.row[parent // columns], cells.column[parent % columns])
    first = (boxes, y, slope)
    low, high = found.low.copy(), found.high.copy()
    # Interpolation is best at the nodes; the middles of the cells say at once which of them matter.
    kept = [_largest(*found[2:]), _middles(cells, boxes, cells.row[parent // columns], cells.column[parent % columns])]
    seen, examined = max(float(part.seen.max()) for part in kept), len(parent)
    progress(examined)
    for _ in range(_ROUNDS):
        settled = max(CLOSE_ENOUGH * seen, _NEGLIGIBLE)
        open_ = np.flatnonzero(~(np.maximum(-found.low, found.high) <= settled))
        if not len(open_) or examined - len(low) + 4 * len(open_) > _MOST_BOXES:
            break
        boxes, parent = boxes.take(open_).quarters(), np.tile(parent[open_], 4)
        y = corners(boxes)
        cell = (cells.row[parent // columns], cells.column[parent % columns])
        found = judge(cells, boxes, y, slope_minimum(boxes, y), *cell)
        tighter_low, tighter_high = np.full(len(low), np.inf), np.full(len(high), -np.inf)
        np.minimum.at(tighter_low, parent, found.low)
        np.maximum.at(tighter_high, parent, found.high)
        # Only the halved part of a cell got new bounds; a cell's own hold the largest over its parts, so keep those of
        # the parts left alone: they were at most `settled`.
        halved = np.unique(parent)
        low[halved] = np.maximum(low[halved], np.minimum(tighter_low[halved], -settled))
        high[halved] = np.minimum(high[halved], np.maximum(tighter_high[halved], settled))
        seen = max(seen, float(found.seen.max()))
        kept.append(_largest(*found[2:]))
        examined += len(parent)
        progress(len(parent))
    _, m, delta = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return Outcome(first[0], first[1], first[2], low, high, seen, m, delta, examined)


def _middles(cells: Cells, boxes: Boxes, row: Indices, column: Indices) -> Seen:
    """The largest errors at the middles of the boxes."""
    m, delta = 0.5 * (boxes.m0 + boxes.m1), 0.5 * (boxes.d0 + boxes.d1)
    y_low, y_high = mode_at(m, delta)
    at = cells.interpolant(m, delta, row, column)
    return _largest(np.maximum(at - y_high, y_low - at) - LOOSE, m, delta)


def _largest(seen: Array, m: Array, delta: Array) -> Seen:
    chosen = np.argsort(-seen)[:_KEPT]
    return Seen(seen[chosen], m[chosen], delta[chosen])
