"""The text in jax.numpy operations: `of(x)` for arrays of x's dtype, float32 or float64.

XLA's algebraic simplifier folds (x − c₁) − c₂ into x − (c₁ + c₂), which is how `formula.excess` gets δ without an fma;
here it is split by the bits of scale, which the simplifier leaves alone, and an fma does not change.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tanhlut.formula import coefficients, nodes, surrogate
from tanhlut.formula.coefficients import Coefficients, numbers
from tanhlut.formula.functions import FILES
from tanhlut.formula.instantiate import instantiate

# A signed integer of a float's size, and a mask that leaves half of the float's digits: so the head's square is exact.
_WORDS = {"float32": (np.int32, -1 << 12), "float64": (np.int64, -1 << 27)}
_FARTHEST = {"float32": 1.3e19, "float64": 1e100}


def of(x: jax.Array) -> Any:
    """The text for arrays of x's dtype, float32 or float64."""
    return DOUBLE if x.dtype == jnp.float64 else SINGLE


def bits(x: jax.Array) -> jax.Array:
    """The bits of a float as a signed integer of its size."""
    return lax.bitcast_convert_type(x, _WORDS[x.dtype.name][0])


@jax.custom_jvp
def excess(scale: jax.Array) -> jax.Array:
    """δ = 2·scale² − 1 to about two ulp: with scale = head + rest of half the digits each, 2·head² − 1 and 4·head·rest
    are exact, and so is their sum where δ cancels."""
    word, mask = _WORDS[scale.dtype.name]
    head = lax.bitcast_convert_type(bits(scale) & word(mask), scale.dtype)
    rest = scale - head
    return ((2.0 * head * head - 1.0) + 4.0 * head * rest) + 2.0 * rest * rest


excess.defjvps(lambda change, _, scale: 4.0 * scale * change)


def signed(y: jax.Array, loc: jax.Array) -> jax.Array:
    """y ≥ 0 with loc's sign bit; a product, since it has a derivative by y."""
    return y * jnp.where(jnp.signbit(loc), y.dtype.type(-1.0), y.dtype.type(1.0))


class Numbers(NamedTuple):
    """The vector of `surrogate`: the polynomials as numbers, all as an array for gathers."""

    numbers: tuple[np.float32, ...]
    vector: np.ndarray[Any, np.dtype[np.float32]]


def _element(function: Any) -> Any:
    return function


def _fma(a: Any, b: Any, c: Any) -> Any:
    return a * b + c


def _divide(a: Any, b: Any) -> Any:
    return a / b


def _invalid_if(condition: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.where(condition, x.dtype.type(np.nan), x)


def _exp_minus_twice(x: jax.Array) -> jax.Array:
    return jnp.exp(-2.0 * x)


def _inverse_cube_root(x: jax.Array) -> jax.Array:
    return jnp.exp(jnp.log(x) * (-1.0 / 3.0))


def _from_bits(word: jax.Array, like: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type(word, like.dtype)


def _real(word: jax.Array) -> jax.Array:
    return word.astype(jnp.float32)


def _logarithm(x: Any) -> Any:
    return jnp.log(x) if isinstance(x, jax.Array) else math.log(x)  # bounds are numbers


def _integer(x: jax.Array) -> jax.Array:
    return x.astype(jnp.int32)


def _row(data: Numbers, at: jax.Array, k: int) -> list[jax.Array]:
    """One by one: a gather of rows takes three times as long (measured). And apart: for an array of them XLA would find
    their place anew for each, sixteen times an element. The text never leaves the vector."""
    vector, side = jnp.asarray(data.vector), surrogate.side(False)
    return [vector.at[at + (k * side + i)].get(mode="promise_in_bounds") for i in range(side)]


def _fma_of_rows(a: Any, b: Any, c: Any) -> Any:
    return [_fma(x, b, y) for x, y in zip(a, c, strict=True)] if isinstance(a, list) else _fma(a, b, c)


def _polynomial(given: tuple[float, ...], kind: Any) -> Any:
    first, *rest = map(kind, given)

    def horner(x: jax.Array) -> jax.Array:
        total: Any = first
        for coefficient in rest:
            total = total * x + coefficient
        return total

    return horner


def _operations(kind: Any, given: Coefficients) -> dict[str, Any]:
    return {
        **numbers(kind, given),
        **nodes.numbers(kind),
        "FARTHEST": kind(_FARTHEST[kind.__name__]),
        "element": _element,
        "fma": _fma,
        "divide": _divide,
        "divide_roughly": _divide,
        "select": jnp.where,
        "absolute": jnp.abs,
        "at_most": jnp.minimum,
        "at_least": jnp.maximum,
        "invalid_if": _invalid_if,
        "numerator": _polynomial(given.numerator, kind),
        "denominator": _polynomial(given.denominator, kind),
        "excess": excess,
        "exp_minus_twice": _exp_minus_twice,
        "inverse_root": lax.rsqrt,
        "inverse_cube_root": _inverse_cube_root,
        "signed": signed,
        "square_root": jnp.sqrt,
        "without_sign": lambda x: signed(x, x),
        "logarithm": _logarithm,
        "floor": jnp.floor,
        "integer": _integer,
        "total": lambda x: jnp.sum(x, -1),
        "alone": lambda x: jnp.squeeze(x, -1),
        **{name: getattr(jnp, name) for name in ("exp", "expm1", "log1p", "tanh", "sinh")},
        "erf": lax.erf,
        "erfc": lax.erfc,
        **surrogate.numbers(kind),
        **surrogate.patches(_fma_of_rows, surrogate.side(False), _row, list, lambda x: x),
        **surrogate.polynomials(_fma, lambda data, k: data.numbers[k]),
    }


def _roots() -> dict[str, Any]:
    """Of float32 by their bits, as the kernels have them: a third less time for a mode than exp and log (measured)."""
    seen = {"bits": bits, "from_bits": _from_bits, "integer": _integer, "real": _real}
    text = instantiate("jax_float32", _operations(np.float32, coefficients.SINGLE) | seen, "bits")
    return {"inverse_root": text.inverse_root, "inverse_cube_root": text.inverse_cube_root}


SINGLE = instantiate("jax_float32", _operations(np.float32, coefficients.SINGLE) | _roots(), *FILES, "derived")
DOUBLE = instantiate("jax_float64", _operations(np.float64, coefficients.DOUBLE), "element", "derived", "quadrature")
