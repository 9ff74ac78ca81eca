"""The methods in plain torch operations: the reference formulation, on any device, traceable and exportable.

    bilinear      the table's four corners, interpolated                 error: the table's tolerance
    refined       bilinear, then Halley                                  as good as exact
    exact         closed-form start, then Halley; no table               as good as exact, for any (loc, scale)
    mlp           the distilled network (tanhlut.mlp); no gather         error: the network's tolerance
    mlp_refined   mlp, then Halley                                       as good as exact

Halley steps are fixed in number, so the cost is the same everywhere. Worst start, over the plane, in relative error:
a table cell 0.14 (deep octaves, which only float64 inputs reach; 0.021 elsewhere), the closed form 0.23, the network
2e-3. A step cubes it: float32 needs 1 after a table or a network and 2 after the closed form, float64 2 and 3. Largest
errors seen in docs/accuracy.md.
"""

from typing import Literal

import torch
from torch import Tensor

from tanhlut import equation, mlp
from tanhlut.grid import Grid
from tanhlut.mlp import Layers

Method = Literal["bilinear", "refined", "exact", "mlp", "mlp_refined"]
COMPILED: tuple[Method, ...] = ("bilinear", "refined", "exact")  # those that have kernels, in the kernels' numbering
NETWORK_METHODS: tuple[Method, ...] = ("mlp", "mlp_refined")
METHODS: tuple[Method, ...] = (*COMPILED, *NETWORK_METHODS)
REFINED: dict[Method, Method] = {"bilinear": "refined", "mlp": "mlp_refined"}  # with a Halley step behind it

STEPS_AFTER_START = {torch.float32: 1, torch.float64: 2}
STEPS_AFTER_CLOSED_FORM = {torch.float32: 2, torch.float64: 3}

# No float32 answer of the method "exact", for any loc and any scale > 0, is further than this from the mode:
# proven by tablegen.verify.exact over the whole half-plane, which tests/test_verify.py repeats.
EXACT_BOUND = 4.2e-7

# What a method computes from: a table, a network, or nothing but the equation.
Source = Grid | Layers | None


def evaluate(loc: Tensor, scale: Tensor, method: Method, source: Source) -> Tensor:
    """The mode on (−1, 1) of float32 or float64 tensors of one shape."""
    m, s, delta = equation.fold(loc.reshape(-1).contiguous(), scale.reshape(-1).contiguous())
    if isinstance(source, Layers):
        y = mlp.evaluate(m, s, delta, source)
    elif source is None:
        y = _exact(m, s, delta)
    else:
        y = source.interpolate(m, delta)
    if method in REFINED.values():
        y = _halley(y, m, s, delta, STEPS_AFTER_START[loc.dtype])
    if isinstance(source, Grid) and not source.bounds.whole_plane:
        y = torch.where(source.bounds.contain(loc, scale).reshape(-1), y, _exact(m, s, delta))
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
