"""A trained policy, whatever library trained it, and its episodes by several deterministic actions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from tanhlut import TanhNormal
from tanhlut.integrations.deterministic import action

RULES = ("tanh_loc", "mode", "sample")  # "sample" is how the policy acts in training
EVALUATION_SEED = 1000


class Trained(NamedTuple):
    """What training leaves."""

    parameters: Callable[[Tensor], tuple[Tensor, Tensor]]  # (loc, scale) of observations as the policy sees them
    weights: list[Tensor]  # that (loc, scale) depend on
    env: VecNormalize  # it has the statistics of the observations


def environment(task: str, count: int, seed: int, normalise: bool, gamma: float = 0.99) -> VecNormalize:
    """`count` environments in one, seeds from `seed` on; observations and rewards normalised or not at all."""
    return VecNormalize(make_vec_env(task, count, seed), norm_obs=normalise, norm_reward=normalise, gamma=gamma)


def training_returns(env: VecNormalize) -> list[float]:
    """Of the episodes that ended in training, by the environments' own rewards."""
    return [value for one in env.env_method("get_episode_rewards") for value in one]


def episodes(policy: Trained, task: str, rule: str, count: int) -> tuple[list[float], Tensor]:
    """Returns of `count` episodes by a rule, seeds 1000, 1001, …, and what the policy observed in them."""
    env = VecNormalize(
        make_vec_env(task, count, EVALUATION_SEED), training=False, norm_obs=policy.env.norm_obs, norm_reward=False
    )
    if policy.env.norm_obs:
        env.obs_rms = policy.env.obs_rms
    returns: list[float | None] = [None] * count
    observation: Any = env.reset()
    low, high = env.action_space.low, env.action_space.high
    seen = []
    torch.manual_seed(EVALUATION_SEED)
    while None in returns:
        seen.append(torch.from_numpy(np.asarray(observation, np.float32)))
        with torch.no_grad():
            squashed = act(rule, *policy.parameters(seen[-1])).numpy()
        observation, _, _, infos = env.step(np.clip(low + (high - low) * (squashed + 1) / 2, low, high))
        for k, info in enumerate(infos):
            if "episode" in info and returns[k] is None:
                returns[k] = float(info["episode"]["r"])
    return [value for value in returns if value is not None], torch.cat(seen)


def act(rule: str, loc: Tensor, scale: Tensor) -> Tensor:
    """The action on (−1, 1), shape of loc."""
    if rule == "sample":
        sample: Tensor = TanhNormal(loc, scale, validate_args=False).sample()
        return sample
    return action(rule, loc.contiguous(), scale.contiguous())  # type: ignore[arg-type]
