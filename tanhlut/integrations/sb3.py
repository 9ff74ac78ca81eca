"""Stable-Baselines3: predict(deterministic=True) by the true mode. Tested with stable-baselines3 2.9.2."""

from typing import Any, TypeVar, cast

from torch import Tensor

from tanhlut.equation import pre_tanh
from tanhlut.errors import require
from tanhlut.lookup import mode

require("stable_baselines3", "sb3")
from stable_baselines3.common.distributions import (  # noqa: E402
    SquashedDiagGaussianDistribution,
    StateDependentNoiseDistribution,
)

Model = TypeVar("Model")


class TrueModeSquashedGaussian(SquashedDiagGaussianDistribution):
    """SAC's distribution with the true mode."""

    def mode(self) -> Tensor:
        """The mode on (−1, 1); `gaussian_actions` becomes the mode before squashing, so that log_prob agrees."""
        loc, scale = self.distribution.loc, self.distribution.scale
        action = cast(Tensor, mode(loc, scale))
        self.gaussian_actions = pre_tanh(action, loc, scale)
        return action


class TrueModeStateDependentNoise(StateDependentNoiseDistribution):
    """Squashed gSDE with the true mode."""

    def mode(self) -> Tensor:
        """The mode on (−1, 1)."""
        return cast(Tensor, mode(self.distribution.loc, self.distribution.scale))


_TRUE = {
    SquashedDiagGaussianDistribution: TrueModeSquashedGaussian,
    StateDependentNoiseDistribution: TrueModeStateDependentNoise,
}


def use_true_mode(model: Model) -> Model:
    """Make a model, or a policy, act on the true mode under predict(deterministic=True). Returns it.

    For SAC and its kin, and for PPO and A2C with use_sde=True and policy_kwargs={"squash_output": True}. Only the
    policy's distribution object is replaced, its state kept; parameters, training, save and load are untouched.
    A checkpoint does not hold the distribution: call this again on a loaded model. Calling it twice is harmless.

    Raises:
        TypeError: the policy has no squashed Gaussian.
    """
    policy: Any = getattr(model, "policy", model)
    holder = policy.actor if hasattr(getattr(policy, "actor", None), "action_dist") else policy
    old = getattr(holder, "action_dist", None)
    if isinstance(old, tuple(_TRUE.values())):
        return model
    new_class = _TRUE.get(type(old))
    if new_class is None or getattr(old, "bijector", old) is None:
        raise TypeError(
            f"{type(model).__name__} acts by {type(old).__name__}, which tanh does not squash: give a SAC model, or "
            "one with use_sde=True and policy_kwargs={'squash_output': True}"
        )
    new = new_class.__new__(new_class)
    new.__dict__.update(old.__dict__)
    holder.action_dist = new
    return model
