"""The text in NumPy, slow and obvious: `SINGLE` and `DOUBLE`, for arrays; every operation rounds as IEEE 754 says.

The reference that compiled kernels must equal bit for bit (tests), and what the verifier holds its allowances against
(tablegen.verify.pieces). NumPy has no fma: it is made of error-free sums and products.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut.formula import coefficients, layout, surrogate
from tanhlut.formula.coefficients import Coefficients, numbers
from tanhlut.formula.functions import DOUBLE_FILES, FILES
from tanhlut.formula.instantiate import instantiate

Doubles = NDArray[np.float64]


def fma(a: Any, b: Any, c: Any) -> Any:
    """a·b + c rounded once, in the widest type of the three (Boldo and Melquiond 2008: a sum rounded to odd keeps what
    a second rounding needs). Not where a product of float64 underflows."""
    if np.result_type(a, b, c) == np.float32:
        return _odd_sum(np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64)).astype(np.float32)
    high, low = _product(*(np.asarray(part, np.float64) for part in (a, b)))
    sum_high, sum_low = _sum(np.asarray(c, np.float64), low)
    value, rest = _sum(high, sum_high)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(value), value + _odd_sum(sum_low, rest), value)


def _sum(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles]:
    """(a + b rounded, what that lost), exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _product(a: Doubles, b: Doubles) -> tuple[Doubles, Doubles]:
    """(a·b rounded, what that lost), exactly (Dekker, Veltkamp)."""
    high, low = zip(*(_halves(part) for part in (a, b)), strict=True)
    total = a * b
    return total, ((high[0] * high[1] - total) + high[0] * low[1] + low[0] * high[1]) + low[0] * low[1]


def _halves(a: Doubles) -> tuple[Doubles, Doubles]:
    wide = a * (2.0**27 + 1.0)
    high = wide - (wide - a)
    return high, a - high


def _odd_sum(a: Doubles, b: Doubles) -> Doubles:
    """a + b, and where that is not exact the neighbour whose last bit is 1."""
    total, lost = _sum(a, b)
    even = np.asarray(total).view(np.int64) & 1 == 0
    beside = np.nextafter(total, np.copysign(np.inf, lost))
    return np.where(np.isfinite(total) & (lost != 0) & even, beside, total)


def _polynomial(given: tuple[Any, ...]) -> Callable[[Any], Any]:
    def horner(x: Any) -> Any:
        total = given[0]
        for coefficient in given[1:]:
            total = fma(total, x, coefficient)
        return total

    return horner


def _by_halves(given: tuple[Any, ...]) -> Callable[[Any], Any]:
    even, odd = (_polynomial(part) for part in coefficients.even_and_odd(given))
    return lambda x: fma(odd(x * x), x, even(x * x))


def operations(kind: Any, given: Coefficients) -> dict[str, Any]:
    """What the text of a precision is made of."""
    double = kind is np.float64
    word, side = (np.int64 if double else np.int32), surrogate.side(double)
    return {
        **numbers(kind, given),
        **layout.numbers(kind),
        "element": lambda function: function,
        "fma": fma,
        "divide": np.divide,
        "divide_roughly": np.divide,
        "select": np.where,
        "absolute": np.abs,
        "at_most": np.minimum,
        "at_least": np.maximum,
        "invalid_if": lambda condition, x: np.where(condition, kind(np.nan), x),
        "numerator": _polynomial(tuple(map(kind, given.numerator))),
        "denominator": _polynomial(tuple(map(kind, given.denominator))),
        "power_of_two": _by_halves(tuple(map(kind, given.exp2))),
        "bits": lambda x: np.asarray(x).view(word),
        "from_bits": lambda bits, like: np.asarray(bits, word).view(kind),
        "floor": np.floor,
        "square_root": np.sqrt,
        "without_sign": np.abs,
        "log_polynomial": _polynomial(tuple(map(kind, given.log_1p))),
        **surrogate.numbers(kind, double),
        **surrogate.polynomials(fma, lambda data, k: data[k]),
        **surrogate.patches(
            fma,
            side,
            lambda data, at, k: data[at[..., None] + (k * side + np.arange(side))],
            lambda x: np.moveaxis(x, -1, 0),
        ),
        "integer": lambda x: np.asarray(x).astype(np.int32),
        "real": lambda bits: np.asarray(bits).astype(np.float32),
        "load": lambda index, key: index[key],
    }


SINGLE = instantiate("numpy_float32", operations(np.float32, coefficients.SINGLE), "bits", *FILES)
# Arithmetic in float64 on the bits of float32 numbers: what the rounding of `position` is measured against.
WIDE = instantiate(
    "numpy_wide",
    {
        **operations(np.float64, coefficients.SINGLE),
        "bits": lambda x: np.asarray(x).view(np.int32),
        "real": lambda bits: np.asarray(bits).astype(np.float64),
    },
    "bits",
)
DOUBLE = instantiate("numpy_float64", operations(np.float64, coefficients.DOUBLE), "bits", *DOUBLE_FILES)
