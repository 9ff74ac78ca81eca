"""TanhNormal inside Pyro."""

import math

import pytest
import torch

pytest.importorskip("pyro")

import pyro
from pyro.infer import SVI, Trace_ELBO

from tanhlut import TanhNormal as OurTanhNormal
from tanhlut import entropy, mean, mode, variance
from tanhlut.distributions import quadrature
from tanhlut.integrations.pyro import TanhNormal

pytestmark = pytest.mark.filterwarnings("ignore")  # Pyro's own

LOC, SCALE = torch.tensor([0.2, -0.5, 1.0]), torch.tensor([1.0, 0.5, 2.0])


def test_sampling_and_scoring() -> None:
    def model() -> torch.Tensor:
        with pyro.plate("actors", 5):
            return pyro.sample("action", TanhNormal(LOC, SCALE, -2.0, 3.0).expand([5, 3]).to_event(1))  # type: ignore[no-any-return]

    trace = pyro.poutine.trace(model).get_trace()
    trace.compute_log_prob()
    site = trace.nodes["action"]
    expected = OurTanhNormal(LOC, SCALE, -2.0, 3.0).log_prob(site["value"].clone()).sum(-1)
    torch.testing.assert_close(site["log_prob"], expected, rtol=1e-3, atol=1e-3)  # float32 next to a bound
    expanded = TanhNormal(LOC, SCALE).expand((4, 3))
    assert type(expanded) is TanhNormal
    assert torch.equal(expanded.mode[0], mode(LOC, SCALE))
    assert TanhNormal(LOC, SCALE).mask(False).log_prob(torch.zeros(3)).abs().sum() == 0


def test_mean_variance_and_entropy() -> None:
    """Through to_event, expand and mask; against quadrature in float64, gradients too."""
    loc, scale = LOC.clone().requires_grad_(), SCALE.clone().requires_grad_()
    distribution = TanhNormal(loc, scale, -2.0, 3.0).expand([5, 3]).to_event(1)
    loc64, scale64 = (x.detach().double().requires_grad_() for x in (loc, scale))
    wanted = {
        "mean": 0.5 + 2.5 * quadrature.mean(loc64, scale64),
        "variance": 6.25 * quadrature.variance(loc64, scale64),
        "entropy": (quadrature.entropy(loc64, scale64) + math.log(2.5)).sum(-1),
    }
    found = {"mean": distribution.mean, "variance": distribution.variance, "entropy": distribution.entropy()}
    for name, expected in wanted.items():
        assert found[name].shape == (5, *expected.shape)
        torch.testing.assert_close(found[name][0].double(), expected, rtol=1e-5, atol=5e-6)
        got = torch.autograd.grad(found[name][0].sum(), (loc, scale), retain_graph=True)
        for a, b in zip(got, torch.autograd.grad(expected.sum(), (loc64, scale64)), strict=True):
            torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)
    masked = TanhNormal(LOC, SCALE).mask(torch.tensor([True, False, True]))
    assert torch.equal(masked.mean, mean(LOC, SCALE))
    assert torch.equal(masked.variance, variance(LOC, SCALE))
    assert torch.equal(TanhNormal(LOC, SCALE).entropy(), entropy(LOC, SCALE))


def test_inference() -> None:
    torch.manual_seed(0)
    pyro.clear_param_store()
    data = OurTanhNormal(torch.tensor(0.7), torch.tensor(0.3)).sample((500,))

    def model() -> None:
        loc = pyro.param("loc", torch.tensor(0.0))
        with pyro.plate("data", 500):
            pyro.sample("y", TanhNormal(loc, torch.tensor(0.3)), obs=data)

    svi = SVI(model, lambda: None, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO())
    for _ in range(150):
        svi.step()
    assert pyro.param("loc").item() == pytest.approx(0.7, abs=0.05)
