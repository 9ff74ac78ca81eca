"""δ = 2·scale² − 1 without cancellation, for tensors; machines with fma have it in one rounding (`bits`)."""

import torch
from torch import Tensor

# 1/√2 as an unevaluated sum of a number of the dtype and its remainder.
SQRT_HALF = {
    torch.float32: (0.7071067690849304, 1.210161710447897e-08),
    torch.float64: (0.7071067811865476, -4.833646656726457e-17),
}


def excess(scale: Tensor) -> Tensor:
    """δ = 2·scale² − 1 to about two ulp, also where it cancels (scale near 1/√2).

    The factored form 2(scale − 1/√2)(scale + 1/√2) needs no fma and no wider type: the first difference is exact.
    """
    high, low = SQRT_HALF[scale.dtype]
    return 2.0 * ((scale - high) - low) * ((scale + high) + low)
