"""Pyro: TanhNormal as a Pyro distribution. Tested with pyro-ppl 1.9.1 and 1.9.2."""

from typing import Any, cast

from tanhlut.distributions import tanh_normal as distribution
from tanhlut.errors import require

require("pyro", "pyro")
from pyro.distributions.torch_distribution import TorchDistributionMixin  # noqa: E402


class TanhNormal(distribution.TanhNormal, TorchDistributionMixin):
    """`tanhlut.TanhNormal` for pyro.sample, with to_event, mask, expand_by and the like."""

    def expand(self, batch_shape: Any, _instance: Any = None) -> "TanhNormal":
        return cast("TanhNormal", super().expand(batch_shape, self._get_checked_instance(TanhNormal, _instance)))
