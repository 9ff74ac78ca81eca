"""What a JAX policy does when it is not to explore: `tanhlut.integrations.deterministic`, without torch."""

from typing import Any, Literal

import jax.numpy as jnp

from tanhlut.jax.arguments import Array
from tanhlut.jax.public import mean, mode

Deterministic = Literal["mode", "mean", "tanh_loc"]
CHOICES = ("mode", "mean", "tanh_loc")
Entropy = Literal["exact", "sampled"]
ENTROPIES = ("exact", "sampled")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """ValueError unless it is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} = {value!r}: give one of {', '.join(map(repr, choices))}")


def action(deterministic: Deterministic, loc: Array, scale: Array) -> Array:
    """The action of that name on (−1, 1); differentiable.

    The mean and tanh(loc) are continuous in loc; the mode jumps at loc = 0 where scale > 1/√2.
    """
    if deterministic == "tanh_loc":
        return jnp.tanh(loc)
    return (mode if deterministic == "mode" else mean)(loc, scale)
