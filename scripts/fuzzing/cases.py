"""From a seed and a number to a file and what may come of it. The same on every machine with the same libraries."""

import io
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from fuzzing import content, damage, forgery, structure
from fuzzing.content import Base, Content
from tanhlut import ModeTable
from tanhlut.file import schema

# What h5py raises on an edit that cannot be made: the file stays as it was until then.
_IMPOSSIBLE = (ValueError, KeyError, TypeError, RuntimeError, OSError, AttributeError)
_BIG = 64 << 20


class Case(NamedTuple):
    """A file written to be loaded.

    Attributes:
        name: what was done to it.
        content: what it may load as; it may also be refused.
        must_load: nothing was done that a reader may refuse.
    """

    name: str
    content: Content
    must_load: bool = False


def write(path: Path, seed: int, number: int, bases: list[Base]) -> Case:
    """Write file `number` of a seed."""
    rng = np.random.default_rng([seed, number])
    base = bases[rng.integers(len(bases))]
    kind = rng.random()
    if kind < 0.55:
        return _damaged(path, rng, base)
    if kind < 0.80:
        return _edited(path, rng, base)
    if kind < 0.99:
        return _forged(path, rng, base)
    if kind < 0.995:
        return _large(path, rng, base)
    path.write_bytes(base.data)
    return Case("untouched", base.content, must_load=True)


def signed(body: bytes | bytearray) -> bytes:
    """A file with this body and a header that matches it."""
    return schema.header(bytes(body)) + body


def edited(data: bytes, change: structure.Edit | forgery.Forgery, rng: np.random.Generator) -> bytes:
    """The body of a file after an edit by h5py."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file, suppress(*_IMPOSSIBLE):
        change(rng, file)
    return buffer.getvalue()[schema.USER_BLOCK :]


def _damaged(path: Path, rng: np.random.Generator, base: Base) -> Case:
    whole, names = bytearray(base.data), []
    repair = rng.random()
    if repair < 0.2:  # the header too may be hit, and is not repaired
        change = damage.ALL[rng.integers(len(damage.ALL))]
        change(rng, whole)
        path.write_bytes(whole)
        return Case(f"damage {change.__name__}, header not repaired", base.content)
    body = whole[schema.USER_BLOCK :]
    for _ in range(rng.integers(1, 4)):
        change = damage.ALL[rng.integers(len(damage.ALL))]
        if len(body) >= 256:
            change(rng, body)
            names.append(change.__name__)
    if repair < 0.7 and len(body) >= 48:  # the superblock's size too
        body[40:48] = (len(body) + schema.USER_BLOCK).to_bytes(8, "little")
    path.write_bytes(signed(body))
    return Case(f"damage {names[0]}, header repaired", base.content)


def _edited(path: Path, rng: np.random.Generator, base: Base) -> Case:
    change = structure.ALL[rng.integers(len(structure.ALL))]
    path.write_bytes(signed(edited(base.data, change, rng)))
    return Case(f"edit {change.__name__}", base.content)


def _forged(path: Path, rng: np.random.Generator, base: Base) -> Case:
    change = forgery.ALL[rng.integers(len(forgery.ALL))]
    found: list[Content] = []

    def forge(rng: np.random.Generator, file: h5py.File) -> None:
        with suppress(*_IMPOSSIBLE):
            change(rng, file)
        found.append(forgery.sign(file))

    path.write_bytes(signed(edited(base.data, forge, rng)))
    return Case(f"forgery {change.__name__}", found[0] if found else base.content)


def _large(path: Path, rng: np.random.Generator, base: Base) -> Case:
    """Sparse files of up to 64 GiB; signed ones as large as may be: of zeros, a table and zeros, a table."""
    kind = rng.integers(5)
    name = ("large, no header", "large, a header", "large, zeros signed", "large, zeros follow", "large table")[kind]
    if kind == 4:
        path.write_bytes(large_table().data)
        return Case(name, large_table().content, must_load=True)
    with open(path, "wb") as file:
        if kind == 0:
            file.truncate(int(2 ** rng.uniform(20, 36)))
        elif kind == 1:
            file.write(base.data[: schema.USER_BLOCK])
            file.truncate(int(rng.choice([_BIG, _BIG + 1, 1 << 30, 1 << 36])))
        elif kind == 2:
            file.write(signed(bytes(_BIG - schema.USER_BLOCK)))
        else:
            body = bytearray(base.data[schema.USER_BLOCK :]) + bytes(_BIG - len(base.data))
            body[40:48] = _BIG.to_bytes(8, "little")
            file.write(signed(body))
    return Case(name, base.content)


@cache
def large_table() -> Base:
    """The largest kind of table that a file can hold, of as many nodes as fit."""
    from tablegen import store

    default = ModeTable.default()
    side = 4000
    loc = np.linspace(0.0, 16.0, side)
    scale = np.linspace(0.0, 3.0, side)
    values = np.minimum(loc[:, None] / 16, 1).astype(np.float32) * np.linspace(0.5, 1, side, dtype=np.float32)
    table = ModeTable(loc, scale, values, dict(default.metadata), (), default.network)
    return Base(store.image(table), content.of(table))


def remove(path: Path) -> None:
    """Delete a case's file, if it was written."""
    with suppress(FileNotFoundError):
        os.unlink(path)
