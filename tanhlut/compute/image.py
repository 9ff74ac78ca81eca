"""The image of a mode in other bounds by the cpu kernels: bit for bit `affine.to_bounds`, a dozen operations.

`y` is what a kernel gave: of plain memory, float32 or float64, without derivatives.
"""

import torch
from torch import Tensor

from tanhlut.affine import to_bounds
from tanhlut.compute import threads
from tanhlut.methods import name_of


def in_numbers(y: Tensor, low: float, high: float) -> Tensor:
    """Between two numbers, low < high."""
    from tanhlut.compute import cpu_functions

    out = torch.empty_like(y)
    threads.share(cpu_functions.image(name_of(y.dtype)), (y, out), low, high)
    return out


def in_tensors(y: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Between tensors of y's dtype that broadcast with it; NaN unless low < high. Torch operations if they bring
    derivatives or are larger than y."""
    if torch.is_grad_enabled() and (y.requires_grad or low.requires_grad or high.requires_grad):
        return to_bounds(y, low, high)
    try:
        below, above = (torch.empty_like(y).copy_(bound) for bound in (low, high))
    except RuntimeError:
        return to_bounds(y, low, high)
    from tanhlut.compute import cpu_functions

    out = torch.empty_like(y)
    threads.share(cpu_functions.image_between(name_of(y.dtype)), (y, below, above, out))
    return out
