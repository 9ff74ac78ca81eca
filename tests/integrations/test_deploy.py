"""A deployed policy as a program of torch.export: what runs it, and of what operations it is."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tanhlut import mean, mode
from tanhlut.integrations.deploy import Deployed

OBSERVATIONS = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)) * 2.0


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.linear = torch.nn.Linear(4, 6)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.linear(observation).chunk(2, -1)
        return loc.contiguous(), torch.nn.functional.softplus(scale).contiguous()


@pytest.mark.parametrize("deterministic", ["mode", "mean", "tanh_loc"])
def test_the_action_is_the_functions(deterministic: Any) -> None:
    network, low, high = Network(), torch.tensor([-1.0, -2.0, 0.0]), torch.tensor([1.0, 3.0, 0.5])
    policy = Deployed(network, low, high, deterministic, shift=[1.0, 2.0, 3.0, 4.0], divisor=2.0, clip=1.0)
    loc, scale = network(((OBSERVATIONS - torch.tensor([1.0, 2.0, 3.0, 4.0])) / 2.0).clamp(-1.0, 1.0))
    with torch.no_grad():
        expected = {
            "mode": lambda: mode(loc, scale, low, high, method="exact"),
            "mean": lambda: mean(loc, scale, low, high),
            "tanh_loc": lambda: low + (high - low) * (torch.tanh(loc) + 1.0) / 2.0,
        }[deterministic]()
        torch.testing.assert_close(policy(OBSERVATIONS), expected, rtol=0, atol=5e-7)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch about torch
@pytest.mark.parametrize("deterministic", ["mode", "mean"])
def test_a_program_of_core_operations(deterministic: Any) -> None:
    """What ExecuTorch and its kin take: all operators are of the core set; and it answers as the module does."""
    policy = Deployed(Network(), -2.0, 1.0, deterministic, shift=1.0, clip=5.0).eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(policy, (torch.zeros(2, 4),), dynamic_shapes=({0: batch},)).run_decompositions()
    targets = {node.target for node in program.graph.nodes if node.op == "call_function"}
    operators = {target for target in targets if isinstance(target, torch._ops.OpOverload)}
    operators -= {torch.ops.aten._assert_tensor_metadata.default}  # a check, which a backend drops
    assert len(operators) > 10
    assert [str(operator) for operator in operators if torch.Tag.core not in operator.tags] == []
    with torch.no_grad():
        torch.testing.assert_close(program.module()(OBSERVATIONS), policy(OBSERVATIONS), rtol=0, atol=1e-6)


def test_a_wrong_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="tanh_loc"):
        Deployed(Network(), -1.0, 1.0, "median")  # type: ignore[arg-type]
