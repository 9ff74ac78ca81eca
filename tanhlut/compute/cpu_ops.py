"""The text's operations for LLVM, and the text made of them: `SINGLE` and `DOUBLE`, which write instructions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tanhlut.compute import cpu_patch, vectors
from tanhlut.compute.halves import BFLOAT16
from tanhlut.compute.vectors import FLOAT16, FLOAT32, FLOAT64, Vector, intrinsic
from tanhlut.formula import coefficients, layout, surrogate
from tanhlut.formula.coefficients import Coefficients, numbers
from tanhlut.formula.functions import DOUBLE_FILES, FILES
from tanhlut.formula.instantiate import instantiate


def fma(a: Any, b: Any, c: Any) -> Vector:
    return intrinsic("fma", a, b, c)


def divide(a: Any, b: Any) -> Any:
    return a / b


def absolute(x: Vector) -> Vector:
    return intrinsic("fabs", x)


def square_root(x: Vector) -> Vector:
    return intrinsic("sqrt", x)


def floor(x: Vector) -> Vector:
    return intrinsic("floor", x)


def from_bits(word: Vector, like: Vector) -> Vector:
    return vectors.as_float(word, like.kind)


def real(word: Vector) -> Vector:
    return vectors.as_real(vectors.as_int32(word), FLOAT32)


def _polynomial(given: tuple[float, ...]) -> Callable[[Vector], Any]:
    def horner(x: Vector) -> Any:
        total: Any = given[0]
        for coefficient in given[1:]:
            total = fma(total, x, coefficient)
        return total

    return horner


def _by_halves(given: tuple[float, ...]) -> Callable[[Vector], Vector]:
    even, odd = (_polynomial(part) for part in coefficients.even_and_odd(given))

    def value(x: Vector) -> Vector:
        square = x * x
        return fma(odd(square), x, even(square))

    return value


def _operations(kind: Any, given: Coefficients) -> dict[str, Any]:
    double = kind is FLOAT64

    def number(x: float) -> float:
        return float(x) if double else float(np.float32(x))

    def select(condition: Vector, yes: Any, no: Any) -> Vector:
        return vectors.select(condition, yes, no, kind)

    def at_most(x: Vector, most: Any) -> Vector:
        return select(x > most, most, x)  # NaN stays

    def at_least(x: Vector, least: Any) -> Vector:
        return select(x < least, least, x)

    def invalid_if(condition: Vector, x: Any) -> Vector:
        return select(condition, np.nan, x)

    def patch(data: Any, at: Vector, f: Vector, h: Vector) -> Vector:
        return cpu_patch.patch(data, at, f, h, surrogate.side(double))

    def patch_slopes(data: Any, at: Vector, f: Vector, h: Vector) -> tuple[Vector, ...]:
        return cpu_patch.patch_slopes(data, at, f, h, surrogate.side(double))

    return {
        **numbers(number, given),
        **layout.numbers(number),
        "element": lambda function: function,
        "fma": fma,
        "divide": divide,
        "divide_roughly": divide,
        "select": select,
        "absolute": absolute,
        "at_most": at_most,
        "at_least": at_least,
        "invalid_if": invalid_if,
        "numerator": _polynomial(tuple(map(number, given.numerator))),
        "denominator": _polynomial(tuple(map(number, given.denominator))),
        "power_of_two": _by_halves(tuple(map(number, given.exp2))),
        "bits": vectors.as_word,
        "from_bits": from_bits,
        "floor": floor,
        "integer": vectors.as_int32,
        "real": real,
        "square_root": square_root,
        "without_sign": absolute,
        "log_polynomial": _polynomial(tuple(map(number, given.log_1p))),
        "patch": patch,
        "patch_slopes": patch_slopes,
        "FOUR": 4.0,
        **surrogate.numbers(number, double),
        **surrogate.polynomials(fma, lambda data, k: data[k]),
    }


SINGLE = instantiate("llvm_float32", _operations(FLOAT32, coefficients.SINGLE), "bits", *FILES, "derived")
DOUBLE = instantiate("llvm_float64", _operations(FLOAT64, coefficients.DOUBLE), "bits", *DOUBLE_FILES, "derived")
# By what arrays hold: the text that computes, its kind, and theirs.
TEXTS: dict[str, tuple[Any, Any, Any]] = {
    "float16": (SINGLE, FLOAT32, FLOAT16),
    "bfloat16": (SINGLE, FLOAT32, BFLOAT16),
    "float32": (SINGLE, FLOAT32, FLOAT32),
    "float64": (DOUBLE, FLOAT64, FLOAT64),
}
