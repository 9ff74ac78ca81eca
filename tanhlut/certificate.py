"""A proven enclosure of the mode, by a sign change of the equation: `tanhlut.certify` measures the distance to it.

In y = tanh x the equation x = m + s·tanh x of `equation` reads

    G(y) = A(y) − δ·y − m = 0,    A(y) = artanh y − y,    G'(y) = (y² − δ·(1 − y²))/(1 − y²).

A is convex, so G is, and G(0) = −m ≤ 0: on (0, 1) G is negative before the mode y* and positive after it, for every
m > 0, and in the limit m → 0+ too. Hence, whoever proposed them,

    G(lo) < 0  proves  lo < y*,        G(hi) > 0  proves  y* < hi,

at the cusp and at the jump like anywhere else. `enclose` finds such a pair a few ulp apart. A sign counts only if |G|
exceeds the bound of its own rounding error that is computed beside it.

Assumed: IEEE float64 with rounding to nearest, and torch.log within 2 ulp (measured: 0.5). Every other operation
here is correctly rounded. tanh, sqrt and log only propose starting points; nothing depends on their accuracy.
"""

import torch
from torch import Tensor

_U = 2.0**-53  # unit roundoff of float64
_TINY = 2.0**-1060  # more than all underflow errors of a residual together: each of about 40 is at most 2^-1074
_BELOW_ONE = 1.0 - _U  # the largest float64 below 1

# Beyond these, y* > 1 − 2e^-38: an enclosure for the clamped arguments, widened to end at 1, holds for all beyond.
_LOC_CLAMP, _SCALE_CLAMP = 20.0, 4.0

_NEWTON_STEPS = 9
_WIDENINGS = 10

# δ = 2·scale² − 1 by `excess` is within 2 units of _U of the exact number, relative.
EXCESS_ERROR = 2.0

# A(y) = A(c) + A(t) + c·y·t with t = (y − c)/(1 − c·y), by artanh's addition theorem: sums of positive terms only.
# With these centres t ≤ 0.53 for y < 0.9375; beyond, artanh y = log((1 + y)/(1 − y))/2 > 1.7 no longer cancels.
_CENTRES = ((0.5, 0.04930614433405485), (0.8125, 0.3218417706591822))  # (c, A(c))
_LOG_FROM = 0.9375
_LEVELS = 16  # of A(t)'s continued fraction; truncation at t = 0.53 below 1e-17 relative (mpmath)


