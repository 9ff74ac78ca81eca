"""The text's operations for numba, and the text made of them: `SINGLE` and `DOUBLE`.

Functions are inlined into the loops of `cpu`. Numbers are of their precision's own type, since numba widens
float32 · 2.0 to float64.
"""

from typing import Any

import numba
import numpy as np
from numba import float32, int32

from tanhlut.compute import cpu_patch
from tanhlut.compute.intrinsics import bits, floor, fma, from_bits, load_constant, select, square_root
from tanhlut.formula import coefficients, layout, surrogate
from tanhlut.formula.coefficients import Coefficients, numbers
from tanhlut.formula.functions import DOUBLE_FILES, FILES
from tanhlut.formula.instantiate import instantiate

inline = numba.njit(error_model="numpy", forceinline=True)


@inline
def divide(a, b):
    return a / b


@inline
def absolute(x):
    return abs(x)


@inline
def at_most(x, most):
    return select(x > most, most, x)  # NaN stays


@inline
def at_least(x, least):
    return select(x < least, least, x)


@inline
def integer(x):
    return np.int32(x)


@inline
def real(word):
    return np.float32(np.int32(word))


@inline
def load(index, key):
    return load_constant(index, key, int32)


def _polynomial(coefficients: tuple[Any, ...]) -> Any:
    """By Horner's rule, unrolled: LLVM unrolls a loop over a tuple of up to 12, so a longer one is nested."""
    if len(coefficients) <= 12:

        @inline
        def horner(x):
            total = coefficients[0]
            for coefficient in coefficients[1:]:
                total = fma(total, x, coefficient)
            return total

        return horner
    above, rest = _polynomial(coefficients[:-11]), coefficients[-11:]

    @inline
    def longer(x):
        total = above(x)
        for coefficient in rest:
            total = fma(total, x, coefficient)
        return total

    return longer


def _by_halves(given: tuple[Any, ...]) -> Any:
    even, odd = (_polynomial(part) for part in coefficients.even_and_odd(given))

    @inline
    def value(x):
        square = x * x
        return fma(odd(square), x, even(square))

    return value


def _row(first: int, length: int, kind: Any) -> Any:
    @inline
    def row(data, u):
        total = load_constant(data, first + length - 1, kind)
        for k in range(1, length):
            total = fma(total, u, load_constant(data, first + length - 1 - k, kind))
        return total

    return row


def _bivariate(rows: list[Any]) -> Any:
    """Horner's rule in y over rows, the lowest first, unrolled by nesting."""
    own = rows[0]
    if len(rows) == 1:
        return inline(lambda data, y, u: own(data, u))
    above = _bivariate(rows[1:])

    @inline
    def value(data, y, u):
        return fma(above(data, y, u), y, own(data, u))

    return value


def _row_slope(first: int, length: int, kind: Any) -> Any:
    @inline
    def row(data, u):
        slope, total = kind(0.0), load_constant(data, first + length - 1, kind)
        for k in range(1, length):
            slope = fma(slope, u, total)
            total = fma(total, u, load_constant(data, first + length - 1 - k, kind))
        return total, slope

    return row


def _with_slopes(rows: list[Any], kind: Any) -> Any:
    """The value and its derivatives by y and u."""
    own = rows[0]
    if len(rows) == 1:

        @inline
        def first(data, y, u):
            total, by_u = own(data, u)
            return total, kind(0.0), by_u

        return first
    above = _with_slopes(rows[1:], kind)

    @inline
    def value(data, y, u):
        total, by_y, by_u = above(data, y, u)
        lower, lower_by_u = own(data, u)
        return fma(total, y, lower), fma(by_y, y, total), fma(by_u, y, lower_by_u)

    return value


def _polynomials(kind: Any) -> dict[str, Any]:
    """As `surrogate.polynomials`, for a vector at an address."""
    found = {}
    for name, polynomial in surrogate.POLYNOMIALS.items():
        places = [*zip(polynomial.rows, polynomial.lengths, strict=True)]
        rows = [_row(*where, kind) for where in places]
        found[name] = rows[0] if len(rows) == 1 else _bivariate(rows)
        found[f"{name}_slopes"] = _with_slopes([_row_slope(*where, kind) for where in places], kind)
    return found


@inline
def _cubic(a, b, c, d, x):
    """a + b·x + c·x² + d·x³ and its derivative."""
    total = fma(d, x, c)
    slope = fma(d, x, total)
    total = fma(total, x, b)
    return fma(total, x, a), fma(slope, x, total)


@inline
def _column(data, at, h):
    """The coefficient of f^i and its derivative by h; `at` + i is where its numbers begin."""
    return _cubic(
        load_constant(data, at, float32),
        load_constant(data, np.int32(at + 4), float32),
        load_constant(data, np.int32(at + 8), float32),
        load_constant(data, np.int32(at + 12), float32),
        h,
    )


@inline
def patch_slopes(data, at, f, h):
    """Of a float32 patch: gathers, since there is too much else in its loop to be done for one element at a time."""
    p0, s0 = _column(data, at, h)
    p1, s1 = _column(data, np.int32(at + 1), h)
    p2, s2 = _column(data, np.int32(at + 2), h)
    p3, s3 = _column(data, np.int32(at + 3), h)
    value, by_f = _cubic(p0, p1, p2, p3, f)
    return value, by_f, fma(fma(fma(s3, f, s2), f, s1), f, s0)


def _operations(kind: Any, given: Coefficients) -> dict[str, Any]:
    nan, double = kind(np.nan), kind is np.float64
    side = surrogate.side(double)

    @inline
    def patch(data, at, f, h):
        return cpu_patch.patch(data, at, f, h, side)

    @inline
    def whole_patch_slopes(data, at, f, h):
        return cpu_patch.patch_slopes(data, at, f, h, side)

    @inline
    def invalid_if(condition, x):
        return select(condition, nan, x)

    return {
        **numbers(kind, given),
        **layout.numbers(kind),
        "element": inline,
        "fma": fma,
        "divide": divide,
        "divide_roughly": divide,
        "select": select,
        "absolute": absolute,
        "at_most": at_most,
        "at_least": at_least,
        "invalid_if": invalid_if,
        "numerator": _polynomial(tuple(map(kind, given.numerator))),
        "denominator": _polynomial(tuple(map(kind, given.denominator))),
        "power_of_two": _by_halves(tuple(map(kind, given.exp2))),
        "bits": bits,
        "from_bits": from_bits,
        "floor": floor,
        "integer": integer,
        "real": real,
        "load": load,
        "square_root": square_root,
        "without_sign": absolute,
        "log_polynomial": _polynomial(tuple(map(kind, given.log_1p))),
        "patch": patch,
        "patch_slopes": whole_patch_slopes if double else patch_slopes,
        **surrogate.numbers(kind, double),
        **_polynomials(float32),
    }


SINGLE = instantiate("numba_float32", _operations(np.float32, coefficients.SINGLE), "bits", *FILES)
DOUBLE = instantiate("numba_float64", _operations(np.float64, coefficients.DOUBLE), "bits", *DOUBLE_FILES)
