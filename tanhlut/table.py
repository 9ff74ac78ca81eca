"""ModeTable: a table file, checked in full before anything in it is trusted.

Order of the checks: a regular file of sane size; the header's digest of all bytes, before HDF5 parses any; then names,
link kinds, storage, types and shapes before an array is read; then the arrays' order and range; then the content
digest. Every refusal is a TableError that names the file, the field and the remedy. There is no pickle anywhere.
"""

import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from tanhlut import schema
from tanhlut.eager import EXACT_BOUND
from tanhlut.errors import TableError
from tanhlut.grid import Axis, Bounds, Grid, delta_nodes
from tanhlut.packed import Packed, pack
from tanhlut.schema import Certificate

if TYPE_CHECKING:
    import h5py

DEFAULT = "default.h5"
_REBUILD = "rebuild it with `tablegen build`"


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
    """

    def __init__(
        self,
        loc: NDArray[np.float64],
        scale: NDArray[np.float64],
        values: NDArray[np.float32],
        metadata: Mapping[str, float | str],
        certificates: Sequence[Certificate] = (),
    ) -> None:
        """For builders; arrays and certificates are checked (ValueError), arrays frozen, not copied."""
        arrays: dict[str, NDArray[Any]] = {schema.LOC: loc, schema.SCALE: scale, schema.VALUE: values}
        _check_arrays(arrays)
        for array in arrays.values():
            array.flags.writeable = False
        digest = schema.digest(arrays, metadata)
        proven = {certificate.method: certificate for certificate in _check_certificates(certificates, digest)}
        self.loc: NDArray[np.float64]
        self.scale: NDArray[np.float64]
        self.values: NDArray[np.float32]
        self.bounds: Bounds
        self.tolerance: float
        self.metadata: Mapping[str, float | str]
        self.digest: str
        self.certificates: Mapping[str, Certificate]
        self._kept: dict[object, Any]
        self.__dict__.update(
            loc=loc,
            scale=scale,
            values=values,
            bounds=_check_metadata(metadata),
            tolerance=float(metadata["tolerance"]),
            metadata=MappingProxyType(dict(metadata)),
            digest=digest,
            certificates=MappingProxyType(proven),
            _kept={},
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a ModeTable is immutable: {name!r} cannot be set; load or build another")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "ModeTable":
        """Read and check a table file.

        Raises:
            TableError: the file is missing, unreadable, damaged, of a newer schema or otherwise not to be trusted.
        """
        try:
            return _parse(_read(path))
        except TableError as error:
            raise TableError(f"{os.fspath(path)}: {error}") from error

    @classmethod
    def default(cls) -> "ModeTable":
        """The shipped table: every loc, every scale. Loaded once per process."""
        return _default()

    def error_bound(self, method: str) -> float:
        """A proven bound of |mode(…, method=method, table=self) − mode| in float32, on bounds (−1, 1), everywhere.

        Raises:
            ValueError: nothing was proven of `method` on this table.
        """
        if method == "exact":
            return EXACT_BOUND
        if method not in self.certificates:
            proven = ", ".join(map(repr, self.certificates)) or "none"
            raise ValueError(
                f"no bound is proven for method {method!r} on this table (proven: {proven}): "
                "see `tablegen verify`, or rebuild the table with `tablegen build`"
            )
        return self.certificates[method].bound

    @property
    def nbytes(self) -> int:
        """Bytes of the node values, the part that lookups touch (axes add a few kilobytes)."""
        return self.values.nbytes

    def grid(self, dtype: torch.dtype, device: torch.device) -> Grid:
        """The table as tensors for arithmetic in `dtype` on `device`; made once for each pair."""
        return cast(
            Grid,
            self.kept(
                (dtype, device),
                lambda: Grid(
                    Axis.of(self.loc, dtype, device),
                    Axis.of(delta_nodes(self.scale), dtype, device),
                    torch.from_numpy(self.values.copy()).flatten().to(device),
                    len(self.scale),
                    self.bounds,
                ),
            ),
        )

    def kept(self, key: object, make: Callable[[], object]) -> object:
        """`make()`, made once for each key and kept as long as the table: its forms for one backend or another."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    @cached_property
    def packed(self) -> Packed | None:
        """The table for compiled backends; None where its axes are not laid out as they need it."""
        return pack(self.loc, delta_nodes(self.scale), self.values, self.bounds)

    @cached_property
    def address(self) -> int:
        """Where `packed` is in memory: what the cpu backend wants. 0 if there is none."""
        return 0 if self.packed is None else self.packed.address

    def __reduce__(self) -> tuple[Any, ...]:
        return ModeTable, (
            self.loc.copy(),
            self.scale.copy(),
            self.values.copy(),
            dict(self.metadata),
            [*self.certificates.values()],
        )

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        return f"ModeTable({rows} × {columns} nodes, {self.bounds}, tolerance={self.tolerance:g})"


