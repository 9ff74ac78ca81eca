"""The network over boxes of its chart: its range, its gradient, and what float32 rounding adds to its answer.

All numbers of the network are exact float32. Over a box centred at c with half-widths h, layer by layer, each
pre-activation lies within |J|·h of its value at the centre, J an interval matrix of its derivatives by (u, ρ) over the
box, since a(z) = z/√(1 + z²) has a'(z) = (1 + z²)^(−3/2), which falls with |z|. Centre and radius of the matrix go
through the next layer's weights, which keeps the cancellation between its paths that plain intervals lose.

Rounding, in units of U = 2^-24, to first order (SECOND covers products of errors). A sum over a tree rounds each
product once and each partial sum once; an activation rounds z², 1 + z², the root and the quotient: within
(2.5 + a²/2)·U of itself. Every such error moves N by its adjoint, the derivative of N by the rounded number, bounded
over the box:

    |δN| ≤ Σ |∂N/∂z|·U·(Σ |products| + Σ |partial sums| + |z|) + Σ |∂N/∂a|·U·(2.5 + a²/2)·|a|.

The chart itself: X, the root of p, comes from a Newton step whose residual rounds, with 3·|δ| = |X²·(1 − ρ) − 3·ρ|, by

    U·X·(2·X²·(1 − ρ) + 3·|δ| + 9·ρ)        over p' = X²·(2 − ρ) + 3·ρ,

and from δ', within EXCESS·U of δ, which moves X by at most that much times 3·|δ|/p', relative; one U for the step's own
rounding and a tenth for what four Newton steps leave (3e-10). Times (1 − u)/3 both are polynomials in u and ρ. An
error e of X, relative, moves u by 2·(1 − u)·e·u and ρ by e·ρ; u rounds by (3 − u)·U more, ρ by U, b by (2.5 + b²/2)·U
and, from X, e·(1 − b²); the last sum and product cost 2·U of the result.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tablegen.verify.boxes import Array
from tablegen.verify.chart import Interval, Squares
from tablegen.verify.rounding import EXCESS, SECOND, U

Numbers = tuple[list[Array], list[Array]]  # weights (out, in) and biases (out,) of each layer, float64


# Underflow, flushed or not: 1.2e-38 in the residual over p' ≥ 1e-7, the smallest slope of a float32 scale.
TINY = 1e-30
SMALLEST = 2.0**-126
# float64's own rounding of the sums here, whatever the weights: at most 1024 terms, a few operations more.
OWN = 2.0**-40


class Local(NamedTuple):
    """The network over boxes: at their centres and, as intervals, over them."""

    centre: Array  # N at the centre
    range: Interval  # N
    by_u: Interval
    by_rho: Interval
    z: list[tuple[Array, Array]]  # (centre, radius) of each layer's pre-activations, (out, boxes)


def base_of(v: Array) -> Array:
    """b = √3·v/√(1 + 2u)."""
    return np.asarray(np.sqrt(3.0) * v / np.sqrt(1.0 + 2.0 * v * v))


def base_slope(v: Array) -> Array:
    """db/dv = √3·(1 + 2u)^(−3/2), which falls."""
    return np.asarray(np.sqrt(3.0) * (1.0 + 2.0 * v * v) ** -1.5)


def activation(z: Array) -> Array:
    """z/√(1 + z²)."""
    return np.asarray(z / np.sqrt(1.0 + z * z))


def over(boxes: Squares, numbers: Numbers, drift: list[Array] | None = None) -> Local:
    """The network over boxes; its inputs are u = v² and ρ.

    `drift` widens the inputs and each layer's pre-activations, so that rounded ones lie within too.
    """
    weights, biases = numbers
    v, rho = boxes.middle()
    inputs = np.stack([v * v, rho])
    half = np.stack([np.maximum(boxes.v1**2 - v * v, v * v - boxes.v0**2), 0.5 * (boxes.r1 - boxes.r0)])
    if drift is not None:
        half = half + drift[0]
    a = inputs
    # Derivatives by u and by ρ, each as centre and radius, (out, boxes).
    middles = [np.stack([np.full(v.shape, float(i == k)) for i in range(2)]) for k in range(2)]
    radii = [np.zeros_like(inputs) for _ in range(2)]
    pre: list[tuple[Array, Array]] = []
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        z = weight @ a + bias[:, None]
        radii = [np.abs(weight) @ (r + OWN * np.abs(c)) for c, r in zip(middles, radii, strict=True)]
        middles = [weight @ part for part in middles]
        spread = sum((np.abs(c) + r) * h for c, r, h in zip(middles, radii, half, strict=True))
        spread = spread + OWN * (np.abs(weight) @ np.abs(a) + np.abs(bias)[:, None])
        if drift is not None:
            spread = spread + drift[number + 1]
        pre.append((z, spread))
        if number < len(weights) - 1:
            a = activation(z)
            slope = slopes(z, spread)
            c, r = 0.5 * (slope.high + slope.low), 0.5 * (slope.high - slope.low)
            radii = [np.abs(part) * r + rad * slope.high for part, rad in zip(middles, radii, strict=True)]
            middles = [part * c for part in middles]
    by_u, by_rho = (Interval((c - r)[0], (c + r)[0]) for c, r in zip(middles, radii, strict=True))
    z, spread = pre[-1]
    return Local(z[0], Interval((z - spread)[0], (z + spread)[0]), by_u, by_rho, pre)


def slopes(z: Array, radius: Array) -> Interval:
    """a' over z ± radius."""
    far, near = np.abs(z) + radius, np.maximum(np.abs(z) - radius, 0.0)
    return Interval((1.0 + far * far) ** -1.5 * (1.0 - OWN), (1.0 + near * near) ** -1.5 * (1.0 + OWN))


