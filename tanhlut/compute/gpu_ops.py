"""The text's operations for Triton, and the text made of them: `SINGLE`, operation for operation the cpu kernel's.

Triton's `/` is within 2 ulp only, `div_rn` rounds to nearest. A constant that is a global must equal itself: Triton
compares them all before each launch. So NaN is spelt in a body.
"""

import triton
import triton.language as tl

from tanhlut.formula import coefficients, layout
from tanhlut.formula.instantiate import instantiate

_GIVEN = coefficients.SINGLE
_N0, _N1, _N2 = map(tl.constexpr, _GIVEN.numerator)
_Q0, _Q1, _Q2, _Q3 = map(tl.constexpr, _GIVEN.denominator)
_E0, _E1, _E2, _E3, _E4, _E5 = map(tl.constexpr, _GIVEN.exp2)


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
    return tl.fma(tl.fma(tl.fma(tl.fma(tl.fma(f, _E0, _E1), f, _E2), f, _E3), f, _E4), f, _E5)


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


INTERPRETED = not isinstance(fma, triton.JITFunction)

# In the interpreter a constexpr times a tensor would be a constexpr.
_numbers = coefficients.numbers(float, _GIVEN) | layout.numbers(float)
_OPERATIONS = {
    **(_numbers if INTERPRETED else {name: tl.constexpr(number) for name, number in _numbers.items()}),
    "tl": tl,  # which the interpreter wants to see
    "element": triton.jit,
    **{
        function.__name__: function
        for function in (
            *(fma, divide, select, absolute, at_most, at_least, invalid_if, numerator, denominator, power_of_two),
            *(bits, from_bits, floor, integer, real, load),
        )
    },
}

SINGLE = instantiate("triton_float32", _OPERATIONS, "bits", "element")
