"""scripts/entropy_study: that it measures what it says, and that it resumes."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tanhlut.errors import MissingExtraError

for library in ("stable_baselines3", "torchrl"):
    pytest.importorskip(library)
SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.append(str(SCRIPTS))

from study import gradients, needs, report, runs, soft, train_sb3  # noqa: E402

from tanhlut.integrations.sb3 import TrueModeSquashedGaussian  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(150)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def estimates(loc: float, scale: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each estimate of dH/dloc and dH/dscale as a function of the noise ε, by hand."""
    e, x = NODES, loc + scale * NODES
    log_p = -0.5 * e**2 - np.log(scale * np.sqrt(2 * np.pi)) + 2 * np.log(np.cosh(x))
    by_loc, by_scale = e / scale, (e**2 - 1) / scale  # of log p at a fixed y
    return {
        "pathwise": (-2 * np.tanh(x), 1 / scale - 2 * e * np.tanh(x)),
        "score": (-log_p * by_loc, -log_p * by_scale),
        "stored": (-by_loc, -by_scale),
    }


@pytest.mark.parametrize(("loc", "scale"), [(0.4, 0.5), (-1.5, 0.9), (0.7, 0.2)])
def test_noise_and_bias_of_every_estimate(loc: float, scale: float) -> None:
    torch.manual_seed(0)
    states = torch.full((4000, 1), loc), torch.full((4000, 1), scale)
    found: Any = gradients.of_states(*states, draws=8)
    by_hand = estimates(loc, scale)
    for part, name in enumerate(("loc", "scale")):
        truth = WEIGHTS @ by_hand["pathwise"][part]
        for kind in gradients.ESTIMATES:
            values = by_hand[kind][part]
            mean = WEIGHTS @ values
            noise = np.sqrt(WEIGHTS @ (values - mean) ** 2)
            assert found[name][kind]["noise"] == pytest.approx(noise / abs(truth), rel=0.05), (name, kind)
            chance = noise / abs(truth) * 0.2
            assert found[name][kind]["bias"] == pytest.approx(abs(mean - truth) / abs(truth), abs=chance), (name, kind)
        assert WEIGHTS @ by_hand["stored"][part] == pytest.approx(0, abs=1e-9)


class Actor(torch.nn.Module):
    """A policy that is the same in every state, as SB3's actors answer."""

    def __init__(self) -> None:
        super().__init__()
        self.loc, self.log_scale = (torch.nn.Parameter(torch.tensor(value)) for value in ([0.3, -0.8], [-0.7, -0.2]))

    def get_action_dist_params(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        batch = len(observations)
        return self.loc.expand(batch, 2), self.log_scale.expand(batch, 2), {}


@pytest.mark.parametrize("optimal", [True, False])
def test_what_log_prob_does_to_the_noise_of_q(optimal: bool) -> None:
    """It is all of the noise where Q is flat, and cancels it where the policy is soft-optimal."""
    actor, alpha = Actor(), 0.3

    def critic(observations: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            loc, log_scale, _ = actor.get_action_dist_params(observations)
        policy = TrueModeSquashedGaussian(2).proba_distribution(loc, log_scale)
        q = alpha * policy.log_prob(actions)[:, None] if optimal else 0.0 * actions[:, :1]
        return q, q + 1.0

    model = SimpleNamespace(
        actor=actor, critic=critic, critic_target=critic, log_ent_coef=torch.tensor(alpha).log().reshape(1)
    )
    torch.manual_seed(0)
    found = soft.noises(model, torch.zeros(64, 3), draws=20)
    if optimal:
        assert found["target, sampled"] < 1e-3 < 0.1 < found["target, exact"]
    else:
        assert found["target, exact"] < 1e-6 < 0.1 < found["target, sampled"]
        assert found["actor's gradient, exact"] < 1e-6 < 1e-3 < found["actor's gradient, sampled"]


def test_the_exact_arm_of_sac() -> None:
    loc, log_scale = torch.tensor([[0.4, -1.5]]), torch.tensor([[0.5, 0.9]]).log()
    many = loc.expand(20_000, 2), log_scale.expand(20_000, 2)
    torch.manual_seed(0)
    exact = train_sb3.ExactInLosses(2).log_prob_from_params(*many)[1]
    with torch.no_grad():
        sampled = train_sb3.ExactInLosses(2).log_prob_from_params(*many)[1]
    assert exact.std() < 1e-6
    assert sampled.std() > 0.5
    assert float(sampled.mean()) == pytest.approx(float(exact[0]), abs=0.03)


@pytest.mark.slow
def test_a_short_study_and_its_resumption(tmp_path: Path) -> None:
    target = tmp_path / "study.json"
    policy = tmp_path / "policy.npz"
    np.savez(policy, loc=np.array([[0.2], [0.4]], np.float32), scale=np.array([[0.5], [0.6]], np.float32))
    options = f"--budget 0.005 --seeds 0 --tasks Pendulum-v1 --episodes 1 --draws 2 --output {target}".split()
    command = [sys.executable, str(SCRIPTS / "entropy_study"), *options, "--policy", str(policy)]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("s of training") == len(runs.ALGORITHMS) * len(runs.ARMS)
    assert all(f"| {algorithm}, Pendulum-v1 | return, mode |" in first.stdout for algorithm in runs.ALGORITHMS)
    assert "| policy | loc |" in first.stdout
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "s of training" not in again.stdout
    assert report.training([]) == ""


def test_only_pairs_are_compared() -> None:
    def run(arm: str, seed: int) -> dict[str, Any]:
        return {"algorithm": "SAC", "task": "Pendulum-v1", "arm": arm, "seed": seed}

    ((_, _, pairs),) = report.paired([run("sampled", 0), run("exact", 0), run("sampled", 1)])
    assert [pair["exact"]["seed"] for pair in pairs] == [0]
    assert report.paired([run("exact", 3)]) == []


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda _: None)
    needs.check(["Pendulum-v1"])
    with pytest.raises(MissingExtraError, match=r"pip install 'gymnasium\[mujoco\]'"):
        needs.check(["Pendulum-v1", "Reacher-v5"])
    script = str(SCRIPTS / "entropy_study")
    code = f"import runpy, sys; sys.modules['torchrl'] = None; runpy.run_path({script!r}, run_name='__main__')"
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 1
    assert "tanhlut[torchrl]" in run.stderr
