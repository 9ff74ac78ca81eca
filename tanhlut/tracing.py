"""Whether torch is recording or transforming operations rather than running them."""

import torch
from torch import Tensor
from torch._C import _functorch, _get_tracing_state, _len_torch_dispatch_stack
from torch.autograd import forward_ad


def traced() -> bool:
    """Whether torch is recording operations: compile, export, fx, jit, fake tensors."""
    return torch.compiler.is_compiling() or _len_torch_dispatch_stack() > 0 or _get_tracing_state() is not None


def transformed() -> bool:
    """Whether a torch.func transform or forward-mode differentiation is active."""
    return _functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def differentiated(tensor: Tensor) -> bool:
    """Whether derivatives are being taken through the tensor, backward or forward."""
    return tensor.requires_grad or (
        forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None
    )
