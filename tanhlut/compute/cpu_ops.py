"""The text's operations for numba, and the text made of them: `SINGLE` and `DOUBLE`.

Functions are inlined into the loops of `cpu`. Numbers are of their precision's own type, since numba widens
float32 · 2.0 to float64.
"""

from typing import Any

import numba
import numpy as np
from numba import int32

from tanhlut.compute.intrinsics import bits, floor, fma, from_bits, load_constant, select
from tanhlut.formula import coefficients, layout
from tanhlut.formula.coefficients import Coefficients, numbers
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
    }


SINGLE = instantiate("numba_float32", _operations(np.float32, coefficients.SINGLE), "bits", "element")
DOUBLE = instantiate("numba_float64", _operations(np.float64, coefficients.DOUBLE), "bits", "element")
