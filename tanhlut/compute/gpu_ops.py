"""The text's operations for Triton, and the text made of them: `SINGLE`, operation for operation the cpu kernel's.

The mode's kernel runs it in Triton's interpreter and on AMD's GPUs (`gpu_texts`), the functions beside it everywhere.
Triton's `/` is within 2 ulp only, `div_rn` rounds to nearest. A constant that is a global must equal itself: Triton
compares them all before each launch. So NaN is spelt in a body.
"""

from pathlib import Path
from typing import Any

import triton
import triton.language as tl

from tanhlut.formula import coefficients, layout, surrogate
from tanhlut.formula.functions import FILES
from tanhlut.formula.instantiate import instantiate

_GIVEN = coefficients.SINGLE
_N0, _N1, _N2 = map(tl.constexpr, _GIVEN.numerator)
_Q0, _Q1, _Q2, _Q3 = map(tl.constexpr, _GIVEN.denominator)
_E0, _E1, _E2, _E3, _E4, _E5 = map(tl.constexpr, _GIVEN.exp2)
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = map(tl.constexpr, _GIVEN.log_1p)

# What `gpu_horner` is given; here for those who read it.
FIRSTS: Any = None
LENGTHS: Any = None
ROWS: Any = None


@triton.jit
def fma(a, b, c):
    return tl.fma(a, b, c)


@triton.jit
def divide(a, b):
    return tl.div_rn(a, b)


@triton.jit
def select(condition, yes, no):
    return tl.where(condition, yes, no)


@triton.jit
def absolute(x):
    return tl.abs(x)


@triton.jit
def at_most(x, most):
    return tl.where(x > most, most, x)  # NaN stays


@triton.jit
def at_least(x, least):
    return tl.where(x < least, least, x)


@triton.jit
def invalid_if(condition, x):
    return tl.where(condition, float("nan"), x)


@triton.jit
def numerator(z):
    return tl.fma(tl.fma(z, _N0, _N1), z, _N2)


@triton.jit
def denominator(z):
    return tl.fma(tl.fma(tl.fma(z, _Q0, _Q1), z, _Q2), z, _Q3)


@triton.jit
def power_of_two(f):
    square = f * f
    return tl.fma(tl.fma(tl.fma(square, _E0, _E2), square, _E4), f, tl.fma(tl.fma(square, _E1, _E3), square, _E5))


@triton.jit
def bits(x):
    return x.to(tl.int32, bitcast=True)


@triton.jit
def from_bits(word, like):
    return word.to(tl.float32, bitcast=True)


@triton.jit
def floor(x):
    return tl.floor(x)


@triton.jit
def integer(x):
    return x.to(tl.int32)


@triton.jit
def real(word):
    return word.to(tl.float32)


@triton.jit
def load(index, key):
    return tl.load(index + key)


@triton.jit
def load_pair(words, number):
    """Two float32 that lie in one int64."""
    both = tl.load(words + number)
    return both.to(tl.int32).to(tl.float32, bitcast=True), (both >> 32).to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
def square_root(x):
    return tl.sqrt_rn(x)


@triton.jit
def log_polynomial(f):
    low = tl.fma(tl.fma(tl.fma(tl.fma(f, _L0, _L1), f, _L2), f, _L3), f, _L4)
    return tl.fma(tl.fma(tl.fma(low, f, _L5), f, _L6), f, _L7)


@triton.jit
def entries(data, at):
    return tl.load(data + at), tl.load(data + at + 1), tl.load(data + at + 2), tl.load(data + at + 3)


@triton.jit
def patch(data, at, f, h):
    a0, a1, a2, a3 = entries(data, at)
    b0, b1, b2, b3 = entries(data, at + 4)
    c0, c1, c2, c3 = entries(data, at + 8)
    d0, d1, d2, d3 = entries(data, at + 12)
    square = h * h
    p0 = tl.fma(tl.fma(d0, square, b0), h, tl.fma(c0, square, a0))
    p1 = tl.fma(tl.fma(d1, square, b1), h, tl.fma(c1, square, a1))
    p2 = tl.fma(tl.fma(d2, square, b2), h, tl.fma(c2, square, a2))
    p3 = tl.fma(tl.fma(d3, square, b3), h, tl.fma(c3, square, a3))
    return tl.fma(tl.fma(tl.fma(p3, f, p2), f, p1), f, p0)


@triton.jit
def _with_slope(a, b, c, d, x):
    """a + b·x + c·x² + d·x³ and its derivative."""
    total, slope = tl.fma(d, x, c), d
    slope = tl.fma(slope, x, total)
    total = tl.fma(total, x, b)
    return tl.fma(total, x, a), tl.fma(slope, x, total)


@triton.jit
def patch_slopes(data, at, f, h):
    a0, a1, a2, a3 = entries(data, at)
    b0, b1, b2, b3 = entries(data, at + 4)
    c0, c1, c2, c3 = entries(data, at + 8)
    d0, d1, d2, d3 = entries(data, at + 12)
    p0, s0 = _with_slope(a0, b0, c0, d0, h)
    p1, s1 = _with_slope(a1, b1, c1, d1, h)
    p2, s2 = _with_slope(a2, b2, c2, d2, h)
    p3, s3 = _with_slope(a3, b3, c3, d3, h)
    value, by_f = _with_slope(p0, p1, p2, p3, f)
    return value, by_f, tl.fma(tl.fma(tl.fma(s3, f, s2), f, s1), f, s0)


INTERPRETED = not isinstance(fma, triton.JITFunction)


def known(numbers: dict[str, Any]) -> dict[str, Any]:
    """Numbers as Triton wants its globals. In the interpreter a constexpr times a tensor would be a constexpr."""
    return numbers if INTERPRETED else {name: tl.constexpr(number) for name, number in numbers.items()}


def _polynomials() -> dict[str, Any]:
    """As `surrogate.polynomials`, for a vector on the device."""
    found = {}
    for name, polynomial in surrogate.POLYNOMIALS.items():
        rows = len(polynomial.lengths)
        firsts, lengths = (
            int.from_bytes(bytes(part[::-1]), "little") for part in (polynomial.rows, polynomial.lengths)
        )
        given = known({"FIRSTS": firsts, "LENGTHS": lengths, "ROWS": rows})
        module = instantiate(f"triton_{name}", given, "gpu_horner", folder=Path(__file__).parent)
        found[name] = module.edge if rows == 1 else module.value
        found[f"{name}_slopes"] = module.slopes
    return found


OPERATIONS = {
    **known(coefficients.numbers(float, _GIVEN) | layout.numbers(float) | surrogate.numbers(float)),
    **_polynomials(),
    "tl": tl,  # which the interpreter wants to see
    "element": triton.jit,
    "without_sign": absolute,
    "divide_roughly": divide,
    **{
        function.__name__: function
        for function in (
            *(fma, divide, select, absolute, at_most, at_least, invalid_if, numerator, denominator, power_of_two),
            *(bits, from_bits, floor, integer, real, load, load_pair, square_root, log_polynomial, patch, patch_slopes),
        )
    },
}

SINGLE = instantiate("triton_float32", OPERATIONS, "bits", *FILES)
