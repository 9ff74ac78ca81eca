"""Every stored node value against the mode it claims to be: fast by float64 sign changes, or by 128-bit balls."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tablegen.verify.boxes import Array, mode_at
from tablegen.verify.cells import exact_delta
from tanhlut.certificate import EXCESS_ERROR
from tanhlut.errors import require

BALL_BITS = 128


class NodeProof(NamedTuple):
    """The largest proven |stored value − mode| over the nodes, where, and how many are not the rounded mode.

    A value is the rounded mode if it lies within half a float32 spacing of it; nodes where both neighbours are equally
    near to float64 accuracy count as rounded. `balls` counts the nodes that ball arithmetic proved as well.
    """

    error: float
    loc: float
    scale: float
    wrong: int
    balls: int


def prove_nodes(loc: Array, scale: Array, values: NDArray[np.float32], paranoid: bool) -> NodeProof:
    """Enclose the mode at every node, and measure the stored values against it.

    Raises:
        ArithmeticError: paranoid, and ball arithmetic contradicts a float64 enclosure or cannot decide one.
    """
    low, high = mode_at(loc[:, None], exact_delta(scale)[None, :], EXCESS_ERROR)
    stored = values.astype(np.float64)
    off = np.maximum(stored - low, high - stored)
    # The spacing above a value is that of its binade; below a power of two it is half, which only makes this laxer.
    allowed = 0.5 * np.spacing(values).astype(np.float64) * (1.0 + 1e-6)
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    balls = _prove_with_balls(loc, scale, low, high) if paranoid else 0
    wrong = int((~(off <= allowed + (high - low))).sum())
    return NodeProof(float(off[i, j]), float(loc[i]), float(scale[j]), wrong, balls)


def _prove_with_balls(loc: Array, scale: Array, low: Array, high: Array) -> int:
    """G(lo) ≤ 0 ≤ G(hi), G(y) = artanh y − y − δ·y − m, in balls of BALL_BITS bits, δ from the scale itself."""
    flint = require("flint", "paranoid")
    arb, ctx = flint.arb, flint.ctx
    previous = ctx.prec
    ctx.prec = BALL_BITS
    try:
        for j, sigma in enumerate(scale.tolist()):
            delta = 2 * arb(sigma) * arb(sigma) - 1
            rises = bool(delta > 0)
            for i, m in enumerate(loc.tolist()):
                if m == 0.0 and not rises:
                    continue  # the mode vanishes with m, and both ends are 0
                lo, hi = arb(float(low[i, j])), arb(float(high[i, j]))
                if not (low[i, j] == 0.0 or lo.atanh() - lo - delta * lo < m):
                    raise ArithmeticError(f"the lower end {low[i, j]!r} at loc {m!r}, scale {sigma!r} is not proven")
                if not (high[i, j] == 1.0 or hi.atanh() - hi - delta * hi > m):
                    raise ArithmeticError(f"the upper end {high[i, j]!r} at loc {m!r}, scale {sigma!r} is not proven")
        return int(low.size)
    finally:
        ctx.prec = previous
