"""The LeRobot integration: against LeRobot's own policies where they are installed, and a stand-in of their shape."""

import copy
import importlib
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, TanhTransform, TransformedDistribution

from tanhlut import mean, mode, mode_of
from tanhlut.integrations.lerobot import use_true_mode

pytestmark = pytest.mark.filterwarnings("ignore")  # LeRobot's own
STATE = "observation.state"


class Actor(torch.nn.Module):
    """Calls, members and arithmetic as in LeRobot's `Policy`, which gives its std as a covariance."""

    def __init__(self, fixed_std: Tensor | None) -> None:
        super().__init__()
        self.std_min, self.std_max, self.fixed_std = 1e-5, 10.0, fixed_std
        self.mean_layer = torch.nn.Linear(4, 3)
        if fixed_std is None:
            self.std_layer = torch.nn.Linear(4, 3)

    def forward(self, observations: dict[str, Tensor], features: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        del features
        means = self.mean_layer(observations[STATE])
        if self.fixed_std is None:
            std = torch.clamp(torch.exp(self.std_layer(observations[STATE])), self.std_min, self.std_max)
        else:
            std = self.fixed_std.expand_as(means)
        normal = MultivariateNormal(means, torch.diag_embed(std))
        squashed = TransformedDistribution(normal, [TanhTransform(cache_size=1)])
        actions = squashed.rsample()
        return actions, squashed.log_prob(actions), means


class StandIn(torch.nn.Module):
    """A policy of their shape, with a discrete action for a gripper."""

    def __init__(self, gripper: int | None = None, fixed_std: Tensor | None = None) -> None:
        super().__init__()
        self.actor, self.gripper = Actor(fixed_std), gripper

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor]) -> Tensor:
        actions, _, _ = self.actor(batch, None)
        return actions if self.gripper is None else torch.cat([actions, torch.ones_like(actions[..., :1])], dim=-1)


def published(module: str, policy: str, config: str) -> Any:
    """LeRobot's policy, by its constructor of that version."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = importlib.import_module(f"lerobot.policies.{module}.modeling_{module}")
            configs = importlib.import_module(f"lerobot.policies.{module}.configuration_{module}")
            types = importlib.import_module("lerobot.configs.types")
    except ImportError as error:
        pytest.skip(f"lerobot.policies.{module} is not installed: {error}")

    def make(gripper: int | None = None) -> Any:
        features = {
            "input_features": {STATE: types.PolicyFeature(types.FeatureType.STATE, (4,))},
            "output_features": {"action": types.PolicyFeature(types.FeatureType.ACTION, (3,))},
        }
        return getattr(found, policy)(getattr(configs, config)(device="cpu", num_discrete_actions=gripper, **features))

    return make


@pytest.fixture(params=["stand-in", "sac", "gaussian_actor"])
def make(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    if request.param == "stand-in":
        return StandIn
    return published(
        *{
            "sac": ("sac", "SACPolicy", "SACConfig"),
            "gaussian_actor": ("gaussian_actor", "GaussianActorPolicy", "GaussianActorConfig"),
        }[request.param]
    )


@pytest.fixture
def batch() -> dict[str, Tensor]:
    return {STATE: torch.randn(32, 4, generator=torch.Generator().manual_seed(1))}


def normal(policy: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(loc, scale) by the actor's layers, which give what it draws of known noise."""
    actor = policy.actor
    with torch.no_grad():
        hidden = actor.network(actor.encoder(batch)) if hasattr(actor, "network") else batch[STATE]
        variance = torch.exp(actor.std_layer(hidden)).clamp(actor.std_min, actor.std_max)
        loc, scale = actor.mean_layer(hidden), torch.sqrt(variance)
        torch.manual_seed(5)
        drawn, _, means = actor(batch, None)
        torch.manual_seed(5)
        torch.testing.assert_close(drawn, torch.tanh(loc + scale * torch.randn_like(loc)), rtol=0, atol=1e-6)
    assert torch.equal(loc, means)
    return loc, scale


