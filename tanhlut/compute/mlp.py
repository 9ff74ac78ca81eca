"""The network in plain torch operations, for targets that gather badly: its layers on the chart of the text
(`tanhlut.formula.chart`). Sums run over a tree of element-wise additions, not through a matrix product, whose result
depends on the size of the batch.
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

_BLOCK = 1 << 16  # elements at a time: the products of a layer of 8 take 256 bytes each


class Layers(NamedTuple):
    """A network ready for one dtype and device: for each layer weights (out, in, 1), biases (out, 1)."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]


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
    text = tensors.of(m)
    u, rho, base = text.chart(m, delta)
    y: Tensor = text.saturate(base * (1.0 + forward(u, rho, network)), m, s)
    return y


def forward(u: Tensor, rho: Tensor, network: Layers) -> Tensor:
    """N(u, ρ) of 1-d arguments."""
    a = torch.stack([u, rho])
    last = len(network.weights) - 1
    for k, (weight, bias) in enumerate(zip(*network, strict=True)):
        z = tree_sum(weight * a) + bias
        a = z if k == last else tensors.of(z).algebraic(z)
    return a.squeeze(0)


def tree_sum(terms: Tensor) -> Tensor:
    """The sum over dimension 1 by halves: the first half and the second, an odd one left over for later."""
    while (n := terms.shape[1]) > 1:
        half = n // 2
        sums = terms.narrow(1, 0, half) + terms.narrow(1, half, half)
        terms = torch.cat([sums, terms.narrow(1, n - 1, 1)], 1) if n % 2 else sums
    return terms.squeeze(1)
