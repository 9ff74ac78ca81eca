"""Distrax: mode, mean, variance and entropy of a Normal behind Tanh, which distrax leaves unimplemented.

TFP's distributions may be the base, as distrax takes them. Tested with distrax 0.1.9. Imports no torch.
"""

from typing import Any

from tanhlut.errors import require

require("distrax", "distrax")
import distrax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from tanhlut.jax import deterministic as choices  # noqa: E402
from tanhlut.jax import public as moments  # noqa: E402
from tanhlut.jax.deterministic import Deterministic  # noqa: E402


class TrueModeTransformed(distrax.Transformed):
    """`Transformed` of a Normal by Tanh, with its true mode, mean, variance, standard deviation and entropy.

    Args:
        distribution: Normal, MultivariateNormalDiag, or Independent of Normal; distrax's or TFP's.
        bijector: Tanh, or Block of it, distrax's or TFP's; for a base with event dimensions Block is added.
        deterministic: what `mode` returns: ``"mode"``, ``"mean"`` or ``"tanh_loc"``, tanh of the base's mode.

    Raises:
        TypeError: the distribution is no such Normal, or the bijector no Tanh.
        ValueError: `deterministic` is none of those.
    """

    def __init__(
        self,
        distribution: distrax.DistributionLike,
        bijector: distrax.BijectorLike | None = None,
        *,
        deterministic: Deterministic = "mode",
    ) -> None:
        choices.check_choice("deterministic", deterministic, choices.CHOICES)
        base = distrax.as_distribution(distribution)
        if not _is_normal(base):
            raise TypeError(f"{base.name}: give a Normal, MultivariateNormalDiag or Independent(Normal)")
        given = distrax.Tanh() if bijector is None else distrax.as_bijector(bijector)
        if not _is_tanh(given):
            raise TypeError(f"{given.name}: give Tanh, or Block(Tanh)")
        self._events = len(base.event_shape)
        if self._events > given.event_ndims_in:
            given = distrax.Block(given, self._events - given.event_ndims_in)
        super().__init__(base, given)
        self.deterministic = deterministic

    def mode(self) -> jax.Array:
        """The deterministic action, shape batch_shape + event_shape."""
        return choices.action(self.deterministic, *self._normal())

    def mean(self) -> jax.Array:
        """E, shape as `mode`."""
        return moments.mean(*self._normal())

    def variance(self) -> jax.Array:
        """Var of each part, shape as `mode`."""
        return moments.variance(*self._normal())

    def stddev(self) -> jax.Array:
        """√Var, shape as `mode`."""
        return moments.stddev(*self._normal())

    def entropy(self, input_hint: jax.Array | None = None) -> jax.Array:
        """H, shape batch_shape; `input_hint` is not needed."""
        return jnp.sum(moments.entropy(*self._normal()), axis=tuple(range(-self._events, 0)))

    def _normal(self) -> tuple[jax.Array, jax.Array]:
        return self.distribution.mean(), self.distribution.stddev()


def use_true_mode(distribution: Any, *, deterministic: Deterministic = "mode") -> TrueModeTransformed:
    """The same distribution with its true mode, mean, variance and entropy; errors as `TrueModeTransformed`.

    Args:
        distribution: distrax's `Transformed`, or TFP's `TransformedDistribution`, of which distrax's is made.
    """
    base, bijector = (getattr(distribution, name, None) for name in ("distribution", "bijector"))
    if base is None or bijector is None:
        raise TypeError(f"{type(distribution).__name__}: give a Transformed of a Normal by Tanh")
    return TrueModeTransformed(base, bijector, deterministic=deterministic)


def _is_normal(base: distrax.Distribution) -> bool:
    if isinstance(base, distrax.Independent):
        return _is_normal(base.distribution)
    return isinstance(base, distrax.Normal | distrax.MultivariateNormalDiag) or base.name in _OF_TFP


def _is_tanh(bijector: distrax.Bijector) -> bool:
    if isinstance(bijector, distrax.Block):
        return _is_tanh(bijector.bijector)
    return isinstance(bijector, distrax.Tanh) or bijector.name == "tanh"


_OF_TFP = ("Normal", "MultivariateNormalDiag")  # TFP's own, which distrax wraps, are known by their names
