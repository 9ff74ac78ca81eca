"""From a loaded table to the cells that its float32 lookups use, and which of them a float32 query can reach."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tablegen.verify.bilinear import Cells
from tablegen.verify.boxes import Array, Boxes
from tablegen.verify.exact import DELTA_ABOVE, DELTA_BELOW
from tablegen.verify.rounding import NODE, U
from tanhlut.certificate import excess
from tanhlut.table import ModeTable


class Domain(NamedTuple):
    """A table's exact grid and the region its lookups answer for.

    Attributes:
        cells: the grid, clipped to the bounds.
        box: the bounds as a single box; arguments beyond the axes' ends are clamped to them by the lookup.
        over_m, over_delta: how far beyond the last loc node, the last δ node queries are answered, by clamping.
    """

    cells: Cells
    box: Boxes
    over_m: float
    over_delta: float


def exact_delta(scale: Array) -> Array:
    """δ = 2·scale² − 1 in float64 within 2^-52 relative; the analysis takes these numbers as the exact nodes."""
    return excess(torch.from_numpy(np.array(scale, dtype=np.float64))).numpy()


def domain(table: ModeTable) -> Domain:
    """The table's grid, once its float32 axes are those that the rounding analysis assumes.

    Raises:
        ArithmeticError: an axis collapses or is displaced in float32, or does not begin within the bounds.
    """
    m, delta = table.loc, exact_delta(table.scale)
    grid = table.grid(torch.float32, torch.device("cpu"))
    for name, axis, exact in (("loc", grid.loc, m), ("scale", grid.delta, delta)):
        used = torch.cat([axis.origin, axis.end]).double().numpy()
        if not (np.diff(used) > 0).all():
            raise ArithmeticError(f"axis {name!r}: two nodes are the same float32 number; lookups would divide by zero")
        if not (np.abs(used - exact) <= NODE * U * np.abs(exact)).all():
            raise ArithmeticError(f"axis {name!r}: a float32 node is off by more than {NODE}·2^-24 of it")
    bounds = table.bounds
    m_top = _reach(bounds.loc_max, max)
    d_low, d_top = _delta_at(_reach(bounds.scale_min, min)), _delta_at(_reach(bounds.scale_max, max))
    if delta[0] > d_low:
        raise ArithmeticError(f"axis 'scale' begins at {table.scale[0]}, above the bounds' {bounds.scale_min}")
    m_edges, row = _clip(m, 0.0, m_top)
    d_edges, column = _clip(delta, d_low, d_top)
    cells = Cells(m, delta, table.values.astype(np.float64), m_edges, d_edges, row, column)
    ends = (0.0, bounds.loc_max, _delta_at(bounds.scale_min), _delta_at(bounds.scale_max))
    box = Boxes(*(np.array([end]) for end in ends))
    return Domain(cells, box, max(m_top - m[-1], 0.0), max(d_top - delta[-1], 0.0))


def reachable(d0: Array, d1: Array) -> NDArray[np.bool_]:
    """Whether a float32 scale's δ, as the lookup computes it, can lie in [d0, d1]: none comes near δ = 0."""
    return np.asarray((d0 <= DELTA_BELOW) | (d1 >= DELTA_ABOVE))


def _reach(bound: float, wider: Callable[[float, float], float]) -> float:
    """The bound or, as torch compares in the query's dtype, the float32 nearest to it, whichever lets more in."""
    return wider(bound, float(np.float32(bound)))


def _delta_at(scale: float) -> float:
    return float(exact_delta(np.array([scale]))[0]) if scale < 1e100 else math.inf


def _clip(nodes: Array, low: float, high: float) -> tuple[Array, NDArray[np.intp]]:
    """The nodes within [low, high] with those ends, and the cell of each interval."""
    low, high = max(low, float(nodes[0])), min(high, float(nodes[-1]))
    inside = nodes[(nodes > low) & (nodes < high)]
    edges = np.concatenate([[low], inside, [high]])
    return edges, np.searchsorted(nodes, edges[:-1], side="right") - 1
