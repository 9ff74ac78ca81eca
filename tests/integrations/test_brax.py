"""The Brax integration against Brax itself: needs brax, which CI does not install."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # brax's own
    pytest.importorskip("brax")
    from brax.training.agents.ppo import losses
    from brax.training.agents.ppo import networks as ppo_networks
    from brax.training.agents.sac import networks as sac_networks
    from brax.training.distribution import NormalTanhDistribution

import jax
import jax.numpy as jnp

import tanhlut
import tanhlut.jax as tj
from tanhlut.integrations.brax import TrueModeNormalTanh, use_true_mode

pytestmark = pytest.mark.filterwarnings("ignore")
SEED = jax.random.PRNGKey(0)


@pytest.fixture
def parameters() -> Any:
    return jax.random.normal(jax.random.PRNGKey(1), (40, 6))


def normal(parameters: Any) -> tuple[Any, Any]:
    """loc and scale as Brax makes them of parameters, in NumPy."""
    loc, raw = np.split(np.asarray(parameters, np.float64), 2, axis=-1)
    return loc, np.log1p(np.exp(raw)) + 0.001


def test_actions_and_entropy(parameters: Any) -> None:
    loc, scale = normal(parameters)
    wanted = {"mode": tanhlut.mode(loc, scale), "mean": tanhlut.mean(loc, scale), "tanh_loc": np.tanh(loc)}
    for choice, action in wanted.items():
        found = jax.jit(TrueModeNormalTanh(3, deterministic=choice).mode)(parameters)  # type: ignore[arg-type]
        gain = 1.0 if choice != "mode" else 20.0  # of float32's softplus near the cusp
        assert np.abs(np.asarray(found) - action).max() <= 2e-6 * gain
    true = TrueModeNormalTanh(3)
    assert np.abs(np.asarray(true.mean(parameters)) - wanted["mean"]).max() <= 2e-6
    exact = tanhlut.entropy(loc, scale).sum(-1)
    np.testing.assert_allclose(true.entropy(parameters, SEED), exact, rtol=0, atol=1e-5)
    seeds = jax.random.split(SEED, 4_000)
    sampled = np.asarray(jax.vmap(lambda seed: NormalTanhDistribution(3).entropy(parameters, seed))(seeds))
    assert (np.abs(sampled.mean(0) - exact) <= 5 * sampled.std(0) / len(seeds) ** 0.5).all()


def test_what_is_brax_own_stays(parameters: Any) -> None:
    true, own = TrueModeNormalTanh(3, entropy="sampled"), NormalTanhDistribution(3)
    for name in ("sample", "sample_no_postprocessing", "entropy"):
        assert np.array_equal(getattr(true, name)(parameters, SEED), getattr(own, name)(parameters, SEED))
    actions = own.sample_no_postprocessing(parameters, SEED)
    assert np.array_equal(true.log_prob(parameters, actions), own.log_prob(parameters, actions))
    assert np.array_equal(TrueModeNormalTanh(3, deterministic="tanh_loc").mode(parameters), own.mode(parameters))


@pytest.mark.parametrize(
    "networks", [ppo_networks.make_ppo_networks(5, 3), sac_networks.make_sac_networks(5, 3)], ids=["ppo", "sac"]
)
def test_networks_act_by_it(networks: Any) -> None:
    true = use_true_mode(networks)
    inference = (ppo_networks if hasattr(true, "value_network") else sac_networks).make_inference_fn(true)
    parameters = true.policy_network.init(SEED)
    observations = jax.random.normal(SEED, (7, 5))
    action, _ = inference((None, parameters), deterministic=True)(observations, SEED)
    logits = true.policy_network.apply(None, parameters, observations)
    loc, scale = normal(logits)
    assert np.abs(np.asarray(action) - tanhlut.mode(loc, scale)).max() <= 1e-4
    assert type(networks.parametric_action_distribution) is NormalTanhDistribution


def test_the_entropy_in_ppos_loss_is_exact() -> None:
    networks = use_true_mode(ppo_networks.make_ppo_networks(5, 3))
    keys = jax.random.split(SEED, 2)
    params = losses.PPONetworkParams(
        policy=networks.policy_network.init(keys[0]), value=networks.value_network.init(keys[1])
    )
    observation = jax.random.normal(SEED, (4, 6, 5))
    logits = networks.policy_network.apply(None, params.policy, observation)
    raw = networks.parametric_action_distribution.sample_no_postprocessing(logits, SEED)
    from brax.training.types import Transition

    data = Transition(
        observation=observation,
        action=jnp.tanh(raw),
        reward=jnp.ones((4, 6)),
        discount=jnp.ones((4, 6)),
        next_observation=observation,
        extras={
            "policy_extras": {"raw_action": raw, "log_prob": jnp.zeros((4, 6)), "distribution_params": logits},
            "state_extras": {"truncation": jnp.zeros((4, 6))},
        },
    )
    _, told = losses.compute_ppo_loss(params, None, data, SEED, networks, entropy_cost=1.0)
    exact = tanhlut.entropy(*normal(logits)).sum(-1).mean()
    assert abs(float(told["entropy_loss"]) + exact) <= 1e-5


@pytest.mark.slow
def test_the_study_keeps_its_runs(tmp_path: Path) -> None:
    """scripts/brax_ppo, a thousandth of it; the second time nothing is run."""
    script, kept = Path(__file__).parents[2] / "scripts" / "brax_ppo", tmp_path / "kept.json"
    command = [sys.executable, str(script), "--seeds", "0", "--steps", "600", "--output", str(kept)]
    first = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    runs = json.loads(kept.read_text())["runs"]
    assert [run["entropy"] for run in runs] == ["sampled", "exact"]
    assert all(-2_000 < value < 0 for run in runs for value in run["returns"].values())
    again = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    assert "seed 0:" in first
    assert "seed 0:" not in again
    assert json.loads(kept.read_text())["runs"] == runs


def test_errors_say_what_is_allowed() -> None:
    plain = ppo_networks.make_ppo_networks(5, 3, distribution_type="normal")
    with pytest.raises(TypeError, match="NormalDistribution, which tanh does not squash"):
        use_true_mode(plain)
    with pytest.raises(ValueError, match="deterministic = 'median'"):
        TrueModeNormalTanh(3, deterministic="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="entropy = 'none'"):
        TrueModeNormalTanh(3, entropy="none")  # type: ignore[arg-type]
    assert float(tj.mode(0.2, 1.0)) > 0.97