def rounding(boxes: Squares, numbers: Numbers, at: Local) -> Array:
    """An upper bound, per box, of |float32 answer − the network in exact arithmetic at the true point of the chart|.

    Infinite where the rounded pre-activations might leave the ranges that their derivatives were bounded over. The
    network at the centre of a box is computed in float64: that rounds 2^-29 as much, in sums of up to 2^10 terms, which
    the last factor covers.
    """
    moved, base_error = chart_rounding(boxes)
    drift = [2.0 * SECOND * part for part in (moved, *_drift(boxes, numbers, at, moved))]
    wide = over(boxes, numbers, drift)
    again = _drift(boxes, numbers, wide, moved)
    sound = np.logical_and.reduce([(part * SECOND <= most).all(0) for part, most in zip(again, drift[1:], strict=True)])
    base = base_of(boxes.v1)
    in_network = _network_rounding(boxes, numbers, wide)
    answer = base * np.maximum(np.abs(1.0 + wide.range.low), np.abs(1.0 + wide.range.high))
    through = moved[0] * wide.by_u.magnitude + moved[1] * wide.by_rho.magnitude
    total = (base * (in_network + through) + answer * (base_error + 2.0 * U)) * (1.0 + 2.0**-18)
    return np.where(sound, total * SECOND + TINY, np.inf)


def chart_rounding(boxes: Squares) -> tuple[Array, Array]:
    """(what u and ρ, (2, boxes), may be off by; the same of b, relative)."""
    root = _root_error(boxes)
    u1, r1, base = boxes.v1**2, boxes.r1, base_of(boxes.v1)
    room = 1.0 - boxes.v0**2  # 1 − u
    moved = np.stack([root * 2.0 * room * u1 + U * (2.0 + room) * u1, (root + U) * r1])
    return moved, U * (2.5 + 0.5 * base * base) + root * (1.0 - base_of(boxes.v0) ** 2)


def _drift(boxes: Squares, numbers: Numbers, at: Local, moved: Array) -> list[Array]:
    """How far each layer's rounded pre-activations may lie from exact ones, the inputs being off by `moved`."""
    weights, _ = numbers
    result: list[Array] = []
    error = moved
    for k, weight in enumerate(weights):
        inputs = _inputs(boxes, at, k)
        if k:
            slope, size = slopes(*at.z[k - 1]).high, inputs.magnitude
            error = slope * error + U * (2.5 + 0.5 * size * size) * size
        error = np.abs(weight) @ error + U * _local(weight, inputs, at.z[k])
        result.append(error)
    return result


def _inputs(boxes: Squares, at: Local, layer: int) -> Interval:
    """The range of what a layer's weights multiply."""
    if layer == 0:
        return Interval(np.stack([boxes.v0**2, boxes.r0]), np.stack([boxes.v1**2, boxes.r1]))
    z, radius = at.z[layer - 1]
    return Interval(activation(z - radius), activation(z + radius))


