"""A trained actor as one module of torch operations: observation in, action on its bounds out; for ONNX and ExecuTorch.

`deployed` of `tanhlut.integrations.sb3` and `.torchrl` make it of a model; rsl_rl's own exporters know `TanhNormal`.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tanhlut.affine import to_bounds
from tanhlut.errors import require
from tanhlut.integrations.names import Deterministic, check
from tanhlut.methods import Method
from tanhlut.module import ModeLookup
from tanhlut.moments import mean


class Deployed(torch.nn.Module):
    """Normalisation, network, mode, mean or tanh(loc), bounds.

    Args:
        network: observations (batch, …) to (loc, scale), both (batch, actions).
        low, high: bounds of the actions, numbers or (actions,).
        deterministic: ``"mode"``, ``"mean"`` or ``"tanh_loc"``.
        method: how the mode is computed. ``"exact"`` takes no table along.
        shift, divisor, clip: the network sees (observation − shift)/divisor, in [−clip, clip].
    """

    low: Tensor
    high: Tensor
    shift: Tensor
    divisor: Tensor

    def __init__(
        self,
        network: Callable[[Tensor], tuple[Tensor, Tensor]],
        low: Tensor | float,
        high: Tensor | float,
        deterministic: Deterministic = "mode",
        method: Method = "exact",
        *,
        shift: Any = 0.0,
        divisor: Any = 1.0,
        clip: float = torch.inf,
    ) -> None:
        super().__init__()
        check(deterministic)
        self.network, self.deterministic, self.clip = network, deterministic, float(clip)
        self.lookup = ModeLookup(method=method)
        for name, given in (("low", low), ("high", high), ("shift", shift), ("divisor", divisor)):
            self.register_buffer(name, torch.as_tensor(given).to(torch.float32, copy=True))
        self.normalises = self.clip < torch.inf or bool((self.shift != 0).any()) or bool((self.divisor != 1).any())

    def forward(self, observation: Tensor) -> Tensor:
        """The action, (batch, actions)."""
        if self.normalises:
            observation = ((observation - self.shift) / self.divisor).clamp(-self.clip, self.clip)
        loc, scale = self.network(observation)
        if self.deterministic == "mode":
            y = self.lookup(loc, scale)
        else:
            y = mean(loc, scale) if self.deterministic == "mean" else torch.tanh(loc)
        return to_bounds(y, self.low, self.high)


def onnx_model(
    module: torch.nn.Module,
    *examples: Tensor,
    inputs: Sequence[str] = ("observation",),
    outputs: Sequence[str] = ("action",),
) -> bytes:
    """The bytes of an ONNX model of a policy, or of any module of tensors, for any length of the first dimension.

    Args:
        examples: its arguments, (batch, …) of one batch ≥ 2.
        inputs, outputs: their names.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
    """
    require("onnx", "onnx")
    require("onnxscript", "onnx")
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it misses torchvision
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch about torch
            program = torch.onnx.export(
                module.eval(),
                examples,
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("n")},) * len(examples),
                input_names=[*inputs],
                output_names=[*outputs],
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    proto = program.model_proto
    for item in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del item.metadata_props[:]  # where in torch each came from: nine tenths of a small graph
    return bytes(proto.SerializeToString(deterministic=True))
