"""The equation x = loc + s·tanh(x), s = 2·scale², and the conventions around it.

The one place where the mathematics lives; every method and backend is built from it or tested against it.
All functions are element-wise, branch-free, plain torch operations in the dtype of their arguments (float32 or
float64), and use no operation whose CPU result depends on the position in a batch (`pow`, `sigmoid` and `exp2` do).

Notation, throughout the package:

    m = |loc|,  s = 2·scale²,  δ = s − 1        the folded problem, m ≥ 0
    x ≥ 0, y = tanh x                           the largest root of h(x) = x − m − s·tanh x, and the mode
    D = h'(x) = 1 − s·(1 − y²) > 0              zero only at the cusp m = δ = 0

h is convex on x > 0 with h(0) = −m ≤ 0, so the positive root is unique for m > 0. Stationarity of the log-density
−(x − loc)²/s + 2·log cosh x of y = tanh x gives the equation; the implicit function theorem gives

    ∂y/∂loc = (1 − y²)/D,    ∂y/∂scale = 4·scale·y·(1 − y²)/D.
"""

import torch
from torch import Tensor

# At or beyond either bound the mode rounds to ±1 in float64 (x* > 19.07), hence in float32 too: clamping changes no
# result and keeps infinities out of the arithmetic.
LOC_SATURATION = 40.0
SCALE_SATURATION = 4.0

# 1/√2 as an unevaluated sum of a number of the dtype and its remainder.
_SQRT_HALF = {
    torch.float32: (0.7071067690849304, 1.210161710447897e-08),
    torch.float64: (0.7071067811865476, -4.833646656726457e-17),
}

# Below SEAM, x·coth x − 1 comes from its continued fraction z/(3 + z/(5 + z/(7 + …))), z = x², cut after the largest
# denominator below; above, from exp(−2x). Relative truncation error at the seam, where it is largest: 1.5e-8 for
# float32 (cut after 11), 1.3e-17 for float64 (19), measured with mpmath.
SEAM = 1.25
DENOMINATORS = {
    torch.float32: (11.0, 9.0, 7.0, 5.0, 3.0),
    torch.float64: (19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0),
}


def excess(scale: Tensor) -> Tensor:
    """δ = 2·scale² − 1 to about two ulp, also where it cancels (scale near 1/√2).

    The factored form 2(scale − 1/√2)(scale + 1/√2) needs no fma and no wider type: the first difference is exact.
    """
    high, low = _SQRT_HALF[scale.dtype]
    return 2.0 * ((scale - high) - low) * ((scale + high) + low)


