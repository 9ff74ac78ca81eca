"""From a loaded table to the cells that its float32 lookups use, and which of them a float32 query can reach."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tablegen.verify.boxes import Array, Boxes
from tablegen.verify.refine import Indices
from tablegen.verify.rounding import DELTA_ABOVE, DELTA_BELOW, NODE, U, Widths
from tanhlut.certificate import excess
from tanhlut.compute.grid import grid_of
from tanhlut.file.table import ModeTable


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


class Domain(NamedTuple):
    """A table's exact grid and the region its lookups answer for.

    Attributes:
        cells: the grid, clipped to the bounds.
        box: the bounds as a single box.
        over_m, over_delta: whether queries beyond the last loc node, the last δ node are answered, by clamping. The
            contract lets an axis end short of the bounds only where the mode is 1 but for 3e-14.
    """

    cells: Cells
    box: Boxes
    over_m: bool
    over_delta: bool


def exact_delta(scale: Array) -> Array:
    """δ = 2·scale² − 1 in float64 within 2^-52 relative; the analysis takes these numbers as the exact nodes."""
    return excess(torch.from_numpy(np.array(scale, dtype=np.float64))).numpy()


def domain(table: ModeTable) -> Domain:
    """The table's grid, once its float32 axes are those that the rounding analysis assumes.

    Raises:
        ArithmeticError: an axis is displaced in float32.
    """
    m, delta = table.loc, exact_delta(table.scale)
    grid = grid_of(table, torch.float32, torch.device("cpu"))
    for name, axis, exact in (("loc", grid.loc, m), ("scale", grid.delta, delta)):
        used = torch.cat([axis.origin, axis.end]).double().numpy()
        if not (np.abs(used - exact) <= NODE * U * np.abs(exact)).all():
            raise ArithmeticError(f"axis {name!r}: a float32 node is off by more than {NODE}·2^-24 of it")
    reach = table.bounds.reach
    d_low, d_top = _delta_at(reach.scale_min), _delta_at(reach.scale_max)
    m_edges, row = _clip(m, 0.0, reach.loc_max)
    d_edges, column = _clip(delta, d_low, d_top)
    cells = Cells(m, delta, table.values.astype(np.float64), m_edges, d_edges, row, column)
    ends = (0.0, table.bounds.loc_max, _delta_at(table.bounds.scale_min), _delta_at(table.bounds.scale_max))
    box = Boxes(*(np.array([end]) for end in ends))
    return Domain(cells, box, not reach.loc_max <= m[-1], not d_top <= delta[-1])


def reachable(d0: Array, d1: Array) -> NDArray[np.bool_]:
    """Whether a float32 scale's δ, as the lookup computes it, can lie in [d0, d1]: none comes near δ = 0."""
    return np.asarray((d0 <= DELTA_BELOW) | (d1 >= DELTA_ABOVE))


def _delta_at(scale: float) -> float:
    return float(exact_delta(np.array([scale]))[0]) if scale < 1e100 else math.inf


def _clip(nodes: Array, low: float, high: float) -> tuple[Array, NDArray[np.intp]]:
    """The nodes within [low, high] with those ends, and the cell of each interval.

    The ends are widened by a rounding, so that no interval is empty; bounds wholly beyond the axis use its last cell.
    """
    low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    low = float(nodes[-2]) if low >= nodes[-1] else max(low, float(nodes[0]))
    high = min(high, float(nodes[-1]))
    inside = nodes[(nodes > low) & (nodes < high)]
    edges = np.concatenate([[low], inside, [high]])
    return edges, np.searchsorted(nodes, edges[:-1], side="right") - 1
