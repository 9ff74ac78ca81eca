"""How much of itself a rounding to float32 moves a number, when it is known where the number lies.

In units of U = 2^-24: at most 1, at a power of two; ½ just below the next. Over a box of the moments' chart (ζ, w) all
coordinates are known: with c = π²/12, τ = c/(1 − w), scale² = w·τ, ρ² = 9τ/ζ, loc² = (1 − ζ)·ρ², b² = 1 − ζ.

Where the text takes loc and scale k times, k = 2^-67, one is over 2^60; there these are scaled by k², or by k, and c is
left out. If scale > 2^40 that is less than 2^-80 of τ. Else ζ < 2^-36: b is 1 and ζ = 1 − b² is 0, where neither the
mean nor E log cosh/ρ depends on w; and the variance is nothing: the first row of patches gives a share of w below what
is proven, w being 1, or, where τ is put to 2^-126, (k·scale)²/2^-126 = scale²/2^8, below the true one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tablegen.verify.chart import Squares
from tanhlut.formula import surrogate

Array = NDArray[np.float64]

OUTSIDE = 1e-4  # the number may be so much of itself outside, for the roundings before


def half_ulp(size: Array) -> Array:
    """What rounding moves a number of at most that size, in units of U: the power of two below it."""
    with np.errstate(divide="ignore"):
        return np.asarray(2.0 ** np.floor(np.log2(size)))


def units(low: Array, high: Array) -> Array:
    """What a rounding moves numbers in [low, high), relative, in units of U: 1 at a power of two, ½ just below.

    A little outside too, but no number is over 1 whose interval ends there.
    """
    low = np.maximum(low * (1.0 - OUTSIDE), 0.0)
    high = np.where(high == 1.0, 1.0, high * (1.0 + OUTSIDE))
    with np.errstate(divide="ignore", invalid="ignore"):
        power = 2.0 ** np.floor(np.log2(low))
        return np.where((low > 0.0) & (2.0 * power >= high), power / low, 1.0)


class Roundings(NamedTuple):
    """Of the coordinates over boxes; y = 2ζ − 1 and u = 2w − 1 absolutely, all else relative."""

    variance: Array  # without fma
    tau: Array
    inverse: Array  # 1/τ
    share: Array  # c/τ = 1 − w, without fma
    nine: Array
    product: Array  # loc², without fma: in parts of ρ²
    square: Array
    rho: Array
    b: Array
    x: Array
    zeta: Array
    y: Array
    u: Array

    def square_in(self, fused: bool) -> Array:
        """What moves ρ²: the sum, and the product if that is rounded."""
        return self.square + (0.0 if fused else 1.0) * self.product


def roundings(boxes: Squares) -> Roundings:
    """Over boxes of the square (ζ, w)."""
    z0, z1, w0, w1 = boxes
    with np.errstate(divide="ignore"):
        t0, t1 = surrogate.LOGISTIC / (1.0 - w0), surrogate.LOGISTIC / (1.0 - w1)
        s0, s1 = 9.0 * t0 / z1, 9.0 * t1 / z0
    x0, x1 = 1.0 - z1, 1.0 - z0
    return Roundings(
        variance=units(w0 * t0, w1 * t1),
        tau=units(t0, t1),
        inverse=units(1.0 / t1, 1.0 / t0),
        share=units(1.0 - w1, 1.0 - w0),
        nine=units(9.0 * t0, 9.0 * t1),
        product=x1 * units(x0 * s0, x1 * s1),
        square=units(s0, s1),
        rho=units(np.sqrt(s0), np.sqrt(s1)),
        b=units(np.sqrt(x0), np.sqrt(x1)),
        x=units(x0, x1),
        zeta=units(z0, z1),
        y=np.minimum(half_ulp(np.maximum(np.abs(2.0 * z0 - 1.0), np.abs(2.0 * z1 - 1.0))), 0.5),
        u=np.minimum(half_ulp(np.maximum(np.abs(2.0 * w0 - 1.0), np.abs(2.0 * w1 - 1.0))), 0.5),
    )
