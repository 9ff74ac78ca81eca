"""One run: an algorithm, a task, an arm, a seed. What is trained, what is measured after it."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

import tanhlut
from study import gradients, soft, train_sb3, train_torchrl
from study.policies import RULES, episodes, training_returns

ARMS = ("sampled", "exact")
STEPS = {  # of the environment, at --budget 1
    ("SAC", "Pendulum-v1"): 2000,
    ("SAC", "Reacher-v5"): 2000,
    ("PPO", "Pendulum-v1"): 24_576,
    ("PPO", "Reacher-v5"): 24_576,
    ("PPO, gSDE", "Pendulum-v1"): 24_576,
}
TASKS = tuple(dict.fromkeys(task for _, task in STEPS))
ALGORITHMS = tuple(dict.fromkeys(algorithm for algorithm, _ in STEPS))
STATES = 256  # for gradients: a minibatch


class Run(NamedTuple):
    """What tells one run from the others."""

    algorithm: str
    task: str
    arm: str
    seed: int
    steps: int


def plan(algorithms: list[str], tasks: list[str], seeds: list[int], budget: float) -> Iterator[Run]:
    """Seeds outermost, arms innermost: whenever it ends, nearly all runs have their partner."""
    for seed in seeds:
        for (algorithm, task), steps in STEPS.items():
            if algorithm in algorithms and task in tasks:
                for arm in ARMS:
                    yield Run(algorithm, task, arm, seed, max(round(budget * steps), 1))


def carry_out(run: Run, count: int, draws: int) -> dict[str, Any]:
    """Train, act in `count` episodes by each rule, measure the entropy's gradient by `draws` samples."""
    model = None
    wall, cpu = time.perf_counter(), time.process_time()
    if run.algorithm == "SAC":
        policy, model = train_sb3.sac(run.task, run.arm, run.seed, run.steps)
    else:
        train = train_torchrl.ppo if run.algorithm == "PPO" else train_sb3.gsde
        policy = train(run.task, run.arm, run.seed, run.steps)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    returns, seen = {}, torch.empty(0)
    for rule in RULES:
        returns[rule], seen = episodes(policy, run.task, rule, count)  # the last rule is training's own
    with torch.no_grad():
        loc, scale = policy.parameters(seen)
    chosen = seen[torch.from_numpy(np.random.default_rng(run.seed).integers(len(seen), size=STATES))]
    with torch.no_grad():
        few = policy.parameters(chosen)
    return {
        **run._asdict(),
        "wall seconds": wall,
        "cpu seconds": cpu,
        "returns in training": training_returns(policy.env),
        "returns": returns,
        "entropy an action": float(tanhlut.entropy(loc, scale).mean()),
        "scale": float(scale.median()),
        "|loc|": float(loc.abs().median()),
        "gradient of states": gradients.of_states(*few, draws),
        "gradient of the network": gradients.noises(lambda: policy.parameters(chosen), policy.weights, draws),
        **({} if model is None else {"SAC's losses": soft.noises(model, chosen, draws)}),
    }
