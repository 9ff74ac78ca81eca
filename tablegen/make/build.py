"""From bounds and a tolerance to a table: choose the grid, solve every node, gate, measure."""

import json
import platform
from collections.abc import Callable, Iterator
from typing import NamedTuple

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from tablegen.make import layout
from tanhlut import solver
from tanhlut.compute.general import squashed_mode
from tanhlut.file.axes import delta_nodes
from tanhlut.file.bounds import Bounds
from tanhlut.file.table import ModeTable
from tanhlut.solver import Solver

# The grid is designed for this share of the tolerance, less the a-priori rounding of a float32 lookup (7·2^-24), so
# that a proof with a little slack of its own still fits under the claim. Of rounding the proof charges 4.6·2^-24 where
# cells are small, up to 7.3·2^-24 on the coarsest grids, whatever the bounds.
DESIGN_SHARE = 0.95
ROUNDING = 7 * 2.0**-24
FINEST_TOLERANCE = 2e-6
START_TOLERANCE = 1e-3  # of what "refined" starts from: at 4e-3 only 4.193e-7 is proven, for a quarter fewer bytes
COARSEST_TOLERANCE = 0.01  # what the sparsest grid that refinement can start from gives anyway

# From so many nodes on, solving and proving take a while: with the solver adam, on 2 cores, so long for each.
MANY_NODES = 1_000_000
SECONDS_A_NODE, BYTES_A_NODE = 20e-6, 600  # measured on 5.3 million nodes, of which the proof wants most

Array = NDArray[np.float64]

_MOST_FITS, _MOST_DESIGNS = 4, 30  # one and six, with luck

_BLOCK = 1 << 18  # nodes or points at a time: working memory of a few hundred MB, whatever the table


class Found(NamedTuple):
    """The largest |bilinear − mode| seen, and where. Seen, not proven."""

    error: float
    loc: float
    scale: float


def check_request(bounds: Bounds, tolerance: float) -> None:
    """ValueError, saying what is allowed, unless a table for this can be built."""
    if not bounds.loc_max > 0:
        raise ValueError(f"--loc-max {bounds.loc_max!r} is not allowed: give a number > 0, or inf for every loc")
    if not 0 <= bounds.scale_min < bounds.scale_max:
        raise ValueError(
            f"--scale-min {bounds.scale_min!r} --scale-max {bounds.scale_max!r} is not allowed: "
            "give 0 ≤ min < max (max may be inf)"
        )
    if not FINEST_TOLERANCE <= tolerance <= COARSEST_TOLERANCE:
        raise ValueError(
            f"--tol {tolerance!r} cannot be met: give {FINEST_TOLERANCE:g} to {COARSEST_TOLERANCE:g} "
            "(below it float32 interpolation drowns in rounding; the methods refined and exact need no finer table)"
        )


def build(
    bounds: Bounds,
    tolerance: float,
    solver_name: Solver,
    command: str,
    announce: Callable[[str], None] = lambda line: None,
) -> tuple[ModeTable, Found]:
    """A table for `bounds` whose largest error found is within `tolerance`, and that error.

    `announce` is told beforehand, in one line, of a table that takes minutes.

    Raises:
        ValueError: the request is not allowed (`check_request`).
        ArithmeticError: a node failed its proof, or the tolerance could not be met.
    """
    bounds = Bounds(*map(float, bounds))
    check_request(bounds, tolerance)
    target = DESIGN_SHARE * tolerance - ROUNDING
    design = layout.design(bounds)
    if (expected := design.layout(target).nodes) > MANY_NODES:
        announce(
            f"about {expected / 1e6:.1f} million nodes, {4e-6 * expected:.0f} MB: solving and proving them takes "
            f"some {expected * SECONDS_A_NODE / 60:.0f} minutes and {expected * BYTES_A_NODE / 1e9:.0f} GB of memory"
        )
    metadata: dict[str, float | str] = {
        **bounds._asdict(),
        "tolerance": tolerance,
        "solver": solver_name,
        "solver_settings": json.dumps({"bracket": solver.BRACKET, **(solver.ADAM if solver_name == "adam" else {})}),
        "versions": json.dumps(versions()),
        "command": command,
        "start_tolerance": START_TOLERANCE,
    }
    aim = target
    for _ in range(_MOST_FITS):
        nodes = _fitting_layout(design, aim)
        table = ModeTable(nodes.loc, nodes.scale, _solve(nodes, solver_name), metadata)  # finite, in range, monotone
        found = largest_error(table, 5, "checking")
        if found.error <= target:
            return table, found
        aim *= 0.99 * target / found.error  # few points do not always see the largest error
    raise ArithmeticError(f"the finished table is off by {found.error:g} at {found}, over {target:g}: not written")


