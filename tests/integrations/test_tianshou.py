"""The Tianshou integration against Tianshou itself: needs tianshou, which CI does not install."""

import copy
import io
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # tianshou's own
    pytest.importorskip("tianshou")
    from tianshou.algorithm.modelfree.redq import REDQPolicy
    from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
    from tianshou.algorithm.modelfree.sac import SACPolicy
    from tianshou.data import Batch
    from tianshou.utils.net.common import Net
    from tianshou.utils.net.continuous import ContinuousActorProbabilistic

from tanhlut import TanhNormal, mean, mode
from tanhlut.integrations.tianshou import use_true_mode

pytestmark = pytest.mark.filterwarnings("ignore")
SPACE = gymnasium.spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))
OBSERVATIONS = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)


def make(kind: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    net = Net(state_shape=(3,), hidden_sizes=[16])
    actor = ContinuousActorProbabilistic(preprocess_net=net, action_shape=2, unbounded=True, conditioned_sigma=True)
    with torch.no_grad():
        for layer in (actor.mu.model[-1], actor.sigma.model[-1]):
            layer.weight.mul_(6.0)
    if kind is ProbabilisticActorPolicy:
        options = {
            "dist_fn": lambda parameters: Independent(Normal(*parameters), 1),
            "action_bound_method": "tanh",
            "deterministic_eval": True,
            **options,
        }
    return kind(actor=actor, action_space=SPACE, **options)


def batch() -> Any:
    return Batch(obs=OBSERVATIONS, info={})


def normal(policy: Any) -> tuple[Tensor, Tensor]:
    (loc, scale), _ = policy.actor(OBSERVATIONS)
    return loc, scale


@pytest.mark.parametrize("kind", [SACPolicy, REDQPolicy])
def test_evaluation_is_our_mode_bit_for_bit(kind: Any) -> None:
    policy = make(kind)
    with torch.no_grad():
        plain = policy(batch())
        assert use_true_mode(policy) is policy
        loc, scale = normal(policy)
        assert scale.std() > 0.05
        for deterministic, expected in (
            ("mode", mode(loc, scale)),
            ("mean", mean(loc, scale)),
            ("tanh_loc", plain.act),
        ):
            use_true_mode(policy, deterministic=deterministic)  # type: ignore[arg-type]
            found = policy(batch())
            assert torch.equal(found.act, expected)
            reference = TanhNormal(loc.double(), scale.double()).log_prob(expected.double()).sum(-1, keepdim=True)
            inside = (expected.abs() < 0.99).all(-1)  # beyond, rounding and the 1e-7 that they add tell
            torch.testing.assert_close(found.log_prob.double()[inside], reference[inside], rtol=0, atol=1e-4)
            assert inside.sum() > 5
        assert torch.equal(found.log_prob, plain.log_prob)
        assert not torch.allclose(mode(loc, scale), plain.act)
        # What the environment gets.
        action = use_true_mode(policy).map_action(policy(batch()).act)
        np.testing.assert_allclose(
            action, mode(loc, scale, torch.from_numpy(SPACE.low), torch.from_numpy(SPACE.high)), rtol=0, atol=3e-7
        )


def test_ppos_policy_where_map_action_squashes() -> None:
    policy = make(ProbabilisticActorPolicy)
    with torch.no_grad():
        plain = policy(batch())
        loc, scale = normal(policy)
        for deterministic, expected in (
            ("mode", mode(loc, scale)),
            ("mean", mean(loc, scale)),
            ("tanh_loc", torch.tanh(loc)),
        ):
            found = use_true_mode(policy, deterministic=deterministic)(batch())  # type: ignore[arg-type]
            np.testing.assert_allclose(np.tanh(found.act.numpy()), expected, rtol=0, atol=3e-7)
        assert torch.equal(found.act, plain.act)
        with torch.no_grad():
            policy.actor.mu.model[-1].bias += 50.0  # the mean rounds to 1
        assert use_true_mode(policy, deterministic="mean")(batch()).act.isfinite().all()


@pytest.mark.parametrize("kind", [SACPolicy, REDQPolicy, ProbabilisticActorPolicy])
def test_training_samples_as_before(kind: Any) -> None:
    policy = make(kind)
    other = use_true_mode(copy.deepcopy(policy))
    assert policy.state_dict().keys() == other.state_dict().keys()
    for name, value in (("is_within_training_step", True), ("deterministic_eval", False)):
        found = []
        for one in (policy, other):
            before = getattr(one, name)
            setattr(one, name, value)
            torch.manual_seed(2)
            found.append(one(batch()))
            setattr(one, name, before)
        assert torch.equal(found[0].act, found[1].act)
        assert kind is ProbabilisticActorPolicy or torch.equal(found[0].log_prob, found[1].log_prob)


def test_it_is_saved_with_its_class() -> None:
    policy = use_true_mode(make(SACPolicy), deterministic="mean")
    buffer = io.BytesIO()
    torch.save(policy, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert torch.equal(loaded(batch()).act, policy(batch()).act)
    assert torch.equal(loaded(batch()).act, mean(*normal(policy)))


def test_errors_say_what_is_allowed() -> None:
    for model in (torch.nn.Linear(1, 1), make(ProbabilisticActorPolicy, action_bound_method="clip")):
        with pytest.raises(TypeError, match="which tanh does not squash: give SAC"):
            use_true_mode(model)
    with pytest.raises(ValueError, match="'mode', 'mean', 'tanh_loc'"):
        use_true_mode(make(SACPolicy), deterministic="median")  # type: ignore[arg-type]
