"""TorchRL: its TanhNormal with the true mode. Tested with torchrl 0.14.1."""

from numbers import Number
from typing import Any, Literal, cast

import torch
from torch import Tensor

from tanhlut import moments
from tanhlut.eager import Method
from tanhlut.errors import require
from tanhlut.lookup import mode

require("torchrl", "torchrl")
from torchrl.modules import TanhNormal as _TanhNormal  # noqa: E402

Deterministic = Literal["mode", "mean", "tanh_loc"]
_DETERMINISTIC = ("mode", "mean", "tanh_loc")


class TanhNormal(_TanhNormal):
    """torchrl.modules.TanhNormal whose `mode`, `get_mode()` and `deterministic_sample` are the true mode.

    All else is TorchRL's: arguments, `loc` after tanh_loc and upscale, sampling, log_prob, shapes. `mean`, which it
    leaves out, is a quadrature (`tanhlut.moments`), so that ExplorationType.MEAN no longer samples. The mode is
    bitwise `tanhlut.mode(self.loc, self.scale, low, high)`; where it rounds to a bound, log_prob is finite as long as
    safe_tanh is on.

    Args:
        deterministic: what `deterministic_sample`, hence ExplorationType.DETERMINISTIC, returns: ``"mode"``,
            ``"mean"`` or ``"tanh_loc"``, TorchRL's own. The last two are continuous in loc; the mode jumps at loc = 0.
        method: how the mode is computed, as in `tanhlut.mode`.
        others: those of torchrl.modules.TanhNormal.

    Raises:
        ValueError: `deterministic` is none of the three.
        RuntimeError: TorchRL's, for not low < high.
    """

    def __init__(
        self,
        loc: Tensor,
        scale: Any,
        upscale: Any = 5.0,
        low: Any = -1.0,
        high: Any = 1.0,
        event_dims: int | None = None,
        tanh_loc: bool = False,
        safe_tanh: bool = True,
        *,
        deterministic: Deterministic = "mode",
        method: Method = "refined",
    ) -> None:
        if deterministic not in _DETERMINISTIC:
            raise ValueError(f"deterministic {deterministic!r} is unknown: use one of 'mode', 'mean', 'tanh_loc'")
        self.deterministic, self.method = deterministic, method
        # Numbers take the quick road of `mode`; tensors are read from self.low and self.high, which TorchRL moves.
        numbers = isinstance(low, Number) and isinstance(high, Number)
        self._numbers = (float(low), float(high)) if numbers else None
        super().__init__(loc, scale, upscale, low, high, event_dims, tanh_loc, safe_tanh)

    @property
    def mode(self) -> Tensor:
        """The true mode, shape batch_shape + event_shape, differentiable."""
        low, high = self._numbers or (self.low.to(self.loc.dtype), self.high.to(self.loc.dtype))
        return cast(Tensor, mode(self.loc, self.scale, low, high, method=self.method))

    @property
    def mean(self) -> Tensor:
        """E[action], shape batch_shape + event_shape, differentiable: deterministic quadrature."""
        low, high = (bound.to(self.loc.dtype) for bound in (self.low, self.high))
        mean = 0.5 * (low + high) + 0.5 * (high - low) * moments.mean(self.loc, self.scale)
        return torch.maximum(torch.minimum(mean, high), low)

    @property
    def deterministic_sample(self) -> Tensor:
        """The mode, the mean or tanh(loc) in the bounds, as `deterministic` says."""
        if self.deterministic == "mode":
            return self.mode
        return self.mean if self.deterministic == "mean" else cast(Tensor, super().deterministic_sample)

    def get_mode(self) -> Tensor:
        """The true mode, detached as TorchRL's estimate of it is."""
        return self.mode.detach()
