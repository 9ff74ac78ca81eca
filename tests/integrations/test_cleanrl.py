"""The recipe of docs/cleanrl.md, on a module of the shape of CleanRL's `sac_continuous_action.py`."""

from typing import Any

import pytest
import torch
from torch import Tensor

import tanhlut
from tanhlut.integrations.deterministic import action
from tanhlut.integrations.names import Deterministic

LOW, HIGH = torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0])
OBSERVATIONS = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))


class Actor(torch.nn.Module):
    """CleanRL's members, and its get_action but for the recipe's line."""

    action_scale: Tensor
    action_bias: Tensor

    def __init__(self, deterministic: Deterministic) -> None:
        super().__init__()
        self.deterministic = deterministic
        self.fc1, self.fc_mean, self.fc_logstd = (torch.nn.Linear(a, b) for a, b in ((3, 16), (16, 2), (16, 2)))
        self.register_buffer("action_scale", (HIGH - LOW) / 2.0)
        self.register_buffer("action_bias", (HIGH + LOW) / 2.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.fc1(x))
        return 4.0 * self.fc_mean(x), -5.0 + 3.5 * (torch.tanh(4.0 * self.fc_logstd(x)) + 1.0)

    def get_action(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loc, log_std = self(x)
        std = log_std.exp()
        normal = torch.distributions.Normal(loc, std)
        x_t = normal.rsample()
        y_t = torch.tanh(x_t)
        log_prob = normal.log_prob(x_t) - torch.log(self.action_scale * (1.0 - y_t.pow(2)) + 1e-6)
        best = action(
            self.deterministic, loc, std, self.action_bias - self.action_scale, self.action_bias + self.action_scale
        )
        return y_t * self.action_scale + self.action_bias, log_prob.sum(1, keepdim=True), best


@pytest.mark.parametrize("deterministic", ["mode", "mean", "tanh_loc"])
def test_the_line_of_the_recipe(deterministic: Any) -> None:
    torch.manual_seed(0)
    actor = Actor(deterministic)
    with torch.no_grad():
        loc, log_std = actor(OBSERVATIONS)
        _, _, found = actor.get_action(OBSERVATIONS)
    theirs = torch.tanh(loc) * actor.action_scale + actor.action_bias
    if deterministic == "tanh_loc":
        torch.testing.assert_close(found, theirs, rtol=0, atol=3e-7)
    else:
        assert torch.equal(found, getattr(tanhlut, deterministic)(loc, log_std.exp(), LOW, HIGH))
        assert (found - theirs).abs().mean() > 0.05
    assert ((found >= LOW) & (found <= HIGH)).all()


def test_it_trains() -> None:
    """SAC's loss has gradients as before, and the third of the three has some too."""
    torch.manual_seed(0)
    actor = Actor("mode")
    sample, log_prob, best = actor.get_action(OBSERVATIONS)
    for part in (log_prob.mean() - sample.mean(), best.mean()):
        gradients = torch.autograd.grad(part, [actor.fc_mean.weight, actor.fc_logstd.weight], retain_graph=True)
        assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in gradients)
