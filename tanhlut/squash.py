"""y = low + (high − low)·(tanh x + 1)/2 as a transform whose inverse and log-derivative stand up to saturation."""

import torch
from torch import Tensor
from torch.distributions import Transform, constraints

from tanhlut.eager import compute_dtype
from tanhlut.moments import log_cosh


class Squash(Transform):
    """ℝ → [low, high], increasing, element-wise; low and high are tensors that broadcast with x.

    A value on a bound, where rounding put it, is taken for its neighbour inside: the inverse is finite. The pair of
    the last call is remembered, as torch's transforms do, so that scoring a sample uses the very x that made it.
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
        return 0.5 * self.high - 0.5 * self.low

    @property
    def middle(self) -> Tensor:
        return 0.5 * self.low + 0.5 * self.high

    def with_cache(self, cache_size: int = 1) -> "Squash":
        return self if cache_size else Squash(self.low, self.high)

    def preimage(self, y: Tensor) -> Tensor:
        """x of y ∈ [low, high], ±inf on the bounds, NaN outside.

        From the distances to the bounds, which are exact near them; by atanh in the middle half, where they are not.
        """
        u = (y - self.middle) / self.half
        near = torch.atanh(u.clamp(-0.5, 0.5))
        far = 0.5 * (torch.log(y - self.low) - torch.log(self.high - y))
        return torch.where(u.abs() < 0.5, near, far)

    def _call(self, x: Tensor) -> Tensor:
        return torch.maximum(torch.minimum(self.middle + self.half * torch.tanh(x), self.high), self.low)

    def _inverse(self, y: Tensor) -> Tensor:
        dtype = compute_dtype(y.dtype)
        low, high = self.low.to(dtype), self.high.to(dtype)
        inside = torch.maximum(torch.minimum(y.to(dtype), torch.nextafter(high, low)), torch.nextafter(low, high))
        return Squash(low, high).preimage(inside).to(y.dtype)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.log(self.half) - 2.0 * log_cosh(x)
