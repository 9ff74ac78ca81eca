"""Moments: the surrogates of mean, variance and entropy as numbers, checked before they are trusted."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut.file import schema
from tanhlut.formula import surrogate
from tanhlut.once import Once

# No coefficient is larger, so that no partial sum leaves float32's range: arguments lie in [−1, 1].
LARGEST = 2.0**40


class Moments:
    """Immutable surrogates over the whole half-plane. `tablegen build` fits them and stores them in a table's file.

    Attributes:
        vector: float32 (n,), laid out as `tanhlut.formula.surrogate` says. Read-only, as all arrays.
        double: float64 (k,), the same for answers in float64.
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
        double: NDArray[np.float64],
    ) -> None:
        """For builders; arrays are checked (ValueError) and frozen, not copied."""
        _check(vector, double, witnesses, metadata)
        arrays: list[NDArray[Any]] = [vector, double, *witnesses.values()]
        for array in arrays:
            array.flags.writeable = False
        self.vector: NDArray[np.float32]
        self.double: NDArray[np.float64]
        self.witnesses: Mapping[str, NDArray[np.float64]]
        self.metadata: Mapping[str, float | str]
        self.digest: str
        self.forms: Once
        self.__dict__.update(
            vector=vector,
            double=double,
            witnesses=MappingProxyType(dict(witnesses)),
            metadata=MappingProxyType(dict(metadata)),
            digest=schema.moments_digest(vector, double, witnesses, metadata),
            forms=Once(),
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Moments are immutable: {name!r} cannot be set; build others")

    @cached_property
    def address(self) -> int:
        """Where the float32 vector is in memory, as the cpu backend wants it."""
        return int(self.vector.ctypes.data)

    @cached_property
    def double_address(self) -> int:
        """Where the float64 one is."""
        return int(self.double.ctypes.data)

    @property
    def nbytes(self) -> int:
        """Bytes that lookups in float32 touch."""
        return self.vector.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        witnesses = {name: array.copy() for name, array in self.witnesses.items()}
        return Moments, (self.vector.copy(), witnesses, dict(self.metadata), self.double.copy())

    def __repr__(self) -> str:
        return f"Moments({self.nbytes} bytes)"


def _check(
    vector: NDArray[Any],
    double: NDArray[Any],
    witnesses: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, float | str],
) -> None:
    """ValueError unless the numbers may be trusted not to lead a lookup astray."""
    for given, kind, size in ((vector, np.float32, surrogate.SIZE), (double, np.float64, surrogate.DOUBLE_SIZE)):
        if given.dtype != kind or given.shape != (size,):
            wanted = f"{np.dtype(kind)} ({size},)"
            raise ValueError(f"moments: shape {given.shape}, dtype {given.dtype}; {wanted} is wanted")
        if not (np.abs(given) <= LARGEST).all():
            raise ValueError(f"moments: an entry is NaN or over {LARGEST:g}")
    if witnesses.keys() != schema.WITNESSES.keys():
        raise ValueError(f"moments: witnesses {sorted(witnesses)}, not {sorted(schema.WITNESSES)}")
    for name, array in witnesses.items():
        if array.dtype != np.float64 or array.ndim != 2 or not all(2 <= n <= schema.MAX_DEGREE for n in array.shape):
            raise ValueError(f"moments: witness {name!r} has shape {array.shape} and dtype {array.dtype}")
        if not (np.abs(array) <= LARGEST).all():
            raise ValueError(f"moments: witness {name!r} has an entry that is NaN or over {LARGEST:g}")
    for name in ("mean_bound", "entropy_bound", "variance_bound"):
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
