"""The likelihood of a squashed Gaussian's value as floats have it: near the bounds, the mass that rounds to it.

Floats next to a bound are far apart in x: in float32 all of x > 9.01 is 1. What is stored is y, so the likelihood must
be a function of y and the parameters alone; but no one x stands for the whole cell [a, b] that rounds to y: the density
there has gradients of the order of 1/scale² that the distribution has not. The likelihood is therefore one of

    density    φ(z)/scale·dx/dy, z = (x − loc)/scale, at the preimage x of y: where the cell is narrow
    mass       (Φ((b − loc)/scale) − Φ((a − loc)/scale))/(width of the cell in y): within FLOATS of a bound, and where
               the cell's half-width k in standard deviations is not small. Of a cell that holds a bound, b = ∞

Both are densities with respect to y; log mass − log density is k²(z² − 1)/6 + O(k⁴z⁴) and a term of y alone, at most
1/(12·FLOATS²) = 3.3e-4. From k = BLEND to twice that the one passes into the other, so that no seam shows. No
log-likelihood is off by more than 4e-4·(1 + itself) from that of the mass, no gradient by more than 4e-4 of the largest
that the distribution has there.

The mass is a difference of tails by erfcx, relatively accurate however far out but for cancellation, ε/k. Below k =
NARROW, with z in the cell's middle and w = k·z, it is φ(z)·2k·exp(log(sinh w/w) − k²/6), off by 0.02·k⁴(1 + z²).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tanhlut.affine import half_width, middle
from tanhlut.distributions.squash import NEAR, artanh, wide
from tanhlut.tracing import traced, transformed

FLOATS = 16.0
BLEND = 2.0**-7
NARROW = {torch.float32: 2.0**-5, torch.float64: 2.0**-10}

# By how much torch's tanh errs beyond its rounding, in epsilons; measured on CPUs, 0.513 units in the last place.
TANH = 2.0**-7

# What x ↦ y ↦ x may err relatively to the distance of y from the nearest bound and from the middle, in epsilons.
_SLACK = 16.0


def log_likelihood(
    value: Tensor,
    loc: Tensor,
    scale: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    reach: float = 1.0,
    blur: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """log_prob of value under low + (high − low)·(tanh X + 1)/2, X ~ Normal(loc, scale²), element-wise.

    Beside it the weight of the mass in it, from 0, where it is the density, to 1.

    The same bits for the same numbers, whatever tensor holds them. Never −inf: where the likelihood is less than floats
    can say, their lowest; a value outside the bounds counts as the bound. NaN for NaN, scale < 0 and low ≥ high.

    Args:
        value, loc, scale, low, high: tensors that broadcast. A cell is that of the coarser dtype, of value or of loc.
        reach: where samples are clamped, as a fraction of the way from the middle to the bounds.
        blur: by how much samples may be off besides their own rounding, as a fraction of (high − low)/2.
    """
    value = value if value.is_floating_point() else value.to(loc.dtype)
    kind = min(value.dtype, loc.dtype, key=lambda dtype: -torch.finfo(dtype).eps)
    out = torch.promote_types(value.dtype, loc.dtype)
    y, loc, scale, low, high = (wide(part) for part in (value, loc, scale, low, high))
    limits = torch.finfo(y.dtype)
    least = 2.0**10 * limits.max**-0.5  # (x/scale)² and x/scale² stay finite; all the mass is in one cell long before
    scale = torch.where(scale < 0.0, torch.nan, scale.clamp(min=least))

    # Lengths in y are halved, lest high − low overflow. The distances to the bounds are exact near them.
    half, centre = half_width(low, high), middle(low, high)
    half = torch.where((half > 0) & (half < torch.inf), half, torch.nan)
    if reach < 1.0:
        y = torch.maximum(torch.minimum(y, centre + reach * half), centre - reach * half)
    y = torch.maximum(torch.minimum(y, high), low)
    below, above, off = 0.5 * y - 0.5 * low, 0.5 * high - 0.5 * y, 0.5 * y - 0.5 * centre
    slack = torch.minimum(torch.minimum(below, above), off.abs()) * (_SLACK * limits.eps)
    slack = (slack + 0.5 * blur * half).detach().clamp(min=limits.tiny)
    down, up = (step + slack for step in _half_steps(y.detach().to(kind), y.dtype))
    inset = (0.5 - 0.5 * reach) * half
    last = above <= up + inset
    first = (below <= down + inset) & last.logical_not()
    end = first | last
    near = end | (torch.minimum(below, above) < FLOATS * (down + up))
    log_width = math.log(2.0) + torch.log(
        torch.where(first, below.detach(), down) + torch.where(last, above.detach(), up)
    )

    u = 2.0 * off / half
    log_below, log_above = (torch.log(torch.where(end, half, part)) for part in (below, above))
    x = torch.where(u.abs() < NEAR, artanh(u.clamp(-NEAR, NEAR)), 0.5 * (log_below - log_above))
    log_dx_dy = torch.log(0.25 * half) - log_below - log_above
    log_scale = torch.log(scale)
    density = _log_normal(torch.where(end, 0.0, x - loc) / scale) + log_dx_dy - log_scale
    weight = (torch.exp(log_width + log_dx_dy - log_scale) / (2.0 * BLEND) - 1.0).clamp(0.0, 1.0)
    weight = torch.where(near, 1.0, weight)
    if not (traced() or transformed() or y.device.type != "cpu" or (weight > 0).any()):
        return density.clamp(min=torch.finfo(out).min).to(out), weight  # a shortcut: the same bits as below

    left = _reach(down, below, above, half, end)
    right = _reach(up, above, below, half, end)
    sides = torch.where(last, below - down, below + up), torch.where(last, above + down, above - up)
    edge = 0.5 * (torch.log(sides[0].clamp(min=limits.tiny)) - torch.log(sides[1].clamp(min=limits.tiny)))
    z = (torch.where(end, edge, x + 0.5 * (right - left)) - loc) / scale
    k = 0.5 * (left + right) / scale
    thin = end.logical_not() & (k < NARROW[y.dtype])
    mass = torch.where(
        thin,
        torch.log(left + right) - log_scale + _log_thin(z, torch.where(thin, k, 0.0)),
        _log_mass(z, torch.where(thin | end, 1.0, k), first, last),
    )
    mass = mass - log_width
    result = torch.where(weight < 1.0, torch.lerp(density, mass, weight), mass)
    return result.clamp(min=torch.finfo(out).min).to(out), weight


def _half_steps(y: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Half of the distances from y to the floats below and above, halved once more."""
    centre = y.to(dtype)
    if y.dtype in (torch.float16, torch.bfloat16):  # not every device has their nextafter
        limits = torch.finfo(y.dtype)
        step = 0.51 * (limits.eps * centre.abs()).clamp(min=limits.eps * limits.tiny)  # rounds to one float
        down, up = (centre - step).to(y.dtype), (centre + step).to(y.dtype)
    else:
        limit = torch.full_like(y, torch.inf)
        down, up = torch.nextafter(y, -limit), torch.nextafter(y, limit)
    return 0.25 * (centre - down.to(dtype)), 0.25 * (up.to(dtype) - centre)


