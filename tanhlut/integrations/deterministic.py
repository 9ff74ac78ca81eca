"""What a policy does when it is not to explore: the mode, the mean, or tanh(loc), which most libraries take."""

import torch
from torch import Tensor

from tanhlut.affine import to_bounds
from tanhlut.integrations.names import Deterministic
from tanhlut.lookup import mode
from tanhlut.methods import Method
from tanhlut.moments import mean


def action(
    deterministic: Deterministic,
    loc: Tensor,
    scale: Tensor,
    low: Tensor | float = -1.0,
    high: Tensor | float = 1.0,
    method: Method = "refined",
) -> Tensor:
    """The action of that name on [low, high], of tensors of one shape; differentiable. A tensor as bound broadcasts.

    The mean and tanh(loc) are continuous in loc; the mode jumps at loc = 0 where scale > 1/√2.
    """
    if deterministic == "mode":
        return mode(loc, scale, low, high, method=method)  # type: ignore[no-any-return]
    return mean(loc, scale, low, high) if deterministic == "mean" else to_bounds(torch.tanh(loc), low, high)
