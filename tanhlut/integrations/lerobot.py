"""LeRobot: select_action by the true mode or the mean, which samples otherwise.

Serves `SACPolicy` (0.4) and `GaussianActorPolicy` (0.6), known by the parts of their actor: LeRobot is not imported.
"""

from contextlib import ExitStack
from typing import Any, TypeVar

import torch
from torch import Tensor

from tanhlut.integrations import deterministic as choices
from tanhlut.integrations.names import Deterministic, check

Policy = TypeVar("Policy")


class _Acting:
    """A policy's select_action with the deterministic action in the place of the actor's sample, which is dropped."""

    def __init__(self, policy: Any, deterministic: Deterministic) -> None:
        self.policy, self.deterministic = policy, deterministic

    def __call__(self, batch: dict[str, Tensor]) -> Tensor:
        actor, log_scales = self.policy.actor, list[Tensor]()

        def act(_: Any, __: Any, output: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            _, log_prob, loc = output
            return choices.action(self.deterministic, loc, _scale(actor, loc, log_scales)), log_prob, loc

        with ExitStack() as hooks:
            if actor.fixed_std is None:
                hooks.enter_context(actor.std_layer.register_forward_hook(lambda *seen: log_scales.append(seen[-1])))
            hooks.enter_context(actor.register_forward_hook(act))
            return type(self.policy).select_action(self.policy, batch)  # type: ignore[no-any-return]


def _scale(actor: Any, loc: Tensor, log_scales: list[Tensor]) -> Tensor:
    """Of the Normal that LeRobot samples: it gives its `std` to MultivariateNormal as the covariance."""
    if actor.fixed_std is not None:
        return torch.sqrt(actor.fixed_std).expand_as(loc)
    return torch.sqrt(torch.exp(log_scales[-1]).clamp(actor.std_min, actor.std_max))


_PARTS = ("mean_layer", "fixed_std", "std_min", "std_max")


def use_true_mode(policy: Policy, *, deterministic: Deterministic = "mode") -> Policy:
    """Make select_action of a policy return its true mode, or another deterministic action. Returns the policy.

    For evaluation and deployment: LeRobot's own actor process explores by select_action, which then would not explore.
    Training is untouched, since it calls the actor itself, and so are parameters, saving and the discrete action of a
    gripper. A checkpoint does not hold the change: call this again on a loaded policy. The last call counts.

    Args:
        policy: a `SACPolicy` or `GaussianActorPolicy`.
        deterministic: ``"mode"``, ``"mean"`` or ``"tanh_loc"``. The last two are continuous in loc; the mode jumps at
            loc = 0 where scale > 1/√2.

    Raises:
        TypeError: the policy has no such actor.
        ValueError: `deterministic` is none of the three.
    """
    check(deterministic)
    given: Any = policy
    if not all(hasattr(getattr(given, "actor", None), part) for part in _PARTS):
        raise TypeError(f"{type(policy).__name__} has no Gaussian actor: give a SACPolicy or a GaussianActorPolicy")
    given.select_action = _Acting(given, deterministic)
    return policy
