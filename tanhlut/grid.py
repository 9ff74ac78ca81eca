"""Where a query falls in a rectilinear table: axis, index, weight and clamping, in torch operations.

The nodes are those of the file; the index is found by bisection, so any increasing axis works. The weight is taken
from the nodes themselves, never from a formula that they are supposed to follow.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tanhlut.formula import tensors
from tanhlut.tracing import apart


class Bounds(NamedTuple):
    """What a table promises to cover: |loc| ≤ loc_max and scale_min ≤ scale ≤ scale_max."""

    loc_max: float
    scale_min: float
    scale_max: float

    @property
    def whole_plane(self) -> bool:
        """Whether no query can fall outside (every loc, every scale ≥ 0)."""
        return self == WHOLE_PLANE

    @property
    def reach(self) -> "Bounds":
        """The widest bounds that a comparison lets in: it is made in the query's dtype, whose nearest number may lie
        beyond the bound. (No float32 lies between a bound and the float32 nearest to it.)"""
        with np.errstate(over="ignore"):
            loc_max, scale_min, scale_max = (float(np.float32(bound)) for bound in self)
        return Bounds(max(self.loc_max, loc_max), min(self.scale_min, scale_min), max(self.scale_max, scale_max))

    def contain(self, loc: Tensor, scale: Tensor) -> Tensor:
        """Element-wise: whether the table answers for (loc, scale); False for NaN."""
        return (loc.abs() <= self.loc_max) & (scale >= self.scale_min) & (scale <= self.scale_max)


WHOLE_PLANE = Bounds(float("inf"), 0.0, float("inf"))


class Axis(NamedTuple):
    """One axis of n + 1 nodes (n cells), as tensors of one dtype on one device."""

    splits: Tensor  # the n − 1 interior nodes
    origin: Tensor  # the n lower nodes of the cells
    per_width: Tensor  # 1 / (width of each cell)
    end: Tensor  # the last node, (1,): torch.compile takes a 0-dim constant for a number that may change

    @classmethod
    def of(cls, nodes: NDArray[np.float64], dtype: torch.dtype, device: torch.device) -> "Axis":
        fine = torch.from_numpy(nodes.copy()).to(dtype)
        per_width = 1.0 / (fine[1:] - fine[:-1])
        parts = (fine[1:-1].clone(), fine[:-1].clone(), per_width, fine[-1:].clone())
        return cls(*(part.to(device) for part in parts))

    def locate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(cell index, weight in [0, 1] of the cell's upper node) of 1-d x; clamped to the ends; NaN weighs NaN."""
        x = torch.minimum(torch.maximum(x, self.origin.select(0, 0)), self.end)
        cell = torch.bucketize(x, self.splits, right=True)
        return cell, (x - self.origin.index_select(0, cell)) * self.per_width.index_select(0, cell)


class Grid(NamedTuple):
    """A table ready for lookups: its two axes (m = |loc| and δ = 2·scale² − 1), its node values and its bounds."""

    loc: Axis
    delta: Axis
    values: Tensor  # float32, (loc nodes · scale nodes), loc-major
    columns: int
    bounds: Bounds

    def interpolate(self, m: Tensor, delta: Tensor) -> Tensor:
        """Bilinear in (m, δ), both 1-d: four loads and three lerps; linear in δ is linear in s = 2·scale²."""
        row, u = self.loc.locate(m)
        column, v = self.delta.locate(delta)
        corner = row * self.columns + column
        y00, y01 = self._load(corner, m), self._load(corner + 1, m)
        y10, y11 = self._load(corner + self.columns, m), self._load(corner + self.columns + 1, m)
        low = y00 + (y01 - y00) * v
        high = y10 + (y11 - y10) * v
        return low + (high - low) * u

    def _load(self, index: Tensor, like: Tensor) -> Tensor:
        return self.values.index_select(0, index).to(like.dtype)


def delta_nodes(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """δ of a table's scale axis, to about two ulp: the axis that is interpolated on."""
    return apart(lambda: tensors.excess(torch.from_numpy(scale.copy())).numpy())  # files are read while torch traces
