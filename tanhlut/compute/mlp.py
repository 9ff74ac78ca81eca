"""The network in plain torch operations: a chart of the half-plane, a few small layers, an algebraic base.

For targets that gather badly. On raw (loc, scale) a small network stalls at 2e-2, since the mode has a cusp. The chart
takes the cusp away: replace tanh x by its Padé approximant x/(1 + x²/3), and the equation x = m + s·tanh x becomes

    X³ − m·X² − 3·δ·X − 3·m = 0,    p'(X) = X²·(2 − ρ) + 3·ρ > 0 at its largest root,    ρ = m/X ∈ [0, 1].

With u = v² = X²/(3 + X²), every (m ≥ 0, scale > 0) is one point of the unit square and back again:

    m = ρ·X,    s = (1 − ρ)/(1 − u),    δ = (u − ρ)/(1 − u),

where the mode is y = b·(1 + N(u, ρ)), b = X/√(1 + X²) = √3·v/√(1 + 2u): exact at X = 0 and, as both tend to 1, in the
tails, so that the network N only has to supply up to 11 % of it, smoothly. tanh x ≥ x/(1 + x²/3) puts X at or below x*.

Layers are a ← z/√(1 + z²), z = W·a + c. With this activation every operation but the start of the root search is
correctly rounded by IEEE 754, so the proof (tablegen.verify.network) rests on no library's tanh. Sums run over a tree
of element-wise additions, not through a matrix product, whose result depends on the size of the batch.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from tanhlut.formula import tensors
from tanhlut.tracing import traced

if TYPE_CHECKING:
    from tanhlut.file.network import Network

# Newton steps from √(m² + c²), which is within −14 % and +42 % of X: after 4 within 3e-10 relative, after 5 within
# 1e-15 (measured over the half-plane; tests/compute/test_mlp.py repeats it).
ROOT_STEPS = {torch.float32: 4, torch.float64: 5}

_BLOCK = 1 << 16  # elements at a time: the products of a layer of 8 take 256 bytes each


class Layers(NamedTuple):
    """A network ready for one dtype and device: for each layer weights (out, in, 1), biases (out, 1)."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]


class Chart(NamedTuple):
    """Where a query lies in the unit square, and the base b of its mode."""

    u: Tensor
    rho: Tensor
    base: Tensor


def layers_of(
    weights: Sequence[NDArray[Any]], biases: Sequence[NDArray[Any]], dtype: torch.dtype, device: torch.device
) -> Layers:
    """Arrays (out, in) and (out,) for each layer as `Layers`."""

    def move(array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array.copy()).to(device=device, dtype=dtype).unsqueeze(-1)

    return Layers(tuple(map(move, weights)), tuple(map(move, biases)))


def layers(network: "Network", dtype: torch.dtype, device: torch.device) -> Layers:
    """The network as tensors; made once for each pair."""
    made = network.forms((dtype, device), lambda: layers_of(network.weights, network.biases, dtype, device))
    return cast(Layers, made)


def evaluate(m: Tensor, s: Tensor, delta: Tensor, network: Layers) -> Tensor:
    """The network's mode for folded 1-d arguments (`element.fold`), ≥ 0 up to its error; exactly 1 when saturated."""
    if not traced() and m.numel() > _BLOCK:
        blocks = zip(m.split(_BLOCK), s.split(_BLOCK), delta.split(_BLOCK), strict=True)
        return torch.cat([evaluate(*block, network) for block in blocks])
    at = chart(m, delta)
    y = at.base * (1.0 + forward(at.u, at.rho, network))
    text = tensors.of(m)
    saturated = (m >= text.LOC_SATURATION) | (s >= 2.0 * text.SCALE_SATURATION**2)
    return torch.where(saturated & (y == y), 1.0, y)  # NaN stays


def chart(m: Tensor, delta: Tensor) -> Chart:
    """The unit square's (u, ρ) of (m, δ), and b. At m = 0 < −δ, where X = 0 and ρ no longer matters, ρ = 0."""
    p, q = tensors.of(m).cubic(m, delta)
    x = torch.sqrt(m * m + p * p / q)
    three_delta, three_m = 3.0 * delta, 3.0 * m
    for _ in range(ROOT_STEPS[m.dtype]):
        value = x * (x * (x - m) - three_delta) - three_m
        slope = x * (3.0 * x - 2.0 * m) - three_delta
        x = (x - value / slope).clamp(min=0.0)
    square = x * x
    rho = torch.where(x == 0.0, 0.0, m / x).clamp(max=1.0)
    return Chart(square / (3.0 + square), rho, x / torch.sqrt(1.0 + square))


def forward(u: Tensor, rho: Tensor, network: Layers) -> Tensor:
    """N(u, ρ) of 1-d arguments."""
    a = torch.stack([u, rho])
    last = len(network.weights) - 1
    for k, (weight, bias) in enumerate(zip(*network, strict=True)):
        z = tree_sum(weight * a) + bias
        a = z if k == last else z / torch.sqrt(1.0 + z * z)
    return a.squeeze(0)


def tree_sum(terms: Tensor) -> Tensor:
    """The sum over dimension 1 by halves: the first half and the second, an odd one left over for later."""
    while (n := terms.shape[1]) > 1:
        half = n // 2
        sums = terms.narrow(1, 0, half) + terms.narrow(1, half, half)
        terms = torch.cat([sums, terms.narrow(1, n - 1, 1)], 1) if n % 2 else sums
    return terms.squeeze(1)
