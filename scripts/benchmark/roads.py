"""What is more than two plain tensors of one shape: half precision, numbers, broadcasting, bounds, gradients."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmark.contenders import Contender, Sample
from tanhlut import mode


class _Nothing(torch.autograd.Function):
    """What a function of torch's in Python costs by itself."""

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor) -> Tensor:
        y = torch.empty_like(loc)
        ctx.save_for_backward(scale, y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor]:
        _scale, y = ctx.saved_tensors
        return torch.empty_like(y), torch.empty_like(y)


def contenders(sample: Sample) -> Iterator[Contender]:
    """All of them for one batch; the yardstick first. Errors are against the mode of what float32 holds."""
    loc, scale, out = sample
    yield Contender("torch.tanh", "tensor", lambda: torch.tanh(loc), "")
    yield Contender("torch.tanh(out=)", "out", lambda: torch.tanh(loc, out=out), "")
    yield Contender("ours", "tensor", lambda: mode(loc, scale))
    yield Contender("ours", "out", lambda: mode(loc, scale, out=out))
    for dtype in (torch.float16, torch.bfloat16):
        yield from _in_half(sample, dtype)
    half = 0.5
    yield Contender("ours, a number as scale", "tensor", lambda: mode(loc, half), "")
    row, rows = scale[:1], loc.reshape(-1, 1)
    yield Contender("ours, broadcast", "tensor", lambda: mode(rows, row), "")
    apart = torch.stack([loc, scale], -1)
    a, b = apart[:, 0], apart[:, 1]
    yield Contender("ours, columns of one tensor", "tensor", lambda: mode(a, b))
    yield Contender("ours, bounds (−2, 3)", "tensor", lambda: mode(loc, scale, -2.0, 3.0), "")
    low, high = torch.full((1,), -2.0, dtype=loc.dtype), torch.full((1,), 3.0, dtype=loc.dtype)
    yield Contender("ours, tensors as bounds", "tensor", lambda: mode(loc, scale, low, high), "")
    yield from _with_gradients(sample)


def _in_half(sample: Sample, dtype: torch.dtype) -> Iterator[Contender]:
    loc, scale = sample.loc.to(dtype), sample.scale.to(dtype)
    name = str(dtype).removeprefix("torch.")
    yield Contender(f"torch.tanh, {name}", "tensor", lambda: torch.tanh(loc), "")
    yield Contender(f"ours, {name}", "tensor", lambda: mode(loc, scale), "")


def _with_gradients(sample: Sample) -> Iterator[Contender]:
    loc, scale = (part.clone().requires_grad_() for part in sample[:2])
    ones = torch.ones_like(sample.loc)

    def both(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(function(loc, scale), (loc, scale), ones)[0]

    nothing: Any = _Nothing.apply
    both(mode)()  # the first takes half a second to begin with torch's own
    yield Contender("torch's empty function", "tensor", lambda: nothing(loc, scale), "")
    yield Contender("ours, a gradient to come", "tensor", lambda: mode(loc, scale))
    yield Contender("ours, the same on (−2, 3)", "tensor", lambda: mode(loc, scale, -2.0, 3.0), "")
    yield Contender("torch.tanh(loc·scale), and back", "tensor", both(lambda a, b: torch.tanh(a * b)), "")
    yield Contender("torch's empty function, and back", "tensor", both(nothing), "")
    yield Contender("ours, and back", "tensor", both(mode), "")
