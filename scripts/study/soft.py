"""SAC after training: does log_prob of the sample add noise to its losses, or cancel that of Q?

A policy that is soft-optimal has α·log p(a) = Q(a) − constant: Q − α·log p of a sample then has no noise at all, while
Q + α·H has all of Q's.
"""

from typing import Any

import torch
from torch import Tensor

from study.gradients import deviation
from tanhlut.integrations.sb3 import TrueModeSquashedGaussian

TERMS = ("sampled", "exact")


def noises(model: Any, observations: Tensor, draws: int) -> dict[str, float]:
    """Standard deviation, over the actions sampled, of the gradient of the actor's loss and of the critics' target.

    Args:
        model: SB3's SAC.
        observations: shape (batch, …), as the policy sees them.
        draws: of an action for every observation.

    Returns:
        "actor's gradient, sampled" (norm over the actor's weights), "target, sampled" (root mean square over the
        batch), and both with "exact": −α·log_prob against α·H beside the same Q of the same action.
    """
    actor: Any = model.actor
    weights = list(actor.parameters())
    alpha = float(model.log_ent_coef.detach().exp())
    gradients: dict[str, list[Tensor]] = {term: [] for term in TERMS}
    targets: dict[str, list[Tensor]] = {term: [] for term in TERMS}
    for _ in range(draws):
        loc, log_scale, _ = actor.get_action_dist_params(observations)
        distribution = TrueModeSquashedGaussian(loc.shape[1])
        actions, log_prob = distribution.log_prob_from_params(loc, log_scale)
        entropies = {"sampled": -log_prob, "exact": distribution.entropy()}
        q = torch.cat(model.critic(observations, actions), dim=1).amin(1)
        with torch.no_grad():
            q_target = torch.cat(model.critic_target(observations, actions), dim=1).amin(1)
        for term, entropy in entropies.items():
            found = torch.autograd.grad(-(q + alpha * entropy).mean(), weights, retain_graph=True)
            gradients[term].append(torch.cat([part.flatten() for part in found]))
            targets[term].append((q_target + alpha * entropy).detach())
    states = len(observations) ** 0.5
    return {
        **{f"actor's gradient, {term}": deviation(torch.stack(rows)) for term, rows in gradients.items()},
        **{f"target, {term}": deviation(torch.stack(rows)) / states for term, rows in targets.items()},
    }
