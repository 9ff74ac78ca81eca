"""Mean, standard deviation, variance and entropy on (−1, 1): the surrogates in float32, quadrature in float64.

With M = E tanh X, S = E sech² X and H the entropy, the heat equation f_v = ½·f_locloc (v = scale²) and L_loc = M give

    dM/dloc = S,    dM/dscale = scale·dS/dloc,    dH/dloc = −2·M,    dH/dscale = 1/scale − 2·scale·S,

which are rules here; they name M and S themselves, so that JAX differentiates them again. The variance and what follows
from S are differentiated as they are written. All take arrays of one shape and dtype, float32 or float64.
"""

from typing import Any

import jax
import jax.numpy as jnp

from tanhlut.formula.nodes import rule
from tanhlut.jax.numbers import numbers
from tanhlut.jax.text import DOUBLE, SINGLE, of, signed

Pair = tuple[jax.Array, jax.Array]


@jax.custom_jvp
def mean(loc: jax.Array, scale: jax.Array) -> jax.Array:
    """M, of loc's sign whatever the quadrature's last bits."""
    value = _mean(loc, scale)
    astray = (jnp.signbit(value) != jnp.signbit(loc)) & ~jnp.isnan(value)
    return jnp.where(astray, jnp.copysign(jnp.zeros_like(loc), loc), value)


@mean.defjvp
def _(primals: Pair, tangents: Pair) -> Pair:
    loc, scale = primals
    by_loc, by_loc_again = jax.jvp(lambda at: slope(at, scale), (loc,), (jnp.ones_like(loc),))
    by_scale = jnp.where(jnp.isinf(scale), 0.0, scale) * by_loc_again
    return mean(loc, scale), by_loc * tangents[0] + by_scale * tangents[1]


def slope(loc: jax.Array, scale: jax.Array) -> jax.Array:
    """S = dM/dloc."""
    if of(loc) is SINGLE:
        return _surrogate("mean_by_loc", loc, scale)
    far = jnp.isinf(loc) | jnp.isinf(scale)
    near = jnp.where(far, 1.0, loc)
    value = jax.jvp(lambda at: _mean(at, scale), (near,), (jnp.ones_like(loc),))[1]
    return jnp.where(far & ~jnp.isnan(loc) & (scale >= 0.0), 0.0, value)


def variance(loc: jax.Array, scale: jax.Array) -> jax.Array:
    """Var tanh X."""
    if of(loc) is SINGLE:
        return _surrogate("variance", loc, scale)
    return _unless_infinite(DOUBLE.integrated_variance(*_folded(loc, scale)), loc, scale, 0.0)


def stddev(loc: jax.Array, scale: jax.Array) -> jax.Array:
    """√Var tanh X."""
    if of(loc) is SINGLE:
        return _surrogate("stddev", loc, scale)
    return _unless_infinite(jnp.sqrt(DOUBLE.integrated_variance(*_folded(loc, scale))), loc, scale, 0.0)


@jax.custom_jvp
def entropy(loc: jax.Array, scale: jax.Array) -> jax.Array:
    """H."""
    if of(loc) is SINGLE:
        return _surrogate("entropy", loc, scale)
    return DOUBLE.integrated_entropy(DOUBLE.integrated_log_cosh(*_folded(loc, scale)), loc, scale)


@entropy.defjvp
def _(primals: Pair, tangents: Pair) -> Pair:
    loc, scale = primals
    by_scale = 1.0 / scale - 2.0 * scale * slope(loc, scale)
    return entropy(loc, scale), -2.0 * mean(loc, scale) * tangents[0] + by_scale * tangents[1]


def _surrogate(name: str, loc: jax.Array, scale: jax.Array) -> jax.Array:
    """By the text in float32."""
    value: jax.Array = getattr(SINGLE, name)(loc, scale, numbers(), -1.0, 1.0)
    return value


def _mean(loc: jax.Array, scale: jax.Array) -> jax.Array:
    if of(loc) is SINGLE:
        return _surrogate("mean", loc, scale)
    return signed(_unless_infinite(DOUBLE.integrated_mean(*_folded(loc, scale)), loc, scale, 1.0), loc)


def _unless_infinite(value: jax.Array, loc: jax.Array, scale: jax.Array, there: float) -> jax.Array:
    """The value; `there` where loc is infinite, of which the quadrature knows nothing if scale is, too."""
    return jnp.where(jnp.isinf(loc) & (scale >= 0.0), there, value)


def _folded(loc: jax.Array, scale: jax.Array) -> Any:
    """(|loc|, scale) with a last dimension for the nodes, and float64's two rules."""
    rules = (tuple(map(jnp.asarray, rule("float64", narrow))) for narrow in (True, False))
    return signed(loc, loc)[..., None], scale[..., None], *rules