def _local(weight: Array, inputs: Interval, z: tuple[Array, Array]) -> Array:
    """What a layer's sums round, in units of U, (out, boxes): products, partial sums, the bias; and underflow."""
    return np.asarray(_tree_roundings(weight, inputs) + np.abs(z[0]) + z[1] + 2.0 * weight.shape[1] * SMALLEST / U)


def _root_error(boxes: Squares) -> Array:
    """Relative error of the float32 X, over each box (module docstring, both sides times (1 − u)/3)."""
    _, v1, r0, r1 = boxes
    u0, u1 = boxes.v0**2, v1**2
    delta = np.maximum(np.abs(u1 - r0), np.abs(u0 - r1))
    # 2u(1 − ρ) + ρ increases in u and is linear in ρ: smallest at u0 and one end of ρ.
    slope = np.minimum(2.0 * u0 * (1.0 - r0) + r0, 2.0 * u0 * (1.0 - r1) + r1)
    terms = 2.0 * u1 * (1.0 - r0) + (1.0 + EXCESS) * delta + 3.0 * r1 * (1.0 - u0)
    # 3|δ|(1 − u)/3 = |u − ρ| ≤ u + ρ, and each term is at most its share of 2u(1 − ρ) + ρ: see `WORST_ROOT`.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(slope > 0, terms / slope, np.inf)
    return np.asarray(U * (1.1 + np.minimum(ratio, WORST_ROOT)))


# Everywhere: 2u(1−ρ) ≤ d, 3ρ(1−u) ≤ 3d and |u − ρ| ≤ d for d = 2u(1−ρ) + ρ: for u ≥ ρ, u − ρ ≤ u(1 − ρ) as ρ ≥ uρ.
WORST_ROOT = 1.0 + 3.0 + (1.0 + EXCESS)


def _network_rounding(boxes: Squares, numbers: Numbers, at: Local) -> Array:
    weights, _ = numbers
    total = np.zeros(len(boxes.v0))
    adjoint = Interval(np.ones((1, len(total))), np.ones((1, len(total))))  # ∂N/∂z of the layer at hand
    for k in range(len(weights) - 1, -1, -1):
        inputs = _inputs(boxes, at, k)
        total += (adjoint.magnitude * _local(weights[k], inputs, at.z[k])).sum(axis=0)
        if k:
            by_a = _product(weights[k].T, adjoint)
            size = inputs.magnitude
            total += (by_a.magnitude * size * (2.5 + 0.5 * size * size)).sum(axis=0)
            slope = slopes(*at.z[k - 1])
            ends = [by_a.low * slope.low, by_a.low * slope.high, by_a.high * slope.low, by_a.high * slope.high]
            adjoint = Interval(np.minimum.reduce(ends), np.maximum.reduce(ends))
    return total * U


def _product(matrix: Array, vector: Interval) -> Interval:
    centre, radius = 0.5 * (vector.high + vector.low), 0.5 * (vector.high - vector.low)
    middle, spread = matrix @ centre, np.abs(matrix) @ (radius + OWN * np.abs(centre))
    return Interval(middle - spread, middle + spread)


def _tree_roundings(weight: Array, inputs: Interval) -> Array:
    """Σ of what is rounded in a layer's sums, (out, boxes): the products, then every partial sum of `mlp.tree_sum`."""
    ends = weight[:, :, None] * inputs.low, weight[:, :, None] * inputs.high
    low, high = np.minimum(*ends), np.maximum(*ends)
    total = np.maximum(-low, high).sum(axis=1)
    while (n := low.shape[1]) > 1:
        half = n // 2
        sums = [part[:, :half] + part[:, half : 2 * half] for part in (low, high)]
        total += np.maximum(np.abs(sums[0]), np.abs(sums[1])).sum(axis=1)
        low, high = (np.concatenate([s, p[:, 2 * half :]], 1) for s, p in zip(sums, (low, high), strict=True))
    return np.asarray(total)


def numbers_of(weights: tuple[NDArray[np.float32], ...], biases: tuple[NDArray[np.float32], ...]) -> Numbers:
    """A network's float32 numbers, exactly, as float64."""
    return [w.astype(np.float64) for w in weights], [b.astype(np.float64) for b in biases]
