"""The largest error of a float32 lookup actually seen: a lower bound of the truth, to hold the proven one against."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tablegen.verify.boxes import Array
from tanhlut import mode
from tanhlut.certificate import enclose_mode
from tanhlut.eager import NETWORK_METHODS, Method
from tanhlut.table import ModeTable

_SPREAD = 4  # floats tried on either side of a candidate, per argument
_RANDOM = 500_000
_BLOCK = 1 << 15  # below the size at which torch starts threads


class Witness(NamedTuple):
    """A float32 query and the error of its answer, proven to be at least this."""

    loc: float
    scale: float
    error: float


def search(table: ModeTable, method: Method, m: Array, delta: Array, seed: int = 0) -> Witness:
    """The worst float32 query among the candidates (m, δ), their neighbours, and random ones over the cells."""
    base_loc, base_scale = m.astype(np.float32), np.sqrt((1.0 + delta) / 2.0).astype(np.float32)
    steps = np.arange(-_SPREAD, _SPREAD + 1, dtype=np.int32)
    locs = _shifted(base_loc[:, None, None], steps[None, :, None])
    scales = _shifted(base_scale[:, None, None], steps[None, None, :])
    near_loc, near_scale = (part.ravel() for part in np.broadcast_arrays(locs, scales))
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(0, n - 1, _RANDOM) for n in (len(table.loc), len(table.scale)))
    some_loc = table.loc[rows] + (table.loc[rows + 1] - table.loc[rows]) * rng.random(_RANDOM)
    some_scale = table.scale[columns] + (table.scale[columns + 1] - table.scale[columns]) * rng.random(_RANDOM)
    return worst_of(
        table,
        method,
        torch.from_numpy(np.concatenate([near_loc, some_loc.astype(np.float32)])),
        torch.from_numpy(np.concatenate([near_scale, some_scale.astype(np.float32)])),
    )


def worst_of(table: ModeTable, method: Method, loc: Tensor, scale: Tensor) -> Witness:
    """The query of float32 tensors whose answer is off most, by the lookups that really run: eager and compiled."""
    worst = Witness(0.0, 0.0, 0.0)
    for backend in ("eager",) if method in NETWORK_METHODS else ("eager", "auto"):
        for i in range(0, len(loc), _BLOCK):
            block = slice(i, i + _BLOCK)
            error = torch.nan_to_num(errors(table, method, loc[block], scale[block], backend)[0])
            k = int(error.argmax())
            if float(error[k]) > worst.error:
                worst = Witness(float(loc[i + k]), float(scale[i + k]), float(error[k]))
    return worst


def errors(
    table: ModeTable, method: Method, loc: Tensor, scale: Tensor, backend: str = "auto"
) -> tuple[Tensor, Tensor]:
    """(at least, at most) |float32 answer − mode| for float32 queries, in float64."""
    y = mode(loc, scale, method=method, table=table, backend=backend).abs().double()
    low, high = enclose_mode(loc.abs().double(), scale.double())
    return torch.maximum(low - y, y - high).clamp(min=0.0), torch.maximum(high - y, y - low)


def _shifted(x: NDArray[np.float32], steps: NDArray[np.int32]) -> NDArray[np.float32]:
    """x moved by whole floats, not below 0."""
    bits: NDArray[np.int32] = np.maximum(x.view(np.int32) + steps, 0).astype(np.int32)
    return bits.view(np.float32)
