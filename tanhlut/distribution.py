"""TanhNormal: a torch distribution whose mode is the true one."""

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import Normal, TransformedDistribution, constraints, kl_divergence, register_kl

from tanhlut import moments
from tanhlut.eager import Method
from tanhlut.lookup import mode
from tanhlut.squash import Squash


class TanhNormal(TransformedDistribution):
    """Y = low + (high − low)·(tanh X + 1)/2, X ~ Normal(loc, scale²), element-wise.

    Mean, variance and entropy are quadratures (`tanhlut.moments` states their errors); all else is in closed form but
    for the mode. Everything is differentiable. `kl_divergence` between two of them with equal bounds is that of their
    Normals.

    Args:
        loc, scale: tensors or floats, broadcast to the batch shape; scale > 0.
        low, high: tensors or floats, low < high.
        validate_args: as in torch.distributions.
        method, refine: how `mode` is computed, as in `tanhlut.mode`.

    Raises:
        ValueError: with validation on, scale ≤ 0, NaN parameters, or not low < high.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012

    def __init__(
        self,
        loc: Tensor | float,
        scale: Tensor | float,
        low: Tensor | float = -1.0,
        high: Tensor | float = 1.0,
        validate_args: bool | None = None,
        *,
        method: Method = "refined",
        refine: bool = False,
    ) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        self._bounds = (low, high)
        low, high = (_like(base.loc, bound) for bound in (low, high))
        self.low, self.high = low, high
        validate = torch.distributions.Distribution._validate_args if validate_args is None else validate_args
        if validate and not (low < high).all():
            raise ValueError(f"low = {low}, high = {high}: give bounds with low < high")
        shape = torch.broadcast_shapes(base.batch_shape, low.shape, high.shape)
        self.method, self.refine = method, refine
        super().__init__(base.expand(shape), [Squash(low, high)], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "TanhNormal":
        new = self._get_checked_instance(TanhNormal, _instance)
        new.low, new.high, new._bounds = self.low, self.high, self._bounds
        new.method, new.refine = self.method, self.refine
        return super().expand(batch_shape, _instance=new)  # type: ignore[no-any-return]

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        return constraints.interval(self.low, self.high)

    @property
    def loc(self) -> Tensor:
        """Mean of the Normal before squashing."""
        return cast(Normal, self.base_dist).loc

    @property
    def scale(self) -> Tensor:
        """Standard deviation of the Normal before squashing."""
        return cast(Normal, self.base_dist).scale

    @property
    def squash(self) -> Squash:
        return cast(Squash, self.transforms[0])

    @property
    def mode(self) -> Tensor:
        """The true mode, shape batch_shape, differentiable; `tanhlut.mode` with the shipped table."""
        low, high = self._bounds if all(isinstance(bound, float) for bound in self._bounds) else (self.low, self.high)
        return mode(self.loc, self.scale, low, high, method=self.method, refine=self.refine)  # type: ignore[no-any-return]

    @property
    def mean(self) -> Tensor:
        """E[Y], within [low, high]. Largest error seen: 1.2e-15·(high − low)/2 in float64, 7e-8 in float32."""
        mean = self.squash.middle + self.squash.half * moments.mean(self.loc, self.scale)
        return torch.maximum(torch.minimum(mean, self.high), self.low)

    @property
    def variance(self) -> Tensor:
        """Var[Y]. Largest relative error seen, where Var[tanh X] > 1e-15: 7e-14 in float64, 1.1e-5 in float32."""
        return self.squash.half.square() * moments.variance(self.loc, self.scale)

    def entropy(self) -> Tensor:
        """H[Y] = H[X] + E[log dy/dx], shape batch_shape, in nats.

        H[X] = ½·log(2πe·scale²) and log dy/dx = log((high − low)/2) − 2·log cosh x, whose expectation is a quadrature:
        error seen at most 3e-14·(1 + E|X|) in float64, 3e-7 in float32.
        """
        normal = 0.5 * math.log(2.0 * math.pi * math.e) + torch.log(self.scale)
        return normal + torch.log(self.squash.half) - 2.0 * moments.expected_log_cosh(self.loc, self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        """log density at value ∈ [low, high], −inf outside (with validation on, ValueError).

        Finite on the bounds, where rounding puts samples: they score as their neighbours inside. The tensor that
        `rsample` returned last is scored by the x that made it, exact and with pathwise gradients also there.
        """
        if self._validate_args:
            self._validate_sample(value)
        x = self.squash._inv_call(value)
        log_prob = self.base_dist.log_prob(x) - self.squash.log_abs_det_jacobian(x, value)
        return torch.where((value < self.low) | (value > self.high), -torch.inf, log_prob)

    def cdf(self, value: Tensor) -> Tensor:
        """P(Y ≤ value): 0 up to low, 1 from high on."""
        inside = torch.maximum(torch.minimum(value, self.high), self.low)
        u = (self.squash.preimage(inside) - self.loc) / (math.sqrt(2.0) * self.scale)
        return 0.5 * torch.erfc(-u)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile of value ∈ [0, 1], within [low, high]."""
        return self.squash._call(self.base_dist.icdf(value))


def _like(loc: Tensor, bound: Tensor | float) -> Tensor:
    """A bound in loc's dtype, on its device: a number by a kernel, which rounds once and a CUDA graph can capture."""
    return bound.to(loc) if isinstance(bound, Tensor) else torch.full((), bound, dtype=loc.dtype, device=loc.device)


@register_kl(TanhNormal, TanhNormal)  # type: ignore[untyped-decorator]
def _kl(p: TanhNormal, q: TanhNormal) -> Tensor:
    if p.squash != q.squash:
        raise NotImplementedError(
            f"KL between TanhNormals on [{p.low}, {p.high}] and [{q.low}, {q.high}] is unknown: give equal bounds"
        )
    return kl_divergence(p.base_dist, q.base_dist)
