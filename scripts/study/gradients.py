"""The gradient of the entropy: exact, and by one sample. How noisy are the estimates, and what do they estimate?

Of Y = tanh X, X = loc + scale·ε, with L = log p(Y):

    exact      ∇H                  tanhlut.entropy
    pathwise   −∇L along ε → X → Y   SAC; TorchRL's PPO for a distribution without entropy()
    score      −L·∇L at a fixed Y    unbiased where nothing can be differentiated through Y
    stored     −∇L at a fixed Y      Stable-Baselines3's PPO: it is 0 on average, since E ∇L = 0
"""

import math
from collections.abc import Callable, Sequence
from typing import TypedDict

import torch
from torch import Tensor

from tanhlut import TanhNormal

ESTIMATES = ("pathwise", "score", "stored")


class Noise(TypedDict):
    """Of an estimate, in units of the exact gradient's norm: its standard deviation, and its bias beyond chance."""

    noise: float
    bias: float


def estimate(kind: str, loc: Tensor, scale: Tensor) -> Tensor:
    """What has the gradient of that name, shape of loc; of one fresh sample, or "exact"."""
    distribution = TanhNormal(loc, scale, validate_args=False)
    if kind == "exact":
        return distribution.entropy()
    if kind == "pathwise":
        return -distribution.rsample_and_log_prob()[1]
    log_prob = distribution.log_prob(distribution.sample())
    return -log_prob if kind == "stored" else -log_prob.detach() * log_prob


def noises(
    parameters: Callable[[], tuple[Tensor, Tensor]], weights: Sequence[Tensor], draws: int
) -> dict[str, Noise | float]:
    """Noise of each estimate of the gradient of the entropy, averaged over a batch, with respect to `weights`.

    Args:
        parameters: gives (loc, scale), shape (batch, actions), functions of `weights`.
        weights: leaves; the norm of a gradient is that over all of them.
        draws: of every estimate, each a sample for every element of the batch.

    Returns:
        By the name of the estimate, and under "norm" the exact gradient's.
    """

    def gradient(kind: str) -> Tensor:
        value = estimate(kind, *parameters()).sum(-1).mean()
        found = torch.autograd.grad(value, list(weights), allow_unused=True)
        return torch.cat([part.flatten() for part in found if part is not None]).double()

    exact = gradient("exact")
    found: dict[str, Noise | float] = {"norm": float(exact.norm())}
    for kind in ESTIMATES:
        found[kind] = spread(torch.stack([gradient(kind) for _ in range(draws)]), exact)
    return found


def deviation(drawn: Tensor) -> float:
    """√(E‖g − E g‖²) of the rows."""
    drawn = drawn.double()
    return math.sqrt(float((drawn - drawn.mean(0)).square().sum()) / (len(drawn) - 1))


def spread(drawn: Tensor, truth: Tensor) -> Noise:
    """Noise of the rows of `drawn` as estimates of `truth`.

    `deviation` and √(‖E g − truth‖²), both over ‖truth‖; from the second the mean's own error is taken off.
    """
    noise, norm = deviation(drawn), float(truth.norm())
    bias = float((drawn.mean(0) - truth).square().sum()) - noise**2 / len(drawn)
    return {"noise": noise / norm, "bias": math.sqrt(max(bias, 0.0)) / norm}


def of_states(loc: Tensor, scale: Tensor, draws: int) -> dict[str, dict[str, Noise | float]]:
    """`noises` with respect to loc and to scale themselves, shape (states, actions): root mean squares over states."""
    loc, scale = (part.detach().clone().requires_grad_() for part in (loc, scale))
    return {name: noises(lambda: (loc, scale), [weight], draws) for name, weight in (("loc", loc), ("scale", scale))}
