"""The equation x = loc + s·tanh(x), s = 2·scale², and the conventions around it.

The one place where the mathematics lives. `element` is how kernels solve it, tested against it; here stands, in torch
operations, what no kernel computes, in part by the text `derived`. All functions are element-wise and branch-free, in
the dtype of their arguments (float32 or float64).

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


def residual(x: Tensor, m: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """h(x) = x − m − s·tanh x and D = h'(x), written without cancellation at the cusp.

    x − s·tanh x = (x − tanh x) − δ·tanh x, and D = tanh² x − δ·(1 − tanh² x).
    """
    near, tanh, slope, gap = tensors.of(x).tanh_parts(x)
    return torch.where(near, gap, x - tanh) - (delta * tanh + m), tanh * tanh - delta * slope


def pre_tanh(y: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """x with tanh x = y, the mode (`derived.pre_tanh`)."""
    return tensors.of(y).pre_tanh(y, loc, scale)  # type: ignore[no-any-return]


def partials(y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """(∂y/∂loc, ∂y/∂scale) of the mode from its own value y (`derived.partials`)."""
    return tensors.of(scale).partials(y, scale)  # type: ignore[no-any-return]


def is_bimodal(loc: Tensor, scale: Tensor) -> Tensor:
    """Whether the density has two peaks (`derived.is_bimodal`); in float64 whatever the input."""
    return tensors.DOUBLE.is_bimodal(loc.double(), scale.double())  # type: ignore[no-any-return]
