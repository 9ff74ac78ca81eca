"""Whether torch is recording or transforming operations rather than running them, and what is to be done about it.

What is kept for later calls must not bear the marks of the call that made it: a fake tensor, one of a transform's, one
of inference mode. So all that is kept is made by `apart`. And nothing large is imported while torch is tracing: export
has Python's own `max` and `min` replaced meanwhile, which compilers do not survive.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._C import (
    _functorch,
    _get_tracing_state,
    _is_torch_function_mode_enabled,
    _len_torch_dispatch_stack,
)
from torch._guards import active_fake_mode
from torch._ops import _len_torch_dispatch_stack_pre_dispatch
from torch.autograd import forward_ad
from torch.utils._pytree import tree_map_only

T = TypeVar("T")


def traced() -> bool:
    """Whether torch is recording operations: compile, export, fx, jit, fake tensors."""
    return (
        torch.compiler.is_compiling()
        or _len_torch_dispatch_stack() > 0
        or _get_tracing_state() is not None
        or pre_dispatched()
    )


def compiling() -> bool:
    """Whether torch.compile is recording, whose graphs are run here: not torch.export, whose graphs go elsewhere."""
    return torch.compiler.is_dynamo_compiling() and not exporting()


def exporting() -> bool:
    """Whether torch.export is recording."""
    # From torch 2.7 on. While its compiler records, 2.7 says that it is, whatever for: there a compiled graph holds
    # plain operations, as an exported one does.
    return hasattr(torch.compiler, "is_exporting") and torch.compiler.is_exporting()


def pre_dispatched() -> bool:
    """Whether fx is recording above autograd; it then has a function mode too, which is quicker to ask for."""
    return _is_torch_function_mode_enabled() and _len_torch_dispatch_stack_pre_dispatch() > 0


def jit_traced() -> bool:
    """Whether torch.jit is recording, which knows no derivatives but those of operations."""
    return not torch.compiler.is_dynamo_compiling() and _get_tracing_state() is not None


def onnx_traced() -> bool:
    """Whether a graph for ONNX is being made, which needs torch.onnx; it is large, so it is not imported to ask."""
    return not torch.compiler.is_dynamo_compiling() and "torch.onnx" in sys.modules and torch.onnx.is_in_onnx_export()


def transformed() -> bool:
    """Whether a torch.func transform or forward-mode differentiation is active."""
    return _functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def differentiated(tensor: Tensor) -> bool:
    """Whether derivatives are being taken through the tensor, backward or forward."""
    return tensor.requires_grad or (
        forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None
    )


def apart(make: Callable[[], T]) -> T:
    """`make()`, untouched by whatever torch is doing. Modes and transforms belong to a thread: a new one has none."""
    if traced() or transformed() or _is_torch_function_mode_enabled():
        with ThreadPoolExecutor(1) as alone:
            return alone.submit(make).result()
    with torch.inference_mode(False):
        return make()


def fake_mode() -> Any:
    """The mode of fake tensors at work, if it takes no real ones beside them; else None.

    torch.compile and torch.export make real tensors constants of their graphs, and are not meant.
    """
    if torch.compiler.is_dynamo_compiling() or not _len_torch_dispatch_stack():
        return None
    mode = active_fake_mode()
    return None if mode is None or mode.allow_non_fake_inputs else mode


def faked(tensors: T, device: torch.device) -> T:
    """Real tensors, however nested, as the `fake_mode` at work wants them, on its idea of the device."""
    lift = torch.ops.aten.lift_fresh.default  # what torch.tensor does to its result
    return tree_map_only(Tensor, lambda t: (lift(t) if type(t) is Tensor else t).to(device), tensors)  # type: ignore[no-any-return]
