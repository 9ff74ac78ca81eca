"""PPO with TorchRL's loss and tanhlut's TanhNormal, with the exact entropy and with TorchRL's one-sample estimate."""

from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from tensordict.nn import NormalParamExtractor, TensorDictModule
from torch import Tensor
from torchrl.modules import MLP, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value.functional import generalized_advantage_estimate

from study.policies import Trained, environment
from tanhlut.integrations.torchrl import TanhNormal

COUNT, LENGTH, BATCH, EPOCHS, LAMBDA = 16, 128, 512, 10, 0.95


def ppo(task: str, arm: str, seed: int, steps: int) -> Trained:
    """PPO, two layers of 64; the entropy coefficient is TorchRL's own, 0.01."""
    torch.manual_seed(seed)
    gamma = 0.9 if task.startswith("Pendulum") else 0.99
    env = environment(task, COUNT, seed, normalise=True, gamma=gamma)
    observations, actions = env.observation_space.shape[0], env.action_space.shape[0]
    layers: dict[str, Any] = {"num_cells": [64, 64], "activation_class": torch.nn.Tanh}
    network = torch.nn.Sequential(MLP(observations, 2 * actions, **layers), NormalParamExtractor())
    actor = ProbabilisticActor(
        TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"]),
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        distribution_kwargs={"entropy": arm},
        return_log_prob=True,
    )
    critic = ValueOperator(MLP(observations, 1, **layers), in_keys=["observation"])
    loss = ClipPPOLoss(actor, critic, entropy_coeff=0.01, clip_epsilon=0.2, normalize_advantage=True)
    optimizer = torch.optim.Adam(loss.parameters(), lr=2e-3)
    length = min(LENGTH, max(steps // (2 * COUNT), 16))
    observation = _tensor(env.reset())
    for _ in range(max(steps // (COUNT * length), 1)):
        data, observation = _collect(env, actor, critic, observation, length, gamma)
        for _ in range(EPOCHS):
            for chosen in torch.randperm(len(data)).split(BATCH):
                losses = loss(data[chosen])
                optimizer.zero_grad()
                (losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]).backward()
                torch.nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
                optimizer.step()
    return Trained(lambda seen: network(seen), list(network.parameters()), env)


@torch.no_grad()
def _collect(
    env: Any, actor: Any, critic: Any, observation: Tensor, length: int, gamma: float
) -> tuple[TensorDict, Tensor]:
    """`length` steps of every environment with their advantages, flat, and the observation after them."""
    low, high = env.action_space.low, env.action_space.high
    steps = []
    for _ in range(length):
        step = actor(TensorDict({"observation": observation}, [COUNT]))
        inside = low + (high - low) * (step["action"].numpy() + 1) / 2
        following, reward, done, infos = env.step(np.clip(inside, low, high))
        last = np.array(following)
        for k in np.flatnonzero(done):  # a fresh episode has begun, its first observation is no successor
            last[k] = infos[k]["terminal_observation"]
        truncated = np.array([info.get("TimeLimit.truncated", False) for info in infos])
        step["next_observation"] = _tensor(last)
        step["reward"] = _tensor(reward)[:, None]
        step["done"] = torch.from_numpy(done)[:, None]
        step["terminated"] = torch.from_numpy(done & ~truncated)[:, None]
        observation = _tensor(following)
        steps.append(step)
    data: Any = torch.stack(steps, 1)  # (environments, steps), as the estimator wants time
    now, after = critic.module(data["observation"]), critic.module(data["next_observation"])
    data["advantage"], data["value_target"] = generalized_advantage_estimate(
        gamma, LAMBDA, now, after, data["reward"], data["done"], data["terminated"]
    )
    return data.reshape(-1), observation


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
