"""The CPU kernel: the three methods, float32 and float64, into a caller's buffer, by numba.

An array is worked off in strips of STRIP elements that stay in the first-level cache, each in passes: a start (table
or closed form), Halley steps, sign and bounds. Each pass is one loop that LLVM vectorises; fused into one loop the same
operations run out of registers (measured, float32 exact: 2.5 ns an element fused, 1.6 in passes; AMD EPYC, AVX-512).

There is no branch on data, so the time does not depend on it (`scripts/instructions` counts). In vectors a select is an
instruction; for a lone element LLVM may make it a branch, so what is left of a strip is filled up to LANES elements and
takes the vector road too. Every operation is rounded as IEEE 754 says (no fast-math; fma where it is written), so a
value is the same bits alone, in a vector, in any strip and on any thread.

float64 differs from float32 only in its steps: their number and their coefficients. Its start is computed in float32,
whose rounding is far below the start's own error; so `bilinear` of float64 has float32's rounding.

The kernel takes addresses and numbers and knows nothing of tables: `packed` says what the arrays are. The formulas are
those of `equation`, where their sources are; `coefficients` has the numbers.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import float32, float64, int32, int64

from tanhlut import coefficients, equation, packed
from tanhlut.intrinsics import (
    address,
    bits,
    first_of,
    floor,
    fma,
    from_bits,
    load_constant,
    load_pair,
    scratch,
    second_of,
    select,
    store,
)
from tanhlut.parallel import THRESHOLD

BILINEAR, REFINED, EXACT = range(3)
STRIP, LANES = 256, 16


class _Numbers(NamedTuple):
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
    def of(cls, real: Any, given: coefficients.Coefficients, steps: int) -> "_Numbers":
        typed: Any = [tuple(map(real, part)) if isinstance(part, tuple) else real(part) for part in given[:-1]]
        numbers = coefficients.Coefficients._make([*typed, np.int64(given.mantissa_bits)])
        sign = np.iinfo(np.int32 if real is np.float32 else np.int64).min
        small = (real(0.0), real(0.5), real(1.0), real(np.nan), real(equation.SEAM), sign, real(0).itemsize)
        return cls(*small, numbers, steps)


_SINGLE = _Numbers.of(np.float32, coefficients.SINGLE, 0)
_DOUBLE = _Numbers.of(np.float64, coefficients.DOUBLE, 1)

_ZERO, _HALF, _ONE, _ONE_AND_A_HALF, _TWO_THIRDS, _THREE, _THIRD, _FOUR_THIRDS = (
    np.float32(x) for x in (0.0, 0.5, 1.0, 1.5, 2 / 3, 3.0, 1 / 3, 4 / 3)
)
_SMALLEST_CUBE = np.float32(coefficients.SMALLEST_CUBE)
_UNIT, _SPAN_UNIT = np.float32(packed.UNIT), np.float32(packed.UNIT * 2.0**-packed.KEY_SHIFT)
_SPAN_SHIFT = 32 - packed.REST_SHIFT
_LOC_KEYS, _DELTA_KEYS = packed.KEYS // 2 - 1, packed.KEYS - 1

_inline = numba.njit(error_model="numpy", forceinline=True)


@_inline
def _horner(coefficients, x):
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = fma(total, x, coefficient)
    return total


@_inline
def _at_most(x, most):
    return select(x > most, most, x)  # NaN stays


@_inline
def _at_least(x, least):
    return select(x < least, least, x)


@_inline
def _fold(k, loc, scale):
    """(m, s, δ), saturated; s and δ are NaN for scale < 0. δ by one rounding."""
    scale = _at_most(select(scale < k.zero, k.nan, scale), k.given.scale_saturation)
    twice = scale + scale
    return _at_most(abs(loc), k.given.loc_saturation), twice * scale, fma(twice, scale, -k.one)


@_inline
def _tanh_parts(k, x):
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


@_inline
def _step(k, y, m, s, delta):
    """`equation.halley_step`."""
    near, t, slope, gap = _tanh_parts(k, fma(s, y, m))
    h = select(near, fma(delta, t, m) - gap, s * (t - y))  # −h(x)
    d = fma(t, t, -(delta * slope))
    step = h / fma(d, d, (h * s) * (t * slope)) * d  # in this order nothing underflows at the cusp
    return _at_least(_at_most(fma(slope * step, fma(-t, step, k.one), t), k.one), k.zero)


@_inline
def _inverse_root(x):
    """1/√x of a float32 to 0.2 %."""
    y = from_bits(coefficients.INVERSE_ROOT - (bits(x) >> 1), x)
    return y * fma(-(_HALF * x) * y, y, _ONE_AND_A_HALF)


@_inline
def _inverse_cube_root(x):
    """1/∛x of a float32 ≥ SMALLEST_CUBE to 0.3 %."""
    y = from_bits(coefficients.INVERSE_CUBE_ROOT - np.int32(np.float32(bits(x)) * _THIRD), x)
    return y * fma(-(_THIRD * x) * (y * y), y, _FOUR_THIRDS)


@_inline
def _closed_form(m, delta):
    """`equation.closed_form_start` of float32 (m, δ), to 0.6 %: c²/√(c² + c⁴) above; n/√(n² + d²) below."""
    a, cube = _THREE * abs(delta), _THREE * m
    w2 = cube * _inverse_cube_root(_at_least(cube, _SMALLEST_CUBE))
    q = fma(_TWO_THIRDS, a, w2)
    inverse = _inverse_root(w2 + a)
    square = fma(cube, inverse, a)
    scale = inverse * inverse  # keeps the squares below in range
    n = cube * (q * scale)
    d = fma(a, q, w2 * w2) * scale
    above = delta > _ZERO
    top = select(above, square, n)
    return top * _inverse_root(fma(top, top, select(above, square, d * d)))


@_inline
def _position(x, mask, index):
    """(cell, weight) of a float32 on an axis, as `packed` tells; the weight is rounded once."""
    word = bits(x)
    entry = load_constant(index, np.int32((word >> packed.KEY_SHIFT) & mask), int32)
    cell = np.int32((entry >> packed.CELL_SHIFT) & 0xFFFF)
    rest = np.float32(np.int32((entry >> packed.REST_SHIFT) & 15)) * _UNIT
    span = np.float32(np.int32(np.int32(entry << _SPAN_SHIFT) >> _SPAN_SHIFT)) * _SPAN_UNIT
    place = np.float32(np.int32(word & packed.PLACE_MASK))
    whole = floor(fma(place, span, rest))
    return np.int32(cell + np.int32(whole)), fma(place, span, rest - whole)


@_inline
def _bilinear(values, corner, row, u, v):
    """Between the four corners of a cell: two loads of two each, three lerps. Weights may be below 0, by an ulp."""
    lower, upper = load_pair(values, corner), load_pair(values, np.int32(corner + row))
    y0 = fma(second_of(lower) - first_of(lower), v, first_of(lower))
    y1 = fma(second_of(upper) - first_of(upper), v, first_of(upper))
    return _at_least(fma(y1 - y0, u, y0), _ZERO)


@_inline
def _run(k, real, loc, scale, out, begin, end, low, high, table, method):
    """Elements begin … end − 1 of the arrays of `real` at the addresses loc, scale, out; `table`: a packed record."""
    loc_index, delta_index = load_constant(table, 0, int64), load_constant(table, 1, int64)
    values, row = load_constant(table, 2, int64), np.int32(load_constant(table, 3, int64))
    bounded = method != EXACT and load_constant(table, 4, int64)
    loc_max, scale_min = real(load_constant(table, 5, float64)), real(load_constant(table, 6, float64))
    scale_max, first_loc = real(load_constant(table, 7, float64)), float32(load_constant(table, 8, float64))
    last_loc, per_first = float32(load_constant(table, 9, float64)), _ONE / first_loc
    first_delta, last_delta = float32(load_constant(table, 10, float64)), float32(load_constant(table, 11, float64))
    half, middle = k.half * high - k.half * low, -(-k.half * low + -k.half * high)
    steps = 2 if bounded else method
    m, s, delta, y = scratch(STRIP, float32), scratch(STRIP, float32), scratch(STRIP, float32), scratch(STRIP, float32)
    u, v, corner, done = scratch(STRIP, float32), scratch(STRIP, float32), scratch(STRIP, int32), scratch(STRIP, int32)
    few_loc, few_scale, few_out = scratch(LANES, real), scratch(LANES, real), scratch(LANES, real)
    first = begin
    while first < end:
        n = min(STRIP, end - first)
        if n >= LANES:
            n -= n % LANES
            a, b, c = loc + first * k.size, scale + first * k.size, out + first * k.size
        else:
            for i in range(LANES):
                few_loc[i] = few_scale[i] = k.one
            for i in range(n):
                few_loc[i], few_scale[i] = load_constant(loc, first + i, real), load_constant(scale, first + i, real)
            a, b, c = address(few_loc), address(few_scale), address(few_out)
        lanes = max(n, LANES)
        if method == EXACT:
            for i in range(lanes):
                m[i], s[i], delta[i] = _single(_fold(_SINGLE, load_constant(a, i, real), load_constant(b, i, real)))
                y[i] = _closed_form(m[i], delta[i])
        else:
            for i in range(lanes):
                m[i], s[i], delta[i] = _single(_fold(_SINGLE, load_constant(a, i, real), load_constant(b, i, real)))
                line, weight = _position(_at_most(m[i], last_loc), _LOC_KEYS, loc_index)
                u[i] = select(m[i] < first_loc, m[i] * per_first, weight)
                within = _at_least(_at_most(delta[i], last_delta), first_delta)
                column, weight = _position(within, _DELTA_KEYS, delta_index)
                v[i] = weight + ((delta[i] - delta[i]) + (m[i] - m[i]))  # a NaN stays one
                corner[i] = line * row + column
            for i in range(lanes):
                y[i] = _bilinear(values, corner[i], row, u[i], v[i])
        if bounded:
            for i in range(lanes):
                mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                inside = (abs(mu) <= loc_max) & (sigma >= scale_min) & (sigma <= scale_max)
                y[i] = select(inside, y[i], _closed_form(m[i], delta[i]))
                done[i] = inside & (method == BILINEAR)
            for _ in range(steps):
                for i in range(lanes):
                    y[i] = select(done[i] != 0, y[i], _step(_SINGLE, y[i], m[i], s[i], delta[i]))
        else:
            for _ in range(steps):
                for i in range(lanes):
                    y[i] = _step(_SINGLE, y[i], m[i], s[i], delta[i])
        if k.steps and bounded:
            for i in range(lanes):
                mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                value = select(done[i] != 0, real(y[i]), _step(k, real(y[i]), *_fold(k, mu, sigma)))
                store(c, i, _finish(k, value, mu, half, middle, low, high))
        elif k.steps and steps:
            for i in range(lanes):
                mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                value = _step(k, real(y[i]), *_fold(k, mu, sigma))
                store(c, i, _finish(k, value, mu, half, middle, low, high))
        else:
            for i in range(lanes):
                mu = load_constant(a, i, real)
                store(c, i, _finish(k, real(y[i]), mu, half, middle, low, high))
        if n < LANES:
            for i in range(n):
                store(out, first + i, few_out[i])
        first += n


@_inline
def _single(numbers):
    m, s, delta = numbers
    return float32(m), float32(s), float32(delta)


@_inline
def _finish(k, y, loc, half, middle, low, high):
    """loc's sign, and the image in [low, high]: `lookup._to_bounds`, rounding alike."""
    y = from_bits(bits(y) | (bits(loc) & k.sign), y)
    return _at_most(_at_least(half * y + middle, low), high)


