"""The text's operations for numba, and the text made of them: `SINGLE` and `DOUBLE`.

Functions are inlined into the loops of `cpu`. Numbers are of their precision's own type, since numba widens
float32 · 2.0 to float64.
"""

from typing import Any

import numba
import numpy as np
from numba import float32, int32

from tanhlut.compute.intrinsics import (
    bits,
    first_of,
    floor,
    fma,
    from_bits,
    load_constant,
    load_pair,
    second_of,
    select,
    square_root,
)
from tanhlut.formula import coefficients, layout, surrogate
from tanhlut.formula.coefficients import Coefficients, numbers
from tanhlut.formula.functions import FILES
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
    @inline
    def horner(x):
        total = coefficients[0]
        for coefficient in coefficients[1:]:
            total = fma(total, x, coefficient)
        return total

    return horner


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


def _with_slope(rows: list[Any]) -> Any:
    own = rows[0]
    if len(rows) == 2:
        top = rows[1]

        @inline
        def first(data, y, u):
            by_y = top(data, u)
            return fma(by_y, y, own(data, u)), by_y

        return first
    above = _with_slope(rows[1:])

    @inline
    def value(data, y, u):
        total, by_y = above(data, y, u)
        return fma(total, y, own(data, u)), fma(by_y, y, total)

    return value


def _polynomials(kind: Any) -> dict[str, Any]:
    """As `surrogate.polynomials`, for a vector at an address."""
    found = {}
    for name, polynomial in surrogate.POLYNOMIALS.items():
        rows = [_row(*where, kind) for where in zip(polynomial.rows, polynomial.lengths, strict=True)]
        found[name] = rows[0] if len(rows) == 1 else _bivariate(rows)
        if len(rows) > 1:
            found[f"{name}_slope"] = _with_slope(rows)
    return found


@inline
def entries(data, at):
    low, high = load_pair(data, at), load_pair(data, np.int32(at + 2))
    return first_of(low), second_of(low), first_of(high), second_of(high)


def _operations(kind: Any, given: Coefficients) -> dict[str, Any]:
    nan = kind(np.nan)

    @inline
    def invalid_if(condition, x):
        return select(condition, nan, x)

    return {
        **numbers(kind, given),
        **layout.numbers(kind),
        "element": inline,
        "fma": fma,
        "divide": divide,
        "select": select,
        "absolute": absolute,
        "at_most": at_most,
        "at_least": at_least,
        "invalid_if": invalid_if,
        "numerator": _polynomial(tuple(map(kind, given.numerator))),
        "denominator": _polynomial(tuple(map(kind, given.denominator))),
        "power_of_two": _polynomial(tuple(map(kind, given.exp2))),
        "bits": bits,
        "from_bits": from_bits,
        "floor": floor,
        "integer": integer,
        "real": real,
        "load": load,
        "square_root": square_root,
        "without_sign": absolute,
        "log_polynomial": _polynomial(tuple(map(np.float32, coefficients.LOG_1P))),
        "entries": entries,
        **surrogate.numbers(kind),
        **_polynomials(float32),
    }


SINGLE = instantiate("numba_float32", _operations(np.float32, coefficients.SINGLE), "bits", *FILES)
DOUBLE = instantiate("numba_float64", _operations(np.float64, coefficients.DOUBLE), "bits", "element")
