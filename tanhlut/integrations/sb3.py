"""Stable-Baselines3: predict(deterministic=True) by the true mode. Tested with stable-baselines3 2.9.2."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.distributions import Normal

from tanhlut.distributions.likelihood import TANH, log_likelihood, with_mass
from tanhlut.errors import require
from tanhlut.formula.equation import pre_tanh
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

    def log_prob(self, actions: Tensor, gaussian_actions: Tensor | None = None) -> Tensor:
        """SB3's own given gaussian_actions, as SAC scores what it samples; of stored actions see `_stored`."""
        if gaussian_actions is not None:
            return cast(Tensor, super().log_prob(actions, gaussian_actions))
        return _stored(super().log_prob, actions, self.distribution, self.epsilon)


class TrueModeStateDependentNoise(StateDependentNoiseDistribution):
    """Squashed gSDE with the true mode."""

    def mode(self) -> Tensor:
        """The mode on (−1, 1)."""
        return cast(Tensor, mode(self.distribution.loc, self.distribution.scale))

    def log_prob(self, actions: Tensor) -> Tensor:
        """See `_stored`."""
        return _stored(super().log_prob, actions, self.distribution, self.epsilon)


def _stored(theirs: Callable[[Tensor], Tensor], actions: Tensor, normal: Normal, epsilon: float) -> Tensor:
    """SB3's log_prob of actions, bit for bit, unless one saturates: then the mass that rounds to it.

    SB3 takes a saturated action for tanh 8.3: with loc = 20 and std = 0.1 a log_prob of −6407 whose gradients, 1e5, are
    none of the distribution's. SB3 also adds epsilon to dy/dx; so is done here, lest the two differ.
    """
    eps = torch.finfo(actions.dtype).eps
    one = torch.ones((), dtype=actions.dtype, device=actions.device)
    parts, weight = log_likelihood(actions, normal.loc, normal.scale, -one, one, blur=TANH * eps)
    slope = 1.0 - actions.clamp(eps - 1.0, 1.0 - eps).square()
    parts = parts + torch.log(slope / (slope + epsilon))
    return with_mass(theirs, actions, parts, weight, 1, 0.0 * one)


_TRUE = {
    SquashedDiagGaussianDistribution: TrueModeSquashedGaussian,
    StateDependentNoiseDistribution: TrueModeStateDependentNoise,
}


def use_true_mode(model: Model) -> Model:
    """Make a model, or a policy, act on the true mode under predict(deterministic=True). Returns it.

    For SAC and its kin, and for PPO and A2C with use_sde=True and policy_kwargs={"squash_output": True}. Only the
    policy's distribution object is replaced, its state kept; parameters, save and load are untouched. So is training,
    to the bit, unless stored actions saturate: those PPO and A2C then score by the mass that rounds to them. A
    checkpoint does not hold the distribution: call this again on a loaded model. Calling it twice is harmless.

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
