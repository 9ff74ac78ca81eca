"""The methods in plain torch operations: the reference formulation, on any device, traceable and exportable.

    bilinear   the table's four corners, interpolated              error: the table's tolerance
    refined    bilinear, then Halley                               as good as exact
    exact      closed-form start, then Halley; no table            as good as exact, for any (loc, scale)

Halley steps are fixed in number, so the cost is the same everywhere. Worst start, over the plane, in relative error:
a table cell 0.14 (deep octaves, which only float64 inputs reach; 0.021 elsewhere), the closed form 0.23. A step cubes
it: float32 needs 1 after a table and 2 after the closed form, float64 2 and 3. Largest errors seen in docs/accuracy.md.
"""

from typing import Literal

import torch
from torch import Tensor

from tanhlut import equation
from tanhlut.grid import Grid

Method = Literal["bilinear", "refined", "exact"]
METHODS: tuple[Method, ...] = ("bilinear", "refined", "exact")

STEPS_AFTER_TABLE = {torch.float32: 1, torch.float64: 2}
STEPS_AFTER_CLOSED_FORM = {torch.float32: 2, torch.float64: 3}

# No float32 answer of the method "exact", for any loc and any scale > 0, is further than this from the mode:
# proven by tablegen.verify.exact over the whole half-plane, which tests/test_verify.py repeats.
EXACT_BOUND = 4.2e-7


def evaluate(loc: Tensor, scale: Tensor, method: Method, grid: Grid | None) -> Tensor:
    """The mode on (−1, 1) of float32 or float64 tensors of one shape; `grid` is not needed for ``"exact"``."""
    m, s, delta = equation.fold(loc.reshape(-1).contiguous(), scale.reshape(-1).contiguous())
    if grid is None:
        y = _exact(m, s, delta)
    else:
        y = grid.interpolate(m, delta)
        if method == "refined":
            y = _halley(y, m, s, delta, STEPS_AFTER_TABLE[loc.dtype])
        if not grid.bounds.whole_plane:
            y = torch.where(grid.bounds.contain(loc, scale).reshape(-1), y, _exact(m, s, delta))
    return equation.unfold(y.reshape(loc.shape), loc)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of the arithmetic: float64 for itself, float32 for the rest."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _exact(m: Tensor, s: Tensor, delta: Tensor) -> Tensor:
    return _halley(equation.closed_form_start(m, delta), m, s, delta, STEPS_AFTER_CLOSED_FORM[m.dtype])


def _halley(y: Tensor, m: Tensor, s: Tensor, delta: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        y = equation.halley_step(y, m, s, delta)
    return y
