"""Reading a table file: what must hold before a byte of it is believed.

Order of the checks: a regular file of sane size; the header, before the rest is read; its digest of all other bytes,
before any is parsed; then names, links, storage, types and shapes (`tanhlut.file.hdf5`) before an array is read. What
the arrays say is judged by `tanhlut.file.contract`. There is no pickle anywhere, and no libhdf5. A file of n bytes
takes n bytes of memory, and its arrays about n more.
"""

import hashlib
import io
import json
import os
import stat
from typing import Any, NamedTuple

from numpy.typing import NDArray

from tanhlut.errors import TableError
from tanhlut.file import hdf5, schema
from tanhlut.file.hdf5 import Item
from tanhlut.file.schema import Certificate
from tanhlut.formula import surrogate

REBUILD = "rebuild it with `tablegen build`"
_PIECE = 1 << 20  # bytes read and hashed at a time


class NetworkContents(NamedTuple):
    """The group /network as it stands."""

    weights: list[NDArray[Any]]
    biases: list[NDArray[Any]]
    metadata: dict[str, float | str]
    digest: str


class MomentsContents(NamedTuple):
    """The group /moments as it stands."""

    vector: NDArray[Any]
    witnesses: dict[str, NDArray[Any]]
    metadata: dict[str, float | str]
    double: NDArray[Any]
    digest: str


class Contents(NamedTuple):
    """A file as it stands; `digest` is the claimed one."""

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, float | str]
    digest: str
    certificates: list[Certificate]
    network: NetworkContents | None
    moments: MomentsContents | None


def read(path: str | os.PathLike[str]) -> Contents:
    """What a file holds.

    Raises:
        TableError: it is missing, unreadable, damaged, or not laid out as `tanhlut.file.schema` says.
    """
    name = os.fspath(path)
    try:
        _check_kind(os.stat(name))  # before opening: that alone can wait for ever, or wake a device
        with open(name, "rb", opener=_at_once) as file:
            status = os.fstat(file.fileno())
            _check_kind(status)
            body = _body(file, status.st_size)
    except OSError as error:
        raise TableError(f"cannot be read ({error.strerror}): check the path, or {REBUILD}") from error
    except TableError:
        raise
    except ValueError as error:  # a path with a null byte
        raise TableError(f"is not a path ({error})") from error
    return _contents(body)


def parse(data: bytes) -> Contents:
    """What a file of these bytes would hold; raises as `read` does."""
    return _contents(_body(io.BytesIO(data), len(data)))


def _body(file: io.BufferedIOBase, size: int) -> bytearray:
    """All that follows the header, once the header says that it should."""
    if size > schema.MAX_FILE_BYTES:
        raise TableError(f"has {size} bytes, over the {schema.MAX_FILE_BYTES} allowed: {REBUILD}")
    block = file.read(schema.USER_BLOCK)
    if not block.startswith(schema.HEADER_WORDS.encode()):
        if block.startswith(schema.HEADER_KIND.encode()):
            raise TableError(f"is a table file of another schema version: upgrade tanhlut, or {REBUILD}")
        raise TableError(f"does not begin with {schema.HEADER_KIND!r}: not a table file; {REBUILD}")
    body, sha, filled = bytearray(max(0, size - len(block))), hashlib.sha256(), 0
    while piece := file.readinto(memoryview(body)[filled : filled + _PIECE]):
        sha.update(memoryview(body)[filled : filled + piece])
        filled += piece
    if filled < len(body) or block != schema.header_of(sha.hexdigest()):
        raise TableError(
            f"is damaged or was edited (its bytes have SHA-256 {sha.hexdigest()}, not the header's): {REBUILD}"
        )
    return body


