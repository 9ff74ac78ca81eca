"""The mode by the text's start and Halley steps, one (float64: two), with the implicit function theorem's derivatives.

The rule names the mode itself, so that JAX differentiates it again as often as one likes, forward and backward.
"""

import jax

from tanhlut.jax.text import DOUBLE, of


@jax.custom_jvp
def mode(loc: jax.Array, scale: jax.Array) -> jax.Array:
    """The mode on (−1, 1), of arrays of one shape and dtype, float32 or float64."""
    text = of(loc)
    m, s, delta = text.fold(loc, scale)
    y = text.step(text.rough_start(m, s, delta), m, s, delta)
    if text is DOUBLE:
        y = text.step(text.fma(s, y, m), m, s, delta)
    return text.signed(y, loc)


@mode.defjvp
def _(primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    loc, scale = primals
    y = mode(loc, scale)
    by_loc, by_scale = of(loc).partials(y, scale)
    return y, by_loc * tangents[0] + by_scale * tangents[1]
