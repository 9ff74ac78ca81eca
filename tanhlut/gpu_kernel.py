"""The GPU kernel's arithmetic: the three methods for float32, bfloat16 and float16, in one launch, by Triton.

It is `cpu`'s, operation for operation: fma where that has one, divisions rounded to nearest (`div_rn`; Triton's `/` is
within 2 ulp only), nothing fused behind our back (`gpu` launches with `enable_fp_fusion=False`). So float32 has the CPU
kernel's bits, and what is proven of those holds here. The formulas are explained there and in `equation`.

No branch on data. The table (1.1 MB, and 16 KB of index) stays in the second-level cache; index loads hit the first.

A constant that is a global must equal itself: Triton compares them all before each launch. So NaN is spelt in the body.
"""

import triton
import triton.language as tl

from tanhlut import coefficients, equation, packed
from tanhlut.coefficients import SINGLE

_LOC_SATURATION, _SCALE_SATURATION = tl.constexpr(SINGLE.loc_saturation), tl.constexpr(SINGLE.scale_saturation)
_SEAM = tl.constexpr(equation.SEAM)
_N0, _N1, _N2 = (tl.constexpr(c) for c in SINGLE.numerator)
_Q0, _Q1, _Q2, _Q3 = (tl.constexpr(c) for c in SINGLE.denominator)
_E0, _E1, _E2, _E3, _E4, _E5 = (tl.constexpr(c) for c in SINGLE.exp2)
_EXP_HIGH, _EXP_LOW, _ROUNDER = (tl.constexpr(c) for c in (SINGLE.exp_high, SINGLE.exp_low, SINGLE.rounder))
_MANTISSA = tl.constexpr(SINGLE.mantissa_bits)
_INVERSE_ROOT, _INVERSE_CUBE_ROOT = (
    tl.constexpr(coefficients.INVERSE_ROOT),
    tl.constexpr(coefficients.INVERSE_CUBE_ROOT),
)
_SMALLEST_CUBE = tl.constexpr(coefficients.SMALLEST_CUBE)
_THIRD, _TWO_THIRDS, _FOUR_THIRDS = tl.constexpr(1 / 3), tl.constexpr(2 / 3), tl.constexpr(4 / 3)
_KEY_SHIFT, _PLACE_MASK = tl.constexpr(packed.KEY_SHIFT), tl.constexpr(packed.PLACE_MASK)
_LOC_KEYS, _DELTA_KEYS = tl.constexpr(packed.KEYS // 2 - 1), tl.constexpr(packed.KEYS - 1)
_CELL_SHIFT, _REST_SHIFT = tl.constexpr(packed.CELL_SHIFT), tl.constexpr(packed.REST_SHIFT)
_SPAN_SHIFT = tl.constexpr(32 - packed.REST_SHIFT)
_UNIT, _SPAN_UNIT = tl.constexpr(packed.UNIT), tl.constexpr(packed.UNIT * 2.0**-packed.KEY_SHIFT)
_BILINEAR, _REFINED, _EXACT = (tl.constexpr(number) for number in range(3))
_SIGN = tl.constexpr(-(2**31))


@triton.jit
def _at_most(x, most):
    return tl.where(x > most, most, x)  # NaN stays


@triton.jit
def _at_least(x, least):
    return tl.where(x < least, least, x)


@triton.jit
def _step(y, m, s, delta):
    x = tl.fma(s, y, m)
    z = x * x
    near = x <= _SEAM
    rounded = tl.fma(x, _EXP_HIGH, _ROUNDER)
    f = tl.fma(x, _EXP_LOW, tl.fma(x, _EXP_HIGH, -(rounded - _ROUNDER)))
    power = tl.fma(tl.fma(tl.fma(tl.fma(tl.fma(f, _E0, _E1), f, _E2), f, _E3), f, _E4), f, _E5)
    exponent = rounded.to(tl.int32, bitcast=True) << _MANTISSA
    e = (power.to(tl.int32, bitcast=True) + exponent).to(tl.float32, bitcast=True)
    above = z * tl.fma(tl.fma(z, _N0, _N1), z, _N2)
    below = tl.fma(tl.fma(tl.fma(z, _Q0, _Q1), z, _Q2), z, _Q3)
    ratio = tl.div_rn(tl.where(near, above, e + e), tl.where(near, below, 1.0 + e))
    gap = x * ratio
    t = tl.where(near, x - gap, 1.0 - ratio)
    slope = tl.where(near, 1.0 - t, ratio) * (1.0 + t)
    h = tl.where(near, tl.fma(delta, t, m) - gap, s * (t - y))
    d = tl.fma(t, t, -(delta * slope))
    step = tl.div_rn(h, tl.fma(d, d, (h * s) * (t * slope))) * d
    return _at_least(_at_most(tl.fma(slope * step, tl.fma(-t, step, 1.0), t), 1.0), 0.0)


@triton.jit
def _inverse_root(x):
    y = (-(x.to(tl.int32, bitcast=True) >> 1) + _INVERSE_ROOT).to(tl.float32, bitcast=True)
    return y * tl.fma(-(0.5 * x) * y, y, 1.5)


@triton.jit
def _inverse_cube_root(x):
    third = (x.to(tl.int32, bitcast=True).to(tl.float32) * _THIRD).to(tl.int32)
    y = (-third + _INVERSE_CUBE_ROOT).to(tl.float32, bitcast=True)
    return y * tl.fma(-(x * _THIRD) * (y * y), y, _FOUR_THIRDS)


@triton.jit
def _closed_form(m, delta):
    a, cube = 3.0 * tl.abs(delta), 3.0 * m
    w2 = cube * _inverse_cube_root(_at_least(cube, _SMALLEST_CUBE))
    q = tl.fma(a, _TWO_THIRDS, w2)
    inverse = _inverse_root(w2 + a)
    square = tl.fma(cube, inverse, a)
    scale = inverse * inverse
    n = cube * (q * scale)
    d = tl.fma(a, q, w2 * w2) * scale
    above = delta > 0.0
    top = tl.where(above, square, n)
    return top * _inverse_root(tl.fma(top, top, tl.where(above, square, d * d)))


@triton.jit
def _position(x, keys: tl.constexpr, index):
    word = x.to(tl.int32, bitcast=True)
    entry = tl.load(index + ((word >> _KEY_SHIFT) & keys))
    rest = ((entry >> _REST_SHIFT) & 15).to(tl.float32) * _UNIT
    span = ((entry << _SPAN_SHIFT) >> _SPAN_SHIFT).to(tl.float32) * _SPAN_UNIT
    place = (word & _PLACE_MASK).to(tl.float32)
    whole = tl.floor(tl.fma(place, span, rest))
    return ((entry >> _CELL_SHIFT) & 0xFFFF) + whole.to(tl.int32), tl.fma(place, span, rest - whole)


@triton.jit
def _interpolate(m, delta, loc_index, delta_index, values, row, first_loc, last_loc, first_delta, last_delta):
    line, weight = _position(_at_most(m, last_loc), _LOC_KEYS, loc_index)
    u = tl.where(m < first_loc, m * tl.div_rn(1.0, first_loc), weight)
    column, v = _position(_at_least(_at_most(delta, last_delta), first_delta), _DELTA_KEYS, delta_index)
    v += (delta - delta) + (m - m)  # a NaN stays one
    corner = values + (line * row + column)
    y00, y01, y10, y11 = tl.load(corner), tl.load(corner + 1), tl.load(corner + row), tl.load(corner + row + 1)
    y0 = tl.fma(y01 - y00, v, y00)
    y1 = tl.fma(y11 - y10, v, y10)
    return _at_least(tl.fma(y1 - y0, u, y0), 0.0)


def _kernel(
    loc_pointer,
    scale_pointer,
    out_pointer,
    n: tl.int64,
    loc_index,
    delta_index,
    values,
    row,
    first_loc,
    last_loc,
    first_delta,
    last_delta,
    loc_max,
    scale_min,
    scale_max,
    low,
    high,
    METHOD: tl.constexpr,  # noqa: N803, Triton's custom for what a kernel is specialised by
    BOUNDED: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = element < n
    loc = tl.load(loc_pointer + element, mask=mask, other=0.0).to(tl.float32)
    scale = tl.load(scale_pointer + element, mask=mask, other=1.0).to(tl.float32)
    m = _at_most(tl.abs(loc), _LOC_SATURATION)
    sigma = _at_most(tl.where(scale < 0.0, float("nan"), scale), _SCALE_SATURATION)
    s = (sigma + sigma) * sigma
    delta = tl.fma(sigma + sigma, sigma, -1.0)
    if METHOD == _EXACT:
        y = _closed_form(m, delta)
    else:
        y = _interpolate(m, delta, loc_index, delta_index, values, row, first_loc, last_loc, first_delta, last_delta)
    if BOUNDED:
        inside = (tl.abs(loc) <= loc_max) & (scale >= scale_min) & (scale <= scale_max)
        table_value = y
        y = tl.where(inside, y, _closed_form(m, delta))
        y = _step(_step(y, m, s, delta), m, s, delta)
        if METHOD == _BILINEAR:
            y = tl.where(inside, table_value, y)
    else:
        if METHOD != _BILINEAR:
            y = _step(y, m, s, delta)
        if METHOD == _EXACT:
            y = _step(y, m, s, delta)
    y = (y.to(tl.int32, bitcast=True) | (loc.to(tl.int32, bitcast=True) & _SIGN)).to(tl.float32, bitcast=True)
    half = 0.5 * high - 0.5 * low
    middle = -(-0.5 * low + -0.5 * high)
    y = _at_most(_at_least(half * y + middle, low), high)
    tl.store(out_pointer + element, y.to(out_pointer.dtype.element_ty), mask=mask)


# Triton compiles anew for a length of 1, for one divisible by 16, and for each pointer that is: here for all of them or
# for none, so that two kernels serve every call. Aligned loads and stores are 16 bytes wide.
ALIGNMENT = 16
_TABLE = ["loc_index", "delta_index", "values", "row"]
aligned_kernel = triton.jit(_kernel, do_not_specialize=_TABLE)
any_kernel = triton.jit(_kernel, do_not_specialize=["loc_pointer", "scale_pointer", "out_pointer", "n", *_TABLE])

INTERPRETED = not isinstance(any_kernel, triton.JITFunction)
