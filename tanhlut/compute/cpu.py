"""The CPU kernels: the three methods, float32 and float64, into a caller's buffer, by numba.

An array is worked off in strips of STRIP elements that stay in the first-level cache, each in passes of one loop that
LLVM vectorises. What limits a vector of moderate width is how long a chain of operations is, and how few of them fit
into the registers that wait for it: the same operations in two loops take half as long as in one, until it is their
number that counts (measured, AVX2, float32 "exact", of a torch.tanh: in two passes 0.99, in four 0.79). For the same
reason each method is a function of its own: in a common one the numbers that a loop needs do not stay in registers.

There is no branch on data, so the time does not depend on it (`scripts/instructions` counts). In vectors a select is an
instruction; for a lone element LLVM may make it a branch, so what is left of a strip is filled up to LANES elements and
takes the vector road too. Every operation is rounded as IEEE 754 says (no fast-math; fma where it is written), so a
value is the same bits alone, in a vector, in any strip and on any thread.

float64 is float32 and one more step with float64's coefficients: the rounding of what it begins with is far below that
step's reach; so `bilinear` of float64 has float32's rounding.

The kernels take addresses and numbers and know nothing of tables: `packed` says what the arrays are. What is done to
one element is in `formula/element.py` and `bits.py`.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import float32, float64, int32, int64

from tanhlut.compute.compiled import Kernels, addresses, entries
from tanhlut.compute.cpu_ops import DOUBLE, SINGLE, inline
from tanhlut.compute.intrinsics import (
    address,
    call,
    first_of,
    fma,
    load_constant,
    load_pair,
    scratch,
    second_of,
    select,
    store,
)
from tanhlut.compute.threads import THRESHOLD
from tanhlut.formula import layout
from tanhlut.methods import COMPILED

BILINEAR, REFINED, EXACT = (COMPILED.index(method) for method in ("bilinear", "refined", "exact"))
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


@inline
def _from_table(m, delta, y, u, v, key, other, lanes, table):
    """Between the corners of each one's cell; the key of its word of the index is read from memory, not from a vector
    whose lanes would have to be taken apart."""
    loc_index = load_constant(table, layout.LOC_INDEX, int64)
    delta_index = load_constant(table, layout.DELTA_INDEX, int64)
    values, row = load_constant(table, layout.VALUES, int64), np.int32(load_constant(table, layout.COLUMNS, int64))
    first_loc = float32(load_constant(table, layout.FIRST_LOC, float64))
    last_loc = float32(load_constant(table, layout.LAST_LOC, float64))
    first_delta = float32(load_constant(table, layout.FIRST_DELTA, float64))
    last_delta = float32(load_constant(table, layout.LAST_DELTA, float64))
    for i in range(lanes):
        key[i], other[i] = SINGLE.cell_keys(m[i], delta[i], last_loc, first_delta, last_delta)
    for i in range(lanes):
        words = load_constant(loc_index, key[i], int32), load_constant(delta_index, other[i], int32)
        line, column, u[i], v[i] = SINGLE.cell_of(
            m[i], delta[i], first_loc, last_loc, first_delta, last_delta, words[0], words[1]
        )
        key[i] = line * row + column
    for i in range(lanes):
        y[i] = _interpolate(values, key[i], row, u[i], v[i])


def _kernel(text, real, method, bounded):
    """The kernel of a precision, with its `text`, and of a method, for tables of narrower bounds or for all others."""
    size = real.bitwidth // 8
    one, wide = text.ONE, real is float64
    tabled, stepping = method != EXACT, method != BILINEAR or bounded
    closed = method == EXACT or bounded

    def run(loc, scale, out, begin, end, low, high, table):
        """Elements begin … end − 1 of the arrays of `real` at the addresses loc, scale, out; `table`: a record."""
        loc_max = real(load_constant(table, layout.LOC_MAX, float64))
        scale_min = real(load_constant(table, layout.SCALE_MIN, float64))
        scale_max = real(load_constant(table, layout.SCALE_MAX, float64))
        low, high = real(low), real(high)
        half, middle = text.image(low, high)
        m, s, delta = scratch(STRIP, float32), scratch(STRIP, float32), scratch(STRIP, float32)
        x, y, t, h = scratch(STRIP, float32), scratch(STRIP, float32), scratch(STRIP, float32), scratch(STRIP, float32)
        key, other = scratch(STRIP, int32), scratch(STRIP, int32)
        wide_t, wide_h = scratch(STRIP, real), scratch(STRIP, real)
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
            for i in range(lanes):
                mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                m[i], s[i], delta[i] = _single(SINGLE.fold(mu, sigma))
            if tabled:
                _from_table(m, delta, y, t, h, key, other, lanes, table)
            if closed:
                for i in range(lanes):
                    x[i] = fma(s[i], SINGLE.closed_form(m[i], delta[i]), m[i])
                for i in range(lanes):
                    x[i] = SINGLE.rough_step(x[i], m[i], s[i], delta[i])
            if bounded:
                for i in range(lanes):
                    mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                    inside = (abs(mu) <= loc_max) & (sigma >= scale_min) & (sigma <= scale_max)
                    x[i] = select(inside, fma(s[i], y[i], m[i]), x[i])
                    key[i] = inside & (method == BILINEAR)
            elif tabled and stepping:
                for i in range(lanes):
                    x[i] = fma(s[i], y[i], m[i])
            if stepping:
                for i in range(lanes):
                    t[i], h[i] = SINGLE.residual(x[i], m[i], delta[i])
                for i in range(lanes):
                    stepped = SINGLE.corrected(t[i], h[i], s[i], delta[i])
                    y[i] = select(key[i] != 0, y[i], stepped) if bounded else stepped
            if wide and stepping:
                for i in range(lanes):
                    mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                    wide_m, wide_s, wide_delta = text.fold(mu, sigma)
                    wide_t[i], wide_h[i] = text.residual(fma(wide_s, real(y[i]), wide_m), wide_m, wide_delta)
                for i in range(lanes):
                    mu, sigma = load_constant(a, i, real), load_constant(b, i, real)
                    _, wide_s, wide_delta = text.fold(mu, sigma)
                    stepped = text.corrected(wide_t[i], wide_h[i], wide_s, wide_delta)
                    value = select(key[i] != 0, real(y[i]), stepped) if bounded else stepped
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


_ADDRESSES = "void(int64, int64, int64, int64, int64, float64, float64, int64)"
_ARRAYS = "boolean(int64, {0}, {0}, {0}, float64, float64, int64)"


class Kernel(NamedTuple):
    """A compiled kernel: out[i] = mode for begin ≤ i < end, of arrays at addresses, `out` apart from the others."""

    call: Any  # (loc, scale, out, begin, end, low, high, table), without numba's check of the arguments
    address: int  # where the machine's code is, for `number` and `arrays`


@cache
def kernel(real: str, method: int, bounded: bool) -> Kernel:
    """The kernel of "float32" or "float64", a method's number, and tables of narrower bounds or all others."""
    kernels = Kernels(f"{real} {COMPILED[method]} {bounded}")
    text, kind = {"float32": (SINGLE, float32), "float64": (DOUBLE, float64)}[real]
    run = kernels.compiled(_ADDRESSES)(_kernel(text, kind, method, bounded))
    kernels.build()
    return Kernel(*entries(run), *addresses(run))


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


def _arrays(kernel, loc, scale, out, low, high, table):
    """The kernel at an address on 1-d NumPy arrays of its dtype; False, and nothing done, where it does not serve."""
    if not _serves(loc, scale, out):
        return False
    a, b, c = int64(loc.ctypes.data), int64(scale.ctypes.data), int64(out.ctypes.data)
    call(kernel, a, b, c, 0, out.size, low, high, table)
    return True


@cache
def arrays(real: str) -> Any:
    """`_arrays` for arrays of "float32" or "float64"."""
    kernels = Kernels(f"{real} arrays")
    run = kernels.compiled(_ARRAYS.format(f"{real}[:]"))(_arrays)
    kernels.build()
    return entries(run)[0]


@kernels.compiled("float64(int64, float64, float64, float64, float64, int64)")
def _number(kernel, loc, scale, low, high, table):
    """The kernel of float64 at an address on two Python floats."""
    room = scratch(3, float64)
    room[0], room[1] = loc, scale
    call(kernel, address(room), address(room) + 8, address(room) + 16, 0, 1, low, high, table)
    return room[2]


# The smallest is compiled at once, to see whether that works here; each of the others when it is first called.
kernels.build()
(number,) = entries(_number)
