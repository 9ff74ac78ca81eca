"""The rsl_rl integration against the published package, a short PPO run included."""

import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

pytest.importorskip("rsl_rl")

from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.runners import OnPolicyRunner
from tensordict import TensorDict

from tanhlut import TanhNormal as OurTanhNormal
from tanhlut import entropy, mean, mode, stddev
from tanhlut.distributions import quadrature
from tanhlut.integrations import deploy
from tanhlut.integrations.rsl_rl import HeteroscedasticTanhNormal, TanhNormal

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own about TorchScript

Kind = type[TanhNormal] | type[HeteroscedasticTanhNormal]
KINDS: tuple[Kind, ...] = (TanhNormal, HeteroscedasticTanhNormal)
NAMES = {kind: f"tanhlut.integrations.rsl_rl:{kind.__name__}" for kind in KINDS}


class Reach(VecEnv):
    """Points on a line; an action moves them, and the nearer to the goal the better."""

    num_envs, num_actions, max_episode_length, device = 64, 2, 16, "cpu"
    cfg: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
        self.position = self._fresh(self.num_envs)

    def _fresh(self, count: int) -> torch.Tensor:
        return 2.0 * torch.rand(count, 2, generator=self.generator) - 1.0

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": self.position.clone()}, [self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        assert (actions >= -2).all()
        assert (actions <= 1).all()
        self.position = (self.position + 0.2 * actions).clamp(-2, 2)
        self.episode_length_buf += 1
        reward = -self.position.square().sum(-1)
        done = self.episode_length_buf >= self.max_episode_length
        self.position[done] = self._fresh(int(done.sum()))
        self.episode_length_buf[done] = 0
        return self.get_observations(), reward, done.long(), {"time_outs": done.float()}


def runner(kind: Kind = TanhNormal, **options: Any) -> OnPolicyRunner:
    torch.manual_seed(0)
    model = {"class_name": "MLPModel", "hidden_dims": [16], "activation": "elu"}
    distribution = {"class_name": NAMES[kind], "init_std": 0.5, "action_range": (-2.0, 1.0), **options}
    return OnPolicyRunner(
        Reach(),
        {
            "num_steps_per_env": 16,
            "save_interval": 100,
            "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
            "algorithm": {"class_name": "PPO", "entropy_coef": 0.001},
            "actor": {**model, "distribution_cfg": distribution},
            "critic": model,
        },
    )


@pytest.mark.parametrize("std_type", ["scalar", "log"])
@pytest.mark.parametrize("kind", [TanhNormal, HeteroscedasticTanhNormal])
def test_the_interface(kind: Any, std_type: str) -> None:
    torch.manual_seed(0)
    distribution = kind(3, init_std=0.8, std_type=std_type, action_range=(-2.0, 1.0))
    output = torch.rand(5, *([distribution.input_dim] if kind is TanhNormal else distribution.input_dim)) + 0.1
    distribution.update(output)
    loc, scale = distribution.params
    assert loc.shape == scale.shape == (5, 3)
    action = distribution.sample()
    assert ((action >= -2) & (action <= 1)).all()
    ours = OurTanhNormal(loc, scale, -2.0, 1.0)
    copy = action.detach().clone()
    torch.testing.assert_close(distribution.log_prob(copy), ours.log_prob(copy).sum(-1))
    for found, function, wanted in (
        (
            distribution.entropy,
            entropy(loc, scale, -2.0, 1.0).sum(-1),
            (quadrature.entropy(loc, scale) + math.log(1.5)).sum(-1),
        ),
        (distribution.mean, mean(loc, scale, -2.0, 1.0), -0.5 + 1.5 * quadrature.mean(loc, scale)),
        (distribution.std, stddev(loc, scale, -2.0, 1.0), 1.5 * quadrature.variance(loc, scale).sqrt()),
    ):
        assert torch.equal(found, function)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=5e-6)
    other = loc + 0.3, 1.1 * scale
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(loc, scale), torch.distributions.Normal(*other)
    ).sum(-1)
    assert torch.equal(distribution.kl_divergence((loc, scale), other), expected)
    assert torch.equal(distribution.deterministic_output(output), mode(loc, scale, -2.0, 1.0))
    distribution.deterministic_output(output + 1.0)
    assert torch.equal(distribution.params[0], loc)  # the current distribution stays
    module = distribution.as_deterministic_output_module()
    assert torch.equal(module(output), mode(loc, scale, -2.0, 1.0))


