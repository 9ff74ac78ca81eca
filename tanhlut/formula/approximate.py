# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators, disable-error-code="no-redef"
"""The text for NVIDIA's GPUs, in the place of some of `bits`: a unit beside the others approximates 1/x, 1/√x, 2^x and
log₂ x in one instruction, and a sum may be rounded down.

Written in `operations`, run by `instantiate` between `bits` and `element`. Nothing here branches or calls: a quotient
that is rounded to nearest costs a subroutine wherever its dividend is 0. So answers have not the other backends' bits,
but errors that the proof counts (tablegen.verify.halley).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.bits import key
    from tanhlut.formula.operations import *


@element
def divide(a, b):
    """a / b, nearly always rounded to nearest: what the approximation lost is known exactly, and given back."""
    inverse = about_inverse(b)
    quotient = a * inverse
    return fma(fma(-b, quotient, a), inverse, quotient)


@element
def divide_roughly(a, b):
    return a * about_inverse(b)


@element
def exp_minus_twice(x):
    return about_power_of_two(x * EXP_HIGH)


@element
def inverse_root(x):
    return about_inverse_root(x)


@element
def inverse_cube_root(x):
    return about_power_of_two(about_log_2(x) * -THIRD)


@element
def place(x, words, number):
    """(cell, weight) of a float32 on an axis, from its word (`file.words`): cell + weight = x·span + base, of which the
    whole part is exact and the weight rounded once."""
    span, base = load_pair(words, number)
    cell, whole = whole_part(fma_down(x, span, base))
    return cell, fma(x, span, base - whole)


@element
def cell(m, delta, first_loc, last_loc, first_delta, last_delta, loc_words, delta_words):
    """(row, column, u, v) of the cell that (m, δ), clamped to the axes' ends, lies in; of some cell if one is NaN."""
    on_loc = smaller_number(m, last_loc)
    on_delta = larger_number(smaller_number(delta, last_delta), first_delta)
    row, u = place(on_loc, loc_words, bits(on_loc) >> KEY_SHIFT)
    column, v = place(on_delta, delta_words, key(on_delta, DELTA_KEYS))
    return row, column, u, v
