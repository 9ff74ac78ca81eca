"""The TorchRL integration against TorchRL itself."""

from functools import partial
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

pytest.importorskip("torchrl")

from tensordict import TensorDict
from tensordict.nn import CompositeDistribution, InteractionType, NormalParamExtractor, TensorDictModule
from torchrl.data import Bounded, Composite, LazyTensorStorage, ReplayBuffer, Unbounded
from torchrl.data.replay_buffers.samplers import SamplerWithoutReplacement
from torchrl.envs import EnvBase
from torchrl.envs.utils import ExplorationType, set_exploration_type
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.modules import TanhNormal as TheirTanhNormal
from torchrl.modules.distributions.utils import composite_entropy
from torchrl.objectives import ClipPPOLoss, SACLoss

from oracle import prove
from tanhlut import entropy, mean, mode, mode_of, solve_mode
from tanhlut.distributions import quadrature
from tanhlut.integrations import deploy
from tanhlut.integrations.torchrl import TanhNormal, deployed

LOC = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
SCALE = 2.0 * torch.rand(64, 3, generator=torch.Generator().manual_seed(1)) + 0.01


def actor(distribution: Any = TanhNormal, **options: Any) -> ProbabilisticActor:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 6), NormalParamExtractor())
    module = TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"])
    return ProbabilisticActor(
        module,
        in_keys=["loc", "scale"],
        distribution_class=distribution,
        distribution_kwargs={"low": -2.0, "high": 3.0, **options},
        return_log_prob=True,
        default_interaction_type=InteractionType.RANDOM,
    )


def observations() -> TensorDict:
    return TensorDict({"observation": torch.randn(16, 4, generator=torch.Generator().manual_seed(2))}, [16])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"low": -2, "high": 3.0},
        {"low": torch.tensor([-1.0, -2.0, 0.0]), "high": torch.tensor([1.0, 2.0, 5.0])},
        {"low": -0.1, "high": 0.1, "tanh_loc": True, "upscale": 3.0},
        {"tanh_loc": True, "upscale": torch.tensor([1.0, 2.0, 3.0])},
        {"event_dims": 0},
        {"event_dims": 2, "safe_tanh": False},
        {"method": "exact"},
    ],
)
def test_the_mode_is_ours_bit_for_bit(options: dict[str, Any]) -> None:
    distribution = TanhNormal(LOC, SCALE, **options)
    theirs = TheirTanhNormal(LOC, SCALE, **{key: value for key, value in options.items() if key != "method"})
    assert torch.equal(distribution.loc, theirs.loc)
    low, high = (options.get(name, default) for name, default in (("low", -1.0), ("high", 1.0)))
    low, high = (bound if isinstance(bound, torch.Tensor) else float(bound) for bound in (low, high))
    expected = mode(theirs.loc, theirs.scale, low, high, method=options.get("method", "refined"))
    for value in (distribution.mode, distribution.get_mode(), distribution.deterministic_sample):
        assert torch.equal(value, expected)
    torch.testing.assert_close(mode_of(theirs), expected, rtol=0, atol=1e-6)
    assert distribution.batch_shape == theirs.batch_shape
    value = theirs.sample()
    assert torch.equal(distribution.log_prob(value), theirs.log_prob(value))
    torch.manual_seed(0)
    sample = distribution.rsample()
    torch.manual_seed(0)
    assert torch.equal(sample, theirs.rsample())


def test_their_test_of_the_mode_at_1e_6_and_scale_2() -> None:
    torch.manual_seed(0)
    loc = torch.randn(10) + torch.randn(1000, 10) / 10000
    distribution = TanhNormal(loc=loc, scale=2.0, low=-1, high=1, event_dims=0)
    found = distribution.get_mode()
    assert found.shape == loc.shape
    wide = TanhNormal(loc=LOC, scale=SCALE, event_dims=0)
    for one in (distribution, wide):
        loc, scale = (part.double().flatten() for part in torch.broadcast_tensors(one.loc, one.scale))
        exact = prove(loc.abs().numpy(), scale.numpy(), solve_mode(loc.abs(), scale).numpy())
        assert abs(one.get_mode().double().flatten().numpy() - loc.sign().numpy() * exact).max() < 1e-6


def test_updates_and_callable_scales() -> None:
    distribution = TanhNormal(LOC, partial(torch.full_like, fill_value=0.9))
    assert torch.equal(distribution.mode, mode(LOC, torch.full_like(LOC, 0.9)))
    distribution.update(-LOC, SCALE)
    assert torch.equal(distribution.mode, mode(-LOC, SCALE))
    distribution.update(LOC, torch.ones_like)
    assert torch.equal(distribution.mode, mode(LOC, torch.ones_like(LOC)))


