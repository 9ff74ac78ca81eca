"""What float32 adds to bilinear interpolation: an a-priori analysis of `tanhlut.compute.grid` and the text
(`tanhlut.formula`).

U = 2^-24 is the unit roundoff. First order in U throughout; SECOND covers the products of two errors (all below 2^-17).
The lookup computes, for float32 loc and scale,

    m = |loc|                                   exact
    δ' = 2((σ − c_hi) − c_lo)((σ + c_hi) + c_lo)      within EXCESS·U of δ = 2σ² − 1, relative:
        five roundings (the doubling is exact), and the float32 c_lo leaves 1/√2 − c_hi − c_lo = 4e-16, which is
        3.2e-8 = 0.54·U of the smallest |σ − 1/√2|, 1.2e-8. Measured over every float32 scale in [2^-13, 4]: 2.71.
    nodes                                       float64 to float32: within 1·U relative, so the weights are those of
        exact nodes at an argument that is off by at most 1·U relative more (in the cell across δ = 0: of its wider end)
    v = (δ' − node)·(1/(node' − node))          four roundings, of three factors: within 4·U of itself, relative
    low = y00 + (y01 − y00)·v, high alike       the difference, the product: 2·U of v·(y01 − y00); the sum: U·low
    low + (high − low)·u                        the same again

The kernels (tanhlut.compute.cpu, tanhlut.compute.gpu) round less: δ once, the weight once, each lerp's product not at
all. Their weight is that of nodes where equal division puts them, from which the table's nodes are at most 1·U relative
(tanhlut.file.packed refuses tables of which that is not true); a rounding of the cell's number at its edge extends a
cell by t·U of it, t ≤ the cells of the quarter octave that it lies in, which is at most U·y/4. So:

With rise_m, rise_s the largest rise of the four corner values along each axis and y their largest value, the result
differs from exact interpolation between exact nodes, at an argument off by (NODE_M, (EXCESS + NODE)·U), by at most
2·U·y + 6·U·(rise_m + rise_s). What the argument's own error costs depends on where it leads. While it stays in the
cell, m·y_m and |δ|·y_s of it: both products are at most y (y_m = q/D, y_s = y·q/D; D = φ + m·q/y ≥ m·q/y; for δ < 0, D
= y² − δ·q ≥ |δ|·q; for δ > 0, δ ≤ A/y and q·A/y ≤ y²/3 give y² ≥ 3·δ·q, so D ≥ 2·δ·q), and usually far less: q/D is
bounded over each cell. The bound must hold a few U outside the cell too, where the true argument may lie. There D
changes by at most (q + 2·s·y·y_s)·|δ|·8·U and 2·s·y·y_m·m·U, relative to D below 60·s·U < 5e-4 for s ≤ 128 by the same
inequalities, q alike: MARGIN covers it. Where it leads out of the cell the interpolant goes on with its own slope,
rise/width: the larger of the two slopes is charged. Out there the rise along the other axis grows, by no more than the
share of the cell that the argument is out: a factor 1 + both shares (at most a half each, since tanhlut.file.contract
allows no cell narrower than 2^-20 of its ends).

Underflow: each operation adds at most 2^-126 even if subnormals are flushed to zero. A flushed loc below 2^-126 moves
the mode by at most 2^-126/|δ| < 4e-31; in the weight a flushed difference is multiplied by 1/width, which charges
2^-126/width of the rise. TINY covers what is left.
"""

import math
from typing import NamedTuple

import numpy as np

from tablegen.verify.boxes import Array, Boxes, Corners, q_of
from tanhlut.formula.coefficients import SINGLE

U = 2.0**-24
EXCESS = 5.6
NODE = 1.01
WEIGHT = 4.0
SECOND = 1.0 + 2.0**-12
MARGIN = 1.001
TINY = 1e-29
SMALLEST = 2.0**-126
# What clamping loc and scale moves: 1 − y at loc = 16, and at scale = 3, where x ≥ s·tanh(s/2) since h(s/2) < 0.
_S = 2.0 * SINGLE.scale_saturation**2
CLAMPED = 2.0 * math.exp(-2.0 * min(SINGLE.loc_saturation, _S * math.tanh(_S / 2.0))) + 1e-16

# The smallest |δ| of a float32 scale on either side of 1/√2, less its rounding: both float32 neighbours of 1/√2.
DELTA_BELOW, DELTA_ABOVE = -3.4e-8, 1.3e-7


class Widths(NamedTuple):
    """Of the table's cells, not clipped: widths along both axes, and the larger magnitude of their ends."""

    m: Array
    d: Array
    larger_m: Array
    larger_d: Array


def bilinear_rounding(
    boxes: Boxes, y: Corners, slope: Array, values: tuple[Array, Array, Array, Array], widths: Widths
) -> Array:
    """An upper bound, per cell, of |float32 lookup − exact bilinear interpolation error-free at the true argument|.

    Args:
        boxes, y: the cells, clipped to the bounds, and the mode at their corners.
        slope: a lower bound of D over each cell.
        values: the stored corner values v00, v01, v10, v11.
        widths: of the cells.
    """
    v00, v01, v10, v11 = values
    top = np.maximum(v11, y.y11[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = q_of(y.y00[0]) / slope * MARGIN
    gain = np.where(np.isnan(gain), np.inf, gain)
    by_m = np.minimum(top, boxes.m1 * np.where(boxes.m1 > 0, gain, 0.0))
    size = np.maximum(np.abs(boxes.d0), np.abs(boxes.d1))
    by_s = np.minimum(top, size * top * gain)
    # Across δ = 0 the shift is relative to the wider end, not to δ, so |δ|·y_s ≤ y does not help.
    across = (boxes.d0 < 0) & (boxes.d1 > 0)
    by_s = np.where(across, np.minimum(top / U, size * top * gain), by_s)
    rise_m = np.maximum(v10 - v00, v11 - v01)
    rise_s = np.maximum(v01 - v00, v11 - v10)
    out_m, out_s = widths.larger_m / widths.m, widths.larger_d / widths.d  # ends of the cell in widths of it
    by_m, by_s = np.maximum(by_m, out_m * rise_m), np.maximum(by_s, out_s * rise_s)
    arithmetic = 2.0 * top + (WEIGHT + 2.0) * (rise_m + rise_s)
    flushed = SMALLEST * (rise_m / widths.m + rise_s / widths.d)
    stretch = 1.0 + (NODE * out_m + (EXCESS + NODE) * out_s) * U
    total = (arithmetic + NODE * by_m + (EXCESS + NODE) * by_s) * (U * SECOND * MARGIN) * stretch
    return np.asarray(total + flushed + TINY)
