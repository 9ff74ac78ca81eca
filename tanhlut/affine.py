"""The affine image of [−1, 1] in [low, high], for tensors; the kernels have it in the text (`element.image`)."""

from typing import TypeVar

import torch
from torch import Tensor

from tanhlut.arrays import scalar

Bound = TypeVar("Bound", float, Tensor)


def half_width(low: Bound, high: Bound) -> Bound:
    """(high − low)/2, which never overflows."""
    return 0.5 * high - 0.5 * low


def middle(low: Bound, high: Bound) -> Bound:
    """(low + high)/2; −0.0 where low = −high, the one number that adds to anything, ±0.0 included, without a trace."""
    return -(-0.5 * low + -0.5 * high)


def to_bounds(y: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """The image of y ∈ [−1, 1] in [low, high]; NaN unless low < high. Bounds (−1, 1) leave y as it is."""
    if isinstance(low, float) and isinstance(high, float) and (low, high) == (-1.0, 1.0):
        return y
    below, above = (
        bound.to(y.dtype) if isinstance(bound, Tensor) else scalar(bound, y.dtype, y.device) for bound in (low, high)
    )
    image = half_width(below, above) * y + middle(below, above)
    return torch.where(below < above, torch.maximum(torch.minimum(image, above), below), torch.nan)