def _compiled(*signatures: str) -> Any:
    """Compile for these signatures now, or load from numba's cache: importing this module does it, no call does."""

    def decorate(function: Any) -> Any:
        try:
            return numba.njit(list(signatures), error_model="numpy", nogil=True, cache=True)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):  # numba finds no folder that it may write to
                raise
            return numba.njit(list(signatures), error_model="numpy", nogil=True)(function)

    return decorate


_ADDRESSES = "void(int64, int64, int64, int64, int64, float64, float64, int64, int64)"
_ARRAYS = "boolean({0}, {0}, {0}, float64, float64, int64, int64)"


@_compiled(_ADDRESSES)
def mode32(loc, scale, out, begin, end, low, high, table, method):
    """Of float32 arrays at three addresses, `out` apart from the others: out[i] = mode for begin ≤ i < end."""
    _run(_SINGLE, float32, loc, scale, out, begin, end, float32(low), float32(high), table, method)


@_compiled(_ADDRESSES)
def mode64(loc, scale, out, begin, end, low, high, table, method):
    """`mode32` of float64 arrays."""
    _run(_DOUBLE, float64, loc, scale, out, begin, end, low, high, table, method)


@_inline
def _contiguous(array, out):
    return array.size == out.size and (array.strides[0] == array.itemsize or array.size == 1)