def test_gradients_and_the_choice_of_the_deterministic_action() -> None:
    loc = LOC.clone().requires_grad_()
    choices = {
        name: TanhNormal(loc, SCALE, low=-2.0, high=3.0, deterministic=name) for name in ("mode", "mean", "tanh_loc")
    }
    theirs = TheirTanhNormal(loc, SCALE, low=-2.0, high=3.0)
    assert torch.equal(choices["tanh_loc"].deterministic_sample, theirs.deterministic_sample)
    assert torch.equal(choices["mean"].deterministic_sample, mean(loc, SCALE, -2.0, 3.0))
    wanted = 0.5 + 2.5 * quadrature.mean(loc, SCALE)
    torch.testing.assert_close(choices["mean"].mean, wanted, rtol=0, atol=2.5 * 5e-7)
    torch.testing.assert_close(choices["mean"].mean, theirs.sample((100_000,)).mean(0), rtol=0, atol=0.05)
    for distribution in choices.values():
        (gradient,) = torch.autograd.grad(distribution.deterministic_sample.sum(), loc)
        assert (gradient >= 0).all()
        assert torch.equal(distribution.mode, mode(loc, SCALE, -2.0, 3.0))
        assert not distribution.get_mode().requires_grad
    with pytest.raises(ValueError, match="'mode', 'mean', 'tanh_loc'"):
        TanhNormal(LOC, SCALE, deterministic="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"1e\+39 does not fit torch\.float32"):
        TanhNormal(LOC, SCALE, low=-1.0, high=1e39)
    with pytest.raises(RuntimeError, match="strictly greater"):
        TanhNormal(LOC, SCALE, low=1.0, high=-1.0)


def test_the_actor_under_every_exploration_type() -> None:
    policy = actor()
    data = policy(observations())
    loc, scale = data["loc"], data["scale"]
    expected = {
        ExplorationType.MODE: mode(loc, scale, -2.0, 3.0),
        ExplorationType.DETERMINISTIC: mode(loc, scale, -2.0, 3.0),
        ExplorationType.MEAN: mean(loc, scale, -2.0, 3.0),
    }
    for kind, value in expected.items():
        with set_exploration_type(kind), torch.no_grad():
            out = policy(observations())
        assert torch.equal(out["action"], value)
        assert out["action_log_prob"].isfinite().all()
    with set_exploration_type(ExplorationType.DETERMINISTIC):
        assert torch.equal(
            actor(deterministic="tanh_loc")(observations())["action"], actor(TheirTanhNormal)(observations())["action"]
        )
    with set_exploration_type(ExplorationType.RANDOM):
        torch.manual_seed(3)
        ours = policy(observations())
        reference = actor(TheirTanhNormal)
        torch.manual_seed(3)
        theirs = reference(observations())
    assert torch.equal(ours["action"], theirs["action"])
    # Theirs scores the x that made the action, ours the action, as PPO will from storage: the same to rounding.
    torch.testing.assert_close(ours["action_log_prob"], theirs["action_log_prob"], rtol=2e-5, atol=2e-5)
    assert torch.equal(ours["action_log_prob"], reference.get_dist(observations()).log_prob(ours["action"]))


def test_composite() -> None:
    params = TensorDict({"arm": {"loc": LOC, "scale": SCALE}, "leg": {"loc": LOC, "scale": SCALE}}, batch_size=[64])
    composite = CompositeDistribution(
        params,
        distribution_map={"arm": TanhNormal, "leg": torch.distributions.Normal},
        extra_kwargs={"arm": {"low": -2.0, "high": 3.0}},
    )
    expected = mode(LOC, SCALE, -2.0, 3.0)
    assert torch.equal(composite.mode["arm"], expected)
    found: Any = composite_entropy(composite)
    assert torch.equal(found["arm_entropy"], TanhNormal(LOC, SCALE, low=-2.0, high=3.0).entropy())
    assert torch.equal(composite.deterministic_sample["arm"], expected)
    assert composite.log_prob(composite.sample()) is not None


@pytest.mark.filterwarnings("ignore")  # TorchRL's and torch's own
def test_ppo_and_sac_losses() -> None:
    data = observations()
    data = actor()(data).detach()
    data["advantage"], data["value_target"] = torch.randn(16, 1), torch.randn(16, 1)
    critic = ValueOperator(torch.nn.Linear(4, 1), in_keys=["observation"])
    values = []
    for kind in (TanhNormal, TheirTanhNormal):
        torch.manual_seed(0)
        loss = ClipPPOLoss(actor(kind), critic)(data.clone())
        values.append(loss["loss_objective"])
        (loss["loss_objective"] + loss["loss_critic"] + loss["loss_entropy"]).backward()
    assert torch.equal(*values)

    class Q(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(7, 1)

        def forward(self, observation: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return self.linear(torch.cat([observation, action], -1))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    qvalue = ValueOperator(Q(), in_keys=["observation", "action"])
    data["next"] = TensorDict(
        {
            "observation": torch.randn(16, 4),
            "reward": torch.randn(16, 1),
            "done": torch.zeros(16, 1, dtype=torch.bool),
            "terminated": torch.zeros(16, 1, dtype=torch.bool),
        },
        [16],
    )
    values, gradients = [], []
    for kind in (TanhNormal, TheirTanhNormal):
        torch.manual_seed(0)
        loss = SACLoss(actor(kind), qvalue, target_entropy=-3.0)
        torch.manual_seed(0)
        out = loss(data.clone())
        values.append(out["loss_actor"])
        out["loss_actor"].backward()
        gradients.append(torch.cat([p.grad.flatten() for p in loss.actor_network_params.parameters()]))
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-5)  # of the stored action; theirs, of the x that made it
    torch.testing.assert_close(*gradients, rtol=0, atol=0)  # pathwise, to the bit


@pytest.mark.parametrize("event_dims", [0, 1, 2])
def test_the_entropy(event_dims: int) -> None:
    """Summed over the event; against the quadrature and against samples of theirs."""
    low, high = torch.tensor([-1.0, -2.0, 0.0]), torch.tensor([1.0, 2.0, 5.0])
    options: dict[str, Any] = {"low": low, "high": high, "event_dims": event_dims}
    found = TanhNormal(LOC, SCALE, **options).entropy()
    over = tuple(range(-event_dims, 0))
    wanted = quadrature.entropy(LOC.double(), SCALE.double()) + torch.log(0.5 * (high - low))
    wanted = wanted.sum(over) if over else wanted
    torch.testing.assert_close(found.double(), wanted, rtol=3e-6, atol=3e-6)
    theirs = TheirTanhNormal(LOC, SCALE, **options)
    torch.manual_seed(0)
    sampled = -theirs.rsample_and_log_prob((20_000,))[1].mean(0)
    torch.testing.assert_close(found, sampled, rtol=0.02, atol=0.06)
    copy = TanhNormal(LOC, SCALE, low=-2, high=3, event_dims=event_dims)
    parts = entropy(LOC, SCALE, -2.0, 3.0)
    assert torch.equal(copy.entropy(), parts.sum(over) if over else parts)


def ppo_loss(distribution: Any, seed: int = 0, **options: Any) -> tuple[Any, torch.Tensor]:
    """What TorchRL's clipped loss makes of a minibatch, and the generator's state after it."""
    policy = actor(distribution, **options)
    data = actor(TheirTanhNormal)(observations()).detach()
    data["advantage"], data["value_target"] = torch.ones(16, 1), torch.ones(16, 1)
    loss = ClipPPOLoss(policy, ValueOperator(torch.nn.Linear(4, 1), in_keys=["observation"]))
    torch.manual_seed(seed)
    out = loss(data)
    gradients = torch.autograd.grad(out["loss_entropy"], list(loss.actor_network_params.parameters()))
    return {**out, "gradients": gradients}, torch.get_rng_state()


@pytest.mark.filterwarnings("ignore")  # TorchRL's and torch's own
def test_the_entropy_bonus_of_ppo_and_its_switch() -> None:
    """By default ours, and no random number is drawn; by the switch theirs, from the same numbers."""
    torch.manual_seed(0)
    fresh = torch.get_rng_state()
    exact, after = ppo_loss(TanhNormal)
    distribution = actor().get_dist(observations())
    assert exact["entropy"] == distribution.entropy().mean()
    assert exact["loss_entropy"] == -0.01 * distribution.entropy().mean()
    assert torch.equal(after, fresh)

    sampled, ours_after = ppo_loss(TanhNormal, entropy="sampled")
    theirs, theirs_after = ppo_loss(TheirTanhNormal)
    assert torch.equal(ours_after, theirs_after)
    assert not torch.equal(ours_after, fresh)
    torch.testing.assert_close(sampled["entropy"], theirs["entropy"], rtol=1e-4, atol=1e-4)  # of the stored action
    for got, expected in zip(sampled["gradients"], theirs["gradients"], strict=True):
        assert torch.equal(got, expected)
    with pytest.raises(NotImplementedError):
        TanhNormal(LOC, SCALE, entropy="sampled").entropy()
    assert isinstance(TanhNormal(LOC, SCALE, entropy="sampled"), TanhNormal)
    with pytest.raises(ValueError, match="entropy 'none' is unknown: use one of 'exact', 'sampled'"):
        TanhNormal(LOC, SCALE, entropy="none")  # type: ignore[arg-type]

    # The samples' gradient is right on average, and noisy; ours is that average.
    many = [ppo_loss(TheirTanhNormal, seed)[0]["gradients"] for seed in range(300)]
    for k, got in enumerate(exact["gradients"]):
        draws = torch.stack([gradients[k] for gradients in many])
        error = draws.std(0) / len(many) ** 0.5
        assert ((draws.mean(0) - got).abs() <= 5 * error + 1e-7).all()


@pytest.mark.filterwarnings("ignore")  # TorchRL's and torch's own
@pytest.mark.parametrize("switch", ["exact", pytest.param("sampled", marks=pytest.mark.slow)])
def test_compiled(switch: Any) -> None:
    def act(loc: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, ...]:
        distribution = TanhNormal(loc, scale, low=-2.0, high=3.0, entropy=switch)
        action = distribution.deterministic_sample
        entropy = distribution.entropy() if switch == "exact" else action
        return action, distribution.mean, distribution.log_prob(action), entropy

    for got, expected in zip(
        torch.compile(act, backend="eager", fullgraph=True)(LOC, SCALE), act(LOC, SCALE), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=2e-6)


SATURATED = (
    torch.tensor([[20.0, 0.3], [7.1, -9.0], [0.0, -20.0]]),
    torch.tensor([[0.1, 0.5], [0.05, 0.05], [1.0, 1e-4]]),
)


@pytest.mark.parametrize("options", [{}, {"low": -2.0, "high": 3.0}, {"safe_tanh": False}, {"event_dims": 0}])
def test_a_saturated_action_has_one_log_prob(options: dict[str, Any]) -> None:
    loc, scale = (part.clone().requires_grad_() for part in SATURATED)
    distribution = TanhNormal(loc, scale, **options)
    theirs = TheirTanhNormal(loc, scale, **options)
    for road in ("rsample_and_log_prob", "sample_and_log_prob"):
        for seed in range(5):
            torch.manual_seed(seed)
            sample, log_prob = getattr(distribution, road)((4,))
            torch.manual_seed(seed)
            expected, path = getattr(theirs, road)((4,))
            assert torch.equal(sample, expected)
            from_storage = distribution.log_prob(sample.detach().clone())
            assert torch.equal(log_prob, from_storage)
            assert from_storage.isfinite().all()
            gradients = torch.autograd.grad(log_prob.sum(), (loc, scale), retain_graph=True)
            storage = torch.autograd.grad(from_storage.sum(), (loc, scale))
            pathwise = torch.autograd.grad(path.sum(), (loc, scale))
            for got, want in zip(gradients, pathwise if road[0] == "r" else storage, strict=True):
                assert torch.equal(got, want)
            assert all((scale * gradient).abs().max() < 200 for gradient in storage)


@pytest.mark.parametrize(("options", "reach"), [({}, 1 - 1e-6), ({"safe_tanh": False}, 1.0)])
def test_the_mass_at_saturation(options: dict[str, Any], reach: float) -> None:
    """At the last value: the mass beyond the middle between it and the float before, over what is left to the bound."""
    last = torch.tensor(reach)
    before = torch.nextafter(last, torch.tensor(0.0))
    for loc, scale in ((20.0, 0.1), (7.0, 0.5), (9.1, 0.3), (0.0, 2.0), (-3.0, 1.0)):
        m, s = (torch.tensor([v], requires_grad=True) for v in (loc, scale))
        log_prob = TanhNormal(m, s, **options).log_prob(last[None])
        with mpmath.workdps(40):
            edge = mpmath.mpf(float(last)) / 2 + mpmath.mpf(float(before)) / 2
            z = (mpmath.atanh(edge) - mpmath.mpf(m.item())) / mpmath.mpf(s.item())
            mass = mpmath.erfc(z / mpmath.sqrt(2)) / 2
            slope = mpmath.npdf(z) / mass / mpmath.mpf(s.item())
            expected = float(mpmath.log(mass) - mpmath.log(1 - edge))
        assert log_prob.item() == pytest.approx(expected, rel=2e-2)  # some of a float is left to tanh's rounding
        gradients = torch.autograd.grad(log_prob, (m, s))
        assert gradients[0].item() == pytest.approx(float(slope), rel=6e-2)
        assert gradients[1].item() == pytest.approx(float(z * slope), abs=6e-2 * float(slope * (1 + abs(z))))


class Steady(EnvBase):
    """Observations that lead to saturated, half-saturated and ordinary actions."""

    def __init__(self) -> None:
        super().__init__(batch_size=[])
        self.observation_spec = Composite(observation=Unbounded(2))
        self.action_spec = Bounded(-2.0, 3.0, (2,))
        self.reward_spec = Unbounded(1)
        self.step_count = 0

    def _observe(self) -> torch.Tensor:
        self.step_count += 1
        return SATURATED[0][self.step_count % 3].clone()

    def _reset(self, tensordict: Any = None, **_: Any) -> TensorDict:
        return TensorDict({"observation": self._observe()}, [])

    def _step(self, tensordict: TensorDict) -> TensorDict:
        assert (tensordict["action"].abs() <= 3).all()
        done = torch.tensor([False])
        return TensorDict({"observation": self._observe(), "reward": torch.ones(1), "done": done}, [])

    def _set_seed(self, seed: int | None) -> None:
        torch.manual_seed(seed or 0)


class Linear(torch.nn.Module):
    """Element-wise, lest the batch's size decide how a product is rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.log_scale = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.full((2,), -2.3))

    def forward(self, observation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loc = self.gain * observation
        return loc, self.log_scale.exp().expand_as(loc)


@pytest.mark.filterwarnings("ignore")  # TorchRL's and torch's own
def test_the_first_ratio_of_ppo_is_one() -> None:
    """TorchRL's collector, its storage and its clipped loss, on actions of which most saturate."""
    from torchrl.collectors import Collector  # warns on import

    module = TensorDictModule(Linear(), in_keys=["observation"], out_keys=["loc", "scale"])
    policy = ProbabilisticActor(
        module,
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": -2.0, "high": 3.0},
        return_log_prob=True,
        default_interaction_type=InteractionType.RANDOM,
    )
    loss = ClipPPOLoss(policy, ValueOperator(torch.nn.Linear(2, 1), in_keys=["observation"]), entropy_bonus=False)
    buffer = ReplayBuffer(storage=LazyTensorStorage(96), sampler=SamplerWithoutReplacement(), batch_size=32)
    collector = Collector(Steady(), policy, frames_per_batch=96, total_frames=96)
    for data in collector:
        assert (data["action"].abs() > 1.99).float().mean() > 0.5
        data["advantage"], data["value_target"] = torch.randn(96, 1), torch.randn(96, 1)
        buffer.extend(data)
        for minibatch in buffer:
            out = loss(minibatch)
            assert out["max_ratio"] == out["mean_ratio"] == 1.0
            assert out["kl_approx"] == out["clip_fraction"] == 0.0
            assert out["ESS"].item() == pytest.approx(1.0)
            gradients = torch.autograd.grad(out["loss_objective"], list(loss.actor_network_params.parameters()))
            assert all(gradient.abs().max() < 100 for gradient in gradients)
    collector.shutdown()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("deterministic", ["mode", "mean", "tanh_loc"])
def test_cuda_graph(deterministic: Any) -> None:
    loc, scale = LOC.cuda(), SCALE.cuda()

    def act() -> torch.Tensor:
        return TanhNormal(loc, scale, low=-2.0, high=3.0, deterministic=deterministic).deterministic_sample

    expected, graph = act(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = act()
    out.zero_()
    graph.replay()
    assert torch.equal(out, expected)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"low": torch.tensor([-1.0, -2.0, -3.0]), "high": torch.ones(3), "tanh_loc": True, "deterministic": "mean"},
    ],
)
def test_an_actor_goes_whole(options: dict[str, Any]) -> None:
    """Normalisation, network, mode or mean and bounds in one graph, which needs neither torch nor TorchRL."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    policy = actor(**options)
    shift, seen = torch.tensor([1.0, 0.0, -1.0, 0.5]), torch.randn(200, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
        expected = policy(TensorDict({"observation": (seen - shift) / 2.0}, [200]))["action"].numpy()
    data = deploy.onnx_model(deployed(policy, shift=shift, divisor=2.0), torch.zeros(2, 4))
    (action,) = onnxruntime.InferenceSession(data).run(None, {"observation": seen.numpy()})
    np.testing.assert_allclose(action, expected, rtol=0, atol=2.5e-6)  # of bounds up to 5 apart: 1e-6 of half of that
    assert expected.std() > 0.1


def test_another_distribution_does_not_go() -> None:
    with pytest.raises(TypeError, match="give one with tanhlut's TanhNormal"):
        deployed(actor(TheirTanhNormal))