def fold(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(m, s, δ) of the folded, saturated problem; NaN where loc or scale is NaN or scale < 0."""
    m = loc.abs().clamp(max=LOC_SATURATION)
    scale = torch.where(scale >= 0, scale, torch.nan).clamp(max=SCALE_SATURATION)
    return m, 2.0 * scale * scale, excess(scale)


def unfold(y: Tensor, loc: Tensor) -> Tensor:
    """Clip to [0, 1] and give loc's sign bit, so that mode(−loc) = −mode(loc) bitwise, ±0.0 included.

    Without copysign, which ONNX lacks; by a product, since some runtimes' Where loses the sign of zero.
    """
    negative = (loc < 0.0) | (1.0 / loc < 0.0)  # the second is for −0.0
    return y.clamp(0.0, 1.0) * torch.where(negative, -1.0, 1.0).to(y.dtype)  # torch.where makes default floats


def tanh_parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """tanh x, 1 − tanh² x and x − tanh x for x ≥ 0, each to a few ulp *relative* (no cancellation at either end)."""
    z = x * x
    r = torch.zeros_like(x)
    for k in DENOMINATORS[x.dtype]:
        r = z / (k + r)
    near_gap = x * (r / (1.0 + r))  # x − tanh x, since tanh x = x/(1 + r)
    near_tanh = x - near_gap
    e = torch.exp(-2.0 * x)
    complement = 2.0 * e / (1.0 + e)  # 1 − tanh x
    far_tanh = 1.0 - complement
    near = x <= SEAM
    tanh = torch.where(near, near_tanh, far_tanh)
    slope = torch.where(near, 1.0 - near_tanh, complement) * (1.0 + tanh)
    gap = torch.where(near, near_gap, x - far_tanh)
    return tanh, slope, gap


def residual(x: Tensor, m: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """h(x) = x − m − s·tanh x and D = h'(x), written without cancellation at the cusp.

    x − s·tanh x = (x − tanh x) − δ·tanh x, and D = tanh² x − δ·(1 − tanh² x).
    """
    tanh, slope, gap = tanh_parts(x)
    return gap - (delta * tanh + m), tanh * tanh - delta * slope


def cubic_root(m: Tensor, delta: Tensor) -> Tensor:
    """c near the positive root of c³ = 3δc + 3m, which tanh x ≈ x − x³/3 makes of the equation near the cusp.

    With w = ∛(3m), a = 3|δ| the closed form below has the root's limits at w → 0 and a → 0 on each side of δ = 0; it is
    within 10 % of the root (measured; it depends on a/w² alone).
    """
    a = 3.0 * delta.abs()
    cube = 3.0 * m
    w = torch.exp(torch.log(cube) / 3.0)
    w2 = w * w
    above = torch.sqrt(a + cube / torch.sqrt(w2 + a))
    below = cube / (a + w2 * w2 / (w2 + a * (2.0 / 3.0)))
    return torch.where(delta > 0, above, below)


def closed_form_start(m: Tensor, delta: Tensor) -> Tensor:
    """A first y, off by at most 0.21 absolute and 0.23 relative (measured, the worst being loc ≈ 1, scale → 0).

    y = c/√(1 + c²) squashes `cubic_root` into [0, 1).
    """
    c = cubic_root(m, delta)
    return c / torch.sqrt(1.0 + c * c)


def halley_step(y: Tensor, m: Tensor, s: Tensor, delta: Tensor) -> Tensor:
    """One Halley step on h from x = m + s·y; cubic, so an error e becomes about e³ (relative to y).

    Below the seam the residual is that of `residual`; above it h(m + s·y) = s·(y − tanh x), the form whose rounding
    does not grow with x. The step Δ is applied to tanh x by its second-order expansion, which keeps relative accuracy.
    """
    x = m + s * y
    t, slope, gap = tanh_parts(x)
    h = torch.where(x <= SEAM, gap - (delta * t + m), s * (y - t))
    d = t * t - delta * slope
    step = -h * d / (d * d - h * s * t * slope)
    return (t + slope * step * (1.0 - t * step)).clamp(0.0, 1.0)


def pre_tanh(y: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """x with tanh x = y, the mode: the equation itself, accurate also where tanh saturates."""
    return loc + 2.0 * scale * scale * y


def partials(y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """(∂y/∂loc, ∂y/∂scale) of the mode from its own value y, by the implicit function theorem (module docstring).

    D is written y² − δ·(1 − y²), which does not cancel on this branch. Saturated elements have derivative 0.
    """
    scale = scale.clamp(max=SCALE_SATURATION)
    slope = (1.0 - y) * (1.0 + y)
    by_loc = slope / (y * y - excess(scale) * slope)
    return by_loc, 4.0 * scale * y * by_loc


def is_bimodal(loc: Tensor, scale: Tensor) -> Tensor:
    """Whether the density has two peaks: s > 1 and m < m_c = s·v − artanh(v), v = √(δ/s), tanh of h's inflection.

    s·v − artanh v = v/(1 − v²) − artanh v = Σ_k v^(2k+1)·2k/(2k+1), summed below v² = 0.05 where the difference
    cancels (12 terms: 0.05^12 ≈ 2e-16 relative). In float64 whatever the input; NaN gives False.
    """
    m, scale = loc.abs().double(), scale.double().clamp(max=1e100)
    s, delta = 2.0 * scale * scale, excess(scale)
    v2 = torch.where(delta > 0, delta, 0.0) / s
    v = torch.sqrt(v2)
    series = torch.zeros_like(v)
    for k in range(12, 0, -1):
        series = v2 * (2.0 * k / (2 * k + 1) + series)
    limit = torch.where(v2 < 0.05, v * series, s * v - torch.log(torch.sqrt(s) * (1.0 + v)))
    return (scale > 0) & (delta > 0) & (m < limit)
