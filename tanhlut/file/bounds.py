"""What a table promises to cover."""

from typing import NamedTuple

import numpy as np
from torch import Tensor


class Bounds(NamedTuple):
    """|loc| ≤ loc_max and scale_min ≤ scale ≤ scale_max."""

    loc_max: float
    scale_min: float
    scale_max: float

    @property
    def whole_plane(self) -> bool:
        """Whether no query can fall outside (every loc, every scale ≥ 0)."""
        return self == WHOLE_PLANE

    @property
    def reach(self) -> "Bounds":
        """The widest bounds that a comparison lets in: it is made in the query's dtype, whose nearest number may lie
        beyond the bound. (No float32 lies between a bound and the float32 nearest to it.)"""
        with np.errstate(over="ignore"):
            loc_max, scale_min, scale_max = (float(np.float32(bound)) for bound in self)
        return Bounds(max(self.loc_max, loc_max), min(self.scale_min, scale_min), max(self.scale_max, scale_max))

    def contain(self, loc: Tensor, scale: Tensor) -> Tensor:
        """Element-wise: whether the table answers for (loc, scale); False for NaN."""
        return (loc.abs() <= self.loc_max) & (scale >= self.scale_min) & (scale <= self.scale_max)


WHOLE_PLANE = Bounds(float("inf"), 0.0, float("inf"))
