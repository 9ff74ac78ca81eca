"""What the text (`element`, `bits`, `chart`) is written in: the names that a backend gives to `instantiate`.

This file is read by people and type checkers. Every name below is either a number (`coefficients`, `layout`) or an
operation; what an operation promises is what the proof (tablegen.verify) takes from it. Numbers carry no type of their
own, so that one text serves every precision.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def element(function: Function) -> Function:
    """Makes a function of the text one of the backend: Triton's compiler, a printer's record, or nothing at all."""
    raise NotImplementedError


def fma(a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once; twice where a backend has no such operation."""


def divide(a: Any, b: Any) -> Any:
    """a / b, rounded to nearest; by 0 as IEEE 754 says."""


def divide_roughly(a: Any, b: Any) -> Any:
    """a / b within 4 units, relative, of a b of moderate size: what scales a correction. Mostly `divide` itself."""


def select(condition: Any, yes: Any, no: Any) -> Any:
    """`yes` where the condition holds, else `no`, without a branch."""


def absolute(x: Any) -> Any:
    """|x|."""


def at_most(x: Any, most: Any) -> Any:
    """The smaller one; NaN stays NaN."""


def at_least(x: Any, least: Any) -> Any:
    """The larger one; NaN stays NaN."""


def invalid_if(condition: Any, x: Any) -> Any:
    """NaN where the condition holds, else x. (No number may be NaN: Triton compares them by ==.)"""


def numerator(z: Any) -> Any:
    """N(z) of `Coefficients`, by Horner's rule in `fma`."""


def denominator(z: Any) -> Any:
    """Q(z) of `Coefficients`, likewise."""


# Of these, `bits` makes what follows; a backend that cannot see bits brings its own.


def power_of_two(f: Any) -> Any:
    """2^f, f in [−½, ½], as even(f²) + f·odd(f²) of `Coefficients`, each by Horner's rule in `fma`.

    So the chain is half as long, which is what limits vectors of moderate width."""


def bits(x: Any) -> Any:
    """The bits of a float as a signed integer of its size."""


def from_bits(word: Any, like: Any) -> Any:
    """The float of `like`'s type with these bits."""


def floor(x: Any) -> Any:
    """The largest whole number ≤ x, as a float."""


def integer(x: Any) -> Any:
    """A signed integer of 32 bits, of a float towards 0."""


def real(word: Any) -> Any:
    """A 32-bit integer as float32."""


def load(index: Any, key: Any) -> Any:
    """The int32 at place `key` of an index."""


# Of these, `approximate` makes what it has in the place of `bits`. Errors: formula.plain_approximate.


def about_inverse(x: Any) -> Any:
    """1/x."""


def about_inverse_root(x: Any) -> Any:
    """1/√x."""


def about_power_of_two(x: Any) -> Any:
    """2^x."""


def about_log_2(x: Any) -> Any:
    """log₂ x."""


