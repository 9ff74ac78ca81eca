"""The methods in plain torch operations: the reference formulation, on any device, traceable and exportable."""

import torch
from torch import Tensor

from tanhlut.compute import mlp
from tanhlut.compute.grid import Grid
from tanhlut.compute.mlp import Layers
from tanhlut.formula import tensors
from tanhlut.methods import STEPPED, Method

# What a method computes from: a table, a network, or nothing but the equation.
Source = Grid | Layers | None


def evaluate(loc: Tensor, scale: Tensor, method: Method, source: Source) -> Tensor:
    """The mode on (−1, 1) of float32 or float64 tensors of one shape."""
    text = tensors.of(loc)
    m, s, delta = text.fold(loc.reshape(-1).contiguous(), scale.reshape(-1).contiguous())
    if isinstance(source, Layers):
        y = mlp.evaluate(m, s, delta, source)
    elif source is None:
        y = _stepped(text.rough_start(m, s, delta), m, s, delta)
    else:
        y = source.interpolate(m, delta)
    if method in STEPPED:
        y = _stepped(text.fma(s, y, m), m, s, delta)
    if isinstance(source, Grid) and not source.bounds.whole_plane:
        y = torch.where(
            source.bounds.contain(loc, scale).reshape(-1), y, _stepped(text.rough_start(m, s, delta), m, s, delta)
        )
    result: Tensor = text.signed(y.clamp(0.0, 1.0).reshape(loc.shape), loc)
    return result


def _stepped(x: Tensor, m: Tensor, s: Tensor, delta: Tensor) -> Tensor:
    """After a step from x, and one more in float64."""
    text = tensors.of(m)
    y: Tensor = text.step(x, m, s, delta)
    return text.step(text.fma(s, y, m), m, s, delta) if text is tensors.DOUBLE else y
