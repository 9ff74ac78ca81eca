"""Tianshou: evaluation by the true mode or the mean. Tested with tianshou 2.0.1."""

from typing import Any, TypeVar

from torch import Tensor

from tanhlut.distributions.tanh_normal import TanhNormal
from tanhlut.errors import require
from tanhlut.integrations import deterministic as choices
from tanhlut.integrations.names import Deterministic, check
from tanhlut.lookup import pre_tanh_mode

require("tianshou", "tianshou")
from tianshou.algorithm.modelfree.redq import REDQPolicy  # noqa: E402
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy  # noqa: E402
from tianshou.algorithm.modelfree.sac import SACPolicy  # noqa: E402

Model = TypeVar("Model")


class _TrueMode:
    """What is put before a policy's class: another action where Tianshou's is tanh(loc), all else as it is."""

    deterministic: Deterministic = "mode"

    def forward(self, batch: Any, state: Any = None, **options: Any) -> Any:
        """Tianshou's result, with the deterministic action while the policy is evaluated."""
        policy: Any = super()
        result = policy.forward(batch, state, **options)
        asked: Any = self
        if asked.deterministic_eval and not asked.is_within_training_step and self.deterministic != "tanh_loc":
            self._act(result, *result.logits)
        return result

    def _act(self, result: Any, loc: Tensor, scale: Tensor) -> None:
        result.act = choices.action(self.deterministic, loc, scale)
        log_prob = TanhNormal(loc, scale, validate_args=False).log_prob(result.act)
        result.log_prob = log_prob.sum(-1, keepdim=True)


class TrueModeSACPolicy(_TrueMode, SACPolicy):
    """SAC's policy (CQL's too)."""


class TrueModeREDQPolicy(_TrueMode, REDQPolicy):
    """REDQ's policy."""


class TrueModeProbabilisticActorPolicy(_TrueMode, ProbabilisticActorPolicy):
    """The policy of PPO, A2C, Reinforce and their kin with action_bound_method="tanh", by which map_action squashes."""

    def _act(self, result: Any, loc: Tensor, scale: Tensor) -> None:
        if self.deterministic == "mode":
            result.act = pre_tanh_mode(loc, scale)
        else:
            action = choices.action(self.deterministic, loc, scale)
            result.act = TanhNormal(loc, scale, validate_args=False).squash.inv(action)


_TRUE = {
    SACPolicy: TrueModeSACPolicy,
    REDQPolicy: TrueModeREDQPolicy,
    ProbabilisticActorPolicy: TrueModeProbabilisticActorPolicy,
}


def use_true_mode(model: Model, *, deterministic: Deterministic = "mode") -> Model:
    """Make an algorithm, or a policy, act on the true mode where Tianshou evaluates by tanh(loc). Returns it.

    The policy is given a class of this module, which torch.save writes with it; parameters and training are untouched,
    since Tianshou samples within a training step, and evaluates so where deterministic_eval is False. The last call
    counts.

    Args:
        model: SAC, CQL, REDQ, or PPO and its kin with action_bound_method="tanh" and a Gaussian; or such a policy.
        deterministic: ``"mode"``, ``"mean"`` or ``"tanh_loc"``, Tianshou's own. The last two are continuous in loc; the
            mode jumps at loc = 0 where scale > 1/√2.

    Raises:
        TypeError: the policy is none of those.
        ValueError: `deterministic` is none of the three.
    """
    check(deterministic)
    policy: Any = getattr(model, "policy", model)
    if type(policy) not in _TRUE.values():
        true = _TRUE.get(type(policy))
        if true is None or (true is TrueModeProbabilisticActorPolicy and policy.action_bound_method != "tanh"):
            raise TypeError(
                f"{type(model).__name__} acts by {type(policy).__name__}, which tanh does not squash: give SAC, CQL, "
                "REDQ, or PPO and its kin with action_bound_method='tanh'"
            )
        policy.__class__ = true
    policy.deterministic = deterministic
    return model
