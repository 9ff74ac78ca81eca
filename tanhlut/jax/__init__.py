"""`mode`, `pre_tanh_mode`, `is_bimodal` for JAX arrays, without torch.

    >>> import tanhlut.jax
    >>> tanhlut.jax.mode(0.2, 1.0)
    Array(0.97301567, dtype=float32)

All are element-wise, run under jit, vmap and any other transformation, and have derivatives of any order, forward and
backward. The arithmetic is the package's one text (`tanhlut.formula`) in jax.numpy operations.
"""

from tanhlut.jax.public import is_bimodal, mode, pre_tanh_mode

__all__ = ["is_bimodal", "mode", "pre_tanh_mode"]
