"""Stable-Baselines3: predict(deterministic=True) by the true mode or the mean; the entropy of PPO's bonus.

Tested with stable-baselines3 2.9.2.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from tanhlut import moments
from tanhlut.arrays import check_choice
from tanhlut.distributions.likelihood import TANH, log_likelihood, with_mass
from tanhlut.errors import require
from tanhlut.formula.equation import pre_tanh
from tanhlut.integrations import deterministic as choices
from tanhlut.integrations.deploy import Deployed
from tanhlut.integrations.names import Deterministic, check
from tanhlut.methods import Method

require("stable_baselines3", "sb3")
from stable_baselines3.common.distributions import (  # noqa: E402
    SquashedDiagGaussianDistribution,
    StateDependentNoiseDistribution,
    TanhBijector,
)
from stable_baselines3.common.vec_env import VecNormalize  # noqa: E402

Entropy = Literal["exact", "sampled"]
Model = TypeVar("Model")


class TrueModeSquashedGaussian(SquashedDiagGaussianDistribution):
    """SAC's distribution with the true mode, the mean and the entropy."""

    deterministic: Deterministic = "mode"
    entropy_by: Entropy = "exact"

    def mode(self) -> Tensor:
        """The deterministic action on (−1, 1), the mode by default; `gaussian_actions` becomes it before squashing, so
        that log_prob agrees."""
        loc, scale = self.distribution.loc, self.distribution.scale
        action = choices.action(self.deterministic, loc, scale)
        if self.deterministic == "mode":
            self.gaussian_actions = pre_tanh(action, loc, scale)
        else:
            self.gaussian_actions = TanhBijector.inverse(action) if self.deterministic == "mean" else loc
        return action

    def entropy(self) -> Tensor | None:
        """See `_entropy`."""
        return _entropy(self.distribution, self.entropy_by)

    def log_prob(self, actions: Tensor, gaussian_actions: Tensor | None = None) -> Tensor:
        """SB3's own given gaussian_actions, as SAC scores what it samples; of stored actions see `_stored`."""
        if gaussian_actions is not None:
            return cast(Tensor, super().log_prob(actions, gaussian_actions))
        return _stored(super().log_prob, actions, self.distribution, self.epsilon)


class TrueModeStateDependentNoise(StateDependentNoiseDistribution):
    """Squashed gSDE with the true mode, the mean and the entropy."""

    deterministic: Deterministic = "mode"
    entropy_by: Entropy = "exact"

    def mode(self) -> Tensor:
        """The deterministic action on (−1, 1), the mode by default."""
        return choices.action(self.deterministic, self.distribution.loc, self.distribution.scale)

    def entropy(self) -> Tensor | None:
        """See `_entropy`."""
        return _entropy(self.distribution, self.entropy_by)

    def log_prob(self, actions: Tensor) -> Tensor:
        """See `_stored`."""
        return _stored(super().log_prob, actions, self.distribution, self.epsilon)


def _entropy(normal: Normal, by: Entropy) -> Tensor | None:
    """H of the squashed action, shape (batch,): `tanhlut.entropy` summed over actions. None, as SB3's, if `by` samples.

    Without it PPO and A2C take −log_prob of the stored actions, whose gradient is 0 on average: E[∇ log p] = 0.
    """
    return cast(Tensor, moments.entropy(normal.loc, normal.scale).sum(dim=1)) if by == "exact" else None


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


def use_true_mode(model: Model, *, deterministic: Deterministic = "mode", entropy: Entropy = "exact") -> Model:
    """Make a model, or a policy, act on the true mode under predict(deterministic=True). Returns it.

    For SAC and its kin, and for PPO and A2C with use_sde=True and policy_kwargs={"squash_output": True}. Only the
    policy's distribution object is replaced, its state kept; parameters, save and load are untouched. SAC's training
    is too, to the bit. PPO and A2C score stored actions that saturate by the mass that rounds to them, and take the
    exact entropy for their bonus, where ent_coef is not 0. A checkpoint does not hold the distribution: call this again
    on a loaded model. The last call counts.

    Args:
        model: a model or a policy.
        deterministic: what predict(deterministic=True) does: ``"mode"``, ``"mean"`` or ``"tanh_loc"``, SB3's own. The
            last two are continuous in loc; the mode jumps at loc = 0 where scale > 1/√2.
        entropy: ``"exact"``, or ``"sampled"``: of PPO and A2C, as SB3 does it.

    Raises:
        TypeError: the policy has no squashed Gaussian.
        ValueError: `deterministic` or `entropy` is none of those.
    """
    check(deterministic)
    check_choice("entropy", entropy, ("exact", "sampled"))
    policy: Any = getattr(model, "policy", model)
    holder = policy.actor if hasattr(getattr(policy, "actor", None), "action_dist") else policy
    old = getattr(holder, "action_dist", None)
    if not isinstance(old, tuple(_TRUE.values())):
        new_class = _TRUE.get(type(old))
        if new_class is None or getattr(old, "bijector", old) is None:
            raise TypeError(
                f"{type(model).__name__} acts by {type(old).__name__}, which tanh does not squash: give a SAC model, "
                "or one with use_sde=True and policy_kwargs={'squash_output': True}"
            )
        holder.action_dist = new_class.__new__(new_class)
        holder.action_dist.__dict__.update(old.__dict__)
    holder.action_dist.deterministic, holder.action_dist.entropy_by = deterministic, entropy
    return model


def deployed(model: Any, *, normalize: VecNormalize | None = None, method: Method = "exact") -> Deployed:
    """What predict(deterministic=True) of a SAC model does, as one module for `deploy.onnx_model` or torch.export.

    Args:
        model: a SAC model or one of its kin, after `use_true_mode`, which says whether the mode, the mean or tanh(loc).
        normalize: the environment's normalisation, which then is inside.
        method: how the mode is computed; the default takes no table along, and differs from the model's by both bounds
            at most.

    Returns:
        A module in eval mode that shares the model's parameters: observations (batch, …) to actions in the units of the
        action space, (batch, actions).

    Raises:
        TypeError: the model is no such, or explores by gSDE.
    """
    actor: Any = getattr(getattr(model, "policy", None), "actor", None)
    if not isinstance(getattr(actor, "action_dist", None), TrueModeSquashedGaussian):
        raise TypeError(f"{type(model).__name__} has no actor with a squashed Gaussian: give use_true_mode(SAC model)")
    space = model.action_space
    seen: dict[str, Any] = {}
    if normalize is not None and normalize.norm_obs:
        rms: Any = normalize.obs_rms
        seen = {"shift": rms.mean, "divisor": np.sqrt(rms.var + normalize.epsilon), "clip": normalize.clip_obs}
    choice = actor.action_dist.deterministic
    return Deployed(_Parameters(actor), space.low, space.high, choice, method, **seen).eval()


class _Parameters(torch.nn.Module):
    """A SAC actor's (loc, scale)."""

    def __init__(self, actor: Any) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        loc, log_scale, _ = self.actor.get_action_dist_params(observation)
        return loc, torch.exp(log_scale)