def _at_once(name: str, flags: int) -> int:
    """Open without waiting, should the file have become a FIFO; Windows has neither flag nor FIFO."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise TableError(f"is not a regular file: give the path of a table file, or {REBUILD}")


def _contents(body: bytearray) -> Contents:
    try:
        root = hdf5.root(body)
        _check_version(root)
        metadata = {name: root.attribute(name, kind) for name, kind in schema.METADATA.items()}
        later = {name: kind for name, kind in schema.LATER_METADATA.items() if name in root.attributes}
        metadata |= {name: root.attribute(name, kind) for name, kind in later.items()}
        group = root.member(schema.QUANTITY)
        arrays = {
            name: group.member(name).array(schema.DTYPES[name], _axes(schema.RANKS[name])) for name in schema.DTYPES
        }
        digest = root.attribute("digest", str)
        return Contents(arrays, metadata, digest, _certificates(root, digest), _network(root), _moments(root))
    except (hdf5.LayoutError, UnicodeDecodeError) as error:
        raise TableError(f"{error}: {REBUILD}") from error


def _network(root: Item) -> NetworkContents | None:
    if schema.NETWORK not in root:
        return None
    group = root.member(schema.NETWORK)
    metadata = {name: group.attribute(name, kind) for name, kind in schema.NETWORK_METADATA.items()}
    layers = group.attribute("layers", int)
    if not 2 <= layers <= schema.MAX_LAYERS:
        raise TableError(f"{group.name}: {layers} layers; 2 to {schema.MAX_LAYERS} are allowed: {REBUILD}")

    def array(name: str, rank: int) -> NDArray[Any]:
        return group.member(name).array(schema.NETWORK_DTYPE, (range(1, schema.MAX_WIDTH + 1),) * rank)

    weights = [array(schema.weight_name(k), 2) for k in range(layers)]
    biases = [array(schema.bias_name(k), 1) for k in range(layers)]
    return NetworkContents(weights, biases, metadata, group.attribute("digest", str))


def _moments(root: Item) -> MomentsContents | None:
    if schema.MOMENTS not in root:
        return None
    group = root.member(schema.MOMENTS)
    metadata = {name: group.attribute(name, kind) for name, kind in schema.MOMENTS_METADATA.items()}
    vector = group.member(schema.VECTOR).array(schema.VECTOR_DTYPE, (range(surrogate.SIZE, surrogate.SIZE + 1),))
    double = group.member(schema.DOUBLE).array(
        schema.DOUBLE_DTYPE, (range(surrogate.DOUBLE_SIZE, surrogate.DOUBLE_SIZE + 1),)
    )
    degrees = (range(2, schema.MAX_DEGREE + 1),) * 2
    witnesses = {
        name: group.member(dataset).array(schema.WITNESS_DTYPE, degrees) for name, dataset in schema.WITNESSES.items()
    }
    return MomentsContents(vector, witnesses, metadata, double, group.attribute("digest", str))


def _axes(rank: int) -> tuple[range, ...]:
    return (range(2, schema.MAX_NODES_PER_AXIS + 1),) * rank


def _certificates(root: Item, digest: str) -> list[Certificate]:
    if "certificates" not in root.attributes:
        return []
    text = root.attribute("certificates", str)
    if root.attribute("certificates_digest", str) != schema.certificates_digest(digest, text):
        raise TableError(f"attribute 'certificates' does not match its digest: {REBUILD}")
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(f"attribute 'certificates' is not readable ({type(error).__name__}): {REBUILD}") from error
    fields = set(Certificate._fields)
    if not isinstance(entries, list) or not all(isinstance(e, dict) and e.keys() == fields for e in entries):
        raise TableError(f"attribute 'certificates' is not readable as a list of {sorted(fields)}: {REBUILD}")
    return [Certificate(**entry) for entry in entries]


def _check_version(root: Item) -> None:
    name = root.attribute("schema", str)
    if name != schema.SCHEMA:
        raise TableError(f"attribute 'schema' is {name!r}, not {schema.SCHEMA!r}: not a table file")
    version = root.attribute("schema_version", int)
    if version != schema.VERSION:
        remedy = "upgrade tanhlut" if version > schema.VERSION else REBUILD
        raise TableError(f"attribute 'schema_version' is {version}, this tanhlut reads {schema.VERSION}: {remedy}")
