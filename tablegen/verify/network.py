"""`verify_network`: a proven bound of the network's error over the whole half-plane, in float32 as it really runs.

The chart (`tablegen.verify.chart`) makes the half-plane a square. On a box of it the difference f = ŷ − y of network
and mode is enclosed by the mean-value form: f at the centre, where the mode is enclosed by a sign change, plus the
interval of its gradient times the box's half-widths. Near the cusp, and where the mode saturates, the plain difference
of the two ranges is better, and taken. What float32 rounding adds (`forward`) is bounded once for each of 64 × 64
cells.
Boxes whose sum of both exceeds the largest at any centre by more than CLOSE_ENOUGH are quartered.

For "mlp_refined" the error of the start is also bounded relative to the mode, by RELATIVE or so: above v = STRIP by
quartering until it is, below it from y/X ∈ [1 − X²/3, 1 + X²/29] (chart: P ≤ y ≤ P + g/D(X), D(X) ≥ 0.65·X² there) and
b/X ∈ [1 − X²/2, 1]. Then `halley.step_error` bounds the step, over the half-plane in (m, δ) like the method "exact".
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from tablegen.verify import exact, premises, witness
from tablegen.verify.boxes import SLACK, Array, Boxes, corners, slope_minimum
from tablegen.verify.chart import DEPTH, Interval, Squares, gradient, mode_on_chart, plane_of, unit_square
from tablegen.verify.forward import Numbers, base_of, base_slope, numbers_of, over, rounding
from tablegen.verify.halley import from_y, step_error
from tablegen.verify.refine import Flags, Indices, largest, quarter_until
from tablegen.verify.witness import Witness
from tanhlut.file.network import Network
from tanhlut.file.table import ModeTable
from tanhlut.methods import NETWORK_METHODS, Method

ASSUMPTIONS = (
    "IEEE 754 float32 and float64, rounded to nearest, subnormals kept or flushed",
    "torch.log in float64 within 2 ulp (measured 0.5); for mlp_refined torch.exp in float32 within 4·2^-24",
    "four Newton steps leave the chart's root within 3e-10 (measured over the half-plane)",
    "the lookup runs the operations of tanhlut.compute.mlp and equation; fused multiply-adds are allowed",
    "float64 formulas of a few dozen operations are within 1e-12 of exact ones, which every bound is given",
)

CLOSE_ENOUGH = 1.01
RELATIVE = 0.01
STRIP = 2.0**-9
_CELLS = 64
_LEVELS = DEPTH - 6  # halvings that keep corners within DEPTH bits
_BLOCK = 1 << 14
_MOST_BOXES = 4_000_000  # of a group
_KEPT = 64
_GROUP = 256  # cells settled at a time: what bounds the memory
_SEARCH = 256  # squared: centres tried first, so that it is known early what is small enough

Progress = Callable[[int], None]


@dataclass(frozen=True)
class NetworkVerification:
    """What was proven of a network, and what was seen.

    Attributes:
        method: "mlp" or "mlp_refined".
        bound: no float32 answer, for any loc and any scale > 0, is further than this from the mode.
        network_error: the part of it that is not the rounding of the network's own evaluation.
        relative: bound of the network's error relative to the mode, which a Halley step starts from.
        witness: a query whose answer is really that far off; ratio: bound / witness.error.
        parameters: of the network.
        boxes: how many were examined; seconds: how long it took.
        cell_bounds: (64, 64), the bound of "mlp" per cell of the chart, v-major.
        broken: a premise that does not hold of the program that runs here (`premises`), or None.
        assumptions: what the proof takes for granted.
    """

    method: Method
    bound: float
    network_error: float
    relative: float
    witness: Witness
    ratio: float
    parameters: int
    boxes: int
    seconds: float
    cell_bounds: Array
    broken: str | None
    assumptions: tuple[str, ...] = ASSUMPTIONS


class Outcome(NamedTuple):
    """Of branch and bound: bound per cell, its largest without rounding, relative bound, worst centres, boxes, time."""

    cells: Array
    network_error: float
    relative: float
    m: Array
    delta: Array
    examined: int
    seconds: float


class Judged(NamedTuple):
    """Of each box: |f| at most, |f| at the centre at least, the mode's range."""

    error: Array
    seen: Array
    y: Interval


