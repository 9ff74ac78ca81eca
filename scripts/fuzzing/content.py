"""What a file says, in one comparable value, computed without `tanhlut.file.schema`; and the files that are mutated."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tablegen import store
from tanhlut import ModeTable
from tanhlut.file import schema
from tanhlut.file.network import Network


class Content(NamedTuple):
    """SHA-256 (hex) of each part of a table; None where the part is missing."""

    table: str
    network: str | None
    moments: str | None
    certificates: str | None

    def allows(self, loaded: "Content") -> bool:
        """Whether a file with this content may load as `loaded`: the same, or without its optional parts."""
        return loaded.table == self.table and all(
            part in (None, own) for part, own in zip(loaded[1:], self[1:], strict=True)
        )


def of(table: ModeTable) -> Content:
    """The content of a loaded table."""
    own, moments = table.network, table.moments
    return Content(
        of_table(table.loc, table.scale, table.values, dict(table.metadata)),
        None if own is None else of_network(list(own.weights), list(own.biases), dict(own.metadata)),
        None
        if moments is None
        else of_moments(moments.vector, moments.double, dict(moments.witnesses), dict(moments.metadata)),
        of_certificates(dict(table.certificates)),
    )


def of_table(loc: np.ndarray, scale: np.ndarray, values: np.ndarray, metadata: dict[str, float | str]) -> str:
    """The part `table` of the content of these arrays."""
    return _hash([loc, scale, values], metadata)


def of_network(weights: list[np.ndarray], biases: list[np.ndarray], metadata: dict[str, float | str]) -> str:
    """The part `network`."""
    return _hash([*weights, *biases], metadata)


def of_moments(
    vector: np.ndarray, double: np.ndarray, witnesses: dict[str, np.ndarray], metadata: dict[str, float | str]
) -> str:
    """The part `moments`."""
    return _hash([vector, double, *(witnesses[name] for name in sorted(witnesses))], metadata)


def of_certificates(certificates: dict[str, schema.Certificate]) -> str | None:
    """The part `certificates`: of certificates by their method; None where there is none."""
    return _hash([], dict(certificates)) if certificates else None


def unsound(table: ModeTable) -> str | None:
    """What no table may be, whatever it claims; None if it is not."""
    loc, scale, values = table.loc, table.scale, table.values
    if not all(np.isfinite(array).all() for array in (loc, scale, values)):
        return "not finite"
    if values.shape != (len(loc), len(scale)) or values.min() < 0 or values.max() > 1:
        return "no modes"
    if min(np.diff(array, axis=axis).min() for array, axis in ((values, 0), (values, 1))) < 0:
        return "not increasing"
    if loc[0] != 0 or np.diff(loc).min() <= 0 or np.diff(scale).min() <= 0 or scale[0] < 0:
        return "no axes"
    return None


def _hash(arrays: list[np.ndarray], metadata: Mapping[str, object]) -> str:
    sha = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for array in arrays:
        sha.update(repr((array.dtype.str, array.shape)).encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


class Base(NamedTuple):
    """A good file and what it holds."""

    data: bytes
    content: Content


def bases() -> list[Base]:
    """Small tables of the shipped one's nodes, so that most bytes are structure: bare, with a network and certificates,
    and with moments."""
    default = ModeTable.default()
    rows, columns = ([*range(0, len(axis) - 1, 16), len(axis) - 1] for axis in (default.loc, default.scale))
    loc, scale, values = default.loc[rows], default.scale[columns], default.values[np.ix_(rows, columns)]
    bare = ModeTable(loc.copy(), scale.copy(), values.copy(), dict(default.metadata))
    certificates = [
        c if c.method.startswith("mlp") else c._replace(digest=bare.digest) for c in default.certificates.values()
    ]
    network: Network | None = default.network
    full = ModeTable(loc.copy(), scale.copy(), values.copy(), dict(default.metadata), certificates, network)
    return [Base(store.image(table), of(table)) for table in (bare, full, bare.with_moments(default.moments))]
