"""The Stable-Baselines3 integration against Stable-Baselines3 itself."""

import itertools
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3")

from stable_baselines3 import A2C, DDPG, PPO, SAC
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tanhlut import TanhNormal, mean, mode, pre_tanh_mode
from tanhlut.distributions import quadrature
from tanhlut.integrations import deploy
from tanhlut.integrations.sb3 import TrueModeSquashedGaussian, deployed, use_true_mode

pytestmark = pytest.mark.filterwarnings("ignore")  # gymnasium's and torch's own

OBSERVATIONS = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
SQUASHED = {"squash_output": True, "log_std_init": 0.0}


def make(kind: Any, **options: Any) -> Any:
    if kind in (PPO, A2C):
        options = {"use_sde": True, "policy_kwargs": SQUASHED, **options}
    elif options.get("use_sde"):
        options = {"policy_kwargs": {"log_std_init": 0.0}, **options}
    return kind("MlpPolicy", "Pendulum-v1", seed=0, device="cpu", **options)


def normal(model: Any) -> Any:
    """The policy's own Normal at OBSERVATIONS, on actions scaled to (−1, 1)."""
    tensor = torch.from_numpy(OBSERVATIONS)
    with torch.no_grad():
        if hasattr(model.policy, "actor"):
            mean, log_std, rest = model.actor.get_action_dist_params(tensor)
            return model.actor.action_dist.proba_distribution(mean, log_std, **rest).distribution
        return model.policy.get_distribution(tensor).distribution


@pytest.mark.parametrize(("kind", "options"), [(SAC, {}), (SAC, {"use_sde": True}), (PPO, {}), (A2C, {})])
def test_predict_is_our_mode_bit_for_bit(kind: Any, options: dict[str, Any], tmp_path: Path) -> None:
    model = make(kind, **options)
    before, _ = model.predict(OBSERVATIONS, deterministic=True)
    assert use_true_mode(model) is model
    base = normal(model)
    after, _ = model.predict(OBSERVATIONS, deterministic=True)
    expected = mode(base.loc, base.scale)
    assert np.array_equal(after, model.policy.unscale_action(expected.numpy()))
    assert not np.allclose(before, after)
    use_true_mode(model)  # twice is once
    assert np.array_equal(model.predict(OBSERVATIONS, deterministic=True)[0], after)
    model.save(tmp_path / "model")
    loaded = kind.load(tmp_path / "model", device="cpu")
    assert np.array_equal(loaded.predict(OBSERVATIONS, deterministic=True)[0], before)
    assert np.array_equal(use_true_mode(loaded).predict(OBSERVATIONS, deterministic=True)[0], after)
    assert np.array_equal(use_true_mode(loaded.policy).predict(OBSERVATIONS, deterministic=True)[0], after)


@pytest.mark.parametrize(("kind", "options"), [(SAC, {}), (SAC, {"use_sde": True}), (PPO, {}), (A2C, {})])
def test_the_choice_of_the_deterministic_action(kind: Any, options: dict[str, Any]) -> None:
    model = make(kind, **options)
    base = normal(model)
    theirs, _ = model.predict(OBSERVATIONS, deterministic=True)
    for deterministic, expected in (
        ("mean", mean(base.loc, base.scale)),
        ("mode", mode(base.loc, base.scale)),
        ("tanh_loc", torch.tanh(base.loc)),
    ):
        use_true_mode(model, deterministic=deterministic)  # type: ignore[arg-type]
        found, _ = model.predict(OBSERVATIONS, deterministic=True)
        assert np.array_equal(found, model.policy.unscale_action(expected.numpy()))
    assert np.array_equal(found, theirs)
    with pytest.raises(ValueError, match="'mode', 'mean', 'tanh_loc'"):
        use_true_mode(model, deterministic="median")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [PPO, A2C])
def test_the_entropy_of_squashed_gsde(kind: Any) -> None:
    """Against quadrature, gradients too; it is what their training takes; the switch."""
    model = use_true_mode(make(kind, n_steps=64, ent_coef=0.01))
    base = normal(model)
    distribution = model.policy.action_dist
    wanted = quadrature.entropy(base.loc.double(), base.scale.double()).sum(1)
    torch.testing.assert_close(distribution.entropy().double(), wanted, rtol=2e-6, atol=2e-6)
    _, _, found = model.policy.evaluate_actions(torch.from_numpy(OBSERVATIONS), torch.zeros(32, 1))
    assert torch.equal(found, distribution.entropy())
    scale = base.scale.double().requires_grad_()
    (wanted,) = torch.autograd.grad(quadrature.entropy(base.loc.double(), scale).sum(), scale)
    squares = model.policy.action_dist._latent_sde.double() ** 2
    by_log_std = (wanted * squares / scale.detach() * model.policy.log_std.detach().double().exp().T ** 2).sum(0)
    (gradient,) = torch.autograd.grad(found.sum(), model.policy.log_std)
    torch.testing.assert_close(gradient[:, 0].double(), by_log_std, rtol=1e-4, atol=1e-5)

    use_true_mode(model, entropy="sampled")
    assert model.policy.evaluate_actions(torch.from_numpy(OBSERVATIONS), torch.zeros(32, 1))[2] is None
    with pytest.raises(ValueError, match="'exact', 'sampled'"):
        use_true_mode(model, entropy="none")  # type: ignore[arg-type]


