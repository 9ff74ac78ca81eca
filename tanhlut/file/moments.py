"""Moments: the surrogates of mean, variance and entropy as numbers, checked before they are trusted."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut.file import schema
from tanhlut.formula import surrogate
from tanhlut.tracing import Once

# No coefficient is larger, so that no partial sum leaves float32's range: arguments lie in [−1, 1].
LARGEST = 2.0**40


class Moments:
    """Immutable surrogates over the whole half-plane. `tablegen build` fits them and stores them in a table's file.

    Attributes:
        vector: float32 (n,), laid out as `tanhlut.formula.surrogate` says. Read-only, as all arrays.
        witnesses: float64 coefficients by name, which the proof certifies and compares the surrogates with.
        metadata: what was proven of them, and how they were made: versions, command.
        digest: SHA-256 of arrays and metadata, hex.
        forms: their forms for one device or another, each made once.
    """

    def __init__(
        self,
        vector: NDArray[np.float32],
        witnesses: Mapping[str, NDArray[np.float64]],
        metadata: Mapping[str, float | str],
    ) -> None:
        """For builders; arrays are checked (ValueError) and frozen, not copied."""
        _check(vector, witnesses, metadata)
        arrays: list[NDArray[Any]] = [vector, *witnesses.values()]
        for array in arrays:
            array.flags.writeable = False
        self.vector: NDArray[np.float32]
        self.witnesses: Mapping[str, NDArray[np.float64]]
        self.metadata: Mapping[str, float | str]
        self.digest: str
        self.forms: Once
        self.__dict__.update(
            vector=vector,
            witnesses=MappingProxyType(dict(witnesses)),
            metadata=MappingProxyType(dict(metadata)),
            digest=schema.moments_digest(vector, witnesses, metadata),
            forms=Once(),
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Moments are immutable: {name!r} cannot be set; build others")

    @property
    def address(self) -> int:
        """Where the vector is in memory, as the cpu backend wants it."""
        return int(self.vector.ctypes.data)

    @property
    def nbytes(self) -> int:
        """Bytes that lookups touch."""
        return self.vector.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        witnesses = {name: array.copy() for name, array in self.witnesses.items()}
        return Moments, (self.vector.copy(), witnesses, dict(self.metadata))

    def __repr__(self) -> str:
        return f"Moments({self.nbytes} bytes)"


def _check(vector: NDArray[Any], witnesses: Mapping[str, NDArray[Any]], metadata: Mapping[str, float | str]) -> None:
    """ValueError unless the numbers may be trusted not to lead a lookup astray."""
    if vector.dtype != np.float32 or vector.shape != (surrogate.SIZE,):
        raise ValueError(f"moments: shape {vector.shape}, dtype {vector.dtype}; float32 ({surrogate.SIZE},) is wanted")
    if not (np.abs(vector) <= LARGEST).all():
        raise ValueError(f"moments: an entry is NaN or over {LARGEST:g}")
    if witnesses.keys() != schema.WITNESSES.keys():
        raise ValueError(f"moments: witnesses {sorted(witnesses)}, not {sorted(schema.WITNESSES)}")
    for name, array in witnesses.items():
        if array.dtype != np.float64 or array.ndim != 2 or not all(2 <= n <= schema.MAX_DEGREE for n in array.shape):
            raise ValueError(f"moments: witness {name!r} has shape {array.shape} and dtype {array.dtype}")
        if not (np.abs(array) <= LARGEST).all():
            raise ValueError(f"moments: witness {name!r} has an entry that is NaN or over {LARGEST:g}")
    for name in ("mean_bound", "entropy_bound"):
        if not 0.0 < float(metadata[name]) < 1.0:
            raise ValueError(f"the moments' {name} {metadata[name]} is not between 0 and 1")
    for name, word in schema.MOMENTS_FIXED.items():
        if metadata[name] != word:
            raise ValueError(f"the moments' {name} is {metadata[name]!r}, this tanhlut evaluates {word!r}")


def missing() -> ValueError:
    """What to say where a table has none."""
    return ValueError(
        "this table holds no moments: use method='quadrature' or the shipped table, or add them with `tablegen build "
        "--quantity all`"
    )
