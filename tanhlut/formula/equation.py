"""The equation x = loc + s·tanh(x), s = 2·scale², and the conventions around it.

The one place where the mathematics lives. `element` is how kernels solve it, tested against it; here stands, in torch
operations, what no kernel computes. All functions are element-wise and branch-free, in the dtype of their arguments
(float32 or float64).

Notation, throughout the package:

    m = |loc|,  s = 2·scale²,  δ = s − 1        the folded problem, m ≥ 0
    x ≥ 0, y = tanh x                           the largest root of h(x) = x − m − s·tanh x, and the mode
    D = h'(x) = 1 − s·(1 − y²) > 0              zero only at the cusp m = δ = 0

h is convex on x > 0 with h(0) = −m ≤ 0, so the positive root is unique for m > 0. Stationarity of the log-density
−(x − loc)²/s + 2·log cosh x of y = tanh x gives the equation; the implicit function theorem gives

    ∂y/∂loc = (1 − y²)/D,    ∂y/∂scale = 4·scale·y·(1 − y²)/D.

Near the cusp tanh x ≈ x − x³/3 makes c³ = 3δc + 3m of it. With w = ∛(3m), a = 3|δ|,

    c² ≈ a + w³/√(w² + a)  where δ > 0,    c ≈ w³/(a + w⁴/(w² + 2a/3))  where δ ≤ 0,

have the root's limits at w → 0 and a → 0 on each side of δ = 0, and are within 10 % of the root (measured; it depends
on a/w² alone). y = c/√(1 + c²) squashes c into [0, 1): the start of every method without a table or network.
"""

import torch
from torch import Tensor

from tanhlut.formula import tensors
from tanhlut.formula.excess import excess


def residual(x: Tensor, m: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """h(x) = x − m − s·tanh x and D = h'(x), written without cancellation at the cusp.

    x − s·tanh x = (x − tanh x) − δ·tanh x, and D = tanh² x − δ·(1 − tanh² x).
    """
    near, tanh, slope, gap = tensors.of(x).tanh_parts(x)
    return torch.where(near, gap, x - tanh) - (delta * tanh + m), tanh * tanh - delta * slope


def pre_tanh(y: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """x with tanh x = y, the mode: the equation itself, accurate also where tanh saturates."""
    return loc + 2.0 * scale * scale * y


def partials(y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """(∂y/∂loc, ∂y/∂scale) of the mode from its own value y, by the implicit function theorem (module docstring).

    D is written y² − δ·(1 − y²), which does not cancel on this branch. Saturated elements have derivative 0.
    """
    scale = scale.clamp(max=tensors.of(scale).SCALE_SATURATION)
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
