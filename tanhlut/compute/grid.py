"""Where a query falls in a rectilinear table: axis, index, weight and clamping, in torch operations.

The nodes are those of the file; the index is found by bisection, so any increasing axis works. The weight is taken
from the nodes themselves, never from a formula that they are supposed to follow.
"""

import math
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from tanhlut.file.axes import delta_nodes
from tanhlut.file.bounds import Bounds
from tanhlut.tracing import onnx_traced

if TYPE_CHECKING:
    from tanhlut.file.table import ModeTable


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
        cell = counted(x, self.splits) if onnx_traced() else torch.bucketize(x, self.splits, right=True)
        return cell, (x - self.origin.index_select(0, cell)) * self.per_width.index_select(0, cell)


def counted(x: Tensor, splits: Tensor) -> Tensor:
    """`torch.bucketize(x, splits, right=True)` of finite splits in operations that ONNX has.

    The splits in rows of some √n: the rows that lie wholly at or below x are counted, then what of the next one does.
    """
    width = math.isqrt(len(splits)) + 1
    rows = pad(splits, (0, width * width - len(splits)), value=math.inf).reshape(width, width)
    x = x.unsqueeze(1)
    row = (rows[:, -1] <= x).sum(1)
    return row * width + (rows.index_select(0, row) <= x).sum(1)


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


def grid_of(table: "ModeTable", dtype: torch.dtype, device: torch.device) -> Grid:
    """The table as tensors for arithmetic in `dtype` on `device`; made once for each pair."""

    def make() -> Grid:
        return Grid(
            Axis.of(table.loc, dtype, device),
            Axis.of(delta_nodes(table.scale), dtype, device),
            torch.from_numpy(table.values.copy()).flatten().to(device),
            len(table.scale),
            table.bounds,
        )

    return cast(Grid, table.forms((dtype, device), make))
