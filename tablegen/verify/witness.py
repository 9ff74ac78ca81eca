"""The largest error of a float32 lookup actually seen: a lower bound of the truth, to hold the proven one against.

Queries from every kind of place, on every backend that runs here; then the worst climb over their float32 neighbours,
since at the size of a rounding the error is rugged and its peaks are single floats. An answer that is NaN or outside
[−1, 1] is an error of infinity: no bound holds for a file that gives one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tablegen.verify.boxes import Array
from tanhlut import mode
from tanhlut.certificate import enclose_mode
from tanhlut.compute import available
from tanhlut.file.table import ModeTable
from tanhlut.formula.coefficients import DOUBLE, SEAM, SINGLE
from tanhlut.methods import COMPILED, Method

Floats = NDArray[np.float32]

_SPREAD = 4  # floats tried on either side of a candidate, per argument
_MOST, _FEWEST = 300_000, 30_000  # queries over the cells, as many over all exponents, a tenth at each kind of edge
_ROUNDS, _TRIES, _PER_CLIMBER = 40, 24, 2400
_FARTHEST = 12  # a climber's steps are up to 2^12 floats wide
_BLOCK = 1 << 15  # below the size at which torch starts threads


class Witness(NamedTuple):
    """A float32 query and the error of its answer, proven to be at least this."""

    loc: float
    scale: float
    error: float


def search(table: ModeTable, method: Method, m: Array, delta: Array, seed: int = 0, size: int | None = None) -> Witness:
    """The worst float32 query found: from the candidates (m, δ), edges, seams and random places, by climbing.

    `size`: about how many random queries of each kind; by default one a node, within limits.
    """
    size = min(max(table.values.size, _FEWEST), _MOST) if size is None else size
    rng = np.random.default_rng(seed)
    loc, scale = (
        torch.from_numpy(np.concatenate(parts)) for parts in zip(*_queries(table, m, delta, size, rng), strict=True)
    )
    mode_there = _enclosed(loc, scale)
    worst = Witness(0.0, 0.0, 0.0)
    for backend in backends(table, method):
        error = _seen(table, method, loc, scale, mode_there, backend)
        # Every fourth: neighbours climb alike.
        start = torch.argsort(error, descending=True)[: 4 * (size // _PER_CLIMBER) : 4]
        start = torch.cat([error.argmax()[None], start])
        found = _climb(table, method, loc[start], scale[start], error[start], backend, rng)
        worst = max(worst, found, key=lambda witness: witness.error)
    return worst


def some_queries(table: ModeTable, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Float32 (loc, scale) of every kind that `search` tries, on both sides."""
    parts = _queries(table, np.zeros(0), np.zeros(0), count, rng)
    loc, scale = (np.concatenate(part) for part in zip(*parts, strict=True))
    picked = rng.integers(0, len(loc), count)
    return np.copysign(loc[picked], rng.choice([-1.0, 1.0], count).astype(np.float32)), scale[picked]


def backends(table: ModeTable, method: Method) -> list[str]:
    """The backends that serve this table and method here."""
    if method not in COMPILED:
        return ["eager"]
    served: list[str] = []
    hardware = (
        torch.cuda.is_available()
    )  # Triton's interpreter has the cpu kernel's bits (tests/compute/test_gpu.py), slowly
    for name in available.NAMES if hardware else ("eager", "cpu"):
        sample = torch.ones(1, device=device_of(name))
        try:
            mode(sample, sample, method=method, table=table, backend=name)
        except (ValueError, ImportError, RuntimeError):
            continue
        served.append(name)
    return served


def errors(
    table: ModeTable, method: Method, loc: Tensor, scale: Tensor, backend: str = "auto"
) -> tuple[Tensor, Tensor]:
    """(at least, at most) |float32 answer − mode| for float32 queries, in float64; infinite where it is none."""
    low, high = enclose_mode(loc.abs().double(), scale.double())
    y = _answers(table, method, loc, scale, backend)
    return torch.maximum(low - y, y - high).clamp(min=0.0), torch.maximum(high - y, y - low)


def _answers(table: ModeTable, method: Method, loc: Tensor, scale: Tensor, backend: str) -> Tensor:
    """Of a backend, folded to loc's side; infinite where not in [−1, 1]."""
    device = device_of(backend)
    y = mode(loc.to(device), scale.to(device), method=method, table=table, backend=backend).cpu().double()
    y = torch.where(torch.signbit(loc), -y, y)
    return torch.where(y.abs() <= 1.0, y, torch.inf)


def _seen(
    table: ModeTable, method: Method, loc: Tensor, scale: Tensor, mode_there: tuple[Tensor, Tensor], backend: str
) -> Tensor:
    """The error at queries with loc ≥ 0, proven to be at least this; every other one is asked on the side loc < 0."""
    side = torch.ones_like(loc)
    side[1::2] = -1.0
    blocks = zip((loc * side).split(_BLOCK), scale.split(_BLOCK), strict=True)
    y = torch.cat([_answers(table, method, a, b, backend) for a, b in blocks])
    low, high = mode_there
    return torch.maximum(low - y, y - high).clamp(min=0.0)