def _reach(step: Tensor, before: Tensor, behind: Tensor, half: Tensor, end: Tensor) -> Tensor:
    """How far x moves while y goes `step` towards the bound `before` it, away from that `behind` it; 1 at an end."""
    before, behind = torch.where(end, half, before), torch.where(end, half, behind)
    step = torch.where(end, 0.5 * half, step)
    return 0.5 * torch.log1p(step / (before - step) * (half / behind))


def _log_normal(z: Tensor) -> Tensor:
    return -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)


def _log_thin(z: Tensor, k: Tensor) -> Tensor:
    """log P(|Z − z| < k)/(2k) of a standard normal Z, small k; its log(sinh w/w) to what matters beside z²/2."""
    w = k * z
    q = (w * w).clamp(max=0.25)
    series = q * (1.0 / 6.0 + q * (-1.0 / 180.0 + q * (1.0 / 2835.0 - q / 37800.0)))
    a = w.abs().clamp(min=0.5)
    log_sinhc = torch.where(w.abs() < 0.5, series, a - torch.log(2.0 * a) + torch.log1p(-torch.exp(-2.0 * a)))
    return _log_normal(z) + log_sinhc - k * k / 6.0


def _log_mass(z: Tensor, k: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """log P(Z < z) at the first cell, log P(Z > z) at the last, log P(|Z − z| < k) between, Z standard normal."""
    end = first | last
    t = torch.where(z < 0, -z, z)
    inner = torch.where(end, torch.where(last, z, -z), t - k) / math.sqrt(2.0)
    outer = (t + k) / math.sqrt(2.0)
    # The cell on one side of loc: a difference of tails, their exponential taken out.
    tail = inner.clamp(min=0.0)
    rest = torch.where(end, 0.0, torch.exp(-2.0 * t * k) * torch.special.erfcx(outer))
    aside = -tail * tail + torch.log(0.5 * (torch.special.erfcx(tail) - rest))
    # About loc: all but the tails.
    tails = torch.erfc((-inner).clamp(min=0.0)) + torch.where(end, 0.0, torch.erfc(outer))
    return torch.where(inner > 0, aside, torch.log1p(-0.5 * tails))


def with_mass(
    other: Callable[[Tensor], Tensor], value: Tensor, parts: Tensor, weight: Tensor, events: int, inside: Tensor
) -> Tensor:
    """other(value), the log_prob of someone else's density, summed over the last `events` dimensions; where one of its
    elements is a mass, by `weight`, the sum of `parts` instead.

    `other` never sees such elements, at which it may not be finite: it is given a value `inside` the bounds for them.
    """
    massive = weight > 0
    result = other(torch.where(massive, inside.to(value.dtype), value))
    for _ in range(events):
        parts, massive = parts.sum(-1), massive.any(-1)
    return torch.where(massive, parts, result)


def straight_through(value: Tensor, path: Tensor) -> Tensor:
    """`value` with the derivatives of `path`, which may be in a wider dtype, or not finite."""
    step = torch.where(path.isfinite(), path - path.detach(), 0.0)
    return value.detach() + step.to(value.dtype)
