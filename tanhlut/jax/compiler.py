"""Whether XLA compiles the arithmetic as it is written.

--xla_cpu_enable_fast_math, which is off unless XLA_FLAGS says so, lets it rearrange sums: the digits of δ near
scale = 1/√2 are the first to go, and NaN and infinities are no longer sure. It is asked by what it does, once for each
backend: that costs a tenth of a second, and finds whatever else has the same effect.
"""

import warnings
from functools import cache

import jax
import numpy as np

from tanhlut.jax.text import excess

_UNITS = 8.0  # of δ's last place; as written it is off by two or three, with fast math by thousands
_SCALE = np.array([0.7071067, 0.70710677, 0.7071068, 0.70710695, 0.7072, 0.7], np.float32)


def check_compiler() -> None:
    """Warn, once for each backend, where the arithmetic is not what was written (RuntimeWarning)."""
    if not _faithful(jax.default_backend()):
        _warn()


@cache
def _faithful(backend: str) -> bool:
    with jax.ensure_compile_time_eval():  # perhaps a transformation is at work
        found = np.asarray(jax.jit(excess)(_SCALE), np.float64)
    exact = 2.0 * _SCALE.astype(np.float64) ** 2 - 1.0
    return bool((np.abs(found / exact - 1.0) <= _UNITS * 2.0**-24).all())


@cache
def _warn() -> None:
    warnings.warn(
        "XLA rearranges sums (fast math): tanhlut.jax's modes may be off by more than its documents say, and NaN and "
        "infinities be lost. Take --xla_cpu_enable_fast_math out of XLA_FLAGS before JAX is imported",
        RuntimeWarning,
        stacklevel=4,
    )
