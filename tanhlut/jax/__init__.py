"""`mode`, `pre_tanh_mode`, `is_bimodal`, `mean`, `variance`, `stddev`, `entropy` for JAX arrays, without torch.

    >>> import tanhlut.jax
    >>> tanhlut.jax.mode(0.2, 1.0)
    Array(0.97301567, dtype=float32)

All are element-wise, run under jit, vmap and any other transformation, and have derivatives of any order, forward and
backward. The arithmetic is the package's one text (`tanhlut.formula`) in jax.numpy operations.
"""

from tanhlut.errors import require

require("jax", "jax")
from tanhlut.jax.public import entropy, is_bimodal, mean, mode, pre_tanh_mode, stddev, variance  # noqa: E402

__all__ = ["entropy", "is_bimodal", "mean", "mode", "pre_tanh_mode", "stddev", "variance"]
