"""Damage to a file's bytes: at random, and aimed at the structures of HDF5. The header may be repaired afterwards.

Every function takes a generator and the bytes after the user block, and changes them.
"""

import struct
from collections.abc import Callable

import numpy as np

Damage = Callable[[np.random.Generator, bytearray], None]

# What a size, a count or an address should not be.
ODD = (0, 1, 2, 7, 8, 15, 16, 255, 4096, 65535, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 63)
SIGNATURES = (b"GCOL", b"HEAP", b"SNOD", b"TREE", b"\x89HDF")
MEMBERS = (
    b"digest\0",
    b"certificates\0",
    b"value\0",
    b"loc\0",
    b"scale\0",
    b"mode\0",
    b"network\0",
    b"weight0\0",
    b"moments\0",
    b"numbers\0",
    b"mean_witness\0",
)


def _spot(rng: np.random.Generator, body: bytearray, margin: int = 1) -> int:
    """Anywhere; half of the time near a structure or a name."""
    if rng.random() < 0.5:
        word = (*SIGNATURES, *MEMBERS)[rng.integers(len(SIGNATURES) + len(MEMBERS))]
        found = _all(body, word)
        if found:
            at = found[rng.integers(len(found))] + int(rng.integers(-64, 128))
            return min(max(at, 0), len(body) - margin)
    return int(rng.integers(0, max(1, len(body) - margin)))


def _all(body: bytearray, word: bytes) -> list[int]:
    found, at = [], body.find(word)
    while at >= 0:
        found.append(at)
        at = body.find(word, at + 1)
    return found


def _odd(rng: np.random.Generator, body: bytearray) -> int:
    near = (len(body), len(body) - 8, len(body) + 512, int(rng.integers(len(body))), (1 << 64) - 1)
    return (*ODD, *near)[rng.integers(len(ODD) + len(near))]


def flip(rng: np.random.Generator, body: bytearray) -> None:
    """Bits, one to sixteen."""
    for _ in range(rng.integers(1, 17)):
        body[_spot(rng, body)] ^= 1 << int(rng.integers(8))


def overwrite(rng: np.random.Generator, body: bytearray) -> None:
    """A run of random bytes, or of one byte."""
    at, size = _spot(rng, body), int(2 ** rng.uniform(0, 10))
    run = rng.bytes(size) if rng.random() < 0.5 else bytes([rng.choice([0, 255, 1])]) * size
    body[at : at + size] = run[: len(body[at : at + size])]


def insert(rng: np.random.Generator, body: bytearray) -> None:
    """Bytes that were not there."""
    at = _spot(rng, body)
    body[at:at] = rng.bytes(int(2 ** rng.uniform(0, 10)))


def delete(rng: np.random.Generator, body: bytearray) -> None:
    """Bytes that were there."""
    at = _spot(rng, body)
    del body[at : at + int(2 ** rng.uniform(0, 10))]


def duplicate(rng: np.random.Generator, body: bytearray) -> None:
    """A block, pasted over another place or in between."""
    source, at, size = _spot(rng, body), _spot(rng, body), int(2 ** rng.uniform(2, 12))
    block = body[source : source + size]
    body[at : at + (len(block) if rng.random() < 0.7 else 0)] = block


def truncate(rng: np.random.Generator, body: bytearray) -> None:
    """The end is missing."""
    del body[int(rng.integers(len(body))) :]


def extend(rng: np.random.Generator, body: bytearray) -> None:
    """Something follows."""
    body += bytes(int(2 ** rng.uniform(0, 16))) if rng.random() < 0.5 else rng.bytes(int(2 ** rng.uniform(0, 12)))


def number(rng: np.random.Generator, body: bytearray) -> None:
    """An aligned size, count or address becomes an odd one."""
    for _ in range(rng.integers(1, 4)):
        width = int(rng.choice([1, 2, 4, 8]))
        at = _spot(rng, body, 8) // width * width
        value = _odd(rng, body) % (1 << 8 * width)
        body[at : at + width] = value.to_bytes(width, "little")


def pointer(rng: np.random.Generator, body: bytearray) -> None:
    """An address becomes another of the file's addresses: members change places, structures lead to themselves."""
    words = np.frombuffer(bytes(body[: len(body) // 8 * 8]), "<u8")
    places = np.flatnonzero((words >= 96) & (words < len(body)))
    if not len(places):
        return flip(rng, body)
    for _ in range(rng.integers(1, 4)):
        at, other = (int(place) for place in rng.choice(places, 2))
        address = 8 * at if rng.random() < 0.2 else int(words[other])
        struct.pack_into("<Q", body, 8 * at, address)
    return None


def heap(rng: np.random.Generator, body: bytearray) -> None:
    """A global heap collection without objects, without end, or with objects of odd sizes."""
    found = [at for at in _all(body, b"GCOL") if at + 16 + 16 * 16 <= len(body)]
    if not found:
        return flip(rng, body)
    at = found[rng.integers(len(found))]
    kind = rng.integers(5)
    if kind == 0:  # emptied
        body[at + 16 : at + 32] = bytes(16)
    elif kind == 1:  # one object that never ends
        struct.pack_into("<HHIQ", body, at + 16, 1, 1, 0, _odd(rng, body))
    elif kind == 2:  # the collection's own size
        struct.pack_into("<Q", body, at + 8, _odd(rng, body))
    elif kind == 3:  # nothing but empty objects
        for k in range(16):
            struct.pack_into("<HHIQ", body, at + 16 + 16 * k, int(rng.integers(0, 40)), 1, 0, 0)
    else:  # all of it
        body[at : at + 4096] = bytes([int(rng.integers(256))]) * len(body[at : at + 4096])
    return None


def text(rng: np.random.Generator, body: bytearray) -> None:
    """A text's length, heap address or index."""
    found = _all(body, bytes.fromhex("19010100 10000000"))
    if not found:
        return flip(rng, body)
    at = found[rng.integers(len(found))] + 32  # past the datatype, padded, and a scalar dataspace
    if at + 16 <= len(body):
        offset, form = [(0, "<I"), (4, "<Q"), (12, "<I")][rng.integers(3)]
        struct.pack_into(form, body, at + offset, _odd(rng, body) % (1 << 8 * struct.calcsize(form)))
    return None


def message(rng: np.random.Generator, body: bytearray) -> None:
    """An object header message: its type, its size, its flags, or the header's counts."""
    headers = [at for at in _all(body, b"\x01\x00") if at % 8 == 0 and body[at + 4 : at + 8] == b"\1\0\0\0"]
    if not headers:
        return flip(rng, body)
    at = headers[rng.integers(len(headers))]
    offset, form = [(0, "<B"), (2, "<H"), (8, "<I"), (16, "<H"), (18, "<H"), (20, "<B")][rng.integers(6)]
    if at + 24 <= len(body):
        value = _odd(rng, body) if rng.random() < 0.5 else int(rng.integers(0, 24))
        struct.pack_into(form, body, at + offset, value % (1 << 8 * struct.calcsize(form)))
    return None


def superblock(rng: np.random.Generator, body: bytearray) -> None:
    """One field of the first 96 bytes."""
    at = int(rng.integers(0, 12)) * 8
    struct.pack_into("<Q", body, min(at, len(body) - 8), _odd(rng, body))


ALL: tuple[Damage, ...] = (
    flip, overwrite, insert, delete, duplicate, truncate, extend, number, pointer, heap, text, message, superblock,
)  # fmt: skip
