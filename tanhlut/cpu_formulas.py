"""The CPU kernel's arithmetic, one element at a time: what `cpu` runs in passes over whole vectors.

Functions are inlined into loops. They use no fast-math and no branch on data: fma where it is written, select where a
formula has two forms. `Numbers` gives each precision its constants in its own type. The formulas are those of
`equation`, where their sources are; `coefficients` has the numbers, `packed` tells what an index word means.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import float32, int32

from tanhlut import coefficients, equation, packed
from tanhlut.intrinsics import (
    bits,
    first_of,
    floor,
    fma,
    from_bits,
    load_constant,
    load_pair,
    second_of,
    select,
)


class Numbers(NamedTuple):
    """The constants of one precision in its own type, since numba widens float32 · 2.0 to float64."""

    zero: Any
    half: Any
    one: Any
    nan: Any
    seam: Any
    sign: int  # the sign bit
    size: int  # bytes
    given: coefficients.Coefficients
    steps: int  # in this precision, after those in float32

    @classmethod
    def of(cls, real: Any, given: coefficients.Coefficients, steps: int) -> "Numbers":
        typed: Any = [tuple(map(real, part)) if isinstance(part, tuple) else real(part) for part in given[:-1]]
        numbers = coefficients.Coefficients._make([*typed, np.int64(given.mantissa_bits)])
        sign = np.iinfo(np.int32 if real is np.float32 else np.int64).min
        small = (real(0.0), real(0.5), real(1.0), real(np.nan), real(equation.SEAM), sign, real(0).itemsize)
        return cls(*small, numbers, steps)


SINGLE = Numbers.of(np.float32, coefficients.SINGLE, 0)
DOUBLE = Numbers.of(np.float64, coefficients.DOUBLE, 1)

_ZERO, _HALF, _ONE, _ONE_AND_A_HALF, _TWO_THIRDS, _THREE, _THIRD, _FOUR_THIRDS = (
    np.float32(x) for x in (0.0, 0.5, 1.0, 1.5, 2 / 3, 3.0, 1 / 3, 4 / 3)
)
_SMALLEST_CUBE = np.float32(coefficients.SMALLEST_CUBE)
_UNIT, _SPAN_UNIT = np.float32(packed.UNIT), np.float32(packed.UNIT * 2.0**-packed.KEY_SHIFT)
_SPAN_SHIFT = 32 - packed.REST_SHIFT
LOC_KEYS, DELTA_KEYS = packed.KEYS // 2 - 1, packed.KEYS - 1

inline = numba.njit(error_model="numpy", forceinline=True)


@inline
def _horner(coefficients, x):
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = fma(total, x, coefficient)
    return total


@inline
def at_most(x, most):
    return select(x > most, most, x)  # NaN stays


@inline
def at_least(x, least):
    return select(x < least, least, x)


@inline
def fold(k, loc, scale):
    """(m, s, δ), saturated; s and δ are NaN for scale < 0. δ by one rounding."""
    scale = at_most(select(scale < k.zero, k.nan, scale), k.given.scale_saturation)
    twice = scale + scale
    return at_most(abs(loc), k.given.loc_saturation), twice * scale, fma(twice, scale, -k.one)


@inline
def tanh_parts(k, x):
    """Whether x is near, and tanh x, 1 − tanh² x, x − tanh x: `equation.tanh_parts`, its two forms sharing a division.

    x − tanh x counts only where x is near. Relative errors of float32 in units of 2^-24: 4.6 of x − tanh x,
    5.6 of 1 − tanh x where far (tests/test_cpu.py; the proof allows 5.4 and 6).
    """
    c = k.given
    z = x * x
    near = x <= k.seam
    rounded = fma(x, c.exp_high, c.rounder)
    rest = fma(x, c.exp_low, fma(x, c.exp_high, c.rounder - rounded))
    e = from_bits(bits(_horner(c.exp2, rest)) + (bits(rounded) << c.mantissa_bits), x)
    # (x − tanh x)/x near, 1 − tanh x far
    ratio = select(near, z * _horner(c.numerator, z), e + e) / select(near, _horner(c.denominator, z), k.one + e)
    gap = x * ratio
    t = select(near, x - gap, k.one - ratio)
    return near, t, select(near, k.one - t, ratio) * (k.one + t), gap


@inline
def step(k, y, m, s, delta):
    """`equation.halley_step`."""
    near, t, slope, gap = tanh_parts(k, fma(s, y, m))
    h = select(near, fma(delta, t, m) - gap, s * (t - y))  # −h(x)
    d = fma(t, t, -(delta * slope))
    change = h / fma(d, d, (h * s) * (t * slope)) * d  # in this order nothing underflows at the cusp
    return at_least(at_most(fma(slope * change, fma(-t, change, k.one), t), k.one), k.zero)


@inline
def _inverse_root(x):
    """1/√x of a float32 to 0.2 %."""
    y = from_bits(coefficients.INVERSE_ROOT - (bits(x) >> 1), x)
    return y * fma(-(_HALF * x) * y, y, _ONE_AND_A_HALF)


@inline
def _inverse_cube_root(x):
    """1/∛x of a float32 ≥ SMALLEST_CUBE to 0.3 %."""
    y = from_bits(coefficients.INVERSE_CUBE_ROOT - np.int32(np.float32(bits(x)) * _THIRD), x)
    return y * fma(-(_THIRD * x) * (y * y), y, _FOUR_THIRDS)


@inline
def closed_form(m, delta):
    """`equation.closed_form_start` of float32 (m, δ), to 0.6 %: c²/√(c² + c⁴) above; n/√(n² + d²) below."""
    a, cube = _THREE * abs(delta), _THREE * m
    w2 = cube * _inverse_cube_root(at_least(cube, _SMALLEST_CUBE))
    q = fma(_TWO_THIRDS, a, w2)
    inverse = _inverse_root(w2 + a)
    square = fma(cube, inverse, a)
    scale = inverse * inverse  # keeps the squares below in range
    n = cube * (q * scale)
    d = fma(a, q, w2 * w2) * scale
    above = delta > _ZERO
    top = select(above, square, n)
    return top * _inverse_root(fma(top, top, select(above, square, d * d)))


@inline
def position(x, mask, index):
    """(cell, weight) of a float32 on an axis, as `packed` tells; the weight is rounded once."""
    word = bits(x)
    entry = load_constant(index, np.int32((word >> packed.KEY_SHIFT) & mask), int32)
    cell = np.int32((entry >> packed.CELL_SHIFT) & 0xFFFF)
    rest = np.float32(np.int32((entry >> packed.REST_SHIFT) & 15)) * _UNIT
    span = np.float32(np.int32(np.int32(entry << _SPAN_SHIFT) >> _SPAN_SHIFT)) * _SPAN_UNIT
    place = np.float32(np.int32(word & packed.PLACE_MASK))
    whole = floor(fma(place, span, rest))
    return np.int32(cell + np.int32(whole)), fma(place, span, rest - whole)


@inline
def bilinear(values, corner, row, u, v):
    """Between the four corners of a cell: two loads of two each, three lerps. Weights may be below 0, by an ulp."""
    lower, upper = load_pair(values, corner), load_pair(values, np.int32(corner + row))
    y0 = fma(second_of(lower) - first_of(lower), v, first_of(lower))
    y1 = fma(second_of(upper) - first_of(upper), v, first_of(upper))
    return at_least(fma(y1 - y0, u, y0), _ZERO)


@inline
def single(numbers):
    m, s, delta = numbers
    return float32(m), float32(s), float32(delta)


@inline
def finish(k, y, loc, half, middle, low, high):
    """loc's sign, and the image in [low, high]: `lookup._to_bounds`, rounding alike."""
    y = from_bits(bits(y) | (bits(loc) & k.sign), y)
    return at_most(at_least(half * y + middle, low), high)