def enclose_mode(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """(lo, hi), float64, with lo ≤ mode(loc, scale) ≤ hi for loc ≥ 0; NaN where an argument is NaN or scale < 0.

    The arguments' float64 numbers are taken as exact; loc = 0 means its limit from above.
    """
    beyond = (loc > _LOC_CLAMP) | (scale > _SCALE_CLAMP)
    scale = torch.where(scale >= 0, scale, torch.nan)
    low, high = enclose(loc.clamp(max=_LOC_CLAMP), excess(scale.clamp(max=_SCALE_CLAMP)), EXCESS_ERROR)
    return low, torch.where(beyond & ~torch.isnan(high), 1.0, high)


def enclose(m: Tensor, delta: Tensor, delta_error: float = 0.0) -> tuple[Tensor, Tensor]:
    """(lo, hi) around the largest root y* of G for 0 ≤ m, −1 ≤ δ, proven by its sign; m = 0 means m → 0+.

    Args:
        m, delta: float64, broadcastable; exact but for `delta_error`, the relative error of delta in units of 2^-53.
    """
    m, delta = torch.broadcast_tensors(m, delta)
    y = _root(m, delta)
    residual, error, slope = _residual(y, m, delta, delta_error)
    # The sign is visible beyond error/G', and y is off by about as much; the last term is at least an ulp of y.
    radius = (torch.minimum(residual.abs(), error) + 1.05 * error) / slope.clamp(min=_TINY) + y * (2.0 * _U)
    low, high = torch.zeros_like(y), torch.ones_like(y)  # true whatever fails below
    low_open, high_open = torch.ones_like(m, dtype=torch.bool), torch.ones_like(m, dtype=torch.bool)
    for _ in range(_WIDENINGS):
        below, above = (y - radius).clamp(min=0.0), (y + radius).clamp(max=1.0)
        residual, error, _ = _residual(below, m, delta, delta_error)
        proven = low_open & (residual < -error)
        low, low_open = torch.where(proven, below, low), low_open & ~proven
        residual, error, _ = _residual(above, m, delta, delta_error)
        proven = high_open & ((residual > error) | (above == 1.0))
        high, high_open = torch.where(proven, above, high), high_open & ~proven
        radius = radius * 2.0
        if not bool((low_open | high_open).any()):
            break
    vanishing = (m == 0.0) & (delta <= 0.0)  # y* → 0 with m
    low, high = torch.where(vanishing, 0.0, low), torch.where(vanishing, 0.0, high)
    invalid = torch.isnan(m) | torch.isnan(delta)
    return torch.where(invalid, torch.nan, low), torch.where(invalid, torch.nan, high)


def gap(y: Tensor) -> Tensor:
    """A(y) = artanh y − y for 0 ≤ y < 1: within 8·2^-53 relative below 0.9375, 7·2^-53·artanh y above.

    Derivation of the 8, in units of 2^-53, first order: the fraction's w = z/(3 − T) carries 3.3 (z, the difference,
    the quotient, 0.3 through T), w/(1 − w) carries 5.7, the factor t makes it 6.7. With a centre, t carries up to 5.2
    (its denominator cancels to 0.238), c·y·t 7.2 and A(t) 22, weighted with their shares 0.51 and 0.07 of the sum, plus
    2 for the additions: 7.3. Of the 7: (1 + y)/(1 − y) carries 2, which moves the half logarithm by 1, less than 0.6 of
    itself; the logarithm adds 4 (two ulp) and the difference with y 1.
    """
    centre, offset = torch.zeros_like(y), torch.zeros_like(y)
    for c, value in _CENTRES:
        centre, offset = torch.where(y >= c, c, centre), torch.where(y >= c, value, offset)
    product = centre * y
    t = (y - centre) / (1.0 - product)
    z = t * t
    tail = torch.zeros_like(y)
    for k in range(_LEVELS, 1, -1):
        tail = k * k * z / ((2.0 * k + 1.0) - tail)
    w = z / (3.0 - tail)
    near = offset + (t * (w / (1.0 - w)) + product * t)
    far = 0.5 * torch.log((1.0 + y) / (1.0 - y)) - y
    return torch.where(y < _LOG_FROM, near, far)


def _residual(y: Tensor, m: Tensor, delta: Tensor, delta_error: float) -> tuple[Tensor, Tensor, Tensor]:
    """G(y), a bound of its rounding error, and G'(y) roughly."""
    a, linear = gap(y), delta * y
    # Units of _U: A as derived there; δ·y its factor δ and one rounding; one for δ·y + m and one for the difference.
    in_gap = torch.where(y < _LOG_FROM, 8.0 * a, 7.0 * (a + y))
    total = linear + m
    residual = a - total
    error = in_gap + (delta_error + 1.0) * linear.abs() + total.abs() + residual.abs()
    q = (1.0 - y) * (1.0 + y)
    return residual, error * (_U * (1.0 + 1e-6)) + _TINY, (y * y - delta * q) / q


def _root(m: Tensor, delta: Tensor) -> Tensor:
    """A float64 near y*: Newton on the convex G from the right of y*, so it decreases to it.

    A(y) ≥ y³/3 puts y* below the root of y³/3 = δ·y + m, itself below √(3δ) + ∛(3m), and for δ < 0 below m/|δ|;
    also y* = tanh(m + s·y*) ≤ tanh(m + s).
    """
    root = torch.exp(torch.log(3.0 * m) / 3.0) * (1.0 + 1e-9)
    above = torch.sqrt(3.0 * delta.clamp(min=0.0)) + root
    cubic = torch.where(delta < 0, torch.minimum(root, m / -delta), above)
    y = torch.minimum(cubic, torch.tanh(m + (1.0 + delta))).clamp(max=_BELOW_ONE)
    for _ in range(_NEWTON_STEPS):
        q = (1.0 - y) * (1.0 + y)
        step = (gap(y) - (delta * y + m)) * q / (y * y - delta * q)
        y = torch.where(torch.isfinite(step), y - step, y).clamp(0.0, _BELOW_ONE)
    return y


def excess(scale: Tensor) -> Tensor:
    """δ = 2·scale² − 1 within 2 units of 2^-53, relative, for 0 ≤ scale ≤ 2^500.

    scale² is Dekker's exact sum of two floats.
    2·high − 1 is exact for 1/4 ≤ high ≤ 1 (Sterbenz); elsewhere |2·high − 1| > 1/2 and it costs one unit. The last sum
    costs one more.
    """
    split = scale * 134217729.0  # 2^27 + 1
    head = split - (split - scale)
    rest = scale - head
    high = scale * scale
    low = ((head * head - high) + 2.0 * head * rest) + rest * rest
    return (2.0 * high - 1.0) + 2.0 * low
