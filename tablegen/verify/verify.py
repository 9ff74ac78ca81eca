"""`verify`: a proven bound of the error of a table's lookups over the whole half-plane, in float32 as it really runs.

The proof, from the file's arrays and the text of `tanhlut.grid`, `eager` and `equation` alone; nothing of the builder:

1. The mode is enclosed wherever it is needed by a sign change (`tanhlut.certificate.enclose`); `nodes` measures the
   stored values against it.
2. `bilinear` bounds interpolation in exact arithmetic in every cell; `rounding` adds what float32 does.
3. `halley` bounds the result of the refining step from the bound of its start.
4. Beyond an axis' end the lookup clamps: the mode rises by at most 1 − y from there on. By symmetry the half-plane
   loc < 0 has the same errors, and the runtime folds it away exactly.
5. Outside narrower bounds the answer is that of the method "exact": `exact`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tablegen.verify import bilinear, exact, refined, witness
from tablegen.verify.boxes import SLACK, Array, q_of
from tablegen.verify.cells import Domain, domain
from tablegen.verify.nodes import NodeProof, prove_nodes
from tablegen.verify.rounding import MARGIN, bilinear_rounding
from tablegen.verify.witness import Witness
from tanhlut.eager import Method
from tanhlut.table import ModeTable

ASSUMPTIONS = (
    "IEEE 754 float32 and float64, rounded to nearest, subnormals kept or flushed",
    "torch.log in float64 within 2 ulp (measured 0.5); torch.exp in float32 within 4·2^-24 (measured 1.06·2^-24)",
    "the lookup runs the operations of tanhlut.grid, eager and equation, or of tanhlut.cpu or gpu; fused multiply-adds "
    "are allowed",
    "float64 formulas of a few dozen operations are within a relative 1e-12 of exact ones, which every bound is given",
)

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Verification:
    """What was proven of a table's lookups by one method, and what was seen.

    Attributes:
        method: "bilinear", "refined" or "exact".
        bound: no float32 lookup, for any loc and any scale > 0, is further than this from the mode.
        inside: the same within the table's bounds, which is what the file's tolerance speaks of.
        outside: the same outside them, where lookups answer by the method "exact"; 0 for a table of the whole plane.
        witness: a query whose answer is really that far off.
        ratio: bound / witness.error.
        nodes: what was proven of the stored values.
        cells: how many cells the lookups use; boxes: how many boxes were examined in all.
        seconds: how long it took.
        m_edges, d_edges: the ends of the used cells in m = |loc| and δ = 2·scale² − 1.
        cell_bounds: the bound per cell, (len(m_edges) − 1, len(d_edges) − 1), for the queries whose lookup lands there;
            for "refined" NaN in columns that no float32 scale can reach.
        assumptions: what the proof takes for granted.
    """

    method: Method
    bound: float
    inside: float
    outside: float
    witness: Witness
    ratio: float
    nodes: NodeProof
    cells: int
    boxes: int
    seconds: float
    m_edges: Array
    d_edges: Array
    cell_bounds: Array
    assumptions: tuple[str, ...] = ASSUMPTIONS

    def supports(self, claim: float) -> bool:
        """Whether a claimed bound is proven, and every stored value is the float32 nearest to the mode at its node."""
        return self.bound <= claim and self.nodes.wrong == 0


def verify(
    table: ModeTable, method: Method = "bilinear", *, paranoid: bool = False, progress: Progress = lambda boxes: None
) -> Verification:
    """Prove a bound of `method` on a loaded table.

    Args:
        method: "bilinear" or "refined".
        paranoid: also prove every node in 128-bit ball arithmetic (needs python-flint).
        progress: called with numbers of boxes as they are done.

    Raises:
        ArithmeticError: the table's float32 axes are not those that the analysis is about.
    """
    if method not in ("bilinear", "refined"):
        raise ValueError(f"method {method!r} has no table to verify: use 'bilinear' or 'refined'")
    begun = time.perf_counter()
    where = domain(table)
    nodes = prove_nodes(table.loc, table.scale, table.values, paranoid)
    found = bilinear.bound(where.cells, progress)
    added = _added(where, found)
    errors = (np.maximum(-found.low, found.high) + added) * (1.0 + SLACK)
    boxes = found.examined
    if method == "refined":
        over = (where.over_m > 0, where.over_delta > 0)
        errors, more = refined.bound(where.cells, found.boxes, found.y, errors, added, over, progress)
        boxes += more
    inside = float(np.nanmax(errors))
    outside = 0.0
    if not table.bounds.whole_plane:
        outside, more = exact.exact_error(where.box, progress)
        boxes += more
    worst = np.argsort(-np.nan_to_num(errors))[: len(found.m)]
    m = np.concatenate([found.m, found.boxes.m0[worst], 0.5 * (found.boxes.m0 + found.boxes.m1)[worst]])
    delta = np.concatenate([found.delta, found.boxes.d1[worst], 0.5 * (found.boxes.d0 + found.boxes.d1)[worst]])
    seen = witness.search(table, method, m, delta)
    bound = max(inside, outside)
    shape = (len(where.cells.row), len(where.cells.column))
    return Verification(
        method=method,
        bound=bound,
        inside=inside,
        outside=outside,
        witness=seen,
        ratio=bound / seen.error if seen.error > 0 else np.inf,
        nodes=nodes,
        cells=len(errors),
        boxes=boxes,
        seconds=time.perf_counter() - begun,
        m_edges=where.cells.m_edges,
        d_edges=where.cells.d_edges,
        cell_bounds=errors.reshape(shape),
    )


def cells_of(table: ModeTable, result: Verification, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """(row, column) in `cell_bounds` of the cells that float32 lookups within the bounds use."""
    from tanhlut import equation

    grid = table.grid(torch.float32, torch.device("cpu"))
    m, _, delta = equation.fold(loc, scale)
    row, _ = grid.loc.locate(m)
    column, _ = grid.delta.locate(delta)
    first_row, first_column = (
        int(np.searchsorted(nodes, edges[0], side="right")) - 1
        for nodes, edges in ((table.loc, result.m_edges), (domain(table).cells.delta, result.d_edges))
    )
    rows, columns = result.cell_bounds.shape
    return (row - first_row).clamp(0, rows - 1), (column - first_column).clamp(0, columns - 1)


def _added(where: Domain, found: bilinear.Outcome) -> Array:
    """What float32 rounding, and clamping beyond the axes' ends, add to the error of interpolation, per cell."""
    cells, boxes, y = where.cells, found.boxes, found.y
    columns = len(cells.column)
    index = np.arange(len(boxes.m0))
    row, column = cells.row[index // columns], cells.column[index % columns]
    rounding = bilinear_rounding(boxes, y, found.slope, cells.corner_values(row, column))
    last_row = (index // columns == len(cells.row) - 1) & (where.over_m > 0)
    last_column = (index % columns == columns - 1) & (where.over_delta > 0)
    gain = q_of(y.y00[0]) / np.maximum(found.slope, 1e-300)
    rise = np.where(last_row, _rise(where.over_m, y.y10[0], gain), 0.0)
    rise = np.maximum(rise, np.where(last_column, _rise(where.over_delta, y.y01[0], gain), 0.0))
    return np.asarray(rounding + rise)


def _rise(over: float, end: Array, gain: Array) -> Array:
    """How much the mode rises within `over` beyond an axis' end, where it is at least `end`: at most to 1.

    A float32 comparison lets queries pass a bound by 2^-24 relative; that little costs its slope, at most q/D.
    """
    return np.minimum(1.0 - end, over * gain * MARGIN if over < 1e-5 else np.inf)
