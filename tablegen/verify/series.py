"""Chebyshev series on [0, 1] in exact arithmetic: what is left where large terms cancel keeps all its digits.

Arrays of fractions: a float is one, so sums, products and derivatives of a file's coefficients are exact. Axis 0 is x,
axis 1 is w.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

Array = NDArray[np.float64]
Series = NDArray[Any]


def exact(coefficients: Array) -> Series:
    """The same coefficients as fractions."""
    return np.asarray(np.frompyfunc(Fraction, 1, 1)(coefficients.astype(object)))


def rounded(series: Series) -> Array:
    """The same as floats, each within half a unit."""
    return np.asarray(series, np.float64)


def derivative(series: Series, axis: int) -> Series:
    """Of the same shape."""
    shorter: Series = 2 * chebyshev.chebder(series, axis=axis)
    found = np.full(series.shape, Fraction(0), object)
    found[tuple(slice(n) for n in shorter.shape)] = shorter
    return found


def times(series: Series, axis: int) -> Series:
    """Multiplied by the variable of that axis; longer by one."""
    found = _zeros(series, axis, 1)
    old, new = np.moveaxis(series, axis, 0), np.moveaxis(found, axis, 0)
    for k, row in enumerate(old):
        new[k] += row / 2
        new[k + 1] += row / 4
        new[abs(k - 1)] += row / 4
    return found


def complement(series: Series, axis: int) -> Series:
    """Multiplied by 1 minus the variable of that axis; longer by one."""
    found = -times(series, axis)
    np.moveaxis(found, axis, 0)[:-1] += np.moveaxis(series, axis, 0)
    return found


def total(*parts: Series) -> Series:
    """The sum of series of different lengths."""
    shape = np.max([part.shape for part in parts], axis=0)
    found = np.full(shape, Fraction(0), object)
    for part in parts:
        found[tuple(slice(n) for n in part.shape)] += part
    return found


def at_zero(series: Series) -> Series:
    """The series in x that it is where w = 0."""
    signs = np.array([Fraction((-1) ** k) for k in range(series.shape[1])], object)
    return np.asarray(series @ signs)


def quotient(series: Series) -> Series:
    """(f(x, w) − f(x, 0))/w."""
    count = series.shape[1]
    found = np.full((series.shape[0], count + 1), Fraction(0), object)  # of (w/2)·Σ b_k·T_k = Σ c_k·T_k: backwards
    for k in range(count - 1, 0, -1):
        found[:, k - 1] = 4 * series[:, k] - 2 * found[:, k] - found[:, k + 1]
    found[:, 0] /= 2
    return found[:, : max(count - 1, 1)]


def _zeros(series: Series, axis: int, more: int) -> Series:
    shape = list(series.shape)
    shape[axis] += more
    return np.full(shape, Fraction(0), object)
