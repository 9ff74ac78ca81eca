"""Brax: deterministic actions by the true mode or the mean; the exact entropy in the losses of PPO and its kin.

Tested with brax 0.14.2. Imports no torch.
"""

from typing import Any, TypeVar

from tanhlut.errors import require

require("brax", "brax")
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from brax.training.distribution import NormalTanhDistribution  # noqa: E402

from tanhlut.jax import deterministic as choices  # noqa: E402
from tanhlut.jax import public as moments  # noqa: E402
from tanhlut.jax.deterministic import Deterministic, Entropy  # noqa: E402

Networks = TypeVar("Networks")


class TrueModeNormalTanh(NormalTanhDistribution):
    """Brax's distribution with the true mode, the mean and the exact entropy. Parameters and samples are Brax's.

    Args:
        event_size, min_std, var_scale: as in `NormalTanhDistribution`.
        deterministic: what `mode` returns: ``"mode"``, ``"mean"`` or ``"tanh_loc"``, Brax's own.
        entropy: ``"exact"``, or ``"sampled"``: Brax's own, from one sample.

    Raises:
        ValueError: `deterministic` or `entropy` is none of those.
    """

    def __init__(
        self,
        event_size: int,
        min_std: float = 0.001,
        var_scale: float = 1,
        *,
        deterministic: Deterministic = "mode",
        entropy: Entropy = "exact",
    ) -> None:
        choices.check_choice("deterministic", deterministic, choices.CHOICES)
        choices.check_choice("entropy", entropy, choices.ENTROPIES)
        super().__init__(event_size, min_std, var_scale)
        self.deterministic, self.entropy_by = deterministic, entropy

    def mode(self, parameters: jax.Array) -> jax.Array:
        """The deterministic action, shape (…, event_size)."""
        normal = self.create_dist(parameters)
        return choices.action(self.deterministic, normal.loc, normal.scale)

    def mean(self, parameters: jax.Array) -> jax.Array:
        """The mean action, shape (…, event_size)."""
        normal = self.create_dist(parameters)
        return moments.mean(normal.loc, normal.scale)

    def entropy(self, parameters: jax.Array, seed: jax.Array) -> jax.Array:
        """H of the action, shape (…); `seed` is not used where it is exact."""
        if self.entropy_by == "sampled":
            return super().entropy(parameters, seed)
        normal = self.create_dist(parameters)
        return jnp.sum(moments.entropy(normal.loc, normal.scale), axis=-1)


def use_true_mode(networks: Networks, *, deterministic: Deterministic = "mode", entropy: Entropy = "exact") -> Networks:
    """The same networks of one of Brax's agents (ppo, sac, apg, es, bc) with a `TrueModeNormalTanh`.

    For training, inside the factory: ``network_factory=lambda *a, **k: use_true_mode(make_ppo_networks(*a, **k))``.

    Raises:
        TypeError: their distribution is not a `NormalTanhDistribution`.
        ValueError: `deterministic` or `entropy` is none of the choices.
    """
    given: Any = networks
    old = given.parametric_action_distribution
    if not isinstance(old, NormalTanhDistribution):
        raise TypeError(
            f"the networks act by {type(old).__name__}, which tanh does not squash: 'tanh_normal' is needed"
        )
    new = TrueModeNormalTanh(
        old.param_size // 2, old._min_std, old._var_scale, deterministic=deterministic, entropy=entropy
    )
    changed: Networks = given.replace(parametric_action_distribution=new)
    return changed
