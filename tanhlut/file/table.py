"""ModeTable: a table of the mode and, where one was distilled, the network beside it, both checked before trusted.

`tanhlut.file.reader` checks the file, `tanhlut.file.contract` what it holds, here the digests are. Every refusal is a
TableError that names the file, the field and the remedy.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from itertools import count
from types import MappingProxyType
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from tanhlut.errors import TableError, plain
from tanhlut.file import reader, schema
from tanhlut.file.axes import delta_nodes
from tanhlut.file.bounds import Bounds
from tanhlut.file.contract import check_certificates, check_table
from tanhlut.file.moments import Moments
from tanhlut.file.network import Network
from tanhlut.file.packed import Packed, pack
from tanhlut.file.schema import Certificate
from tanhlut.file.shipped import shipped
from tanhlut.file.start import thinned
from tanhlut.methods import EXACT_BOUND, NETWORK_METHODS
from tanhlut.once import Once
from tanhlut.tracing import apart

_keys = count()
_alive: "WeakValueDictionary[str, ModeTable]" = WeakValueDictionary()


class ModeTable:
    """An immutable table of the mode over (|loc|, scale). Make one with `load` or `default`.

    Attributes:
        loc: float64 (n,), increasing nodes of |loc|, from 0. Read-only, like every array here.
        scale: float64 (k,), increasing nodes of scale.
        values: float32 (n, k), the mode at the nodes for bounds (−1, 1); all quantities are dimensionless.
        bounds: what the table covers: |loc| ≤ loc_max, scale_min ≤ scale ≤ scale_max.
        tolerance: the error of bilinear interpolation inside the bounds that the file claims.
        metadata: how the file was made: bounds, tolerance, solver, versions, command.
        digest: SHA-256 of arrays and metadata, hex.
        certificates: what was proven of each verified method, by its name.
        network: the distilled `Network` of method "mlp", or None.
        moments: the surrogates of mean, variance and entropy, or None.
        forms: its forms for one backend or another, each made once.
        key: by which `by_key` finds it, as long as it lives. No other table of the process has it. (A text: dynamic
            graphs make symbols of numbers.)
    """

    def __init__(
        self,
        loc: NDArray[np.float64],
        scale: NDArray[np.float64],
        values: NDArray[np.float32],
        metadata: Mapping[str, float | str],
        certificates: Sequence[Certificate] = (),
        network: Network | None = None,
        moments: Moments | None = None,
    ) -> None:
        """For builders; arrays and certificates are checked (ValueError), arrays frozen, not copied."""
        arrays: dict[str, NDArray[Any]] = {schema.LOC: loc, schema.SCALE: scale, schema.VALUE: values}
        bounds = check_table(loc, scale, values, metadata)
        for array in arrays.values():
            array.flags.writeable = False
        digest = schema.digest(arrays, metadata)
        check_certificates(certificates, digest, None if network is None else network.digest)
        self.loc: NDArray[np.float64]
        self.scale: NDArray[np.float64]
        self.values: NDArray[np.float32]
        self.bounds: Bounds
        self.tolerance: float
        self.metadata: Mapping[str, float | str]
        self.digest: str
        self.certificates: Mapping[str, Certificate]
        self.network: Network | None
        self.moments: Moments | None
        self.forms: Once
        self.key: str
        self.__dict__.update(
            loc=loc,
            scale=scale,
            values=values,
            bounds=bounds,
            tolerance=float(metadata["tolerance"]),
            metadata=MappingProxyType(dict(metadata)),
            digest=digest,
            certificates=MappingProxyType({certificate.method: certificate for certificate in certificates}),
            network=network,
            moments=moments,
            forms=Once(),
            key=str(next(_keys)),
        )
        _alive[self.key] = self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a ModeTable is immutable: {name!r} cannot be set; load or build another")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ModeTable":
        """Read and check a table file.

        Raises:
            TableError: the file is missing, unreadable, damaged, of a newer schema or otherwise not to be trusted.
        """
        try:
            return _checked(reader.read(path))
        except TableError as error:
            error.args = (f"{plain(os.fspath(path), 300)}: {error}",)
            raise

    @classmethod
    def default(cls) -> "ModeTable":
        """The shipped table: every loc, every scale. Loaded once per process."""
        return _default()

    def with_moments(self, moments: Moments | None) -> "ModeTable":
        """The same table with other moments."""
        own = [*self.certificates.values()]
        return ModeTable(self.loc, self.scale, self.values, self.metadata, own, self.network, moments)

    def error_bound(self, method: str) -> float:
        """A proven bound of |mode(…, method=method, table=self) − mode| in float32, on bounds (−1, 1), everywhere.

        Raises:
            ValueError: nothing was proven of `method` on this table.
        """
        if method == "exact":
            return EXACT_BOUND
        if method not in self.certificates:
            proven = ", ".join(map(repr, self.certificates)) or "none"
            make = "add a network with `tablegen distill`" if method in NETWORK_METHODS else "rebuild the table"
            raise ValueError(
                f"no bound is proven for method {method!r} on this table (proven: {proven}): "
                f"see `tablegen verify`, or {make}"
            )
        return self.certificates[method].bound

    @property
    def nbytes(self) -> int:
        """Bytes of the node values, the part that lookups touch (axes add a few kilobytes)."""
        return self.values.nbytes

    @cached_property
    def packed(self) -> Packed | None:
        """The table for compiled backends; None where its axes are not laid out as they need it."""
        return apart(lambda: pack(self.loc, delta_nodes(self.scale), self.values, self.bounds))

    @cached_property
    def address(self) -> int:
        """Where `packed` is in memory: what the cpu backend wants. 0 if there is none."""
        return 0 if self.packed is None else self.packed.address

    @cached_property
    def start(self) -> "ModeTable":
        """The thinner table that the method "refined" starts from; this one, if its file knows of none."""
        wanted = float(self.metadata.get("start_tolerance", 0.0))
        return self if wanted <= self.tolerance else apart(lambda: self._thinned(wanted))

    def _thinned(self, tolerance: float) -> "ModeTable":
        arrays = thinned(self.loc, self.scale, self.values, self.tolerance, tolerance)
        return ModeTable(*arrays, {**self.bounds._asdict(), "tolerance": tolerance})

    def interpolated(self, method: str) -> "ModeTable":
        """The table that a method interpolates in."""
        return self.start if method == "refined" else self

    @cached_property
    def narrow(self) -> bool:
        """Whether its bounds are narrower than the half-plane, so that some answers are those of "exact"."""
        return not self.bounds.whole_plane

    def __reduce__(self) -> tuple[Any, ...]:
        return ModeTable, (
            self.loc.copy(),
            self.scale.copy(),
            self.values.copy(),
            dict(self.metadata),
            [*self.certificates.values()],
            self.network,
            self.moments,
        )

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        parts = "".join(f", {part!r}" for part in (self.network, self.moments) if part is not None)
        return f"ModeTable({rows} × {columns} nodes, {self.bounds}, tolerance={self.tolerance:g}{parts})"


@cache
def _default() -> ModeTable:
    return ModeTable.load(shipped())


def _checked(found: reader.Contents) -> ModeTable:
    try:
        network = None
        if found.network is not None:
            network = Network(found.network.weights, found.network.biases, found.network.metadata)
        moments = None
        if found.moments is not None:
            moments = Moments(*found.moments[:4])
        table = ModeTable(
            found.arrays[schema.LOC],
            found.arrays[schema.SCALE],
            found.arrays[schema.VALUE],
            found.metadata,
            found.certificates,
            network,
            moments,
        )
    except ValueError as error:
        raise TableError(f"{error}: {reader.REBUILD}") from error
    claims = [("digest", found.digest, table.digest)]
    if network is not None and found.network is not None:
        claims.append((f"{schema.NETWORK}: digest", found.network.digest, network.digest))
    if moments is not None and found.moments is not None:
        claims.append((f"{schema.MOMENTS}: digest", found.moments.digest, moments.digest))
    for name, claimed, real in claims:
        if claimed != real:
            raise TableError(f"attribute '{name}' is {claimed}, but the content's is {real}: {reader.REBUILD}")
    return table


def key_of(table: ModeTable | None) -> str | None:
    """What stands for a table where torch.compile wants a constant: up to torch 2.7 no object of a class is one."""
    return None if table is None else table.key


def by_key(key: str | None) -> ModeTable:
    """The table of a `key_of`; the shipped one for None."""
    return ModeTable.default() if key is None else _alive[key]
