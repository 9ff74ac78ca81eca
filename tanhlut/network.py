"""Network: the distilled network as numbers, checked in full before it is trusted; `tanhlut.mlp` evaluates it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tanhlut import schema
from tanhlut.contract import check_network
from tanhlut.mlp import Layers
from tanhlut.tracing import apart

Floats = NDArray[np.float32]


class Network:
    """An immutable network. `tablegen distill` makes one and stores it in a table's file.

    Attributes:
        weights: float32 (out, in) for each layer; the first has 2 inputs, the last 1 output. Read-only.
        biases: float32 (out,) for each layer.
        tolerance: the largest error of method "mlp" that the file claims, on (−1, 1).
        metadata: how it was trained: tolerance, settings, versions, command.
        digest: SHA-256 of weights, biases, architecture and metadata, hex.
    """

    def __init__(
        self, weights: Sequence[Floats], biases: Sequence[Floats], metadata: Mapping[str, float | str]
    ) -> None:
        """For trainers; arrays are checked (ValueError) and frozen, not copied."""
        check_network(weights, biases, metadata)
        for array in (*weights, *biases):
            array.flags.writeable = False
        self.weights: tuple[Floats, ...]
        self.biases: tuple[Floats, ...]
        self.metadata: Mapping[str, float | str]
        self.tolerance: float
        self.digest: str
        self._kept: dict[object, Layers]
        self.__dict__.update(
            weights=tuple(weights),
            biases=tuple(biases),
            metadata=MappingProxyType(dict(metadata)),
            tolerance=float(metadata["tolerance"]),
            digest=schema.network_digest(weights, biases, metadata),
            _kept={},
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Network is immutable: {name!r} cannot be set; distill another")

    @property
    def widths(self) -> tuple[int, ...]:
        """Such as (2, 8, 8, 1)."""
        return (schema.NETWORK_INPUTS, *(len(bias) for bias in self.biases))

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        return sum(array.size for array in (*self.weights, *self.biases))

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return sum(array.nbytes for array in (*self.weights, *self.biases))

    def layers(self, dtype: torch.dtype, device: torch.device) -> Layers:
        """The network as tensors; made once for each pair."""
        key = dtype, device
        if key not in self._kept:
            self._kept[key] = apart(lambda: layers_of(self.weights, self.biases, dtype, device))
        return self._kept[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return Network, ([w.copy() for w in self.weights], [b.copy() for b in self.biases], dict(self.metadata))

    def __repr__(self) -> str:
        shape = "-".join(map(str, self.widths))
        return f"Network({shape}, {self.parameters} parameters, tolerance={self.tolerance:g})"


def layers_of(
    weights: Sequence[NDArray[Any]], biases: Sequence[NDArray[Any]], dtype: torch.dtype, device: torch.device
) -> Layers:
    """Arrays as `tanhlut.mlp` wants them."""

    def move(array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array.copy()).to(device=device, dtype=dtype).unsqueeze(-1)

    return Layers(tuple(map(move, weights)), tuple(map(move, biases)))


def missing() -> ValueError:
    """What to say where a table has none."""
    return ValueError(
        "this table holds no network for method 'mlp': add one with `tablegen distill FILE -o FILE`, or use the "
        "shipped table"
    )
