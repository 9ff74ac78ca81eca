"""The mode of other people's squashed Gaussians: a Normal through affine maps and tanh, however it is written."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import (
    AffineTransform,
    ComposeTransform,
    Distribution,
    Independent,
    IndependentTransform,
    Normal,
    SigmoidTransform,
    TanhTransform,
    Transform,
    TransformedDistribution,
)
from torch.distributions.transforms import _InverseTransform

from tanhlut.eager import Method
from tanhlut.lookup import mode
from tanhlut.squash import Squash
from tanhlut.table import ModeTable


def mode_of(distribution: Distribution, *, method: Method = "refined", table: ModeTable | None = None) -> Tensor:
    """The true mode of a Normal pushed through affine maps and one tanh (or sigmoid), in any order and nesting.

    Args:
        distribution: a torch TransformedDistribution (or a subclass, TorchRL's and Pyro's included), perhaps inside
            Independent. Affine maps before the tanh change loc and scale, those after it the bounds.
        method, table: as in `tanhlut.mode`.

    Returns:
        The mode, shape batch_shape + event_shape, differentiable.

    Raises:
        TypeError: the distribution is something else; it says what.
    """
    base, transforms = _unwrap(distribution)
    if not isinstance(base, Normal):
        raise TypeError(f"the base of {distribution} is {type(base).__name__}: only a squashed Normal has this mode")
    loc, scale = base.loc, base.scale
    after: tuple[Any, Any] | None = None  # y ↦ shift + factor·y once squashed
    for transform in transforms:
        if isinstance(transform, AffineTransform):
            if after is None:
                loc, scale = transform.loc + transform.scale * loc, cast(Any, abs(transform.scale)) * scale
            else:
                after = transform.loc + transform.scale * after[0], transform.scale * after[1]
        elif after is None and isinstance(transform, TanhTransform):
            after = (0.0, 1.0)
        elif after is None and isinstance(transform, SigmoidTransform):  # (1 + tanh(x/2))/2
            loc, scale, after = 0.5 * loc, 0.5 * scale, (0.5, 0.5)
        elif after is None and isinstance(transform, Squash):
            after = (transform.middle, transform.half)
        else:
            raise TypeError(
                f"{type(transform).__name__} is not understood here: give a Normal through affine maps and one tanh"
            )
    if after is None:
        raise TypeError(f"{distribution} is not squashed by tanh: its mode needs no table")
    y: Tensor = mode(*torch.broadcast_tensors(loc, scale), method=method, table=table)
    if isinstance(transforms[-1], TanhTransform):
        return y
    shift, half = (torch.as_tensor(part, dtype=y.dtype, device=y.device) for part in after)
    return torch.maximum(torch.minimum(shift + half * y, shift + half.abs()), shift - half.abs())


def _unwrap(distribution: Distribution) -> tuple[Distribution, list[Transform]]:
    transforms: list[Transform] = []
    while isinstance(distribution, Independent | TransformedDistribution):
        if isinstance(distribution, TransformedDistribution):
            transforms = [part for transform in distribution.transforms for part in _parts(transform)] + transforms
        distribution = distribution.base_dist
    return distribution, transforms


def _parts(transform: Transform) -> Iterator[Transform]:
    if isinstance(transform, ComposeTransform):
        for part in transform.parts:
            yield from _parts(part)
    elif isinstance(transform, IndependentTransform):
        yield from _parts(transform.base_transform)
    elif isinstance(transform, _InverseTransform) and isinstance(transform.inv, AffineTransform):
        forward = transform.inv
        yield AffineTransform(-forward.loc / forward.scale, 1.0 / forward.scale)
    else:
        yield transform