def widened(policy: Any) -> Any:
    """With means and scales that are not all alike, as a new policy's are."""
    with torch.no_grad():
        for layer in (policy.actor.mean_layer, policy.actor.std_layer):
            layer.weight.mul_(8.0)
    return policy


def test_the_action_is_our_mode_bit_for_bit(make: Any, batch: dict[str, Tensor]) -> None:
    policy = widened(make())
    assert use_true_mode(policy) is policy
    loc, scale = normal(policy, batch)
    assert scale.std() > 0.1
    for deterministic, expected in (
        ("mean", mean(loc, scale)),
        ("tanh_loc", torch.tanh(loc)),
        ("mode", mode(loc, scale)),
    ):
        use_true_mode(policy, deterministic=deterministic)  # type: ignore[arg-type]
        assert torch.equal(policy.select_action(batch), expected)
    assert not torch.allclose(expected, torch.tanh(loc))
    assert policy.select_action(batch).requires_grad is False


def test_training_samples_as_before(make: Any, batch: dict[str, Tensor]) -> None:
    """The actor itself, and its state."""
    policy = make()
    other = use_true_mode(copy.deepcopy(policy))
    assert policy.state_dict().keys() == other.state_dict().keys()
    found = []
    for one in (policy, other):
        torch.manual_seed(3)
        action, log_prob, _ = one.actor(batch, None)
        (gradient,) = torch.autograd.grad((log_prob.sum() + action.sum()), one.actor.mean_layer.weight)
        found.append((action, log_prob, gradient))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert not other.actor._forward_hooks


def test_a_gripper_and_copies(make: Any, batch: dict[str, Tensor]) -> None:
    policy = use_true_mode(widened(make(3)), deterministic="mean")
    action = policy.select_action(batch)
    loc, scale = normal(policy, batch)
    assert action.shape == (32, 4)
    assert torch.equal(action[:, :3], mean(loc, scale))
    twin = copy.deepcopy(policy)
    with torch.no_grad():
        policy.actor.mean_layer.bias += 1.0
    assert torch.equal(twin.select_action(batch), action)
    assert not torch.equal(policy.select_action(batch), action)
    loaded = make(3)
    loaded.load_state_dict(policy.state_dict())
    assert torch.equal(use_true_mode(loaded, deterministic="mean").select_action(batch), policy.select_action(batch))


def test_a_fixed_scale(batch: dict[str, Tensor]) -> None:
    policy = use_true_mode(StandIn(fixed_std=torch.tensor([0.2, 0.9, 1.5])))
    loc = policy.actor.mean_layer(batch[STATE])
    assert torch.equal(policy.select_action(batch), mode(loc, torch.tensor([0.2, 0.9, 1.5]).sqrt().expand_as(loc)))


def test_mode_of_knows_their_distribution(make: Any, batch: dict[str, Tensor]) -> None:
    """Their class where it is installed; the base is a diagonal MultivariateNormal."""
    policy = widened(make())
    loc, scale = normal(policy, batch)
    module = importlib.import_module(type(policy).__module__)
    squared = scale.square()  # its root is scale, to the bit
    if hasattr(module, "TanhMultivariateNormalDiag"):
        theirs = module.TanhMultivariateNormalDiag(loc=loc, scale_diag=squared)
    else:
        theirs = TransformedDistribution(MultivariateNormal(loc, torch.diag_embed(squared)), [TanhTransform()])
    assert torch.equal(mode_of(theirs), mode(loc, scale))


def test_errors_say_what_is_allowed() -> None:
    with pytest.raises(TypeError, match="Linear has no Gaussian actor: give a SACPolicy"):
        use_true_mode(torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="'mode', 'mean', 'tanh_loc'"):
        use_true_mode(StandIn(), deterministic="median")  # type: ignore[arg-type]
