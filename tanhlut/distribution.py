"""TanhNormal: a torch distribution whose mode is the true one."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import AffineTransform, Normal, TanhTransform, TransformedDistribution, constraints

from tanhlut.eager import Method
from tanhlut.lookup import mode


class TanhNormal(TransformedDistribution):
    """Y = low + (high − low)·(tanh X + 1)/2, X ~ Normal(loc, scale²), element-wise.

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
        low, high = (torch.as_tensor(bound).to(base.loc) for bound in (low, high))
        validate = torch.distributions.Distribution._validate_args if validate_args is None else validate_args
        if validate and not (low < high).all():
            raise ValueError(f"low = {low}, high = {high}: give bounds with low < high")
        shape = torch.broadcast_shapes(base.batch_shape, low.shape, high.shape)
        self.low, self.high = low, high
        self.method, self.refine = method, refine
        squash = TanhTransform(cache_size=1)
        fit = AffineTransform(0.5 * low + 0.5 * high, 0.5 * high - 0.5 * low, cache_size=1)
        super().__init__(base.expand(shape), [squash, fit], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "TanhNormal":
        new = self._get_checked_instance(TanhNormal, _instance)
        new.low, new.high = self.low, self.high
        new.method, new.refine = self.method, self.refine
        return super().expand(batch_shape, _instance=new)  # type: ignore[no-any-return]

    @constraints.dependent_property(is_discrete=False)
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
    def mode(self) -> Tensor:
        """The true mode, shape batch_shape, differentiable; `tanhlut.mode` with the shipped table."""
        return mode(self.loc, self.scale, self.low, self.high, method=self.method, refine=self.refine)  # type: ignore[no-any-return]
