"""Mean, variance and entropy of tanh X, X ~ Normal(loc, scale²): no closed form, so deterministic quadrature.

Three expectations serve all of them: E[tanh X], Var[tanh X] and E[log cosh X] (the entropy of tanh X is that of X less
twice the last). They are even or odd in loc, so m = |loc|. Two rules meet at scale = SEAM:

    narrow  the trapezoidal rule in z = (x − loc)/scale. It converges geometrically for functions analytic in a strip
            (Trefethen and Weideman, SIAM Review 56, 2014); the poles of tanh lie π/(2·scale) from the real axis.
    wide    what is left of each function beside its asymptote (±1, or |x|), whose expectation is known in closed form:
            it decays like exp(−2|x|), so Gauss-Legendre on a half-line that ends where it vanishes, with the Gaussian
            as a smooth weight.

Each is written so that nothing cancels: the variance keeps its relative accuracy where scale → 0 and where |loc| is
large. Sums of fixed length, differentiable by autograd as often as one likes. Largest error seen against mpmath, for
scale from 1e-4 to 1e4 and |loc| up to 30 (tests/distributions/test_quadrature.py repeats it):

                                           float64, 96 nodes    float32, 32 nodes
    mean, absolute                         1.2e-15              6.7e-8
    variance, relative, where > 1e-15      6.7e-14              1.1e-5
    variance, absolute                     2.7e-14              1.6e-7
    E[log cosh X], relative to 1 + itself  1.2e-14              1.1e-7
"""

import math

import numpy as np
import torch
from torch import Tensor

from tanhlut.methods import compute_dtype
from tanhlut.tracing import apart, traced

SEAM = 1.0

# Nodes of either rule, reach of the narrow one in standard deviations, end of the wide one's half-line.
_NODES = {torch.float32: 32, torch.float64: 96}
_REACH = {torch.float32: 7.2, torch.float64: 11.0}
_END = {torch.float32: 10.0, torch.float64: 20.0}


def mean(loc: Tensor, scale: Tensor) -> Tensor:
    """E[tanh X], within [−1, 1]; broadcast shape, dtype of loc (half precision computed in float32)."""
    m, scale_ = _fold(loc, scale)
    offset, weight = _narrow(m, scale_)
    narrow = torch.tanh(m.squeeze(-1)) + (weight * offset).sum(-1)
    return (torch.where(_is_narrow(scale_), narrow, 1.0 - _wide_complements(m, scale_)[0]) * _sign(loc)).to(loc.dtype)


def variance(loc: Tensor, scale: Tensor) -> Tensor:
    """Var[tanh X], within [0, 1]; shape and dtype as `mean`."""
    m, scale_ = _fold(loc, scale)
    offset, weight = _narrow(m, scale_)
    narrow = (weight * offset * offset).sum(-1) - (weight * offset).sum(-1).square()
    first, second = _wide_complements(m, scale_)
    return torch.where(_is_narrow(scale_), narrow, second - first * first).to(loc.dtype)


def expected_log_cosh(loc: Tensor, scale: Tensor) -> Tensor:
    """E[log cosh X] ≥ 0; shape and dtype as `mean`."""
    m, scale_ = _fold(loc, scale)
    z, weight = _on_device(m.dtype, m.device, narrow=True)
    narrow = (weight * log_cosh(m + scale_.clamp(max=SEAM) * z)).sum(-1)
    x, toward, away = _wide(m, scale_)
    m, sigma = m.squeeze(-1), scale_.clamp(min=SEAM).squeeze(-1)
    u = m / (math.sqrt(2.0) * sigma)
    folded = sigma * math.sqrt(2.0 / math.pi) * torch.exp(-u * u) + m * torch.erf(u)  # E|X|
    wide = folded - math.log(2.0) + (torch.log1p(torch.exp(-2.0 * x)) * (toward + away)).sum(-1)
    return torch.where(_is_narrow(scale_), narrow, wide).to(loc.dtype)


def entropy(loc: Tensor, scale: Tensor) -> Tensor:
    """H(tanh X) = ½·log(2πe·scale²) − 2·E log cosh X; shape and dtype as `mean`; −inf at infinite loc or scale."""
    normal = 0.5 * math.log(2.0 * math.pi * math.e) + torch.log(scale.to(compute_dtype(loc.dtype)))
    found = normal - 2.0 * expected_log_cosh(loc, scale)
    invalid = loc.isnan() | scale.isnan() | (scale < 0.0)
    return torch.where((loc.isinf() | scale.isinf()) & ~invalid, -torch.inf, found).to(loc.dtype)


