"""Stable-Baselines3's SAC and its PPO with squashed gSDE, with the exact entropy and with the sampled one."""

from typing import Any

import torch
from stable_baselines3 import PPO, SAC
from torch import Tensor

from study.policies import Trained, environment
from tanhlut.integrations.sb3 import TrueModeSquashedGaussian, use_true_mode


class ExactInLosses(TrueModeSquashedGaussian):
    """−H in the place of log_prob where SAC differentiates: in the losses of the actor and of the temperature.

    The target of the critics, made without gradients, keeps log_prob of its sample, whose noise can cancel that of Q of
    the same action (`study.soft` measures it).
    """

    def log_prob_from_params(self, mean_actions: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
        actions, log_prob = super().log_prob_from_params(mean_actions, log_std)
        if not torch.is_grad_enabled():
            return actions, log_prob
        entropy = self.entropy()
        assert entropy is not None
        return actions, -entropy


SAC_ARMS = {"sampled": TrueModeSquashedGaussian, "exact": ExactInLosses}


def sac(task: str, arm: str, seed: int, steps: int) -> tuple[Trained, SAC]:
    """SAC, two layers of 64, a gradient step a step."""
    env = environment(task, 1, seed, normalise=False)
    rate, tau = (3e-3, 0.02) if task.startswith("Pendulum") else (2e-3, 0.01)  # fast: the budget is small
    model = SAC(
        "MlpPolicy",
        env,
        learning_rate=rate,
        tau=tau,
        gamma=0.95,
        batch_size=128,
        learning_starts=min(200, steps // 5),
        policy_kwargs={"net_arch": [64, 64]},
        seed=seed,
        device="cpu",
    )
    actor: Any = model.actor
    actor.action_dist = SAC_ARMS[arm](actor.action_dist.action_dim)
    model.learn(steps)

    def parameters(observations: Tensor) -> tuple[Tensor, Tensor]:
        loc, log_scale, _ = actor.get_action_dist_params(observations)
        return loc, log_scale.exp()

    return Trained(parameters, list(actor.parameters()), env), model


def gsde(task: str, arm: str, seed: int, steps: int) -> Trained:
    """PPO with squashed gSDE, two layers of 64; "sampled" is what Stable-Baselines3 does itself."""
    gamma = 0.9 if task.startswith("Pendulum") else 0.99
    count, length = 16, min(128, max(steps // 32, 16))
    env = environment(task, count, seed, normalise=True, gamma=gamma)
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=2e-3,
        n_steps=length,
        batch_size=min(512, count * length),
        gamma=gamma,
        ent_coef=0.01,
        use_sde=True,
        sde_sample_freq=4,
        policy_kwargs={"squash_output": True},
        seed=seed,
        device="cpu",
    )
    use_true_mode(model, entropy=arm)  # type: ignore[arg-type]
    model.learn(steps)
    policy: Any = model.policy

    def parameters(observations: Tensor) -> tuple[Tensor, Tensor]:
        normal = policy.get_distribution(observations).distribution
        return normal.loc, normal.scale

    return Trained(parameters, list(policy.parameters()), env)
