"""The RLlib integration against RLlib itself: needs ray[rllib], which CI does not install. No cluster is started."""

import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # ray's own
    pytest.importorskip("ray.rllib")
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.algorithms.sac import SACConfig
    from ray.rllib.connectors.module_to_env.get_actions import GetActions
    from ray.rllib.core.distribution.torch.torch_distribution import TorchSquashedGaussian
    from ray.rllib.core.rl_module.rl_module import RLModule, RLModuleSpec
    from ray.rllib.env.single_agent_episode import SingleAgentEpisode

import tanhlut
from tanhlut.distributions import quadrature
from tanhlut.integrations.rllib import MeanSquashedGaussian, TrueModeSACCatalog, TrueModeSquashedGaussian, use_true_mode

pytestmark = pytest.mark.filterwarnings("ignore")
OBSERVATIONS = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))
CHOICES: Any = ("mode", "mean", "tanh_loc")
SPACES = {
    "__env__": (gymnasium.spaces.Box(-1.0, 1.0, (3,)), gymnasium.spaces.Box(-2.0, 2.0, (2,))),
    "default_policy": (gymnasium.spaces.Box(-1.0, 1.0, (3,)), gymnasium.spaces.Box(-1.0, 1.0, (2,))),
}


def make(kind: Any = SACConfig, **options: Any) -> Any:
    """The module that an algorithm would have."""
    torch.manual_seed(0)
    config = kind().environment("Pendulum-v1")
    if options:
        config = config.rl_module(rl_module_spec=RLModuleSpec(**options))
    module = config.get_multi_rl_module_spec(spaces=SPACES).build()["default_policy"]
    with torch.no_grad():
        for parameter in module.pi.parameters():
            parameter.mul_(4.0)
    return module


def acted(module: Any) -> tuple[Tensor, Tensor, Tensor]:
    """What RLlib's connector acts by without exploration, and the parameters."""
    with torch.no_grad():
        batch = module.forward_inference({"obs": OBSERVATIONS})
        loc, log_scale = batch["action_dist_inputs"].chunk(2, dim=-1)
        GetActions()(rl_module=module, batch=batch, episodes=[SingleAgentEpisode()], explore=False)
    return batch["actions"], loc, log_scale.clamp(-5, 2).exp()


def wanted(deterministic: str, loc: Tensor, scale: Tensor) -> Any:
    return torch.tanh(loc) if deterministic == "tanh_loc" else getattr(tanhlut, deterministic)(loc, scale)


def test_the_action_is_our_mode_bit_for_bit() -> None:
    module = make()
    action, loc, scale = acted(module)
    assert torch.equal(action, loc)  # RLlib's own, which is not even squashed
    for deterministic in CHOICES:
        assert use_true_mode(module, deterministic=deterministic) is module
        assert torch.equal(acted(module)[0], wanted(deterministic, loc, scale))
    assert not torch.allclose(wanted("mode", loc, scale), torch.tanh(loc))


def test_the_catalog() -> None:
    default = SACConfig().model_config
    for deterministic in CHOICES:
        module = make(
            catalog_class=TrueModeSACCatalog, model_config={**default, "twin_q": True, "deterministic": deterministic}
        )
        action, loc, scale = acted(module)
        assert torch.equal(action, wanted(deterministic, loc, scale))
    assert make(catalog_class=TrueModeSACCatalog).action_dist_cls is TrueModeSquashedGaussian
    with pytest.raises(ValueError, match="'mode', 'mean', 'tanh_loc'"):
        make(catalog_class=TrueModeSACCatalog, model_config={**default, "deterministic": "median"})


def test_a_checkpoint(tmp_path: Path) -> None:
    module = use_true_mode(make(), deterministic="mean")
    module.save_to_path(tmp_path)
    loaded = use_true_mode(RLModule.from_checkpoint(tmp_path), deterministic="mean")
    assert torch.equal(acted(loaded)[0], acted(module)[0])


def test_what_is_rllibs_own_stays() -> None:
    logits = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
    found = []
    for kind in (TorchSquashedGaussian, TrueModeSquashedGaussian):
        distribution = kind.from_logits(logits, low=-2.0, high=3.0)
        torch.manual_seed(2)
        sample, log_prob = distribution.rsample_and_logp()
        found.append((sample, log_prob, distribution.logp(sample), distribution.sample(sample_shape=(3,))))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_bounds_entropy_and_divergence() -> None:
    logits = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
    loc, scale = logits[:, :2], logits[:, 2:].clamp(-5, 2).exp()
    distribution = TrueModeSquashedGaussian.from_logits(logits, low=-2.0, high=3.0)
    assert torch.equal(distribution.to_deterministic().sample(), tanhlut.mode(loc, scale, -2.0, 3.0))
    mean = MeanSquashedGaussian.from_logits(logits, low=-2.0, high=3.0).to_deterministic().sample()
    assert torch.equal(mean, tanhlut.mean(loc, scale, -2.0, 3.0))
    exact = (quadrature.entropy(loc.double(), scale.double()) + np.log(2.5)).sum(-1)
    torch.testing.assert_close(distribution.entropy().double(), exact, rtol=2e-6, atol=4e-6)
    other = TrueModeSquashedGaussian.from_logits(logits.roll(1, 0), low=-2.0, high=3.0)
    sample, log_prob = distribution.sample_and_logp(sample_shape=(40_000,))
    ratio = log_prob - other._squashed_logp(distribution._unsquash(sample))
    inside = distribution.kl(other) < 3.0
    assert inside.any()
    error = 6 * ratio.std(0) / 200
    assert ((ratio.mean(0) - distribution.kl(other)).abs() <= error)[inside & (scale < 1.0).all(-1)].all()


def test_errors_say_what_is_allowed() -> None:
    with pytest.raises(TypeError, match="TorchDiagGaussian, which tanh does not squash: give SAC's"):
        use_true_mode(make(PPOConfig))
    with pytest.raises(TypeError, match="acts by None"):
        use_true_mode(torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="'mode', 'mean', 'tanh_loc'"):
        use_true_mode(make(), deterministic="median")  # type: ignore[arg-type]
