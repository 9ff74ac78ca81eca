"""The public functions."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from tanhlut.jax import modes, moments
from tanhlut.jax.arguments import Array, ArrayLike, check, result_dtype, widened
from tanhlut.jax.compiler import check_compiler
from tanhlut.jax.numbers import numbers
from tanhlut.jax.text import of

LOW, HIGH = -1.0, 1.0


def mode(loc: ArrayLike, scale: ArrayLike, low: ArrayLike = LOW, high: ArrayLike = HIGH) -> Array:
    """The mode of Y = low + (high − low)·(tanh X + 1)/2, X ~ Normal(loc, scale²).

    By the method "exact" of `tanhlut.mode`, the closed form and Halley steps: no table. XLA decides where to use an
    fma, so the last bits differ between jit and no jit, devices and batches; docs/jax.md has the error seen.

    Args:
        loc, scale: JAX arrays, NumPy arrays or numbers, broadcast together. float16 and bfloat16 are computed in
            float32 and rounded once; float64 needs JAX's `jax_enable_x64`.
        low, high: action bounds, likewise; low < high.

    Returns:
        An array of the broadcast shape and of the arguments' dtype, within [low, high]. mode(−loc) = −mode(loc) for
        low = −high; where two peaks tie (loc = ±0.0, scale > 1/√2) the sign bit of loc decides. NaN where loc or scale
        is NaN, where scale < 0 or where not low < high. Subnormal numbers are taken for ±0.0, as XLA does, but for a
        subnormal scale < 0, which gives NaN.

    Raises:
        TypeError: what is no array of real numbers.
        ValueError: a Python number scale < 0, Python numbers that are not low < high, shapes that do not broadcast.

    Warns:
        RuntimeWarning: XLA compiles with fast math, which breaks the arithmetic.
    """
    check(loc=loc, scale=scale, low=low, high=high)
    check_compiler()
    return _mode(loc, scale, *_bounds(low, high))


def pre_tanh_mode(loc: ArrayLike, scale: ArrayLike) -> Array:
    """x* = loc + 2·scale²·mode, with tanh(x*) = mode(loc, scale), for log_prob; accurate also where tanh saturates.

    Arguments, result and errors are those of `mode`; its error is multiplied by 2·scale².
    """
    check(loc=loc, scale=scale)
    check_compiler()
    return _pre_tanh_mode(loc, scale)


def is_bimodal(loc: ArrayLike, scale: ArrayLike) -> Array:
    """Whether the density of tanh(Normal(loc, scale²)) has two peaks, and the mode jumps at loc = 0.

    True where scale > 1/√2 and |loc| < s·v − artanh(v), s = 2·scale², v = √(1 − 1/s). In float64 where JAX has it
    enabled; else that limit of |loc| has float32's rounding. Boolean, False for NaN; errors as `mode`.
    """
    check(loc=loc, scale=scale)
    check_compiler()
    return _is_bimodal(loc, scale)


def mean(loc: ArrayLike, scale: ArrayLike, low: ArrayLike = LOW, high: ArrayLike = HIGH) -> Array:
    """E[Y], within [low, high]; arguments, result and errors are those of `mode`. A bound at loc = ±inf.

    In float32 and half precision by the shipped table's surrogate, in float64 by quadrature over 96 nodes. Derivatives:
    dM/dloc = E sech² X, dM/dscale = scale·(its derivative by loc), M = E tanh X.
    """
    return _moment("mean", loc, scale, low, high)


def variance(loc: ArrayLike, scale: ArrayLike, low: ArrayLike = LOW, high: ArrayLike = HIGH) -> Array:
    """Var[Y], as `mean`. 0 at scale 0 and at loc = ±inf. Its derivatives are those of the surrogate or quadrature."""
    return _moment("variance", loc, scale, low, high)


def stddev(loc: ArrayLike, scale: ArrayLike, low: ArrayLike = LOW, high: ArrayLike = HIGH) -> Array:
    """√Var[Y], as `variance`. Where scale² has no digits left it still has, in float32."""
    return _moment("stddev", loc, scale, low, high)


def entropy(loc: ArrayLike, scale: ArrayLike, low: ArrayLike = LOW, high: ArrayLike = HIGH) -> Array:
    """H(Y), the differential entropy in nats, at most log(high − low), as `mean`; −inf at scale 0 and at infinities.

    Derivatives: dH/dloc = −2·E tanh X, dH/dscale = 1/scale − 2·scale·E sech² X.
    """
    return _moment("entropy", loc, scale, low, high)


def _moment(name: str, loc: ArrayLike, scale: ArrayLike, low: ArrayLike, high: ArrayLike) -> Array:
    check(loc=loc, scale=scale, low=low, high=high)
    check_compiler()
    numbers()  # read apart from whatever JAX is tracing
    return _computed(name, loc, scale, *_bounds(low, high))


def _bounds(low: ArrayLike, high: ArrayLike) -> tuple[Any, Any]:
    """None for −1 and 1, which leave a value as it is."""
    plain = isinstance(low, int | float) and isinstance(high, int | float) and (low, high) == (LOW, HIGH)
    return (None, None) if plain else (low, high)


@jax.jit
def _mode(loc: Any, scale: Any, low: Any, high: Any) -> Array:
    dtype = result_dtype(loc, scale, *(() if low is None else (low, high)))
    loc, scale = widened(loc, scale, dtype)
    return _to_bounds(modes.mode(loc, scale), low, high).astype(dtype)


@jax.jit
def _pre_tanh_mode(loc: Any, scale: Any) -> Array:
    dtype = result_dtype(loc, scale)
    loc, scale = widened(loc, scale, dtype)
    x: Array = of(loc).pre_tanh(modes.mode(loc, scale), loc, scale)
    return x.astype(dtype)


@jax.jit
def _is_bimodal(loc: Any, scale: Any) -> Array:
    found: Array = of(wide := jnp.zeros((), jax.dtypes.canonicalize_dtype(jnp.float64))).is_bimodal(
        *widened(loc, scale, wide.dtype)
    )
    return found


@partial(jax.jit, static_argnums=0)
def _computed(name: str, loc: Any, scale: Any, low: Any, high: Any) -> Array:
    dtype = result_dtype(loc, scale, *(() if low is None else (low, high)))
    loc, scale = widened(loc, scale, dtype)
    value: Array = getattr(moments, name)(loc, scale)
    if name == "mean":
        value = _to_bounds(value, low, high)
    elif low is not None:
        low, high = (jnp.asarray(bound, value.dtype) for bound in (low, high))
        half, _ = of(value).image(low, high)
        found = value + jnp.log(half) if name == "entropy" else value * (half if name == "stddev" else half * half)
        value = jnp.where(low < high, found, jnp.nan)
    return value.astype(dtype)


def _to_bounds(y: Array, low: Any, high: Any) -> Array:
    """The image of y ∈ [−1, 1] in [low, high]; NaN unless low < high."""
    if low is None:
        return y
    text = of(y)
    low, high = (jnp.asarray(bound, y.dtype) for bound in (low, high))
    half, middle = text.image(low, high)
    return jnp.where(low < high, text.finish(jnp.abs(y), y, half, middle, low, high), jnp.nan)
