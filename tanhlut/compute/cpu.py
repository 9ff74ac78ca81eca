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

The kernel takes addresses and numbers and knows nothing of tables: `packed` says what the arrays are. What is done to
one element is in `formula/element.py` and `bits.py`.
"""

import numpy as np
from numba import float32, float64, int32, int64

from tanhlut.compute.compiled import Kernels, entries
from tanhlut.compute.cpu_ops import DOUBLE, SINGLE, inline
from tanhlut.compute.intrinsics import address, first_of, load_constant, load_pair, scratch, second_of, select, store
from tanhlut.compute.threads import THRESHOLD
from tanhlut.formula import layout
from tanhlut.methods import COMPILED, STEPS

BILINEAR, EXACT = COMPILED.index("bilinear"), COMPILED.index("exact")
STRIP, LANES = 256, 16

kernels = Kernels()


@inline
def _single(numbers):
    m, s, delta = numbers
    return float32(m), float32(s), float32(delta)


@inline
def _interpolate(values, corner, row, u, v):
    """The corners of a cell by two loads of two each."""
    lower, upper = load_pair(values, corner), load_pair(values, np.int32(corner + row))
    return SINGLE.corners(first_of(lower), second_of(lower), first_of(upper), second_of(upper), u, v)


def _runner(text, real, steps_more):
    """The kernel of a precision, with its `text`; it steps that often in it, after those in float32."""
    size = real.bitwidth // 8
    one = text.ONE

    @inline
    def run(loc, scale, out, begin, end, low, high, table, method):
        """Elements begin … end − 1 of the arrays of `real` at the addresses loc, scale, out; `table`: a record."""
        loc_index = load_constant(table, layout.LOC_INDEX, int64)
        delta_index = load_constant(table, layout.DELTA_INDEX, int64)
        values, row = load_constant(table, layout.VALUES, int64), np.int32(load_constant(table, layout.COLUMNS, int64))
        bounded = method != EXACT and load_constant(table, layout.BOUNDED, int64)
        loc_max = real(load_constant(table, layout.LOC_MAX, float64))
        scale_min = real(load_constant(table, layout.SCALE_MIN, float64))
        scale_max = real(load_constant(table, layout.SCALE_MAX, float64))
        first_loc = float32(load_constant(table, layout.FIRST_LOC, float64))
        last_loc = float32(load_constant(table, layout.LAST_LOC, float64))
        first_delta = float32(load_constant(table, layout.FIRST_DELTA, float64))
        last_delta = float32(load_constant(table, layout.LAST_DELTA, float64))
        half, middle = text.image(low, high)
        steps = STEPS[EXACT] if bounded else STEPS[method]  # in a bounded table some lanes begin with the closed form
        m, s, delta = scratch(STRIP, float32), scratch(STRIP, float32), scratch(STRIP, float32)
        y, u, v = scratch(STRIP, float32), scratch(STRIP, float32), scratch(STRIP, float32)
        corner, done = scratch(STRIP, int32), scratch(STRIP, int32)
        few_loc, few_scale, few_out = scratch(LANES, real), scratch(LANES, real), scratch(LANES, real)
        first = begin
        while first < end:
            n = min(STRIP, end - first)
            if n >= LANES:
                n -= n % LANES
                a, b, c = loc + first * size, scale + first * size, out + first * size
            else:
                for i in range(LANES):
                    few_loc[i] = few_scale[i] = one
                for i in range(n):
                    few_loc[i] = load_constant(loc, first + i, real)
                    few_scale[i] = load_constant(scale, first + i, real)
                a, b, c = address(few_loc), address(few_scale), address(few_out)
            lanes = max(n, LANES)
            if method == EXACT:
                for i in range(lanes):
                    mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                    m[i], s[i], delta[i] = _single(SINGLE.fold(mu, sigma))
                    y[i] = SINGLE.closed_form(m[i], delta[i])
            else:
                for i in range(lanes):
                    mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                    m[i], s[i], delta[i] = _single(SINGLE.fold(mu, sigma))
                    line, column, u[i], v[i] = SINGLE.cell(
                        m[i], delta[i], first_loc, last_loc, first_delta, last_delta, loc_index, delta_index
                    )
                    corner[i] = line * row + column
                for i in range(lanes):
                    y[i] = _interpolate(values, corner[i], row, u[i], v[i])
            if bounded:
                for i in range(lanes):
                    mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                    inside = (abs(mu) <= loc_max) & (sigma >= scale_min) & (sigma <= scale_max)
                    y[i] = select(inside, y[i], SINGLE.closed_form(m[i], delta[i]))
                    done[i] = inside & (method == BILINEAR)
                for _ in range(steps):
                    for i in range(lanes):
                        y[i] = select(done[i] != 0, y[i], SINGLE.step(y[i], m[i], s[i], delta[i]))
            else:
                for _ in range(steps):
                    for i in range(lanes):
                        y[i] = SINGLE.step(y[i], m[i], s[i], delta[i])
            if steps_more and bounded:
                for i in range(lanes):
                    mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                    value = select(done[i] != 0, real(y[i]), text.step(real(y[i]), *text.fold(mu, sigma)))
                    store(c, i, text.finish(value, mu, half, middle, low, high))
            elif steps_more and steps:
                for i in range(lanes):
                    mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                    value = text.step(real(y[i]), *text.fold(mu, sigma))
                    store(c, i, text.finish(value, mu, half, middle, low, high))
            else:
                for i in range(lanes):
                    mu = load_constant(a, i, real)
                    store(c, i, text.finish(real(y[i]), mu, half, middle, low, high))
            if n < LANES:
                for i in range(n):
                    store(out, first + i, few_out[i])
            first += n

    return run


_run32, _run64 = _runner(SINGLE, float32, 0), _runner(DOUBLE, float64, 1)

_ADDRESSES = "void(int64, int64, int64, int64, int64, float64, float64, int64, int64)"
_ARRAYS = "boolean({0}, {0}, {0}, float64, float64, int64, int64)"


@kernels.compiled(_ADDRESSES)
def mode32(loc, scale, out, begin, end, low, high, table, method):
    """Of float32 arrays at three addresses, `out` apart from the others: out[i] = mode for begin ≤ i < end."""
    _run32(loc, scale, out, begin, end, float32(low), float32(high), table, method)


@kernels.compiled(_ADDRESSES)
def mode64(loc, scale, out, begin, end, low, high, table, method):
    """`mode32` of float64 arrays."""
    _run64(loc, scale, out, begin, end, low, high, table, method)


@inline
def _contiguous(array, out):
    return array.size == out.size and (array.strides[0] == array.itemsize or array.size == 1)


@inline
def _serves(loc, scale, out):
    """Whether the arrays are what the kernel reads: one size, contiguous, `out` apart, short enough for one thread."""
    size = out.size * out.itemsize
    a, b, c = int64(loc.ctypes.data), int64(scale.ctypes.data), int64(out.ctypes.data)
    apart = abs(c - a) >= size and abs(c - b) >= size
    aligned = (a | b | c) % out.itemsize == 0
    contiguous = _contiguous(loc, out) and _contiguous(scale, out) and _contiguous(out, out)
    return apart and aligned and contiguous and out.size < THRESHOLD


@kernels.compiled(_ARRAYS.format("float32[:]"), _ARRAYS.format("float64[:]"))
def arrays(loc, scale, out, low, high, table, method):
    """`mode32` or `mode64` of 1-d NumPy arrays of one dtype; False, and nothing done, where it does not serve."""
    if not _serves(loc, scale, out):
        return False
    a, b, c = int64(loc.ctypes.data), int64(scale.ctypes.data), int64(out.ctypes.data)
    if out.itemsize == 4:
        mode32(a, b, c, 0, out.size, low, high, table, method)
    else:
        mode64(a, b, c, 0, out.size, low, high, table, method)
    return True


@kernels.compiled("float64(float64, float64, float64, float64, int64, int64)")
def number(loc, scale, low, high, table, method):
    """The mode of two Python floats."""
    room = scratch(3, float64)
    room[0], room[1] = loc, scale
    mode64(address(room), address(room) + 8, address(room) + 16, 0, 1, low, high, table, method)
    return room[2]


kernels.build()

# What the short road calls.
(call32,), (call64,), (call_number,) = entries(mode32), entries(mode64), entries(number)
call_arrays32, call_arrays64 = entries(arrays)
