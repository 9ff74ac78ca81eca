"""SBX (Stable-Baselines in JAX): predict(deterministic=True) by the true mode or the mean. And TFP's distributions.

Tested with sbx-rl 0.28.0 and tfp-nightly. Imports no torch of its own; SBX does.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from tanhlut.errors import require

require("sbx", "sbx")
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from sbx.common.distributions import TanhTransformedDistribution  # noqa: E402

from tanhlut.jax import deterministic as choices  # noqa: E402
from tanhlut.jax import public as moments  # noqa: E402
from tanhlut.jax.deterministic import Deterministic  # noqa: E402

Model = TypeVar("Model")


class TrueModeTanh(TanhTransformedDistribution):
    """SBX's distribution, whose base is TFP's MultivariateNormalDiag, with its true mode, mean and entropy.

    `deterministic` is what `mode` returns: ``"mode"``, ``"mean"`` or ``"tanh_loc"``, SBX's own.
    """

    deterministic: Deterministic = "mode"

    def mode(self) -> jax.Array:
        """The deterministic action on (−1, 1)."""
        return choices.action(self.deterministic, *_normal(self))

    def _mean(self) -> jax.Array:
        return moments.mean(*_normal(self))

    def _variance(self) -> jax.Array:
        return moments.variance(*_normal(self))

    def _stddev(self) -> jax.Array:
        return moments.stddev(*_normal(self))

    def _entropy(self) -> jax.Array:
        return jnp.sum(moments.entropy(*_normal(self)), axis=-1)


def _normal(distribution: Any) -> tuple[jax.Array, jax.Array]:
    return distribution.distribution.mean(), distribution.distribution.stddev()


class _Acting:
    """An actor's `apply` whose distributions are `TrueModeTanh`. Equal ones are compiled once."""

    def __init__(self, apply: Callable[..., Any], deterministic: Deterministic) -> None:
        self.apply, self.deterministic = apply, deterministic

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        found = self.apply(*arguments, **options)
        if type(found) is not TanhTransformedDistribution:
            return found
        true = TrueModeTanh(found.distribution)
        true.deterministic = self.deterministic
        return true

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Acting) and (self.apply, self.deterministic) == (other.apply, other.deterministic)

    def __hash__(self) -> int:
        return hash((self.apply, self.deterministic))


def use_true_mode(model: Model, *, deterministic: Deterministic = "mode") -> Model:
    """Make an SBX model, or a policy, act on the true mode under predict(deterministic=True). Returns it.

    For SAC and its kin, whose Gaussian is squashed. Its training is untouched: samples and log_prob are SBX's. A
    checkpoint does not hold the change: call this again on a loaded model. The last call counts.

    Raises:
        TypeError: the policy has no squashed Gaussian (PPO's is not squashed, TD3's and DDPG's are none).
        ValueError: `deterministic` is none of those.
    """
    choices.check_choice("deterministic", deterministic, choices.CHOICES)
    policy: Any = getattr(model, "policy", model)
    actor = type(getattr(policy, "actor", None))
    if "SquashedGaussian" not in actor.__name__:
        raise TypeError(f"{type(model).__name__} acts by {actor.__name__}, no squashed Gaussian: give a SAC model")
    old = policy.actor_state.apply_fn
    apply = old.apply if isinstance(old, _Acting) else old
    policy.actor_state = policy.actor_state.replace(apply_fn=_Acting(apply, deterministic))
    return model