@_inline
def _serves(loc, scale, out):
    """Whether the arrays are what the kernel reads: one size, contiguous, `out` apart, short enough for one thread."""
    size = out.size * out.itemsize
    a, b, c = int64(loc.ctypes.data), int64(scale.ctypes.data), int64(out.ctypes.data)
    apart = abs(c - a) >= size and abs(c - b) >= size
    aligned = (a | b | c) % out.itemsize == 0
    contiguous = _contiguous(loc, out) and _contiguous(scale, out) and _contiguous(out, out)
    return apart and aligned and contiguous and out.size < THRESHOLD


@_compiled(_ARRAYS.format("float32[:]"))
def arrays32(loc, scale, out, low, high, table, method):
    """`mode32` of 1-d NumPy arrays; False, and nothing done, where it does not serve."""
    if _serves(loc, scale, out):
        a, b, c = int64(loc.ctypes.data), int64(scale.ctypes.data), int64(out.ctypes.data)
        mode32(a, b, c, 0, out.size, low, high, table, method)
        return True
    return False


@_compiled(_ARRAYS.format("float64[:]"))
def arrays64(loc, scale, out, low, high, table, method):
    """`arrays32` of float64."""
    if _serves(loc, scale, out):
        a, b, c = int64(loc.ctypes.data), int64(scale.ctypes.data), int64(out.ctypes.data)
        mode64(a, b, c, 0, out.size, low, high, table, method)
        return True
    return False


@_compiled("float64(float64, float64, float64, float64, int64, int64)")
def number(loc, scale, low, high, table, method):
    """The mode of two Python floats."""
    room = scratch(3, float64)
    room[0], room[1] = loc, scale
    mode64(address(room), address(room) + 8, address(room) + 16, 0, 1, low, high, table, method)
    return room[2]


def _entry(function: Any) -> Any:
    """The compiled function itself: without numba's check of the arguments, which costs 80 ns a call."""
    (overload,) = function.overloads.values()
    return overload.entry_point


call32, call64 = _entry(mode32), _entry(mode64)
call_arrays32, call_arrays64 = _entry(arrays32), _entry(arrays64)
call_number = _entry(number)
