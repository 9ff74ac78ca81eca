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

import torch
from torch import Tensor

from tanhlut.formula import tensors
from tanhlut.formula.nodes import rule
from tanhlut.methods import compute_dtype
from tanhlut.tracing import apart, traced


def mean(loc: Tensor, scale: Tensor) -> Tensor:
    """E[tanh X], within [−1, 1]; broadcast shape, dtype of loc (half precision computed in float32)."""
    m, scale_ = _fold(loc, scale)
    found: Tensor = tensors.of(m).integrated_mean(m, scale_, *_rules(m))
    return (found * _sign(loc)).to(loc.dtype)


def variance(loc: Tensor, scale: Tensor) -> Tensor:
    """Var[tanh X], within [0, 1]; shape and dtype as `mean`."""
    m, scale_ = _fold(loc, scale)
    found: Tensor = tensors.of(m).integrated_variance(m, scale_, *_rules(m))
    return found.to(loc.dtype)


def expected_log_cosh(loc: Tensor, scale: Tensor) -> Tensor:
    """E[log cosh X] ≥ 0; shape and dtype as `mean`."""
    m, scale_ = _fold(loc, scale)
    found: Tensor = tensors.of(m).integrated_log_cosh(m, scale_, *_rules(m))
    return found.to(loc.dtype)


def entropy(loc: Tensor, scale: Tensor) -> Tensor:
    """H(tanh X) = ½·log(2πe·scale²) − 2·E log cosh X; shape and dtype as `mean`; −inf at infinite loc or scale."""
    wide = scale.to(compute_dtype(loc.dtype))
    found: Tensor = tensors.of(wide).integrated_entropy(expected_log_cosh(loc, scale), loc, wide)
    return found.to(loc.dtype)


def log_cosh(x: Tensor) -> Tensor:
    """log cosh x, float32 or float64 (`formula.quadrature`)."""
    found: Tensor = tensors.of(x).log_cosh(x)
    return found


def _fold(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """(|loc|, scale) with a last dimension for the nodes; NaN where scale < 0."""
    loc, scale = torch.broadcast_tensors(loc, scale)
    dtype = compute_dtype(loc.dtype)
    scale = torch.where(scale >= 0, scale, torch.nan)
    m = loc.to(dtype) * _sign(loc)  # unlike abs, with a derivative at 0
    return m.unsqueeze(-1), scale.to(dtype).unsqueeze(-1)


def _sign(loc: Tensor) -> Tensor:
    return torch.where(torch.signbit(loc), -1.0, 1.0).to(compute_dtype(loc.dtype))


_kept: dict[tuple[torch.dtype, torch.device, bool], tuple[Tensor, Tensor]] = {}


def _rules(m: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return _on_device(m.dtype, m.device, narrow=True), _on_device(m.dtype, m.device, narrow=False)


def _on_device(dtype: torch.dtype, device: torch.device, narrow: bool) -> tuple[Tensor, Tensor]:
    """Nodes and weights. Kept, since a copy to the device could not be captured in a CUDA graph."""
    if traced():
        return _tensors(dtype, device, narrow)
    kept = _kept.get((dtype, device, narrow))
    if kept is None:
        kept = _kept[dtype, device, narrow] = apart(lambda: _tensors(dtype, device, narrow))
    return kept


def _tensors(dtype: torch.dtype, device: torch.device, narrow: bool) -> tuple[Tensor, Tensor]:
    nodes, weights = rule(str(dtype).removeprefix("torch."), narrow)
    return torch.tensor(nodes, dtype=dtype, device=device), torch.tensor(weights, dtype=dtype, device=device)
