# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators, disable-error-code="no-redef"
"""The text for machines that see the bits of a float: exp, roots, signs, and a table's cell, in a few operations each.

Written in `operations`, run by `instantiate` before `element`. Torch, whose graphs know no bits, brings its own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.operations import *


@element
def excess(scale):
    """δ = 2·scale² − 1 by one rounding."""
    return fma(scale + scale, scale, -ONE)


@element
def exp_minus_twice(x):
    """exp(−2x) = 2^n·2^f: adding ROUNDER leaves the whole number n in the low bits of a float."""
    rounded = fma(x, EXP_HIGH, ROUNDER)
    rest = fma(x, EXP_LOW, fma(x, EXP_HIGH, ROUNDER - rounded))
    return from_bits(bits(power_of_two(rest)) + (bits(rounded) << MANTISSA_BITS), x)


@element
def inverse_root(x):
    """1/√x of a float32, at most 9 % above: a straight line through the logarithm."""
    return from_bits(INVERSE_ROOT - (bits(x) >> 1), x)


@element
def inverse_cube_root(x):
    """1/∛x of a float32 ≥ SMALLEST_CUBE to 4 %, likewise."""
    return from_bits(INVERSE_CUBE_ROOT - integer(real(bits(x)) * THIRD), x)


@element
def logarithm(x):
    """log x of x > 0 by log x = n·log 2 + log(1 + f), |f| ≤ 1/3, and log(1 + f) = f − f²/2 + f³·p(f)."""
    small = x < SMALLEST_NORMAL
    x = select(small, x * LIFT, x)
    n = (bits(x) - TWO_THIRDS_BITS) >> MANTISSA_BITS
    f = from_bits(bits(x) - (n << MANTISSA_BITS), x) - ONE
    square = f * f
    rest = fma(log_polynomial(f) * f, square, fma(-HALF, square, f))
    whole = from_bits(n + ROUNDER_BITS, x) - ROUNDER  # n as a float: no vector unit of AVX2 converts 64 bits
    return fma(whole - select(small, LIFT_BITS, ZERO), LOG_2, rest)


@element
def signed(y, loc):
    """y ≥ 0 with loc's sign bit, −0.0 included."""
    return from_bits(bits(y) | (bits(loc) & SIGN), y)


@element
def key(x, keys):
    """Where the index has the word for a float32."""
    return integer((bits(x) >> KEY_SHIFT) & keys)


@element
def place(x, entry):
    """(cell, weight) of a float32 on an axis, from its word of the index (`layout`); the weight is rounded once.

    rest = sixteenths + place·span: its whole part is added to the cell, what is left is the weight.
    """
    rest = real(integer((entry >> REST_SHIFT) & REST_MASK)) * UNIT
    span = real(integer(integer(entry << SPAN_SHIFT) >> SPAN_SHIFT)) * SPAN_UNIT
    along = real(integer(bits(x) & PLACE_MASK))
    whole = floor(fma(along, span, rest))
    cell = integer(integer((entry >> CELL_SHIFT) & CELL_MASK) + integer(whole))
    return cell, fma(along, span, rest - whole)


@element
def clamped(m, delta, last_loc, first_delta, last_delta):
    """(m, δ), at the axes' ends where beyond."""
    return at_most(m, last_loc), at_least(at_most(delta, last_delta), first_delta)


@element
def cell_keys(m, delta, last_loc, first_delta, last_delta):
    """Where the indexes have the words that `cell_of` wants."""
    m, delta = clamped(m, delta, last_loc, first_delta, last_delta)
    return key(m, LOC_KEYS), key(delta, DELTA_KEYS)


@element
def cell_of(m, delta, first_loc, last_loc, first_delta, last_delta, loc_entry, delta_entry):
    """(row, column, u, v) of the cell that (m, δ), clamped to the axes' ends, lies in.

    The cell that reaches down to loc = 0, over all smaller exponents, has a weight that is a plain quotient.
    """
    on_loc, on_delta = clamped(m, delta, last_loc, first_delta, last_delta)
    row, weight = place(on_loc, loc_entry)
    u = select(m < first_loc, m * divide(ONE, first_loc), weight)
    column, weight = place(on_delta, delta_entry)
    return row, column, u, weight + ((delta - delta) + (m - m))  # a NaN stays one


@element
def cell(m, delta, first_loc, last_loc, first_delta, last_delta, loc_index, delta_index):
    """`cell_of`, with its words loaded."""
    loc_key, delta_key = cell_keys(m, delta, last_loc, first_delta, last_delta)
    words = load(loc_index, loc_key), load(delta_index, delta_key)
    return cell_of(m, delta, first_loc, last_loc, first_delta, last_delta, words[0], words[1])
