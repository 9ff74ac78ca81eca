"""Boxes in (m, δ), the mode over them, and bounds of its derivatives there.

On a box [m0, m1] × [δ0, δ1] the mode y increases in both arguments, so its range is [y(m0, δ0), y(m1, δ1)], each end
enclosed by a sign change (`tanhlut.certificate.enclose`). With q = 1 − y², s = 1 + δ, A = artanh y − y and D = 1 − s·q,

    y_m = q/D,   y_s = y·q/D,   y_mm = −2·y·q/D³,   y_ss = 2·y·q·(q·D − y²)/D³,

so everything hangs on a lower bound of D. D increases with m (D_m = 2·s·y·y_m ≥ 0): its minimum is on m = m0, where
y ∈ [y(m0, δ0), y(m0, δ1)]. Three forms of it, of which the largest bound is taken:

    D = φ(y) + m·q/y,  φ = y² − q·A/y       φ increases with y, q/y decreases
    D = y² − δ·q
    D = −δ + s·y² ≥ −δ

NumPy has no directed rounding: each formula is a handful of operations of at most 2^-52 relative each (φ cancels at
most threefold, y² − δ·q is charged for its terms), so one factor 1 ± SLACK per formula more than covers them.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tanhlut.certificate import enclose, gap

Array = NDArray[np.float64]

SLACK = 1e-12
_BLOCK = 1 << 15  # points enclosed at a time: their temporaries stay in cache


class Boxes(NamedTuple):
    """Equal-length arrays, one entry per box."""

    m0: Array
    m1: Array
    d0: Array
    d1: Array

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Boxes":
        """The chosen boxes."""
        return Boxes(*(part[chosen] for part in self))

    def quarters(self) -> "Boxes":
        """The four halves-of-halves of each box, all lower left ones first."""
        return Boxes(*quartered(*self))


def quartered(a0: Array, a1: Array, b0: Array, b1: Array) -> tuple[Array, Array, Array, Array]:
    """The ends of the four quarters of boxes [a0, a1] × [b0, b1], all lower left ones first."""
    a, b = 0.5 * (a0 + a1), 0.5 * (b0 + b1)
    return (
        np.concatenate([a0, a0, a, a]),
        np.concatenate([a, a, a1, a1]),
        np.concatenate([b0, b, b0, b]),
        np.concatenate([b, b1, b, b1]),
    )


class Corners(NamedTuple):
    """Enclosures of the mode at a box's four corners, (low, high) each; the first digit is m's end, the second δ's."""

    y00: tuple[Array, Array]
    y01: tuple[Array, Array]
    y10: tuple[Array, Array]
    y11: tuple[Array, Array]


def mode_at(m: Array, delta: Array, delta_error: float = 0.0) -> tuple[Array, Array]:
    """(low, high) around the mode at broadcast float64 points, as `enclose` gives it; m = 0 means m → 0+."""
    m, delta = np.broadcast_arrays(m, delta)
    low, high = np.empty(m.shape), np.empty(m.shape)
    flat_m, flat_d = np.ravel(m), np.ravel(delta)
    flat_low, flat_high = low.reshape(-1), high.reshape(-1)
    for i in range(0, flat_m.size, _BLOCK):
        block = slice(i, i + _BLOCK)
        found = enclose(torch.from_numpy(flat_m[block].copy()), torch.from_numpy(flat_d[block].copy()), delta_error)
        flat_low[block], flat_high[block] = (part.numpy() for part in found)
    return low, high


def corners(boxes: Boxes) -> Corners:
    """The mode at every box's corners; those that boxes share are enclosed once."""
    m0, m1, d0, d1 = boxes
    points = np.empty((4, len(m0)), complex)  # pairs, as NumPy sorts them
    points.real, points.imag = np.stack([m0, m0, m1, m1]), np.stack([d0, d1, d0, d1])
    apart, which = np.unique(points, return_inverse=True)
    low, high = mode_at(apart.real, apart.imag)
    return Corners(*((low[k], high[k]) for k in which.reshape(points.shape)))


def grid_corners(m: Array, delta: Array) -> tuple[Boxes, Corners]:
    """The (len(m) − 1)·(len(delta) − 1) boxes of a rectilinear grid, m-major, each point enclosed once."""
    low, high = mode_at(m[:, None], delta[None, :])
    rows, columns = (index.ravel() for index in np.indices((len(m) - 1, len(delta) - 1)))
    boxes = Boxes(m[rows], m[rows + 1], delta[columns], delta[columns + 1])
    ends = [(low[rows + i, columns + j], high[rows + i, columns + j]) for i in (0, 1) for j in (0, 1)]
    return boxes, Corners(*ends)


def q_of(y: Array) -> Array:
    """1 − y², without cancellation."""
    return np.asarray((1.0 - y) * (1.0 + y))


def artanh_excess(y: Array) -> Array:
    """artanh y − y, infinite at 1."""
    inside = np.minimum(y, 1.0 - 2.0**-53)
    return np.where(y >= 1.0, np.inf, gap(torch.from_numpy(np.ascontiguousarray(inside))).numpy())


def slope_minimum(boxes: Boxes, y: Corners) -> Array:
    """A lower bound of D = 1 − s·(1 − y²) over each box; 0 where none better is known."""
    low, high = y.y00[0], y.y01[1]
    q_low, q_high = q_of(low), q_of(high)
    a = artanh_excess(low)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(low > 0, q_low * a / low, 0.0)
        phi = np.where(low < 1, low * low - share, 1.0)
        first = phi * (1.0 - SLACK) + np.where(high > 0, boxes.m0 * q_high / high, 0.0)
    bend = boxes.d1 * np.where(boxes.d1 > 0, q_low, q_high)
    second = low * low - bend - SLACK * (low * low + np.abs(bend))
    return np.asarray(np.maximum(np.maximum(first, second), np.maximum(-boxes.d1, 0.0)) * (1.0 - SLACK))


class Curvature(NamedTuple):
    """Upper bounds over each box of |y_mm|, of y_ss where positive and of −y_ss where negative."""

    along_m: Array
    up: Array
    down: Array


def curvature(y: Corners, d: Array) -> Curvature:
    """From the range of y and a lower bound d of D (the module's formulas); infinite where d is 0.

    (q·D − y²)/D³ = a/D² − b/D³ with a = q, b = y² rises in D up to D = 3b/(2a) and falls beyond: over D ∈ [d, 1] its
    largest value is there or at an end.
    """
    low, high = y.y00[0], y.y11[1]
    q_low, q_high = q_of(low), q_of(high)
    # y·q rises up to y = 1/√3, where it is 2/√27, and falls beyond.
    product = np.where(high < 0.577, high * q_of(high), np.where(low > 0.578, low * q_low, 0.38490018))
    with np.errstate(divide="ignore", invalid="ignore"):
        along_m = 2.0 * product / d**3
        turn = np.clip(1.5 * low * low / q_low, d, 1.0)
        up = np.maximum((q_low * turn - low * low * (1.0 - SLACK)) / turn**3, 0.0)
        down = np.maximum((high * high * (1.0 + SLACK) - q_high * d) / d**3, 0.0)
        parts = (along_m, 2.0 * product * up, 2.0 * product * down)
    bad = ~(d > 0)
    return Curvature(*(np.where(bad, np.inf, part * (1.0 + SLACK)) for part in parts))
