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
    MultivariateNormal,
    Normal,
    SigmoidTransform,
    TanhTransform,
    Transform,
    TransformedDistribution,
)
from torch.distributions.transforms import _InverseTransform

from tanhlut.distributions.squash import Squash
from tanhlut.file.table import ModeTable
from tanhlut.lookup import mode
from tanhlut.methods import Method, compute_dtype

# Where a transform of unknown kind is compared with what it may be, and to how many epsilons of its range.
_POINTS = (-100.0, -20.0, -7.0, -3.0, -1.5, -0.8, -0.3, -0.01, 0.0, 0.02, 0.4, 1.0, 2.0, 5.0, 10.0, 100.0)
_TOLERANCE = 16.0


def mode_of(distribution: Distribution, *, method: Method = "refined", table: ModeTable | None = None) -> Tensor:
    """The true mode of a Normal pushed through affine maps and one tanh (or sigmoid), in any order and nesting.

    Transforms are known by their class, torch's or tanhlut's, or else by what they do: one that is written by hand is
    evaluated at 16 points from −100 to 100, in loc's dtype (float32 for half precision), for every element of the
    distribution among different neighbours. If all values are a + b·x, a + b·tanh(x) or a + b·tanh(x/2) to 16 epsilons
    of their range, with a and b of that element, that is what it is taken for. Between the points nothing is checked.

    Args:
        distribution: a torch TransformedDistribution (or a subclass, TorchRL's and Pyro's included), perhaps inside
            Independent, of a Normal or a MultivariateNormal without correlations. Affine maps before the tanh change
            loc and scale, those after it the bounds.
        method, table: as in `tanhlut.mode`.

    Returns:
        The mode, shape batch_shape + event_shape, differentiable (not with respect to what a hand-written map holds).

    Raises:
        TypeError: the distribution is something else; it says what.
    """
    base, transforms = _unwrap(distribution)
    loc, scale = _normal(distribution, base)
    after: tuple[Any, Any] | None = None  # y ↦ shift + factor·y once squashed
    for transform in transforms:
        rate, shift, factor = _map(transform, loc)
        if rate is None and after is None:
            loc, scale = shift + factor * loc, cast(Any, abs(factor)) * scale
        elif rate is None and after is not None:
            after = shift + factor * after[0], factor * after[1]
        elif after is None:
            loc, scale, after = rate * loc, rate * scale, (shift, factor)
        else:
            raise TypeError(_NOT_UNDERSTOOD.format(type(transform).__name__, "squashes again"))
    if after is None:
        raise TypeError(f"{distribution} is not squashed by tanh: its mode needs no table")
    y: Tensor = mode(*torch.broadcast_tensors(loc, scale), method=method, table=table)
    if isinstance(transforms[-1], TanhTransform):
        return y
    shift, half = (torch.as_tensor(part, dtype=y.dtype, device=y.device) for part in after)
    return torch.maximum(torch.minimum(shift + half * y, shift + half.abs()), shift - half.abs())


_NOT_UNDERSTOOD = "{} {}: mode_of understands a Normal through affine maps and one tanh (or sigmoid)"


def _normal(distribution: Distribution, base: Distribution) -> tuple[Tensor, Tensor]:
    """loc and scale of independent Normals."""
    if isinstance(base, Normal):
        return base.loc, base.scale
    if isinstance(base, MultivariateNormal):
        if (base.scale_tril.tril(-1) != 0).any():
            raise TypeError(
                f"the base of {distribution} is a MultivariateNormal with correlations: the joint mode is not that of "
                "each dimension; mode_of needs a diagonal scale_tril"
            )
        return base.loc, base.scale_tril.diagonal(dim1=-2, dim2=-1)
    raise TypeError(f"the base of {distribution} is {type(base).__name__}: only a squashed Normal has this mode")


def _map(transform: Transform, loc: Tensor) -> tuple[Any, Any, Any]:
    """(rate, a, b) of a transform x ↦ a + b·tanh(rate·x), with rate None of x ↦ a + b·x."""
    if isinstance(transform, AffineTransform):
        return None, transform.loc, transform.scale
    if isinstance(transform, TanhTransform):
        return 1.0, 0.0, 1.0
    if isinstance(transform, SigmoidTransform):
        return 0.5, 0.5, 0.5
    if isinstance(transform, Squash):
        return 1.0, transform.middle, transform.half
    return _map_by_values(transform, loc.detach())


def _map_by_values(transform: Transform, loc: Tensor) -> tuple[Any, Any, Any]:
    """`_map` of a hand-written transform."""
    name = type(transform).__name__
    points = torch.tensor(_POINTS, dtype=compute_dtype(loc.dtype), device=loc.device)
    # Every element meets every point, its neighbours others meanwhile.
    count, element = len(points), torch.arange(loc.numel(), device=loc.device).reshape(loc.shape)
    points = points.reshape(-1, *(1 for _ in loc.shape))
    row = torch.arange(count, device=loc.device).reshape(points.shape)
    cached = getattr(transform, "_cached_x_y", None)
    try:
        with torch.no_grad():
            values = transform(points.flatten()[(row + element) % count])
            values = values.gather(0, (row - element) % count)
    except Exception as error:
        raise TypeError(_NOT_UNDERSTOOD.format(name, f"cannot be evaluated ({error})")) from error
    finally:
        if cached is not None:
            transform._cached_x_y = cached  # of the last sample
    tolerance = _TOLERANCE * torch.finfo(points.dtype).eps
    if values.shape == (count, *loc.shape) and values.dtype == points.dtype:
        zero, one = _POINTS.index(0.0), _POINTS.index(1.0)
        a, b = values[zero], values[one] - values[zero]
        if (b != 0).all() and ((values - (a + b * points)).abs() <= tolerance * (a.abs() + (b * points).abs())).all():
            return None, a.to(loc.dtype), b.to(loc.dtype)
        a, b = 0.5 * (values[-1] + values[0]), 0.5 * (values[-1] - values[0])
        for rate in (1.0, 0.5):
            distance = (values - (a + b * torch.tanh(rate * points))).abs()
            if (b != 0).all() and (distance <= tolerance * (a.abs() + b.abs())).all():
                return rate, a.to(loc.dtype), b.to(loc.dtype)
    raise TypeError(_NOT_UNDERSTOOD.format(name, "is, by its values, neither affine nor a squashing"))


def _unwrap(distribution: Distribution) -> tuple[Distribution, list[Transform]]:
    transforms: list[Transform] = []
    while isinstance(distribution, (Independent, TransformedDistribution)):
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
