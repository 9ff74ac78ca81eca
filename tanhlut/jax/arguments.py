"""What comes in: JAX arrays, NumPy arrays or numbers, of one dtype in the end; Python numbers never widen it."""

import math
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from tanhlut.jax.text import bits

Array: TypeAlias = jax.Array
ArrayLike: TypeAlias = jax.Array | np.ndarray[Any, Any] | np.generic | float
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def check(**given: Any) -> None:
    """Refuse what is no array of real numbers, and numbers that no array could hold.

    Raises:
        TypeError: a list, a complex array, an array of another library.
        ValueError: a Python number scale < 0, or Python numbers that are not low < high, both finite.
    """
    for name, value in given.items():
        if not isinstance(value, jax.Array | np.ndarray | np.generic | bool | int | float):
            raise TypeError(
                f"{name} is a {type(value).__name__}: give JAX arrays, NumPy arrays or numbers (jax.numpy.asarray "
                "makes arrays of lists and of other libraries' arrays)"
            )
        dtype = np.dtype(getattr(value, "dtype", float))
        if dtype.name not in _FLOATS and dtype.kind not in "iub":
            raise TypeError(f"{name} has dtype {dtype}: give {', '.join(_FLOATS)} or integers")
    scale, low, high = given["scale"], given.get("low", -1.0), given.get("high", 1.0)
    if isinstance(scale, int | float) and scale < 0:
        raise ValueError(f"scale = {scale} is negative: give a standard deviation ≥ 0")
    if isinstance(low, int | float) and isinstance(high, int | float) and not -math.inf < low < high < math.inf:
        raise ValueError(f"low = {low}, high = {high}: give finite bounds with low < high")


def result_dtype(*given: Any) -> Any:
    """The floating dtype that the arguments have together; integers count as JAX's default floats."""
    return jnp.result_type(*given, 0.0)


def widened(loc: Any, scale: Any, dtype: Any) -> tuple[Array, Array]:
    """loc and scale of one shape, in the dtype of the arithmetic: float64 for itself, float32 for the rest.

    A scale below 0 becomes NaN by its bits: XLA takes a subnormal one for −0.0, which is allowed.
    """
    wide = jnp.float64 if dtype == jnp.float64 else jnp.float32
    loc, scale = jnp.broadcast_arrays(jnp.asarray(loc, wide), jnp.asarray(scale, wide))
    word = bits(scale)
    return loc, jnp.where((word < 0) & (word != jnp.iinfo(word.dtype).min), jnp.nan, scale)
