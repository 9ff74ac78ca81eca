"""TanhNormal: a torch distribution whose mode is the true one."""

import math
from typing import Any, cast

import torch
from torch import Size, Tensor
from torch.distributions import Normal, TransformedDistribution, constraints, kl_divergence, register_kl

from tanhlut import moments
from tanhlut.distributions.likelihood import log_likelihood, straight_through
from tanhlut.distributions.squash import Squash, wide
from tanhlut.lookup import mode
from tanhlut.methods import Method
from tanhlut.tracing import differentiated, traced


class TanhNormal(TransformedDistribution):
    """Y = low + (high − low)·(tanh X + 1)/2, X ~ Normal(loc, scale²), element-wise.

    Mean, variance and entropy are those of `tanhlut.moments`; all else is in
    closed form but for the mode. Everything is differentiable. `kl_divergence` between two of them with equal bounds is
    that of their Normals.

    Args:
        loc, scale: tensors or floats, broadcast to the batch shape; scale > 0.
        low, high: tensors or floats, low < high.
        validate_args: as in torch.distributions; by default off while torch is tracing, which cannot judge values.
        method, refine: how `mode` is computed, as in `tanhlut.mode`.

    Raises:
        ValueError: a number that its dtype cannot hold. With validation on, scale ≤ 0, NaN parameters, bounds that are
            not finite or not low < high in loc's dtype; without it, such parameters give NaN where they give no limit.
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
        if validate_args is None and traced():
            validate_args = False  # a graph has no place for a decision on values
        base = Normal(loc, scale, validate_args=validate_args)
        refuse_overflow(base.loc.dtype, loc=loc, scale=scale, low=low, high=high)
        self._bounds = (low, high)
        low, high = (_like(base.loc, bound) for bound in (low, high))
        self.low, self.high = low, high
        validate = torch.distributions.Distribution._validate_args if validate_args is None else validate_args
        if validate and not (low.isfinite() & high.isfinite() & (low < high)).all():
            given = f"low = {self._bounds[0]}, high = {self._bounds[1]}"
            raise ValueError(f"{given}: give bounds with low < high, finite and distinct in {low.dtype}")
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
    def _low_high(self) -> tuple[Any, Any]:
        """The bounds as numbers if they are, which is the shorter road."""
        return self._bounds if all(isinstance(bound, float) for bound in self._bounds) else (self.low, self.high)

    @property
    def mode(self) -> Tensor:
        """The true mode, shape batch_shape, differentiable; `tanhlut.mode` with the shipped table."""
        method, refine = self.method, self.refine
        return mode(self.loc, self.scale, *self._low_high, method=method, refine=refine)  # type: ignore[no-any-return]

    @property
    def mean(self) -> Tensor:
        """E[Y], within [low, high]: `tanhlut.mean`."""
        return moments.mean(self.loc, self.scale, *self._low_high)  # type: ignore[no-any-return]

    @property
    def variance(self) -> Tensor:
        """Var[Y]: `tanhlut.variance`."""
        return moments.variance(self.loc, self.scale, *self._low_high)  # type: ignore[no-any-return]

    @property
    def stddev(self) -> Tensor:
        """Standard deviation of Y: `tanhlut.stddev`; finite also where the variance overflows."""
        return moments.stddev(self.loc, self.scale, *self._low_high)  # type: ignore[no-any-return]

    def entropy(self) -> Tensor:
        """H[Y] = H[X] + E[log dy/dx], shape batch_shape, in nats: `tanhlut.entropy`."""
        return moments.entropy(self.loc, self.scale, *self._low_high)  # type: ignore[no-any-return]

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Samples, shape sample_shape + batch_shape, differentiable in loc, scale and bounds.

        The noise is Normal's, from the same generator, but drawn by an operation that vmap can make different for each.
        """
        shape = self._extended_shape(sample_shape)
        x = self.loc + torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device) * self.scale
        return cast(Tensor, self.squash(x))

    def log_prob(self, value: Tensor) -> Tensor:
        """log density at value ∈ [low, high], −inf outside (with validation on, ValueError).

        A density with respect to y, of y as floats have it: the mass that rounds to value, divided by the width of what
        rounds there (`tanhlut.distributions.likelihood`). It depends on value's number alone, so a stored action scores
        as it did when it was sampled, bit for bit; on and next to the bounds, where rounding gathers samples, it is
        finite, and so are its gradients. Of the tensor that `rsample` returned last the gradients are the pathwise
        ones, as in `rsample_and_log_prob`.

        Args:
            value: shape sample_shape + batch_shape. A cell of rounding is that of its dtype or of loc's, the coarser.

        Returns:
            Shape sample_shape + batch_shape, in the dtype to which value and loc promote.
        """
        if self._validate_args:
            self._validate_sample(value)
        log_prob, _ = log_likelihood(value, self.loc, self.scale, self.low, self.high)
        x = self.squash.source(value)
        if x is not None and differentiated(x):
            log_prob = straight_through(log_prob, self._path(x))
        return torch.where((value < self.low) | (value > self.high), -torch.inf, log_prob)

    def rsample_and_log_prob(self, sample_shape: Size | tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """A sample and its log_prob, for losses that differentiate through both, as SAC's does.

        log_prob is bit for bit `log_prob(sample)` from storage. Its gradient is the pathwise one, that of the density
        at the x that made the sample, which loses nothing where the sample saturates.

        Returns:
            Both of shape sample_shape + batch_shape.
        """
        sample = self.rsample(torch.Size(sample_shape))
        x = cast(Tensor, self.squash.source(sample))
        return sample, straight_through(self.log_prob(sample.detach()), self._path(x))

    def _path(self, x: Tensor) -> Tensor:
        """The log density at squash(x) as a function of x."""
        x, loc, scale = (wide(part) for part in (x, self.loc, self.scale))
        z = (x - loc) / scale
        return -0.5 * z * z - torch.log(scale) - Squash(wide(self.low), wide(self.high)).log_abs_det_jacobian(x, x)

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


def refuse_overflow(dtype: torch.dtype, **numbers: Any) -> None:
    """ValueError for a finite number, other than a tensor, that is infinite in this dtype."""
    most = torch.finfo(dtype).max
    for name, number in numbers.items():
        if not isinstance(number, Tensor) and most < abs(number) < math.inf:
            raise ValueError(f"{name} = {number} does not fit {dtype}: give at most {most:.3g}, or float64 tensors")


@register_kl(TanhNormal, TanhNormal)  # type: ignore[untyped-decorator]
def _kl(p: TanhNormal, q: TanhNormal) -> Tensor:
    if p.squash != q.squash:
        raise NotImplementedError(
            f"KL between TanhNormals on [{p.low}, {p.high}] and [{q.low}, {q.high}] is unknown: give equal bounds"
        )
    return kl_divergence(p.base_dist, q.base_dist)