def verify_network(
    table: ModeTable,
    method: Method,
    *,
    progress: Progress = lambda boxes: None,
    begun: "Outcome | None" = None,
) -> NetworkVerification:
    """Prove a bound of "mlp" or "mlp_refined" with the table's network; `begun`: its `branch_and_bound`, if there.

    Raises:
        ValueError: the table holds no network, or the method is another.
    """
    if table.network is None or method not in NETWORK_METHODS:
        raise ValueError(f"method {method!r} cannot be verified: the table holds no network, or it needs none")
    started = time.perf_counter()
    found = begun or branch_and_bound(table.network, progress)
    bound, boxes = float(found.cells.max()), found.examined
    if method == "mlp_refined":
        sup = bound

        def box_error(part: Boxes) -> Array:
            return _refined(part, sup, found.relative)

        bound, more = exact.over_half_plane(box_error, None, progress)
        boxes += more
    seen = witness.search(table, method, found.m, found.delta)
    return NetworkVerification(
        method=method,
        bound=bound,
        network_error=found.network_error,
        relative=found.relative,
        witness=seen,
        ratio=bound / seen.error if seen.error > 0 else np.inf,
        parameters=table.network.parameters,
        boxes=boxes,
        seconds=time.perf_counter() - started + (begun.seconds if begun else 0.0),
        cell_bounds=found.cells.reshape(_CELLS, _CELLS),
        broken=premises.broken(table, method),
    )


def branch_and_bound(network: Network, progress: Progress = lambda boxes: None) -> Outcome:
    """Bounds of |network − mode| over the chart, float32 rounding included."""
    started = time.perf_counter()
    numbers = numbers_of(network.weights, network.biases)
    boxes = unit_square(_CELLS)
    noise = rounding(boxes, numbers, over(boxes, numbers))
    off, v, rho = _at_centres(unit_square(_SEARCH), numbers)
    kept: list[tuple[Array, ...]] = [largest(off, v, rho)]
    target = float((off + noise[(v * _CELLS).astype(int) * _CELLS + (rho * _CELLS).astype(int)]).max())
    cells, examined, network_error, relative = np.zeros(len(noise)), 0, 0.0, _strip(numbers)
    for first in range(0, len(noise), _GROUP):
        group = np.arange(first, first + _GROUP)
        found = _settle(boxes.take(group), noise[group], target, numbers, progress)
        cells[group] = found.cells
        examined += found.examined
        network_error = float(np.maximum(network_error, found.network_error))
        relative = float(np.maximum(relative, found.relative))
        kept.append((found.seen, found.v, found.rho))
        target = max(target, found.target)
    worst, v, rho = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    order = np.argsort(-worst)[: 4 * _KEPT]
    m, delta = plane_of(v[order], rho[order])
    return Outcome(cells, network_error, relative, m, delta, examined, time.perf_counter() - started)


class Settled(NamedTuple):
    """Of a group of cells: bound of each, the largest without rounding, relative; the worst centres; boxes.

    `target` is the largest error at a centre with the rounding of its cell, below which no bound can come.
    """

    cells: Array
    network_error: float
    relative: float
    seen: Array
    v: Array
    rho: Array
    target: float
    examined: int


def _settle(first: Squares, noise: Array, target: float, numbers: Numbers, progress: Progress) -> Settled:
    """Quarter boxes until each is bounded by CLOSE_ENOUGH · target, or too small to quarter."""
    y = Interval(mode_on_chart(first.v0, first.r1).low, mode_on_chart(first.v1, first.r0).high)
    cells, network_error, relative = np.zeros(len(noise)), 0.0, 0.0
    kept: list[tuple[Array, ...]] = []
    found = Judged(noise, noise, y)
    total = ratio = noise

    def open_(boxes: Squares, parent: Indices) -> Flags:
        nonlocal found, total, ratio, target
        found = judge(boxes, y, numbers)
        kept.append(largest(found.seen, *boxes.middle()))
        target = max(target, float((found.seen + noise[parent]).max()))
        total = (found.error + noise[parent]) * (1.0 + SLACK)
        with np.errstate(divide="ignore"):
            ratio = np.where(boxes.v1 > STRIP, total / found.y.low, 0.0)
        return np.asarray(~((total <= CLOSE_ENOUGH * target) & (ratio <= RELATIVE)))

    def keep(parent: Indices, done: Flags) -> None:
        nonlocal y, network_error, relative
        np.maximum.at(cells, parent, total[done])
        network_error = float(found.error[done].max(initial=network_error))  # NaN, if there is one
        relative = float(ratio[done].max(initial=relative))
        y = Interval(np.tile(found.y.low[~done], 4), np.tile(found.y.high[~done], 4))  # of the quarters to come

    examined = quarter_until(first, np.arange(len(noise)), open_, keep, _LEVELS, _MOST_BOXES, progress)
    worst, v, rho = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return Settled(cells, network_error, relative, worst, v, rho, target, examined)


def _at_centres(boxes: Squares, numbers: Numbers) -> tuple[Array, Array, Array]:
    """(|f| at least, v, ρ) at the centres."""
    v, rho = boxes.middle()
    centre, answer = mode_on_chart(v, rho), base_of(v) * (1.0 + over(boxes, numbers).centre)
    return np.maximum(answer - centre.high, centre.low - answer), v, rho


