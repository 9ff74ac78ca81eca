"""Reading a table file: what must hold before a byte of it is believed.

Order of the checks: a regular file of sane size; the header's digest of all bytes, before HDF5 parses any; then names,
link kinds, storage, types and shapes before an array is read. What the arrays say is judged by `tanhlut.table` and
`tanhlut.network`. There is no pickle anywhere.
"""

import hashlib
import io
import json
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tanhlut import schema
from tanhlut.errors import TableError
from tanhlut.schema import Certificate

if TYPE_CHECKING:
    import h5py

REBUILD = "rebuild it with `tablegen build`"


class NetworkContents(NamedTuple):
    """The group /network as it stands."""

    weights: list[NDArray[Any]]
    biases: list[NDArray[Any]]
    metadata: dict[str, float | str]
    digest: str


class Contents(NamedTuple):
    """A file as it stands; `digest` is the claimed one."""

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, float | str]
    digest: str
    certificates: list[Certificate]
    network: NetworkContents | None


def read(path: str | os.PathLike[str]) -> Contents:
    """What a file holds.

    Raises:
        TableError: it is missing, unreadable, damaged, or not laid out as `tanhlut.schema` says.
    """
    return _parse(_bytes(path))


def _bytes(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a regular file whose header matches them."""
    name = os.fspath(path)
    try:
        _check_kind(os.stat(name))  # before opening: that alone can wait for ever, or wake a device
        with open(name, "rb", opener=_at_once) as file:
            status = os.fstat(file.fileno())
            _check_kind(status)
            data = file.read(status.st_size)
    except OSError as error:
        raise TableError(f"cannot be read ({error.strerror}): check the path, or {REBUILD}") from error
    except TableError:
        raise
    except ValueError as error:  # a path with a null byte
        raise TableError(f"is not a path ({error})") from error
    block, body = data[: schema.USER_BLOCK], data[schema.USER_BLOCK :]
    if not block.startswith(schema.HEADER_WORDS.encode()):
        if block.startswith(schema.HEADER_KIND.encode()):
            raise TableError(f"is a table file of another schema version: upgrade tanhlut, or {REBUILD}")
        raise TableError(f"does not begin with {schema.HEADER_KIND!r}: not a table file; {REBUILD}")
    if block != schema.header(body):
        found = hashlib.sha256(body).hexdigest()
        raise TableError(f"is damaged or was edited (its bytes have SHA-256 {found}, not the header's): {REBUILD}")
    return data


def _at_once(name: str, flags: int) -> int:
    """Open without waiting, should the file have become a FIFO; Windows has neither flag nor FIFO."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise TableError(f"is not a regular file: give the path of a table file, or {REBUILD}")
    if status.st_size > schema.MAX_FILE_BYTES:
        raise TableError(f"has {status.st_size} bytes, over the {schema.MAX_FILE_BYTES} allowed: {REBUILD}")


def _parse(data: bytes) -> Contents:
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            _check_version(file)
            metadata = {name: _attribute(file, name, kind) for name, kind in schema.METADATA.items()}
            group = _member(file, schema.QUANTITY, h5py.Group)
            arrays = {
                name: _array(group, name, schema.DTYPES[name], _axes(schema.RANKS[name])) for name in schema.DTYPES
            }
            digest = _attribute(file, "digest", str)
            return Contents(arrays, metadata, digest, _certificates(file, digest), _network(file))
    except TableError:
        raise
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError, ValueError, TypeError … on odd files
        raise TableError(f"is not readable as HDF5 ({type(error).__name__}: {error}): {REBUILD}") from error


def _network(file: "h5py.File") -> NetworkContents | None:
    import h5py

    if schema.NETWORK not in file:
        return None
    group = _member(file, schema.NETWORK, h5py.Group)
    metadata = {name: _attribute(group, name, kind) for name, kind in schema.NETWORK_METADATA.items()}
    layers = _attribute(group, "layers", int)
    if not 2 <= layers <= schema.MAX_LAYERS:
        raise TableError(f"{group.name}: {layers} layers; 2 to {schema.MAX_LAYERS} are allowed: {REBUILD}")
    width = range(1, schema.MAX_WIDTH + 1)
    weights = [_array(group, schema.weight_name(k), schema.NETWORK_DTYPE, (width, width)) for k in range(layers)]
    biases = [_array(group, schema.bias_name(k), schema.NETWORK_DTYPE, (width,)) for k in range(layers)]
    return NetworkContents(weights, biases, metadata, _attribute(group, "digest", str))


def _axes(rank: int) -> tuple[range, ...]:
    return (range(2, schema.MAX_NODES_PER_AXIS + 1),) * rank


def _certificates(file: "h5py.File", digest: str) -> list[Certificate]:
    if "certificates" not in file.attrs:
        return []
    text = _attribute(file, "certificates", str)
    if _attribute(file, "certificates_digest", str) != schema.certificates_digest(digest, text):
        raise TableError(f"attribute 'certificates' does not match its digest: {REBUILD}")
    return [Certificate(**entry) for entry in json.loads(text)]


def _check_version(file: "h5py.File") -> None:
    name = _attribute(file, "schema", str)
    if name != schema.SCHEMA:
        raise TableError(f"attribute 'schema' is {name!r}, not {schema.SCHEMA!r}: not a table file")
    version = _attribute(file, "schema_version", int)
    if version != schema.VERSION:
        remedy = "upgrade tanhlut" if version > schema.VERSION else REBUILD
        raise TableError(f"attribute 'schema_version' is {version}, this tanhlut reads {schema.VERSION}: {remedy}")


def _attribute(item: "h5py.HLObject", name: str, kind: type) -> Any:
    if name not in item.attrs:
        raise TableError(f"attribute {name!r} is missing: {REBUILD}")
    value = item.attrs[name]
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is not kind:
        raise TableError(f"attribute {name!r} is {type(value).__name__}, not {kind.__name__}: {REBUILD}")
    return value


def _member(group: "h5py.Group", name: str, kind: type) -> Any:
    """A child reached by a hard link only: soft and external links could lead anywhere."""
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        raise TableError(f"{group.name.rstrip('/')}/{name} is missing: {REBUILD}")
    if type(link) is not h5py.HardLink:
        raise TableError(f"{group.name.rstrip('/')}/{name} is a {type(link).__name__}, not in this file: {REBUILD}")
    item = group[name]
    if not isinstance(item, kind):
        raise TableError(f"{item.name} is a {type(item).__name__}, not a {kind.__name__}: {REBUILD}")
    return item


def _array(group: "h5py.Group", name: str, dtype_name: str, allowed: tuple[range, ...]) -> NDArray[Any]:
    """A dataset's values, once its storage, type and shape are those of the schema."""
    import h5py

    dataset = _member(group, name, h5py.Dataset)
    where = f"{dataset.name}: "
    if dataset.is_virtual or dataset.external:
        raise TableError(f"{where}data lies outside this file: {REBUILD}")
    if dataset.id.get_create_plist().get_nfilters():
        raise TableError(f"{where}uses storage filters, tables use none: {REBUILD}")
    dtype = np.dtype(dtype_name)
    if dataset.dtype != dtype:
        raise TableError(f"{where}dtype is {dataset.dtype}, not {dtype}: {REBUILD}")
    shape = dataset.shape or ()
    if len(shape) != len(allowed) or not all(n in sizes for n, sizes in zip(shape, allowed, strict=True)):
        sizes = f"{allowed[0][0]} to {allowed[0][-1]}"
        raise TableError(f"{where}shape is {dataset.shape}; {len(allowed)} axes of {sizes} are allowed: {REBUILD}")
    if dataset.id.get_storage_size() != dataset.size * dtype.itemsize:
        raise TableError(f"{where}stores {dataset.id.get_storage_size()} bytes for {dataset.size} values: {REBUILD}")
    return np.asarray(dataset[()])
