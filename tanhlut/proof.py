"""`certify`: a proven bound of |value − mode| for any value from anywhere; `certificate` says why it is one."""

from typing import Any

import torch

from tanhlut.arrays import ArrayLike, unify_for_proof
from tanhlut.certificate import enclose_mode


@torch.no_grad()
def certify(loc: ArrayLike, scale: ArrayLike, value: ArrayLike) -> Any:
    """A rigorous upper bound of |value − mode(loc, scale)|, the mode being that for bounds (−1, 1).

    Args:
        loc, scale: as for `tanhlut.mode`; the numbers given are taken as exact. The sign bit of loc says which of two
            tied peaks is meant at loc = ±0.0.
        value: the answer to judge, of the same kind: any number, also on the wrong side or outside [−1, 1].

    Returns:
        The bound, in float64 whatever the arguments' dtype; torch for torch, NumPy for NumPy, float for floats. On
        2 million values measured, it exceeds the true distance by at most 14·2^-53·|mode|: a ratio below 2.5 for
        whatever is wrong by more than 8.3e-16·|mode|, below 1.2 from 1e-14·|mode| on. NaN where an argument is NaN or
        scale < 0.

    Raises:
        TypeError, ValueError: as `tanhlut.mode` does for kinds, dtypes, shapes and devices; ValueError for tensors on
            device meta.
    """
    (loc_, scale_, value_), restore = unify_for_proof(loc, scale, value)
    low, high = enclose_mode(loc_.abs(), scale_)
    folded = value_ * torch.copysign(torch.ones_like(loc_), loc_)
    # One rounding each of the difference and of the product: 4 units of 2^-53 cover them.
    distance = torch.maximum(folded - low, high - folded) * (1.0 + 2.0**-51)
    return restore(distance)