def test_the_bonus_that_they_sample_has_no_gradient_on_average() -> None:
    """−log_prob of a stored action: E[∇ log p] = 0, so that it pulls nowhere. Ours pulls to a wider distribution."""
    torch.manual_seed(0)
    loc = torch.full((40_000, 1), 0.3)
    log_std = torch.tensor(-1.0, requires_grad=True)
    distribution = TrueModeSquashedGaussian(1).proba_distribution(loc, log_std.expand(40_000, 1))
    actions = distribution.sample().detach()
    (theirs,) = torch.autograd.grad(-distribution.log_prob(actions).mean(), log_std, retain_graph=True)
    (ours,) = torch.autograd.grad(distribution.entropy().mean(), log_std)
    assert abs(theirs) < 5 * 2**0.5 / 200  # z² − 1 has variance 2
    assert ours > 0.5


def test_without_a_bonus_their_ppo_trains_as_before() -> None:
    parameters = []
    for change in (use_true_mode, lambda model: model):
        model = change(
            make(
                PPO,
                n_steps=64,
                batch_size=32,
                n_epochs=2,
                ent_coef=0.0,
                policy_kwargs={**SQUASHED, "log_std_init": -3.0},
            )
        )
        model.learn(128)
        parameters.append(torch.cat([p.detach().flatten() for p in model.policy.parameters()]))
    assert torch.equal(*parameters)


@pytest.mark.parametrize("deterministic", ["mean", "tanh_loc"])
def test_gaussian_actions_of_the_other_actions(deterministic: Any) -> None:
    model = use_true_mode(make(SAC), deterministic=deterministic)
    normal(model)
    distribution = model.actor.action_dist
    action = distribution.mode()
    torch.testing.assert_close(torch.tanh(distribution.gaussian_actions), action, rtol=0, atol=1e-6)
    expected = distribution.log_prob(action)
    torch.testing.assert_close(
        distribution.log_prob(action, distribution.gaussian_actions), expected, rtol=0, atol=1e-4
    )


def test_gaussian_actions_agree_with_log_prob() -> None:
    model = use_true_mode(make(SAC))
    base = normal(model)
    distribution = model.actor.action_dist
    action = distribution.mode()
    torch.testing.assert_close(distribution.gaussian_actions, pre_tanh_mode(base.loc, base.scale), rtol=0, atol=0)
    torch.testing.assert_close(torch.tanh(distribution.gaussian_actions), action, rtol=0, atol=1e-6)
    log_prob = distribution.log_prob(action, distribution.gaussian_actions)
    expected = TanhNormal(base.loc, base.scale).log_prob(action).sum(-1)
    torch.testing.assert_close(log_prob, expected, rtol=0, atol=1e-3)  # their correction adds 1e-6 under the logarithm
    assert (log_prob >= distribution.log_prob(torch.tanh(base.loc), base.loc) - 1e-4).all()


@pytest.mark.parametrize("options", [{}, {"use_sde": True}])
def test_training_goes_on_as_before(options: dict[str, Any]) -> None:
    parameters = []
    for change in (use_true_mode, lambda model: model):
        model = change(make(SAC, learning_starts=20, policy_kwargs={"net_arch": [16]}, **options))
        model.learn(60)
        parameters.append(torch.cat([p.detach().flatten() for p in model.policy.parameters()]))
    assert torch.equal(*parameters)


def test_stored_actions_by_the_mass_where_they_saturate() -> None:
    """Theirs, bit for bit, where nothing saturates; beside it the likelihood of TanhNormal, but for their epsilon."""
    loc = torch.tensor([[0.3, -0.4], [20.0, 0.3], [9.0, -20.0], [-8.5, 8.0]], requires_grad=True)
    log_std = torch.tensor([-0.5, -1.0]).expand(4, 2).clone().requires_grad_()
    ours, theirs = (kind(2) for kind in (TrueModeSquashedGaussian, SquashedDiagGaussianDistribution))
    for distribution in (ours, theirs):
        distribution.proba_distribution(loc, log_std)
    torch.manual_seed(0)
    actions = ours.sample().detach()
    assert (actions.abs() == 1).sum() >= 2
    log_prob, old = ours.log_prob(actions), theirs.log_prob(actions)
    assert log_prob[0] == old[0]
    assert torch.equal(ours.log_prob(actions, ours.gaussian_actions), theirs.log_prob(actions, ours.gaussian_actions))
    reference = TanhNormal(loc, log_std.exp()).log_prob(actions).sum(-1)
    a, b = (torch.autograd.grad(part[1:].sum(), (loc, log_std), retain_graph=True) for part in (log_prob, reference))
    for got, expected in zip(a, b, strict=True):
        torch.testing.assert_close(got, expected, rtol=0.05, atol=0.02)  # tanh's last digit at 8.5
    assert (
        max(part.abs().max() for part in a)
        < 20
        < max(part.abs().max() for part in torch.autograd.grad(old.sum(), (loc, log_std)))
    )
    # No seam where the mass begins, their epsilon included.
    y = torch.tensor([[0.99999]])
    x, ratios = torch.atanh(y), []
    for std in torch.linspace(0.05, 0.5, 400).tolist():
        for distribution in (ours, theirs):
            distribution.proba_distribution(x - 2.0 * std, torch.full_like(x, std).log())
        ratios.append((ours.log_prob(y) - theirs.log_prob(y)).exp().item())
    assert ratios[-1] == 1.0
    assert ratios[0] != 1.0
    assert max(abs(b - a) for a, b in itertools.pairwise(ratios)) < 1e-3


