"""y = low + (high − low)·(tanh x + 1)/2 as a transform whose inverse and log-derivative stand up to saturation."""

import torch
from torch import Tensor
from torch.distributions import Transform, constraints

from tanhlut.affine import half_width, middle
from tanhlut.distributions.quadrature import log_cosh
from tanhlut.methods import compute_dtype

# |tanh x| below which y is taken from the middle, beyond which from the nearest bound.
NEAR = 0.5
_NEAR_E = (1.0 - NEAR) / (1.0 + NEAR)  # exp(−2x) there


def wide(tensor: Tensor) -> Tensor:
    """In float64, or in float32 where the device has no other."""
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)


class Squash(Transform):
    """ℝ → [low, high], increasing, element-wise; low and high are tensors that broadcast with x.

    y is the exact value rounded once, for all dtypes but float64: so the x that give a y are those next to its exact
    preimage, also where y is near a bound.

    A value on a bound, where rounding put it, is taken for its neighbour inside: the inverse is finite. The pair of
    the last call is remembered, as torch's transforms do: see `source`.
    """

    domain = constraints.real
    bijective = True
    sign = 1

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__(cache_size=1)
        self.low, self.high = low, high

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def codomain(self) -> constraints.Constraint:
        return constraints.interval(self.low, self.high)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Squash) and bool((self.low == other.low).all() and (self.high == other.high).all())

    __hash__ = Transform.__hash__

    @property
    def half(self) -> Tensor:
        return half_width(self.low, self.high)

    @property
    def middle(self) -> Tensor:
        return middle(self.low, self.high)

    def with_cache(self, cache_size: int = 1) -> "Squash":
        return self if cache_size else Squash(self.low, self.high)

    def source(self, y: Tensor) -> Tensor | None:
        """The x that made y, if y is the very tensor that the last call returned."""
        x, made = self._cached_x_y
        return x if made is y else None

    def preimage(self, y: Tensor) -> Tensor:
        """x of y ∈ [low, high], ±inf on the bounds, NaN outside.

        From the distances to the bounds, which are exact near them; by atanh in the middle half, where they are not.
        """
        u = (y - self.middle) / self.half
        near = artanh(u.clamp(-NEAR, NEAR))
        below, above = 0.5 * y - 0.5 * self.low, 0.5 * self.high - 0.5 * y  # halved, lest they overflow
        return torch.where(u.abs() < NEAR, near, 0.5 * (torch.log(below) - torch.log(above)))

    def _call(self, x: Tensor) -> Tensor:
        exact = Squash(wide(self.low), wide(self.high))
        x_, middle, half = wide(x), exact.middle, exact.half
        e = torch.exp(-2.0 * x_.abs())
        distance = half * (2.0 * e / (1.0 + e))  # to the nearest bound
        far = torch.where(x_ > 0, exact.high - distance, exact.low + distance)
        return torch.where(e > _NEAR_E, middle + half * torch.tanh(x_), far).to(x.dtype)

    def _inverse(self, y: Tensor) -> Tensor:
        dtype = compute_dtype(y.dtype)
        low, high = self.low.to(dtype), self.high.to(dtype)
        inside = torch.maximum(torch.minimum(y.to(dtype), torch.nextafter(high, low)), torch.nextafter(low, high))
        return Squash(low, high).preimage(inside).to(y.dtype)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.log(self.half) - 2.0 * log_cosh(x)


def artanh(u: Tensor) -> Tensor:
    """artanh u, |u| < 1. The result of torch.atanh on a CPU depends on the position in a batch, in float64."""
    return 0.5 * (torch.log1p(u) - torch.log1p(-u))
