"""`verify`: a proven bound of the error of a table's lookups over the whole half-plane, in float32 as it really runs.

The proof, from the file's arrays and the text of `tanhlut.compute.grid`, `eager` and `equation` alone; nothing of the
builder:

1. The mode is enclosed wherever it is needed by a sign change (`tanhlut.certificate.enclose`); `nodes` measures the
   stored values against it.
2. `bilinear` bounds interpolation in exact arithmetic in every cell; `rounding` adds what float32 does.
3. `halley` bounds the result of the refining step from the bound of its start.
4. Beyond an axis' end the lookup clamps: the mode rises by at most 1 − y from there on. By symmetry the half-plane loc
   < 0 has the same errors, and the runtime folds it away exactly. What a file may be at all is `tanhlut.file.contract`.
5. Outside narrower bounds the answer is that of the method "exact": `exact`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tablegen.verify import bilinear, exact, premises, refined, witness
from tablegen.verify.boxes import SLACK, Array
from tablegen.verify.cells import Domain, domain, reachable
from tablegen.verify.nodes import NodeProof, prove_nodes
from tablegen.verify.rounding import CLAMPED, bilinear_rounding
from tablegen.verify.witness import Witness
from tanhlut.compute.grid import grid_of
from tanhlut.file.table import ModeTable
from tanhlut.methods import Method

ASSUMPTIONS = (
    "IEEE 754 float32 and float64, rounded to nearest, subnormals kept or flushed",
    "torch.log in float64 within 2 ulp (measured 0.5); torch.exp in float32 within 4·2^-24 (measured 1.06·2^-24)",
    "the lookup runs the operations of tanhlut.formula, and of tanhlut.compute's grid and eager, or cpu, or gpu; fused "
    "multiply-adds are allowed",
    "on NVIDIA's GPUs 1/x within 1 ulp, 2^x within 2 ulp, 1/√x within 2^-22.4, log₂ x within 2^-22, says PTX",
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
        broken: a premise that does not hold of the program that runs here (`premises`), or None.
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
    broken: str | None
    assumptions: tuple[str, ...] = ASSUMPTIONS

    def supports(self, claim: float) -> bool:
        """Whether a claimed bound is proven, nothing worse was seen, every stored value is the float32 nearest to the
        mode at its node, and the program is the one that the proof is about."""
        return self.witness.error <= self.bound <= claim and self.nodes.wrong == 0 and self.broken is None


class Interpolation(NamedTuple):
    """What the proofs of both methods begin with: the grid, its nodes, interpolation in exact arithmetic, and in
    float32 (`errors`, of which `added` is rounding and clamping). And the time it took."""

    where: Domain
    nodes: NodeProof
    found: bilinear.Outcome
    added: Array
    errors: Array
    seconds: float


def interpolation(
    table: ModeTable, *, paranoid: bool = False, progress: Progress = lambda boxes: None
) -> Interpolation:
    """What a proof begins with, of a table that is interpolated in; arguments as for `verify`."""
    started = time.perf_counter()
    where = domain(table)
    nodes = prove_nodes(table.loc, table.scale, table.values, paranoid)
    found = bilinear.bound(where.cells, progress)
    added = _added(where, found)
    errors = (np.maximum(-found.low, found.high) + added) * (1.0 + SLACK)
    return Interpolation(where, nodes, found, added, errors, time.perf_counter() - started)


def verify(
    table: ModeTable,
    method: Method = "bilinear",
    *,
    paranoid: bool = False,
    progress: Progress = lambda boxes: None,
    begun: Interpolation | None = None,
) -> Verification:
    """Prove a bound of `method` on a loaded table.

    Args:
        method: "bilinear" or "refined".
        paranoid: also prove every node in 128-bit ball arithmetic (needs python-flint).
        progress: called with numbers of boxes as they are done.
        begun: `interpolation` of `table.interpolated(method)`, if it is already there.

    Raises:
        ArithmeticError: the table's float32 axes are not those that the analysis is about.
    """
    if method not in ("bilinear", "refined"):
        raise ValueError(f"method {method!r} has no table to verify: use 'bilinear' or 'refined'")
    started = time.perf_counter()
    before = 0.0 if begun is None else begun.seconds
    interpolated = table.interpolated(method)
    of_file = interpolated is table
    where, nodes, found, added, errors, _ = begun or interpolation(
        interpolated, paranoid=paranoid and of_file, progress=progress
    )
    if not of_file:  # the nodes of a thinner table are taken as they are, those of the file must be the mode's
        nodes = prove_nodes(table.loc, table.scale, table.values, paranoid)
    boxes = found.examined
    used = np.ones(len(errors), dtype=bool)
    if method == "refined":
        over = (where.over_m, where.over_delta)
        errors, more = refined.bound(where.cells, found.boxes, found.y, errors, added, over, progress)
        boxes += more
        used = reachable(found.boxes.d0, found.boxes.d1)
    inside = float(errors[used].max(initial=0.0))  # NaN, if there is one
    outside = 0.0
    if not table.bounds.whole_plane:
        outside, more = exact.exact_error(where.box, progress)
        boxes += more
    worst = np.argsort(-np.where(used, errors, 0.0))[: len(found.m)]
    m = np.concatenate([found.m, found.boxes.m0[worst], 0.5 * (found.boxes.m0 + found.boxes.m1)[worst]])
    delta = np.concatenate([found.delta, found.boxes.d1[worst], 0.5 * (found.boxes.d0 + found.boxes.d1)[worst]])
    seen = witness.search(table, method, m, delta)
    bound = float(np.maximum(inside, outside))
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
        seconds=time.perf_counter() - started + before,
        m_edges=where.cells.m_edges,
        d_edges=where.cells.d_edges,
        cell_bounds=np.where(used, errors, np.nan).reshape(shape),
        broken=premises.broken(table, method),
    )


def cells_of(table: ModeTable, result: Verification, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """(row, column) in `cell_bounds` of the cells that float32 lookups within the bounds use."""
    from tanhlut.formula import tensors

    table = table.interpolated(result.method)
    grid = grid_of(table, torch.float32, torch.device("cpu"))
    m, _, delta = tensors.SINGLE.fold(loc, scale)
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
    values, widths = cells.corner_values(row, column), cells.widths(row, column)
    rounding = bilinear_rounding(boxes, y, found.slope, values, widths)
    # Beyond an axis' end the lookup clamps, and the mode rises from there to 1 at most; beyond both ends, twice.
    last_row = (index // columns == len(cells.row) - 1) & where.over_m
    last_column = (index % columns == columns - 1) & where.over_delta
    rise = np.where(last_row, 1.0 - y.y10[0], 0.0) + np.where(last_column, 1.0 - y.y01[0], 0.0)
    return np.asarray(rounding + rise + CLAMPED)