def fma_down(a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once, downwards."""


def whole_part(x: Any) -> tuple[Any, Any]:
    """The largest whole number ≤ x, of an x from 0 to 2^22, as an integer and as a float."""
    raise NotImplementedError


def load_pair(words: Any, number: Any) -> tuple[Any, Any]:
    """The two float32 that lie in the word at place `number`."""
    raise NotImplementedError


def smaller_number(a: Any, b: Any) -> Any:
    """The smaller one, of which one may be NaN: then the other."""


def larger_number(a: Any, b: Any) -> Any:
    """The larger one, likewise."""


# Made by `bits`, or brought.


def excess(scale: Any) -> Any:
    """δ = 2·scale² − 1, within rounding.EXCESS units of it, relative."""


def exp_minus_twice(x: Any) -> Any:
    """exp(−2x) of 0 ≤ x ≤ 80, within halley.EXP units, relative."""


def inverse_root(x: Any) -> Any:
    """1/√x, within `exact.ROOT` of tablegen.verify."""


def inverse_cube_root(x: Any) -> Any:
    """1/∛x, within its CUBE_ROOT."""


def signed(y: Any, loc: Any) -> Any:
    """y ≥ 0 with loc's sign bit."""


# Of these, `chart`, `half_plane` and what follows it alone have need.


def square_root(x: Any) -> Any:
    """√x, rounded to nearest."""


def without_sign(x: Any) -> Any:
    """|x|, whose derivative at ±0.0, if there is one, is the sign bit's."""


def logarithm(x: Any) -> Any:
    """log x of x > 0, to a few units in the last place of 1 + |log x|."""


def log_polynomial(f: Any) -> Any:
    """p(f) of `bits.logarithm`, which needs it."""


def patch(data: Any, at: Any, f: Any, h: Any) -> Any:
    """The polynomial in f, h of the patch whose numbers begin at place `at`: in h by Horner's rule
    in h² of the even and of the odd powers, in f by Horner's rule in f⁴ of four polynomials, and of these in f: short
    chains of `fma`, since a patch is worked off alone."""


def patch_slopes(data: Any, at: Any, f: Any, h: Any) -> tuple[Any, Any, Any]:
    """With its derivatives by f and h."""
    raise NotImplementedError


def mean_numerator(data: Any, y: Any, u: Any) -> Any:
    """The polynomial of that name in `surrogate`, by Horner's rule in `fma`, rows first; so are the next."""


def mean_denominator(data: Any, y: Any, u: Any) -> Any: ...


def mean_numerator_slopes(data: Any, y: Any, u: Any) -> tuple[Any, Any, Any]:
    """The polynomial and its derivatives by y and u."""
    raise NotImplementedError


def mean_denominator_slopes(data: Any, y: Any, u: Any) -> tuple[Any, Any, Any]:
    raise NotImplementedError


def log_cosh_edge(data: Any, u: Any) -> Any: ...


def log_cosh_numerator(data: Any, y: Any, u: Any) -> Any: ...


def log_cosh_denominator(data: Any, y: Any, u: Any) -> Any: ...


# `quadrature` alone has need of these: of arrays with a last dimension for the nodes.


def total(x: Any) -> Any:
    """The sum over the nodes."""


def alone(x: Any) -> Any:
    """Without a last dimension of 1."""


def exp(x: Any) -> Any: ...


def expm1(x: Any) -> Any: ...


def log1p(x: Any) -> Any: ...


def tanh(x: Any) -> Any: ...


def sinh(x: Any) -> Any: ...


def erf(x: Any) -> Any: ...


def erfc(x: Any) -> Any: ...


RULES_MEET: Any
ROOT_2: Any
ROOT_2_PI: Any
ROOT_2_OVER_PI: Any
ENTROPY_OF_NORMAL: Any

# `derived` alone has need of these.

FOUR: Any
FARTHEST: Any  # the largest scale whose square is taken: beyond it no number |loc| can tell

# Of all the text.

ZERO: Any
HALF: Any
ONE: Any
TWO: Any
THREE: Any
THIRD: Any
TWO_THIRDS: Any
SEAM: Any
LOC_SATURATION: Any
SCALE_SATURATION: Any
S_SATURATION: Any
EXP_HIGH: Any
EXP_LOW: Any
ROUNDER: Any
SMALLEST_CUBE: Any
ROUGH_G0: Any
ROUGH_G1: Any
ROUGH_Q1: Any
ROUGH_Q2: Any
UNIT: Any
SPAN_UNIT: Any
ROOT_STEPS: int
MANTISSA_BITS: int
SIGN: int
INVERSE_ROOT: int
INVERSE_CUBE_ROOT: int
KEY_SHIFT: int
PLACE_MASK: int
LOC_KEYS: int
DELTA_KEYS: int
CELL_SHIFT: int
REST_SHIFT: int
CELL_MASK: int
REST_MASK: int
SPAN_SHIFT: int
QUARTER: Any
LEAST: Any
NINE: Any
LOGISTIC: Any
ROOT_LOGISTIC: Any
BIG: Any
OF_BIG: Any
FROM_BIG: Any
CAP: Any
INFINITY: Any
ENTROPY_OF_UNIT: Any
ROWS: Any
FIRST_ROW: Any
COLUMNS: Any
MEAN_ROWS: Any
MEAN_COLUMNS: Any
ENTROPY_ROWS: Any
ENTROPY_COLUMNS: Any
SMALLEST_NORMAL: Any
LIFT: Any
LIFT_BITS: Any
LOG_2: Any
TWO_THIRDS_BITS: int
ROUNDER_BITS: int
PATCH: int
PATCHES: int
MEAN_PATCHES: int
ENTROPY_PATCHES: int
