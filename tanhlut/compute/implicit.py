"""The derivatives of a mode, whoever computed it: the implicit function theorem's (`equation.partials`).

Autograd functions of loc, scale, a function that evaluates them, and what else it is to be given.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tanhlut.affine import half_width
from tanhlut.compute import available, threads
from tanhlut.compute.gate import ordinary
from tanhlut.formula import equation
from tanhlut.methods import name_of

_kernels: dict[torch.dtype, Any] = {}  # of the derivatives, each compiled when it is first wanted
_is_compiling, _is_grad_enabled = torch.compiler.is_dynamo_compiling, torch.is_grad_enabled


class _Direct(torch.autograd.Function):
    """Where torch neither maps nor traces, which whoever calls it has asked: then half of what torch asks is left out.

    Without `setup_context`, for which torch reads the signature of `forward` at every call.
    """

    @classmethod
    def apply(cls, *given: Any) -> Any:
        return super(torch.autograd.Function, cls).apply(*given)  # type: ignore[misc]


class Plain(_Direct):
    """Any backend's value with the theorem's derivatives."""

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor, evaluate: Callable[..., Tensor], *rest: Any) -> Tensor:
        y = evaluate(loc, scale, *rest)
        ctx.save_for_backward(scale, y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        return Implicit.backward(ctx, *grads)


class Imaged(_Direct):
    """The value on (−1, 1), of which the derivatives are made, and its image: both, or else those could not be
    differentiated again."""

    @staticmethod
    def forward(
        ctx: Any,
        loc: Tensor,
        scale: Tensor,
        evaluate: Callable[..., Tensor],
        image: Callable[[Tensor, float, float], Tensor],
        low: float,
        high: float,
        *rest: Any,
    ) -> tuple[Tensor, Tensor]:
        y = evaluate(loc, scale, *rest)
        ctx.save_for_backward(scale, y)
        ctx.set_materialize_grads(False)
        ctx.half = half_width(low, high)
        return image(y, low, high), y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        parts = [grad if k else ctx.half * grad for k, grad in enumerate(grads) if grad is not None]
        return Implicit.backward(ctx, sum(parts[1:], parts[0])) if parts else (None,) * len(ctx.needs_input_grad)


class Implicit(torch.autograd.Function):
    """Any backend's value, with the implicit function theorem's derivatives."""

    @staticmethod
    def forward(loc: Tensor, scale: Tensor, evaluate: Callable[..., Tensor], *rest: Any) -> Tensor:
        return evaluate(loc, scale, *rest)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1], output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        scale, y = ctx.saved_tensors
        found = _by_kernel(y, scale, grads[0])
        if found is None:
            by_loc, by_scale = equation.partials(y, scale)
            found = grads[0] * by_loc, grads[0] * by_scale
        return *found, *[None] * (len(ctx.needs_input_grad) - 2)

    @staticmethod
    def vmap(info: Any, in_dims: Any, loc: Tensor, scale: Tensor, *rest: Any) -> Any:
        """Element-wise with equal shapes: put the mapped dimension first and call again."""
        tensors = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip((loc, scale), in_dims[:2], strict=True)
        ]
        return Transformable.apply(*tensors, *rest), 0


class Transformable(Implicit):
    """With a rule for forward-mode differentiation, which torch.compile cannot trace."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1], output)
        ctx.save_for_forward(inputs[1], output)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        scale, y = ctx.saved_tensors
        parts = [part * t for part, t in zip(equation.partials(y, scale), tangents[:2], strict=True) if t is not None]
        return torch.stack(parts).sum(0)


def _by_kernel(y: Tensor, scale: Tensor, grad: Tensor) -> tuple[Tensor, Tensor] | None:
    """grad·∂y/∂loc and grad·∂y/∂scale by the cpu kernel, to a rounding; None where it does not serve."""
    if _is_compiling() or _is_grad_enabled() or not y.is_cpu:
        return None
    grad, scale = grad.contiguous(), scale.contiguous()
    if not ordinary(y, grad) or scale.is_neg() or any(x._is_zerotensor() for x in (y, scale, grad)):
        return None
    kernel = _kernels.get(y.dtype) or _prepared(y.dtype)
    if kernel is None:
        return None
    by_loc, by_scale = torch.empty_like(y), torch.empty_like(y)
    threads.share(kernel, (y, scale, grad, by_loc, by_scale))
    return by_loc, by_scale


def _prepared(dtype: torch.dtype) -> Any:
    if dtype not in (torch.float32, torch.float64) or available.cpu_missing() is not None:
        return None
    from tanhlut.compute import cpu_functions

    _kernels[dtype] = cpu_functions.slopes(name_of(dtype))
    return _kernels[dtype]