def log_cosh(x: Tensor) -> Tensor:
    """log cosh x = |x| + log((1 + exp(−2|x|))/2), below 1 as ½·log1p(sinh² x), which keeps small x."""
    small = 0.5 * torch.log1p(torch.sinh(x.clamp(-1.0, 1.0)).square())
    a = x.abs()
    return torch.where(a < 1.0, small, a + torch.log1p(torch.exp(-2.0 * a)) - math.log(2.0))


def _fold(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """(|loc|, scale) with a last dimension for the nodes; NaN where scale < 0."""
    loc, scale = torch.broadcast_tensors(loc, scale)
    dtype = compute_dtype(loc.dtype)
    scale = torch.where(scale >= 0, scale, torch.nan)
    m = loc.to(dtype) * _sign(loc)  # unlike abs, with a derivative at 0
    return m.unsqueeze(-1), scale.to(dtype).unsqueeze(-1)


def _sign(loc: Tensor) -> Tensor:
    return torch.where(torch.signbit(loc), -1.0, 1.0).to(compute_dtype(loc.dtype))


def _is_narrow(scale: Tensor) -> Tensor:
    return scale.squeeze(-1) <= SEAM


def _narrow(m: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """tanh(m + d) − tanh m = sinh d/(cosh m·cosh(m + d)) at the nodes d, and the nodes' weights.

    In exponentials of −2m, m ≥ 0, so that nothing overflows and small d and large m keep their digits.
    """
    z, weight = _on_device(m.dtype, m.device, narrow=True)
    d = scale.clamp(max=SEAM) * z
    e = torch.exp(-2.0 * m)
    return 2.0 * e * -torch.expm1(-2.0 * d) / ((1.0 + e) * (1.0 + torch.exp(-2.0 * (m + d)))), weight


def _wide(m: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes x > 0, and at them the weighted densities of X at x and at −x."""
    x, weight = _on_device(m.dtype, m.device, narrow=False)
    sigma = scale.clamp(min=SEAM)
    weight = weight / (math.sqrt(2.0 * math.pi) * sigma)
    return x, weight * torch.exp(-0.5 * ((x - m) / sigma) ** 2), weight * torch.exp(-0.5 * ((x + m) / sigma) ** 2)


def _wide_complements(m: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """E[1 − tanh X] and E[(1 − tanh X)²]; Var[tanh X] from these does not cancel where m is large.

    With r = 1 − tanh x at x > 0, the two are r and r² there, and 2 − r and 4 − (4 − r)·r at −x.
    """
    x, toward, away = _wide(m, scale)
    e = torch.exp(-2.0 * x)
    r = 2.0 * e / (1.0 + e)
    negative = torch.erfc(m / (math.sqrt(2.0) * scale.clamp(min=SEAM))).squeeze(-1)  # 2·P(X < 0)
    first = negative + (r * (toward - away)).sum(-1)
    return first, 2.0 * negative + (r * r * toward - r * (4.0 - r) * away).sum(-1)


def _rule(dtype: torch.dtype, narrow: bool) -> tuple[list[float], list[float]]:
    count = _NODES[dtype]
    if narrow:
        z = np.linspace(-_REACH[dtype], _REACH[dtype], count)
        density = np.exp(-0.5 * z * z)
        return z.tolist(), (density / density.sum()).tolist()
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = 0.5 * _END[dtype]
    return (half * (nodes + 1.0)).tolist(), (half * weights).tolist()


_RULES = {(dtype, narrow): _rule(dtype, narrow) for dtype in _NODES for narrow in (True, False)}


_kept: dict[tuple[torch.dtype, torch.device, bool], tuple[Tensor, Tensor]] = {}


def _on_device(dtype: torch.dtype, device: torch.device, narrow: bool) -> tuple[Tensor, Tensor]:
    """Nodes and weights. Kept, since a copy to the device could not be captured in a CUDA graph."""
    if traced():
        return _tensors(dtype, device, narrow)
    kept = _kept.get((dtype, device, narrow))
    if kept is None:
        kept = _kept[dtype, device, narrow] = apart(lambda: _tensors(dtype, device, narrow))
    return kept


def _tensors(dtype: torch.dtype, device: torch.device, narrow: bool) -> tuple[Tensor, Tensor]:
    nodes, weights = _RULES[dtype, narrow]
    return torch.tensor(nodes, dtype=dtype, device=device), torch.tensor(weights, dtype=dtype, device=device)
