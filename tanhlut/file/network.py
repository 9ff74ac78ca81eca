"""Network: the distilled network as numbers, checked in full before it is trusted; `tanhlut.compute.mlp` evaluates
it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut.file import schema
from tanhlut.once import Once

Floats = NDArray[np.float32]


# A unit's largest possible pre-activation z, so that z² and all sums stay finite in float32.
LARGEST_UNIT = 2.0**60


class Network:
    """An immutable network. `tablegen distill` makes one and stores it in a table's file.

    Attributes:
        weights: float32 (out, in) for each layer; the first has 2 inputs, the last 1 output. Read-only.
        biases: float32 (out,) for each layer.
        tolerance: the largest error of method "mlp" that the file claims, on (−1, 1).
        metadata: how it was trained: tolerance, settings, versions, command.
        digest: SHA-256 of weights, biases, architecture and metadata, hex.
        forms: its forms for one dtype and device or another, each made once.
    """

    def __init__(
        self, weights: Sequence[Floats], biases: Sequence[Floats], metadata: Mapping[str, float | str]
    ) -> None:
        """For trainers; arrays are checked (ValueError) and frozen, not copied."""
        _check(weights, biases, metadata)
        for array in (*weights, *biases):
            array.flags.writeable = False
        self.weights: tuple[Floats, ...]
        self.biases: tuple[Floats, ...]
        self.metadata: Mapping[str, float | str]
        self.tolerance: float
        self.digest: str
        self.forms: Once
        self.__dict__.update(
            weights=tuple(weights),
            biases=tuple(biases),
            metadata=MappingProxyType(dict(metadata)),
            tolerance=float(metadata["tolerance"]),
            digest=schema.network_digest(weights, biases, metadata),
            forms=Once(),
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

    def __reduce__(self) -> tuple[Any, ...]:
        return Network, ([w.copy() for w in self.weights], [b.copy() for b in self.biases], dict(self.metadata))

    def __repr__(self) -> str:
        shape = "-".join(map(str, self.widths))
        return f"Network({shape}, {self.parameters} parameters, tolerance={self.tolerance:g})"


def _check(
    weights: Sequence[NDArray[Any]], biases: Sequence[NDArray[Any]], metadata: Mapping[str, float | str]
) -> None:
    """ValueError unless a network's numbers and metadata may be trusted: all that the proof assumes of them."""
    if len(weights) != len(biases) or not 2 <= len(weights) <= schema.MAX_LAYERS:
        raise ValueError(f"{len(weights)} weights and {len(biases)} biases are not 2 to {schema.MAX_LAYERS} layers")
    inputs = schema.NETWORK_INPUTS
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        outputs = 1 if number == len(weights) - 1 else bias.size
        if weight.dtype != np.float32 or bias.dtype != np.float32:
            raise ValueError(f"layer {number}: dtypes are {weight.dtype} and {bias.dtype}, not float32")
        if weight.shape != (outputs, inputs) or bias.shape != (outputs,) or not 1 <= outputs <= schema.MAX_WIDTH:
            raise ValueError(
                f"layer {number}: weight has shape {weight.shape} and bias {bias.shape}, not ({outputs}, {inputs}) and "
                f"({outputs},) with at most {schema.MAX_WIDTH} outputs"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"layer {number}: an entry is NaN or infinite")
        # Inputs and activations lie in [−1, 1].
        largest = float((np.abs(weight.astype(np.float64)).sum(1) + np.abs(bias.astype(np.float64))).max())
        if not largest <= LARGEST_UNIT:
            raise ValueError(
                f"layer {number}: a unit may reach {largest:g}, over {LARGEST_UNIT:g}: float32 may overflow"
            )
        inputs = outputs
    if not 0 < float(metadata["tolerance"]) < 2:
        raise ValueError(f"the network's tolerance {metadata['tolerance']} is not between 0 and 2")
    for name, word in schema.NETWORK_FIXED.items():
        if metadata[name] != word:
            raise ValueError(f"the network's {name} is {metadata[name]!r}, this tanhlut evaluates {word!r}")


def missing() -> ValueError:
    """What to say where a table has none."""
    return ValueError(
        "this table holds no network for method 'mlp': add one with `tablegen distill FILE -o FILE`, or use the "
        "shipped table"
    )
