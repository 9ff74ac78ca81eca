"""From bounds and a tolerance to a table: choose the grid, solve every node, gate, measure."""

import json
import math
import platform
from collections.abc import Iterator
from typing import NamedTuple

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from tablegen import layout
from tanhlut import eager, solver
from tanhlut.grid import Bounds
from tanhlut.solver import Solver
from tanhlut.table import ModeTable

# The grid is designed for this share of the tolerance, less the a-priori rounding of a float32 lookup (7·2^-24), so
# that a proof with a little slack of its own still fits under the claim.
DESIGN_SHARE = 0.95
ROUNDING = 7 * 2.0**-24
FINEST_TOLERANCE = 2e-6
COARSEST_TOLERANCE = 0.01  # what the sparsest grid that refinement can start from gives anyway

_BLOCK = 1 << 18  # nodes or points at a time: working memory of a few hundred MB, whatever the table


class Found(NamedTuple):
    """The largest |bilinear − mode| seen, and where. Seen, not proven."""

    error: float
    loc: float
    scale: float


def check_request(bounds: Bounds, tolerance: float) -> None:
    """ValueError, saying what is allowed, unless a table for this can be built."""
    if not bounds.loc_max > 0:
        raise ValueError(f"--loc-max {bounds.loc_max:g} is not allowed: give a number > 0, or inf for every loc")
    if not (math.isfinite(bounds.scale_min) and 0 <= bounds.scale_min < bounds.scale_max):
        raise ValueError(
            f"--scale-min {bounds.scale_min:g} --scale-max {bounds.scale_max:g} is not allowed: "
            "give 0 ≤ min < max (max may be inf)"
        )
    if not FINEST_TOLERANCE <= tolerance <= COARSEST_TOLERANCE:
        raise ValueError(
            f"--tol {tolerance:g} cannot be met: give {FINEST_TOLERANCE:g} to {COARSEST_TOLERANCE:g} "
            "(below it float32 interpolation drowns in rounding; the methods refined and exact need no finer table)"
        )


def build(bounds: Bounds, tolerance: float, solver_name: Solver, command: str) -> tuple[ModeTable, Found]:
    """A table for `bounds` whose largest error found is within `tolerance`, and that error.

    Raises:
        ValueError: the request is not allowed (`check_request`).
        ArithmeticError: a node failed its proof, or the tolerance could not be met.
    """
    bounds = Bounds(*map(float, bounds))
    check_request(bounds, tolerance)
    target = DESIGN_SHARE * tolerance - ROUNDING
    nodes = _fitting_layout(bounds, target)
    values = _solve(nodes, solver_name)
    metadata: dict[str, float | str] = {
        **bounds._asdict(),
        "tolerance": tolerance,
        "solver": solver_name,
        "solver_settings": json.dumps({"bracket": solver.BRACKET, **(solver.ADAM if solver_name == "adam" else {})}),
        "versions": json.dumps(versions()),
        "command": command,
    }
    table = ModeTable(nodes.loc, nodes.scale, values, metadata)  # gates: finite, in range, monotone
    found = largest_error(table, 5, "checking")
    if found.error > target:
        raise ArithmeticError(f"the finished table is off by {found.error:g} at {found}, over {target:g}: not written")
    return table, found


def _fitting_layout(bounds: Bounds, target: float) -> layout.Layout:
    """The design rule is approximate: measure what it gives, and ask it for more or less until that fits."""
    design = layout.design(bounds)
    asked = target
    fitting: layout.Layout | None = None
    for _ in range(6):
        nodes = design.layout(asked)
        error = largest_error(_draft(nodes, bounds), 3, "fitting the grid").error
        if error <= target and (fitting is None or nodes.nodes < fitting.nodes):
            fitting = nodes
        if 0.97 * target <= error <= target:
            break
        asked *= 0.99 * target / max(error, 0.1 * target)
    if fitting is None:
        raise ArithmeticError(f"no grid found whose error is within {target:g}: try a larger --tol")
    return fitting


def _draft(nodes: layout.Layout, bounds: Bounds) -> ModeTable:
    """A table from the quick method, good enough to judge a grid by."""
    m, scale = torch.from_numpy(nodes.loc.copy())[:, None], torch.from_numpy(nodes.scale.copy())[None]
    wide_m, wide_scale = torch.broadcast_tensors(m, scale)
    values = eager.evaluate(wide_m, wide_scale, "exact", None).float()
    return ModeTable(nodes.loc, nodes.scale, _isotone(values.numpy()), {**bounds._asdict(), "tolerance": 1.0})


def _isotone(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove last-bit dips, which rounding leaves where the mode is flat."""
    return np.maximum.accumulate(np.maximum.accumulate(values, axis=0), axis=1)


def _solve(nodes: layout.Layout, solver_name: Solver) -> NDArray[np.float32]:
    values = np.empty((len(nodes.loc), len(nodes.scale)))
    for rows in _row_blocks(len(nodes.loc), len(nodes.scale), "solving", len(nodes.scale)):
        values[rows] = solver.solve_mode(nodes.loc[rows, None], nodes.scale[None], solver=solver_name)
    return values.astype(np.float32)


def largest_error(table: ModeTable, points: int, label: str) -> Found:
    """The largest error of bilinear interpolation over points × points positions in every cell (edges included).

    The interpolation runs in float64 on the file's own values; the truth is the exact method. m = 0 means m → 0+.
    """
    grid = table.grid(torch.float64, torch.device("cpu"))
    bounds = table.bounds
    loc = _spread(table.loc.clip(0.0, bounds.loc_max), points)
    scale = torch.sqrt(_spread(2.0 * table.scale.clip(bounds.scale_min, bounds.scale_max) ** 2, points).flatten() / 2.0)
    scale = scale.clamp(bounds.scale_min, bounds.scale_max)
    worst = Found(0.0, 0.0, 0.0)
    for rows in _row_blocks(len(loc), points * len(scale), label, points * len(scale)):
        m, sigma = torch.broadcast_tensors(loc[rows].reshape(-1, 1), scale[None])
        truth = eager.evaluate(m, sigma, "exact", None)
        error = (eager.evaluate(m, sigma, "bilinear", grid) - truth).abs().flatten()
        i = int(error.argmax())
        if float(error[i]) > worst.error:
            worst = Found(float(error[i]), float(m.flatten()[i]), float(sigma.flatten()[i]))
    return worst


def _spread(nodes: NDArray[np.float64], points: int) -> torch.Tensor:
    """(cells, points): equally spaced positions in every cell, both of its nodes included."""
    low, high = torch.from_numpy(nodes[:-1].copy()), torch.from_numpy(nodes[1:].copy())
    return low[:, None] + (high - low)[:, None] * torch.linspace(0.0, 1.0, points, dtype=torch.float64)


def _row_blocks(rows: int, row_cost: int, label: str, unit: int) -> Iterator[slice]:
    """Slices of rows of about _BLOCK items each, behind a progress bar with rate and remaining time."""
    step = max(1, _BLOCK // row_cost)
    with tqdm(total=rows * unit, desc=label, unit="node", unit_scale=True, leave=False) as bar:
        for first in range(0, rows, step):
            block = slice(first, min(first + step, rows))
            yield block
            bar.update((block.stop - block.start) * unit)


def versions() -> dict[str, str]:
    """Of what a file is made with."""
    from tanhlut import __version__

    return {
        "tanhlut": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "hdf5": h5py.version.hdf5_version,
    }
