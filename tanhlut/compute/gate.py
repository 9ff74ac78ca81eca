"""The gate to the compiled kernels: what must be true of tensors before one may run on their memory.

Whatever is not ordinary goes the general road (`general`), which gives the same bits or says what is wrong.
"""

from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch, _get_tracing_state, _len_torch_dispatch_stack
from torch._C import _is_torch_function_mode_enabled as _is_function_mode
from torch.autograd import forward_ad

from tanhlut.tracing import pre_dispatched

# A module's own names are found faster than another's attributes.
_is_grad_enabled, _transform = torch.is_grad_enabled, _functorch.peek_interpreter_stack


def ordinary(loc: Tensor, scale: Tensor) -> bool:
    """Whether two tensors are numbers in memory, of one dtype, with nobody recording, mapping or deriving.

    Of their shapes nothing is asked, and of their devices but that zeros without memory live on the CPU's side of
    `quick`.
    """
    return not (
        scale.dtype is not loc.dtype
        or (_is_grad_enabled() and (loc.requires_grad or scale.requires_grad))
        or _len_torch_dispatch_stack()
        or _transform() is not None
        or forward_ad._current_level >= 0
        or _get_tracing_state() is not None
        or (_is_function_mode() and pre_dispatched())
        or not (loc.is_contiguous() and scale.is_contiguous())
        or loc.is_neg()
        or scale.is_neg()
    )


def observed() -> bool:
    """Whether anyone records, maps or differentiates forward."""
    return bool(
        _len_torch_dispatch_stack()
        or _transform() is not None
        or forward_ad._current_level >= 0
        or _get_tracing_state() is not None
        or (_is_function_mode() and pre_dispatched())
    )


def fits(out: Any, loc: Tensor, scale: Tensor) -> bool:
    """Whether a kernel may write to `out` while it reads loc and scale."""
    if (
        type(out) is not Tensor
        or out.dtype is not loc.dtype
        or out.device != loc.device
        or out.requires_grad
        or not out.is_contiguous()
        or out.is_neg()
        or out.shape != loc.shape
    ):
        return False
    begin, size = out.data_ptr(), loc.nbytes
    return abs(begin - loc.data_ptr()) >= size and abs(begin - scale.data_ptr()) >= size