def _enclosed(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    blocks = zip(loc.double().split(_BLOCK), scale.double().split(_BLOCK), strict=True)
    low, high = zip(*(enclose_mode(*block) for block in blocks), strict=True)
    return torch.cat(low), torch.cat(high)


def device_of(backend: str) -> str:
    """Where a backend's tensors lie."""
    return "cuda" if backend == "gpu" and torch.cuda.is_available() else "cpu"


def _climb(
    table: ModeTable,
    method: Method,
    loc: Tensor,
    scale: Tensor,
    error: Tensor,
    backend: str,
    rng: np.random.Generator,
) -> Witness:
    """Each climber tries neighbours, near and far, and moves to the worst of them."""
    loc, scale, error = loc.clone(), scale.clone(), error.clone()
    shape = (len(loc), _TRIES)
    for _ in range(_ROUNDS):
        steps = [
            (rng.choice([-1, 1], shape) * np.exp2(rng.uniform(0, _FARTHEST, shape)) * (rng.random(shape) < 0.8))
            for _ in range(2)
        ]
        tried = [
            torch.from_numpy(_shifted(part.numpy()[:, None], step.astype(np.int32)))
            for part, step in zip((loc, scale), steps, strict=True)
        ]
        flat = tried[0].flatten(), tried[1].flatten()
        found = _seen(table, method, *flat, _enclosed(*flat), backend).view(shape)
        best, k = found.max(dim=1)
        better = best > error
        loc = torch.where(better, tried[0].gather(1, k[:, None])[:, 0], loc)
        scale = torch.where(better, tried[1].gather(1, k[:, None])[:, 0], scale)
        error = torch.where(better, best, error)
    i = int(error.argmax())
    return Witness(float(loc[i]), float(scale[i]), float(error[i]))


def _queries(
    table: ModeTable, m: Array, delta: Array, size: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """Where to look: around the candidates, all over, at every edge and seam, and beyond the axes."""
    steps = np.arange(-_SPREAD, _SPREAD + 1, dtype=np.int32)
    locs = _shifted(m.astype(np.float32)[:, None, None], steps[None, :, None])
    scales = _shifted(_scale_at(delta)[:, None, None], steps[None, None, :])
    near_loc, near_scale = (part.ravel() for part in np.broadcast_arrays(locs, scales))
    yield near_loc, near_scale
    # Cells alike, corners as often as interiors; and everything that a float32 can be.
    yield _within(table.loc, size, rng), _within(table.scale, size, rng)
    yield tuple(np.exp2(rng.uniform(-149, 10, size)).astype(np.float32) for _ in range(2))  # type: ignore[misc]
    few = size // 10
    edges_loc, edges_scale = _edges(table)
    some_loc = np.concatenate([_within(table.loc, few, rng), np.exp2(rng.uniform(-149, 7, few)).astype(np.float32)])
    some_scale = np.concatenate([_within(table.scale, few, rng), np.exp2(rng.uniform(-30, 3, few)).astype(np.float32)])
    yield rng.choice(edges_loc, 2 * few), some_scale
    yield some_loc, rng.choice(edges_scale, 2 * few)
    yield tuple(part.ravel() for part in np.meshgrid(edges_loc, edges_scale))  # type: ignore[misc]
    # The Halley step's seam.
    start = SEAM - 2.0 * some_scale.astype(np.float64) ** 2 * np.tanh(SEAM)
    at_seam = start > 0
    yield _shifted(start[at_seam].astype(np.float32), rng.integers(-3, 4, at_seam.sum())), some_scale[at_seam]


def _edges(table: ModeTable) -> tuple[Floats, Floats]:
    """Numbers of loc and scale at which something begins or ends, with their neighbours."""
    bounds = table.bounds
    extremes = [0.0, 2.0**-149, 2.0**-127, 2.0**-126, 2.0**-60, 1e30, float(np.finfo(np.float32).max), np.inf]
    loc = [*extremes, *table.loc[:3], *table.loc[-3:], bounds.loc_max]
    loc += [DOUBLE.loc_saturation, SINGLE.loc_saturation]
    scale = [*extremes, *table.scale[:3], *table.scale[-3:], bounds.scale_min, bounds.scale_max]
    scale += [0.5**0.5, DOUBLE.scale_saturation, SINGLE.scale_saturation]
    steps = np.arange(-3, 4, dtype=np.int32)
    with np.errstate(over="ignore"):
        wide = [np.array(part).astype(np.float32)[:, None] for part in (loc, scale)]
    return _shifted(wide[0], steps[None]).ravel(), _shifted(wide[1], steps[None]).ravel()


def _within(nodes: Array, count: int, rng: np.random.Generator) -> Floats:
    """In cells chosen alike: half of them anywhere, the rest at a node or one float beside it."""
    k = rng.integers(0, len(nodes) - 1, count)
    share = np.where(rng.random(count) < 0.5, rng.random(count), rng.integers(0, 2, count))
    spot = (nodes[k] + (nodes[k + 1] - nodes[k]) * share).astype(np.float32)
    return _shifted(spot, rng.integers(-1, 2, count))


def _scale_at(delta: Array) -> Floats:
    return np.sqrt((1.0 + delta) / 2.0).astype(np.float32)


def _shifted(x: Floats, steps: NDArray[np.integer]) -> Floats:
    """x ≥ 0 moved by whole floats, not below 0, not beyond infinity."""
    bits = np.clip(x.view(np.int32).astype(np.int64) + steps, 0, 0x7F800000).astype(np.int32)
    return bits.view(np.float32)