@pytest.mark.parametrize("loc", [0.0, 9.0, 20.0])
@pytest.mark.parametrize("log_std", [-2.0, 0.0, 2.0])
def test_the_first_ratio_of_ppo_is_one(loc: float, log_std: float) -> None:
    options = {"squash_output": True, "log_std_init": log_std, "net_arch": [16]}
    model = use_true_mode(make(PPO, policy_kwargs=options, n_steps=64, batch_size=16, n_epochs=1))
    with torch.no_grad():
        model.policy.action_net.bias.fill_(loc)
    _, callback = model._setup_learn(64)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, 64)
    model.policy.set_training_mode(True)
    model.policy.reset_noise(16)
    for batch in model.rollout_buffer.get(16):
        _, log_prob, _ = model.policy.evaluate_actions(batch.observations, batch.actions)
        ratio = torch.exp(log_prob - batch.old_log_prob)
        # Their network rounds a batch of 16 otherwise than one of 1; where all saturates, that leaves no trace.
        assert (ratio - 1.0).abs().max() < (1e-7 if loc == 20.0 and log_std < 2.0 else 1e-5)
        gradients = torch.autograd.grad(ratio.mean(), (model.policy.log_std, model.policy.action_net.bias))
        assert all(gradient.abs().max() < 10 for gradient in gradients)
    if loc == 20.0:
        assert (model.rollout_buffer.actions == 1).any()


@pytest.mark.parametrize("dynamo", [pytest.param(True, marks=pytest.mark.slow), False])
def test_their_onnx_recipe(dynamo: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their Normal checks its arguments, which torch.export cannot trace: off, as the page says."""
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = use_true_mode(make(SAC))

    class OnnxablePolicy(torch.nn.Module):
        def __init__(self, actor: torch.nn.Module) -> None:
            super().__init__()
            self.actor = actor

        def forward(self, observation: torch.Tensor) -> torch.Tensor:
            return self.actor(observation, deterministic=True)  # type: ignore[no-any-return]

    path = str(tmp_path / "actor.onnx")
    torch.onnx.export(
        OnnxablePolicy(model.policy.actor),
        (torch.from_numpy(OBSERVATIONS[:1]),),
        path,
        opset_version=18,
        input_names=["input"],
        dynamo=dynamo,
    )
    session = onnxruntime.InferenceSession(path)
    for observation in OBSERVATIONS:
        (scaled,) = session.run(None, {"input": observation[None]})
        expected, _ = model.predict(observation[None], deterministic=True)
        np.testing.assert_allclose(model.policy.unscale_action(scaled), expected, rtol=0, atol=2e-5)


def test_a_model_goes_whole() -> None:
    """Normalisation, network, mode and bounds in one graph, which needs neither torch nor SB3."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    environment = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]), clip_obs=1.5)
    model = use_true_mode(
        SAC("MlpPolicy", environment, seed=0, device="cpu", learning_starts=8, policy_kwargs={"net_arch": [16]})
    )
    model.learn(40)
    policy = deployed(model, normalize=environment)
    data = deploy.onnx_model(policy, torch.zeros(2, 3))
    seen = (np.random.default_rng(1).normal(size=(300, 3)) * [1, 1, 6]).astype(np.float32)
    expected, _ = model.predict(environment.normalize_obs(seen), deterministic=True)
    (action,) = onnxruntime.InferenceSession(data).run(None, {"observation": seen})
    assert (np.abs(environment.normalize_obs(seen)) == 1.5).any()
    np.testing.assert_allclose(action, expected, rtol=0, atol=2e-6)  # of bounds ±2: 1e-6 of half their width
    with torch.no_grad():
        np.testing.assert_allclose(policy(torch.from_numpy(seen)).numpy(), expected, rtol=0, atol=2e-6)
        use_true_mode(model, deterministic="mean")
        mean, _ = model.predict(seen, deterministic=True)
        np.testing.assert_allclose(deployed(model)(torch.from_numpy(seen)).numpy(), mean, rtol=0, atol=2e-6)


def test_what_cannot_go_whole() -> None:
    with pytest.raises(TypeError, match="use_true_mode"):
        deployed(make(SAC))
    with pytest.raises(TypeError, match="use_true_mode"):
        deployed(use_true_mode(make(PPO)))


@pytest.mark.parametrize(("kind", "options"), [(DDPG, {}), (PPO, {"use_sde": False, "policy_kwargs": {}})])
def test_other_policies_are_refused(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="SAC"):
        use_true_mode(make(kind, **options))