def _fitting_layout(design: layout.Design, target: float) -> layout.Layout:
    """The design rule is approximate: measure what it gives, and ask it for more or less until that fits."""
    asked = target
    fitting = measured = None
    error = 0.0
    for step in range(_MOST_DESIGNS):
        nodes = design.layout(asked)
        if measured is None or not nodes.equals(measured):
            measured, error = nodes, largest_error(_draft(nodes, design.bounds), 3, "fitting the grid").error
        if error <= target and (fitting is None or nodes.nodes < fitting.nodes):
            fitting = nodes
        if 0.97 * target <= error <= target or (step >= 5 and fitting is not None):
            break
        asked *= 0.99 * target / max(error, 0.1 * target)
    if fitting is None:
        raise ArithmeticError(f"no grid found whose error is within {target:g}: try a larger --tol")
    return fitting


def _draft(nodes: layout.Layout, bounds: Bounds) -> ModeTable:
    """A table from the quick method, good enough to judge a grid by."""
    values = np.empty((len(nodes.loc), len(nodes.scale)), np.float32)
    for rows in _row_blocks(len(nodes.loc), len(nodes.scale), "laying out"):
        values[rows] = _exact(nodes.loc[rows], nodes.scale)
    return ModeTable(nodes.loc, nodes.scale, _isotone(values), {**bounds._asdict(), "tolerance": 1.0})


def _exact(loc: Array, scale: Array) -> Array:
    """The mode by the method "exact" at every pair, (len(loc), len(scale))."""
    pair = torch.from_numpy(loc.copy())[:, None], torch.from_numpy(scale.copy())[None]
    return squashed_mode(*pair, "exact", None, "auto").numpy()


def _isotone(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove last-bit dips, which rounding leaves where the mode is flat."""
    return np.maximum.accumulate(np.maximum.accumulate(values, axis=0), axis=1)


def _solve(nodes: layout.Layout, solver_name: Solver) -> NDArray[np.float32]:
    values = np.empty((len(nodes.loc), len(nodes.scale)))
    for rows in _row_blocks(len(nodes.loc), len(nodes.scale), "solving"):
        values[rows] = solver.solve_mode(nodes.loc[rows, None], nodes.scale[None], solver=solver_name)
    return values.astype(np.float32)


def largest_error(table: ModeTable, points: int, label: str) -> Found:
    """The largest error of bilinear interpolation over points × points positions in every cell (edges included).

    The interpolation runs in float64 on the file's own values; the truth is the exact method. m = 0 means m → 0+.
    """
    bounds = table.bounds.reach
    loc = _spread(table.loc, 0.0, bounds.loc_max, points)
    # Equally spaced in scale², at the float64 scales that there are.
    low, high = (min(end, layout.LARGEST_SCALE) ** 2 for end in bounds[1:])
    scale = np.sqrt(_spread(table.scale**2, low, high, points)).clip(bounds.scale_min, bounds.scale_max)
    row, u = _place(loc, table.loc)
    column, v = _place(delta_nodes(scale), delta_nodes(table.scale))
    worst = Found(-1.0, 0.0, 0.0)
    for rows in _row_blocks(len(loc), len(scale), label):
        truth = _exact(loc[rows], scale)
        y0, y1 = (_along(table.values[row[rows] + k].astype(np.float64), column, v) for k in (0, 1))
        error = np.abs(y0 + (y1 - y0) * u[rows, None] - truth)
        i, j = np.unravel_index(int(error.argmax()), error.shape)
        if error[i, j] > worst.error:
            worst = Found(float(error[i, j]), float(loc[rows][i]), float(scale[j]))
    return worst


def _spread(nodes: Array, low: float, high: float, points: int) -> Array:
    """Equally spaced positions in every cell, both of its nodes included, as far as they lie in [low, high]; its ends.

    Spaced in the whole cell, so that its middle, where the error peaks, is among them also where the bounds cut it.
    """
    width = np.diff(nodes)[:, None]
    return np.unique(np.append(nodes[:-1, None] + width * np.linspace(0.0, 1.0, points), nodes[-1]).clip(low, high))


def _place(x: Array, nodes: Array) -> tuple[NDArray[np.intp], Array]:
    """(cell, weight of its upper node) of increasing x, clamped to the ends as lookups are."""
    cell = np.searchsorted(nodes[1:-1], x, side="right")
    return cell, ((x - nodes[cell]) / (nodes[cell + 1] - nodes[cell])).clip(0.0, 1.0)


def _along(values: Array, column: NDArray[np.intp], weight: Array) -> Array:
    """Rows of values interpolated at places along them."""
    low = values[:, column]
    return np.asarray(low + (values[:, column + 1] - low) * weight)


def _row_blocks(rows: int, columns: int, label: str) -> Iterator[slice]:
    """Slices of rows of about _BLOCK items each, behind a progress bar with rate and remaining time."""
    step = max(1, _BLOCK // columns)
    with tqdm(total=rows * columns, desc=label, unit="node", unit_scale=True, leave=False) as bar:
        for first in range(0, rows, step):
            block = slice(first, min(first + step, rows))
            yield block
            bar.update((block.stop - block.start) * columns)


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
