"""Boxes in the network's chart (v, ρ) ∈ [0, 1]², the mode over them, and bounds of its derivatives there.

With u = v² and X = √3·v/√(1 − u), the chart (`tanhlut.compute.mlp`) says m = ρ·X, s = (1 − ρ)/(1 − u), δ = (u − ρ)/(1 −
u). Corners of boxes are dyadic with at most DEPTH bits, so u, 1 − u, 1 − ρ and u − ρ are exact in float64.

The mode increases in v and decreases in ρ (below), so over a box it lies between y(v0, ρ1) and y(v1, ρ0). With
q = 1 − y² and D = 1 − s·q > 0, from y_m = q/D and y_s = y·q/D:

    y_v = (q/D)·(ρ·X' + 2·v·(1 − ρ)·y/(1 − u)²) ≥ 0,    X' = √3·(1 − u)^(−3/2)
    y_ρ = (q/D)·(X − y/(1 − u)) = −(q/D)·(y − P)/(1 − u),    P = X/(1 + X²/3) = X·(1 − u) ≤ tanh X ≤ y.

The last inequality is x* ≥ X: tanh x ≥ x/(1 + x²/3) gives h(X) ≤ 0. At the cusp y − P is of fifth order and must not
be had by subtraction: with g = tanh X − P ≥ 0, h(X) = −s·g, and h convex, x* − X ≤ s·g/D(X) if
D(X) = 1 − s·sech² X > 0, so y − P ≤ g + sech²X·s·g/D(X) = g/D(X). Where P > 0 is small, g ≤ X⁵/45, since the
continued fraction's next term
tanh X ≤ X/(1 + X²/(3 + X²/5)) differs from P by X⁵/15/((1 + X²/(3 + X²/5))·(1 + X²/3)·(3 + X²/5)) ≤ X⁵/45.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tablegen.verify.boxes import SLACK, Array, Boxes, Corners, mode_at, q_of, quartered, slope_minimum

DEPTH = 26  # bits of v and ρ
SATURATED = 20.0  # beyond this X the mode, at least tanh X, is within 1e-16 of 1
_ROOT3 = float(np.sqrt(3.0))


class Squares(NamedTuple):
    """Boxes [v0, v1] × [r0, r1] of the unit square, one entry each."""

    v0: Array
    v1: Array
    r0: Array
    r1: Array

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Squares":
        """The chosen boxes."""
        return Squares(*(part[chosen] for part in self))

    def quarters(self) -> "Squares":
        """The four quarters of each box."""
        return Squares(*quartered(*self))

    def middle(self) -> tuple[Array, Array]:
        """The centre of each box."""
        return 0.5 * (self.v0 + self.v1), 0.5 * (self.r0 + self.r1)


class Interval(NamedTuple):
    """[low, high], one entry per box."""

    low: Array
    high: Array

    @property
    def magnitude(self) -> Array:
        """The largest absolute value."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def unit_square(cells: int) -> Squares:
    """cells × cells equal boxes, v-major."""
    edges = np.arange(cells + 1) / cells
    i, j = (index.ravel() for index in np.indices((cells, cells)))
    return Squares(edges[i], edges[i + 1], edges[j], edges[j + 1])


def plane_of(v: Array, rho: Array) -> tuple[Array, Array]:
    """(m, δ) of points of the chart, v < 1, each within four roundings."""
    u = v * v
    return rho * (_ROOT3 * v / np.sqrt(1.0 - u)), (u - rho) / (1.0 - u)


def root_of(v: Array) -> Array:
    """X = √3·v/√(1 − u), infinite at v = 1."""
    with np.errstate(divide="ignore"):
        return np.asarray(_ROOT3 * v / np.sqrt(1.0 - v * v))


def mode_on_chart(v: Array, rho: Array) -> Interval:
    """An enclosure of the mode at dyadic points of the chart.

    m and δ are within four roundings of exact ones, and m·y_m ≤ y and |δ|·y_s ≤ y: SLACK covers what that moves.
    """
    sure = root_of(v) < SATURATED
    low, high = np.full(v.shape, 1.0 - 1e-15), np.ones(v.shape)
    if sure.any():
        found = mode_at(*plane_of(v[sure], rho[sure]))
        low[sure], high[sure] = found[0] * (1.0 - SLACK), np.minimum(found[1] * (1.0 + SLACK), 1.0)
    return Interval(low, high)


def gradient(boxes: Squares, y: Interval) -> tuple[Interval, Interval]:
    """(y_v, y_ρ) over each box, from the mode's range there; infinite where the box reaches the cusp or v = 1."""
    v0, v1, r0, r1 = boxes
    with np.errstate(all="ignore"):
        u0, u1 = v0 * v0, v1 * v1
        w0, w1 = 1.0 - u0, 1.0 - u1  # 1 − u at the ends: w1 ≤ w0
        x0, x1 = root_of(v0), root_of(v1)
        m_low, delta_high = r0 * x0, (u1 - r0) / w1
        q_low, q_high = q_of(y.high), q_of(y.low)
        d_low = slope_minimum(
            Boxes(m_low, r1 * x1, (u0 - r1) / w0, delta_high),
            Corners((y.low, y.low), (y.high, y.high), (y.low, y.low), (y.high, y.high)),
        )
        d_high = np.minimum(1.0 - (1.0 - r1) / w0 * q_low, 1.0)
        ratio = Interval(q_low / d_high, q_high / d_low)  # q/D
        rise = Interval(
            r0 * _ROOT3 * w0**-1.5 + 2.0 * v0 * (1.0 - r1) * y.low / w0**2,
            r1 * _ROOT3 * w1**-1.5 + 2.0 * v1 * (1.0 - r0) * y.high / w1**2,
        )
        by_v = Interval(ratio.low * rise.low * (1.0 - SLACK), ratio.high * rise.high * (1.0 + SLACK))
        # The slack is absolute in X: the difference cancels near the cusp.
        fall = Interval(
            np.maximum(y.low / w0 - x1 * (1.0 + SLACK), 0.0),
            np.minimum(y.high / w1 - x0 * (1.0 - SLACK), _excess(x0, x1, delta_high) / w1),
        )
        by_rho = Interval(-ratio.high * fall.high * (1.0 + SLACK), -ratio.low * fall.low * (1.0 - SLACK))
        known = (d_low > 0) & np.isfinite(by_v.high) & np.isfinite(by_rho.low)
    return (
        Interval(np.where(known, by_v.low, 0.0), np.where(known, by_v.high, np.inf)),
        Interval(np.where(known, by_rho.low, -np.inf), np.where(known, by_rho.high, 0.0)),
    )


def _excess(x0: Array, x1: Array, delta_high: Array) -> Array:
    """An upper bound of y − P over boxes with X ∈ [x0, x1] and δ ≤ delta_high; infinite where D(X) may vanish."""
    t0, t1 = np.tanh(x0), np.tanh(x1)
    gap = np.minimum(x1**5 / 45.0, 1.0) * (1.0 + SLACK)
    bend = delta_high * np.where(delta_high > 0, q_of(t0), q_of(t1))
    slope = t0 * t0 - bend - SLACK * (t0 * t0 + np.abs(bend))
    return np.where(slope > 0, gap / slope, np.inf)
