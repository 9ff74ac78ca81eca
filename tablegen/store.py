"""Writing a table, with its network if it has one: one HDF5 image in memory, one atomic rename on disk."""

import io
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from tanhlut.errors import TableError
from tanhlut.file import reader, schema
from tanhlut.file.moments import Moments
from tanhlut.file.network import Network
from tanhlut.file.table import ModeTable

_PREFIX, _SUFFIX = ".tablegen-", ".partial"
_A_DAY = 86_400.0  # seconds; a write takes a few


def image(table: ModeTable) -> bytes:
    """The bytes of the table's file, which the reader has read; the same table gives the same bytes.

    Raises:
        ValueError: the reader would refuse them: more or longer text, or more nodes, than a file may hold.
    """
    buffer = io.BytesIO()
    arrays = {schema.LOC: table.loc, schema.SCALE: table.scale, schema.VALUE: table.values}
    with h5py.File(buffer, "w", userblock_size=schema.USER_BLOCK, libver="earliest") as file:
        file.attrs["title"] = "Mode of a tanh-squashed Gaussian"
        file.attrs["Conventions"] = "CF-1.11"
        file.attrs["schema"] = schema.SCHEMA
        file.attrs["schema_version"] = np.int64(schema.VERSION)
        for name, value in table.metadata.items():
            file.attrs[name] = np.float64(value) if isinstance(value, float) else value
        file.attrs["digest"] = table.digest
        if table.certificates:
            text = schema.certificates_text([*table.certificates.values()])
            file.attrs["certificates"] = text
            file.attrs["certificates_digest"] = schema.certificates_digest(table.digest, text)
        group = file.create_group(schema.QUANTITY)
        for name, array in arrays.items():
            dataset = group.create_dataset(name, data=array, dtype=schema.DTYPES[name])
            for key, attribute in schema.ATTRIBUTES[name].items():
                dataset.attrs[key] = attribute
        if table.network is not None:
            _write_network(file.create_group(schema.NETWORK), table.network)
        if table.moments is not None:
            _write_moments(file.create_group(schema.MOMENTS), table.moments)
        for axis, name in enumerate((schema.LOC, schema.SCALE)):
            group[name].make_scale(name)
            group[schema.VALUE].dims[axis].label = name
            group[schema.VALUE].dims[axis].attach_scale(group[name])
    body = buffer.getvalue()[schema.USER_BLOCK :]
    data = schema.header(body) + body
    try:
        found = reader.parse(data)
    except TableError as error:
        raise ValueError(f"this table cannot be stored: its file {error}") from error
    if schema.digest(found.arrays, found.metadata) != table.digest:
        raise ArithmeticError("the file of this table reads back as another: not written")
    return data


def _write_network(group: h5py.Group, network: Network) -> None:
    group.attrs["long_name"] = "network for the mode of tanh(Normal(loc, scale^2))"
    for name, value in network.metadata.items():
        group.attrs[name] = np.float64(value) if isinstance(value, float) else value
    group.attrs["layers"] = np.int64(len(network.weights))
    group.attrs["digest"] = network.digest
    for k, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        for name, array in ((schema.weight_name(k), weight), (schema.bias_name(k), bias)):
            group.create_dataset(name, data=array, dtype=schema.NETWORK_DTYPE)


def _write_moments(group: h5py.Group, moments: Moments) -> None:
    group.attrs["long_name"] = "surrogates of mean, variance and entropy of tanh(Normal(loc, scale^2))"
    for name, value in moments.metadata.items():
        group.attrs[name] = np.float64(value) if isinstance(value, float) else value
    group.attrs["digest"] = moments.digest
    group.create_dataset(schema.VECTOR, data=moments.vector, dtype=schema.VECTOR_DTYPE)
    group.create_dataset(schema.DOUBLE, data=moments.double, dtype=schema.DOUBLE_DTYPE)
    for name, dataset in schema.WITNESSES.items():
        group.create_dataset(dataset, data=moments.witnesses[name], dtype=schema.WITNESS_DTYPE)


def check_target(path: Path) -> Path:
    """The file that will be replaced, links followed; ValueError, before any long work, where that cannot succeed."""
    try:
        old = _check_kind(path)
        target = path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: how Python up to 3.12 calls a loop of links
        raise ValueError(
            f"{path} cannot be written ({getattr(error, 'strerror', error)}): name another file"
        ) from error
    if old is not None and _is_a_stream(old):
        raise ValueError(f"{path} is where standard output or error goes: name another file")
    if old is None and path.is_symlink():
        raise ValueError(f"{path} is a link to nothing: remove it, or name the file itself")
    if not target.parent.is_dir():
        raise ValueError(f"the folder {target.parent} does not exist: create it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise ValueError(f"the folder {target.parent} is not writable: choose another")
    return target


def write(target: Path, data: bytes) -> None:
    """Replace `target` by `data` at one instant: whoever looks sees the old file whole or the new one whole.

    The data go to a partial file beside it, of a name that no one can foresee, which is created, never opened: writers
    do not meet, and nothing planted is followed. An existing file's permissions are kept, and its owner and group where
    we may give them away; a new file has those of the umask. What a writer killed a day ago left behind is removed.

    Raises:
        ValueError: `target` is not a regular file.
        OSError: it could not be replaced; it is what it was.
    """
    old = _check_kind(target, follow=False)
    partial = target.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")

    def create(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666 if old is None else 0o600)

    try:
        with open(partial, "xb", opener=create) as file:  # x: O_CREAT | O_EXCL
            file.write(data)
            if old is not None:
                _resemble(file.fileno(), old)
            file.flush()
            os.fsync(file.fileno())
        _check_kind(target, follow=False)
        os.replace(partial, target)
    except BaseException as error:
        if not isinstance(error, FileExistsError):  # another's file, then
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = f"cannot be written ({error.strerror or error}); it is what it was"
            raise OSError(error.errno, reason, str(target)) from error
        raise
    _settle(target.parent)
    _sweep(target.parent)


def _check_kind(path: Path, follow: bool = True) -> os.stat_result | None:
    """What stands at `path`, None if nothing does; ValueError unless renaming a file onto it replaces a file."""
    try:
        status = os.stat(path, follow_symlinks=follow)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{path} is a directory: name a file, for example {path / 'table.h5'}")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is not a regular file: name a file")
    return status


def _is_a_stream(status: os.stat_result) -> bool:
    """Whether standard output or standard error go there: what they said would be lost."""
    for stream in (1, 2):
        with suppress(OSError):  # it is closed
            if os.path.samestat(status, os.fstat(stream)):
                return True
    return False


def _resemble(descriptor: int, old: os.stat_result) -> None:
    """Owner, group and permissions as `old`; where the group cannot be given, its permissions are those of others."""
    if os.name == "nt":
        return
    for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
        with suppress(OSError):
            os.fchown(descriptor, owner, group)
    mode = old.st_mode & 0o777
    if os.fstat(descriptor).st_gid != old.st_gid:
        mode = mode & ~0o070 | (mode & 0o007) << 3
    os.fchmod(descriptor, mode)


def _settle(folder: Path) -> None:
    """Make the rename outlast a power cut, as well as can be: the file is replaced anyway. Windows opens no folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove our own partial files of a day ago and more; other writers' may vanish meanwhile."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    ours = stat.S_ISREG(status.st_mode) and (os.name == "nt" or status.st_uid == os.geteuid())
                    if ours and status.st_mtime < time.time() - _A_DAY:
                        os.unlink(entry)