def judge(boxes: Squares, y: Interval, numbers: Numbers) -> Judged:
    """Bounds of f over boxes whose mode is known to lie in `y`."""
    blocks = [slice(i, i + _BLOCK) for i in range(0, len(boxes.v0), _BLOCK)]

    def work(block: slice) -> Judged:
        return _judge(Squares(*(p[block] for p in boxes)), Interval(y.low[block], y.high[block]), numbers)

    parts = [*_threads().map(work, blocks)]  # NumPy and torch release the interpreter's lock
    error, seen = (np.concatenate([getattr(part, name) for part in parts]) for name in ("error", "seen"))
    return Judged(error, seen, Interval(*(np.concatenate(ends) for ends in zip(*(p.y for p in parts), strict=True))))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="proof")


def _judge(boxes: Squares, y: Interval, numbers: Numbers) -> Judged:
    v, rho = boxes.middle()
    half_v, half_r = 0.5 * (boxes.v1 - boxes.v0), 0.5 * (boxes.r1 - boxes.r0)
    centre = mode_on_chart(v, rho)
    with np.errstate(invalid="ignore", over="ignore"):
        y = _corners_where_wide(boxes, y, centre)
        # The range first from its parent's, then, narrowed by the gradient that follows from it, once more.
        for _ in range(2):
            by_v, by_rho = gradient(boxes, y)
            reach = by_v.high * half_v - by_rho.low * half_r
            y = Interval(np.fmax(y.low, centre.low - reach), np.fmin(y.high, centre.high + reach))
        at = over(boxes, numbers)
        answer = base_of(v) * (1.0 + at.centre)
        one = Interval(1.0 + at.range.low, 1.0 + at.range.high)
        slope = _times(Interval(base_slope(boxes.v1), base_slope(boxes.v0)), one)
        base = Interval(base_of(boxes.v0), base_of(boxes.v1))
        steep = _times(Interval(2.0 * boxes.v0 * base.low, 2.0 * boxes.v1 * base.high), at.by_u)
        own_v = Interval(slope.low + steep.low, slope.high + steep.high)
        own_rho = _times(base, at.by_rho)
        f_v = Interval(own_v.low - by_v.high, own_v.high - by_v.low).magnitude
        f_rho = Interval(own_rho.low - by_rho.high, own_rho.high - by_rho.low).magnitude
        off = np.maximum(answer - centre.low, centre.high - answer)
        linear = off + f_v * half_v + f_rho * half_r
        own = own_v.magnitude * half_v + own_rho.magnitude * half_r
    hull = np.maximum(answer + own - y.low, y.high - answer + own)
    error = np.where(np.isfinite(linear), np.minimum(linear, hull), hull)
    seen = np.maximum(answer - centre.high, centre.low - answer)
    return Judged(np.asarray(error + 10.0 * SLACK), seen, y)


def _corners_where_wide(boxes: Squares, y: Interval, centre: Interval) -> Interval:
    """The mode at the corners for boxes whose parent's range says too little: those next to the cusp."""
    wide = y.high - y.low > 0.25 * centre.high
    if not wide.any():
        return y
    some = boxes.take(wide)
    low, high = y.low.copy(), y.high.copy()
    low[wide], high[wide] = mode_on_chart(some.v0, some.r1).low, mode_on_chart(some.v1, some.r0).high
    return Interval(low, high)


def _times(positive: Interval, other: Interval) -> Interval:
    """The product of an interval in [0, ∞) and any other."""
    low = np.minimum(positive.low * other.low, positive.high * other.low)
    high = np.maximum(positive.low * other.high, positive.high * other.high)
    return Interval(low, high)


def _strip(numbers: Numbers) -> float:
    """The relative error bound for v ≤ STRIP (module docstring)."""
    edges = np.arange(_CELLS + 1) / _CELLS
    zero = np.zeros(_CELLS)
    boxes = Squares(zero, zero + STRIP, edges[:-1], edges[1:])
    at = over(boxes, numbers)
    noise = rounding(boxes, numbers, at) / base_of(boxes.v1)
    square = 3.0 * STRIP**2 / (1.0 - STRIP**2)
    return float((at.range.magnitude + noise).max()) * (1.0 + square) + square


def _refined(boxes: Boxes, sup: float, relative: float) -> Array:
    """An upper bound of |float32 "mlp_refined" − mode| over boxes in (m, δ)."""
    y = corners(boxes)
    low, high = y.y00[0], y.y11[1]
    error = np.minimum(sup, relative * high * (1.0 + SLACK)) + 1e-30
    return step_error(boxes, from_y(boxes, low, high, slope_minimum(boxes, y), error))
