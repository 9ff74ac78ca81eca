"""Where accuracy is tested: float32-exact (loc ≥ 0, scale) points that follow the regions of the equation."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oracle import Floats
from tablegen.verify.cells import exact_delta
from tanhlut import ModeTable

Sample = Callable[..., tuple[Floats, Floats]]  # of n and seed


def uniform(n: int, seed: int) -> tuple[Floats, Floats]:
    """The everyday box: |loc| up to 6, scale up to 2.2."""
    rng = np.random.default_rng(seed)
    return _float32(rng.uniform(0, 6, n)), _float32(rng.uniform(0, 2.2, n))


def cusp(n: int, seed: int) -> tuple[Floats, Floats]:
    """Concentrated at loc = 0, scale = 1/√2, on its self-similar scale m ~ |δ|^1.5 and away from it."""
    rng = np.random.default_rng(seed)
    delta = 10.0 ** rng.uniform(-8, 0, n) * rng.choice([-1, 1], n)
    m = np.abs(delta) ** 1.5 * 10.0 ** rng.uniform(-6, 6, n)
    return _float32(np.minimum(m, 30)), _float32(np.sqrt((1 + delta) / 2))


def jump(n: int, seed: int) -> tuple[Floats, Floats]:
    """loc = 0 and its nearest neighbours, scale on both sides of 1/√2."""
    rng = np.random.default_rng(seed)
    tiny = 10.0 ** rng.uniform(-45, -3, n)
    return _float32(np.where(rng.random(n) < 0.3, 0.0, tiny)), _float32(rng.uniform(0.5, 1.5, n))


def exponents(n: int, seed: int) -> tuple[Floats, Floats]:
    """Every float32 exponent of loc against every exponent of scale, subnormals included."""
    rng = np.random.default_rng(seed)
    loc, scale = (np.exp2(rng.uniform(-149, 128, n)) for _ in range(2))
    return _float32(loc), _float32(scale)


def cusp_float64(n: int, seed: int) -> tuple[Floats, Floats]:
    """The cusp at the resolution of float64: |δ| from 2^-52, not float32-exact."""
    rng = np.random.default_rng(seed)
    delta = 2.0 ** rng.uniform(-53, 0, n) * rng.choice([-1, 1], n)
    m = np.abs(delta) ** 1.5 * 10.0 ** rng.uniform(-8, 8, n)
    return np.minimum(m, 30), np.sqrt((1 + delta) / 2)


def _float32(values: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.minimum(values.astype(np.float32), np.finfo(np.float32).max).astype(np.float64)


def hard_queries(table: ModeTable, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Float32 queries in every kind of place: interiors, edges and corners of cells, one float either side of them,
    m = 0 and subnormal, the neighbours of scale = 1/√2, the refinement's seam x = 1.25, beyond both axes."""
    rng = np.random.default_rng(seed)
    delta = exact_delta(table.scale)
    i, j = rng.integers(0, len(table.loc) - 1, count), rng.integers(0, len(delta) - 1, count)
    u, v = (np.where(rng.random(count) < 0.4, rng.choice([0.0, 0.5, 1.0], count), rng.random(count)) for _ in range(2))
    spot = delta[j] + (delta[j + 1] - delta[j]) * v
    loc, scale = table.loc[i] + (table.loc[i + 1] - table.loc[i]) * u, np.sqrt((1.0 + spot) / 2.0)
    k = count // 20
    loc[:k] = 0.0
    loc[k : 2 * k] = np.exp(rng.uniform(-100, -80, k))
    loc[2 * k : 3 * k] = np.exp(rng.uniform(2, 80, k))
    scale[3 * k : 4 * k] = np.exp(rng.uniform(0, 80, k))
    scale[4 * k : 5 * k] = np.exp(rng.uniform(-80, -1, k))
    scale[5 * k : 6 * k] = np.sqrt(0.5)
    scale[6 * k : 7 * k] = rng.uniform(0, 0.85, k)
    loc[6 * k : 7 * k] = 1.25 - 2.0 * scale[6 * k : 7 * k] ** 2 * np.tanh(1.25)
    loc32 = _moved_by(loc.astype(np.float32), rng.integers(-2, 3, count).astype(np.int32))
    scale32 = _moved_by(scale.astype(np.float32), rng.integers(-2, 3, count).astype(np.int32))
    return torch.from_numpy(loc32), torch.from_numpy(scale32)


def _moved_by(bits: NDArray[np.float32], steps: NDArray[np.int32]) -> NDArray[np.float32]:
    """Moved by whole floats, not below 0."""
    result: NDArray[np.int32] = np.maximum(bits.view(np.int32) + steps, 0).astype(np.int32)
    return result.view(np.float32)