def test_a_minibatch_needs_no_quadrature(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 with gradients: what rsl_rl's PPO asks of a distribution."""
    for name in ("mean", "variance", "entropy"):
        monkeypatch.setattr(quadrature, name, lambda *_: pytest.fail("a quadrature"))
    distribution = TanhNormal(3)
    distribution.update(torch.randn(5, 3).requires_grad_())
    (distribution.entropy.sum() + distribution.mean.sum() + distribution.std.sum()).backward()
    assert distribution.std_param.grad is not None
    assert distribution.std_param.grad.isfinite().all()


@pytest.mark.parametrize("kind", [TanhNormal, HeteroscedasticTanhNormal])
def test_the_choice_of_the_deterministic_action(kind: Kind) -> None:
    torch.manual_seed(0)
    wanted: dict[Any, Any] = {
        "mode": lambda loc, scale: mode(loc, scale, -2.0, 1.0),
        "mean": lambda loc, scale: mean(loc, scale, -2.0, 1.0),
        "tanh_loc": lambda loc, scale: 1.5 * torch.tanh(loc) - 0.5,
    }
    for deterministic, function in wanted.items():
        distribution = kind(3, action_range=(-2.0, 1.0), deterministic=deterministic)
        output = torch.rand(5, *([3] if kind is TanhNormal else [2, 3])) + 0.1
        distribution.update(output)
        expected = function(*distribution.params)
        torch.testing.assert_close(distribution.deterministic_output(output), expected, rtol=0, atol=0)
        module = distribution.as_deterministic_output_module()
        assert torch.equal(module(output), expected)
        scripted = torch.jit.script(module)
        torch.testing.assert_close(scripted(output), expected, rtol=0, atol=1e-6)


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        TanhNormal(2, action_range=(1.0, -1.0))
    with pytest.raises(ValueError, match="'mode', 'mean', 'tanh_loc'"):
        HeteroscedasticTanhNormal(2, deterministic="median")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [TanhNormal, HeteroscedasticTanhNormal])
def test_the_first_ratio_of_ppo_is_one(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their runner collects, their PPO takes its first step; most actions saturate."""
    training = runner(kind, init_std=0.1)
    output = next(layer for layer in reversed(list(training.alg.actor.mlp.modules())) if hasattr(layer, "bias"))
    with torch.no_grad():
        output.weight.mul_(1e-3)
        output.bias[:2] = torch.tensor([20.0, 9.0])
    ratios: list[torch.Tensor] = []
    gradients: list[torch.Tensor | None] = []
    whole = torch.exp

    def exp(value: torch.Tensor) -> torch.Tensor:
        result = whole(value)
        if value.shape == (256,) and value.requires_grad:  # the ratio of a minibatch
            ratios.append(result.detach())
            named = [p for p in training.alg.actor.parameters() if p.requires_grad]
            gradients.extend(torch.autograd.grad(result.mean(), named, retain_graph=True, allow_unused=True))
        return result

    monkeypatch.setattr("rsl_rl.algorithms.ppo.torch.exp", exp)
    training.learn(1)
    assert (training.alg.storage.actions[..., 0] == 1.0).all()
    torch.testing.assert_close(ratios[0], torch.ones(256), rtol=0, atol=2e-6)  # their network's rounding
    assert all(gradient.abs().max() < 100 for gradient in gradients if gradient is not None)


@pytest.mark.parametrize(
    ("kind", "deterministic"),
    [
        (TanhNormal, "mode"),
        pytest.param(TanhNormal, "mean", marks=pytest.mark.slow),
        pytest.param(HeteroscedasticTanhNormal, "mode", marks=pytest.mark.slow),
    ],
)
def test_a_short_ppo_run_and_its_exports(kind: Kind, deterministic: str, tmp_path: Path) -> None:
    training = runner(kind, deterministic=deterministic)
    function = mode if deterministic == "mode" else mean
    observations = Reach().get_observations()

    def cost() -> float:
        env, total = Reach(), 0.0
        policy = training.get_inference_policy()
        for _ in range(16):
            with torch.inference_mode():
                _, reward, _, _ = env.step(policy(env.get_observations()))
            total -= reward.mean().item()
        return total

    before = cost()
    training.learn(25)
    assert cost() < 0.7 * before
    actor = training.alg.get_policy()
    with torch.inference_mode():
        actor(observations, stochastic_output=True)
        loc, scale = actor.output_distribution_params
        action = actor(observations)
        assert torch.equal(action, function(loc.contiguous(), scale.contiguous(), -2.0, 1.0))
    training.export_policy_to_jit(str(tmp_path))
    with torch.no_grad():
        scripted = torch.jit.load(str(tmp_path / "policy.pt"))(observations["policy"])
    torch.testing.assert_close(scripted, action, rtol=0, atol=1e-6)

    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    training.export_policy_to_onnx(str(tmp_path))
    session = onnxruntime.InferenceSession(str(tmp_path / "policy.onnx"))
    for k, observation in enumerate(observations["policy"]):
        (exported,) = session.run(None, {"obs": observation[None].numpy()})
        np.testing.assert_allclose(exported[0], action[k].numpy(), rtol=0, atol=1e-5)


def test_a_model_with_normalisation_goes_whole() -> None:
    """rsl_rl's own exporter, the normaliser and the mean inside."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    observations = TensorDict({"policy": torch.randn(64, 5) * 3.0 + 1.0}, [64])
    model = MLPModel(
        observations,
        obs_groups={"actor": ["policy"]},
        obs_set="actor",
        output_dim=2,
        hidden_dims=[16],
        obs_normalization=True,
        distribution_cfg={"class_name": "tanhlut.integrations.rsl_rl:TanhNormal", "action_range": (-2.0, 1.0)},
    )
    model.update_normalization(observations)
    model.eval()
    with torch.no_grad():
        expected = model(observations)
    data = deploy.onnx_model(model.as_onnx(verbose=False), torch.zeros(2, 5))
    (action,) = onnxruntime.InferenceSession(data).run(None, {"observation": observations["policy"].numpy()})
    np.testing.assert_allclose(action, expected.numpy(), rtol=0, atol=1e-6)
    assert expected.std() > 0.1