@cache
def _default() -> ModeTable:
    here = Path(__file__).parent
    installed, checkout = here / "data" / DEFAULT, here.parent / "data" / DEFAULT
    return ModeTable.load(installed if installed.exists() else checkout)


def _read(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a regular file whose header matches them."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise TableError(f"is not a regular file: give the path of a table file, or {_REBUILD}")
        if status.st_size > schema.MAX_FILE_BYTES:
            raise TableError(f"has {status.st_size} bytes, over the {schema.MAX_FILE_BYTES} allowed: {_REBUILD}")
        data = Path(path).read_bytes()
    except OSError as error:
        raise TableError(f"cannot be read ({error.strerror}): check the path, or {_REBUILD}") from error
    except ValueError as error:  # a path with a null byte
        raise TableError(f"is not a path ({error})") from error
    block, body = data[: schema.USER_BLOCK], data[schema.USER_BLOCK :]
    if not block.startswith(schema.HEADER_WORDS.encode()):
        if block.startswith(schema.HEADER_KIND.encode()):
            raise TableError(f"is a table file of another schema version: upgrade tanhlut, or {_REBUILD}")
        raise TableError(f"does not begin with {schema.HEADER_KIND!r}: not a table file; {_REBUILD}")
    if block != schema.header(body):
        found = hashlib.sha256(body).hexdigest()
        raise TableError(f"is damaged or was edited (its bytes have SHA-256 {found}, not the header's): {_REBUILD}")
    return data


def _parse(data: bytes) -> ModeTable:
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            _check_version(file)
            metadata = {name: _attribute(file, name, kind) for name, kind in schema.METADATA.items()}
            group = _member(file, schema.QUANTITY, h5py.Group)
            arrays = {name: _array(group, name) for name in schema.DTYPES}
            claimed = _attribute(file, "digest", str)
            certificates = _certificates(file, claimed)
    except TableError:
        raise
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError, ValueError, TypeError … on odd files
        raise TableError(f"is not readable as HDF5 ({type(error).__name__}: {error}): {_REBUILD}") from error
    try:
        table = ModeTable(arrays[schema.LOC], arrays[schema.SCALE], arrays[schema.VALUE], metadata, certificates)
    except ValueError as error:
        raise TableError(f"{error}: {_REBUILD}") from error
    if table.digest != claimed:
        raise TableError(f"attribute 'digest' is {claimed}, but the content's is {table.digest}: {_REBUILD}")
    return table


def _certificates(file: "h5py.File", digest: str) -> list[Certificate]:
    if "certificates" not in file.attrs:
        return []
    text = _attribute(file, "certificates", str)
    if _attribute(file, "certificates_digest", str) != schema.certificates_digest(digest, text):
        raise TableError(f"attribute 'certificates' does not match its digest: {_REBUILD}")
    return [Certificate(**entry) for entry in json.loads(text)]


def _check_version(file: "h5py.File") -> None:
    name = _attribute(file, "schema", str)
    if name != schema.SCHEMA:
        raise TableError(f"attribute 'schema' is {name!r}, not {schema.SCHEMA!r}: not a table file")
    version = _attribute(file, "schema_version", int)
    if version != schema.VERSION:
        remedy = "upgrade tanhlut" if version > schema.VERSION else _REBUILD
        raise TableError(f"attribute 'schema_version' is {version}, this tanhlut reads {schema.VERSION}: {remedy}")


def _attribute(item: "h5py.HLObject", name: str, kind: type) -> Any:
    if name not in item.attrs:
        raise TableError(f"attribute {name!r} is missing: {_REBUILD}")
    value = item.attrs[name]
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is not kind:
        raise TableError(f"attribute {name!r} is {type(value).__name__}, not {kind.__name__}: {_REBUILD}")
    return value


def _member(group: "h5py.Group", name: str, kind: type) -> Any:
    """A child reached by a hard link only: soft and external links could lead anywhere."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise TableError(f"{group.name.rstrip('/')}/{name} is missing: {_REBUILD}")
    if type(link) is not h5py.HardLink:
        raise TableError(f"{group.name.rstrip('/')}/{name} is a {type(link).__name__}, not in this file: {_REBUILD}")
    item = group[name]
    if not isinstance(item, kind):
        raise TableError(f"{item.name} is a {type(item).__name__}, not a {kind.__name__}: {_REBUILD}")
    return item


def _array(group: "h5py.Group", name: str) -> NDArray[Any]:
    """A dataset's values, once its storage, type and shape are those of the schema."""
    import h5py

    dataset = _member(group, name, h5py.Dataset)
    where = f"{dataset.name}: "
    if dataset.is_virtual or dataset.external:
        raise TableError(f"{where}data lies outside this file: {_REBUILD}")
    if dataset.id.get_create_plist().get_nfilters():
        raise TableError(f"{where}uses storage filters, tables use none: {_REBUILD}")
    dtype, rank = np.dtype(schema.DTYPES[name]), schema.RANKS[name]
    if dataset.dtype != dtype:
        raise TableError(f"{where}dtype is {dataset.dtype}, not {dtype}: {_REBUILD}")
    if len(dataset.shape or ()) != rank or not all(2 <= n <= schema.MAX_NODES_PER_AXIS for n in dataset.shape):
        raise TableError(
            f"{where}shape is {dataset.shape}; {rank} axes of 2 to {schema.MAX_NODES_PER_AXIS} nodes are allowed: "
            f"{_REBUILD}"
        )
    if dataset.id.get_storage_size() != dataset.size * dtype.itemsize:
        raise TableError(f"{where}stores {dataset.id.get_storage_size()} bytes for {dataset.size} values: {_REBUILD}")
    return np.asarray(dataset[()])


def _check_arrays(arrays: Mapping[str, NDArray[Any]]) -> None:
    loc, scale, values = arrays[schema.LOC], arrays[schema.SCALE], arrays[schema.VALUE]
    for name, axis in ((schema.LOC, loc), (schema.SCALE, scale)):
        if not np.isfinite(axis).all() or not (np.diff(axis) > 0).all() or axis[0] < 0:
            raise ValueError(f"axis {name!r} is not finite, increasing and ≥ 0")
    if loc[0] != 0:
        raise ValueError(f"axis {schema.LOC!r} begins at {loc[0]}, not 0")
    if values.shape != (len(loc), len(scale)):
        raise ValueError(f"{schema.VALUE!r} has shape {values.shape}, its axes have {len(loc)} and {len(scale)} nodes")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{schema.VALUE!r} has entries outside [0, 1] or NaN")
    if (np.diff(values, axis=0) < 0).any() or (np.diff(values, axis=1) < 0).any():
        raise ValueError(f"{schema.VALUE!r} is not increasing along both axes, as the mode is")


def _check_certificates(certificates: Sequence[Certificate], digest: str) -> Sequence[Certificate]:
    for certificate in certificates:
        if certificate.digest != digest:
            raise ValueError(f"the certificate for method {certificate.method!r} speaks of another table")
        if not 0 <= certificate.observed <= certificate.bound < 2:
            raise ValueError(f"{certificate} claims a bound below what was observed, or none")
    return certificates


def _check_metadata(metadata: Mapping[str, float | str]) -> Bounds:
    bounds = Bounds(*(float(metadata[name]) for name in Bounds._fields))
    if not (bounds.loc_max > 0 and 0 <= bounds.scale_min < bounds.scale_max):
        raise ValueError(f"{bounds} are not bounds with loc_max > 0 and 0 ≤ scale_min < scale_max")
    if not 0 < float(metadata["tolerance"]) < 2:
        raise ValueError(f"tolerance {metadata['tolerance']} is not between 0 and 2")
    return bounds
