"""The points of check.c and the sums that it must print, from `tanhlut.mode` or `mean`, backend="cpu"."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut import ModeTable, mean, mode
from tanhlut.methods import Method

Words = NDArray[np.uint32]
BLOCK = 1000
LOW, HIGH = (float(np.float32(bound)) for bound in (-0.3, 2.1))
EDGES = np.array(
    [
        *(0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x000116C2, 0x00800000, 0x0DA24260, 0x15000000),
        *(0x358637BD, 0xB58637BD, 0x3DCCCCCD, 0x3E4CCCCD, 0xBE99999A, 0x3F000000, 0x3F3504F2, 0x3F3504F3),
        *(0x3F3504F4, 0x3F800000, 0xBF800000, 0x3F9FFFFF, 0x3FA00000, 0x3FA00001, 0x40400000, 0x40400001),
        *(0x41800000, 0x41800001, 0x42200000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000),
    ],
    np.uint32,
)


def points(count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(loc, scale): all pairs of edges, then in turn the plane, random bits, every exponent, the cusp."""
    i = np.arange(count, dtype=np.uint32)
    a, b = mixed(2 * i + 1), mixed(2 * i + 2)
    wide = (a & 0x807FFFFF) | ((60 + (a >> 24) % 71) << 23)
    kinds = [
        (
            (a.view(np.int32).astype(np.float32) * np.float32(1.3969839e-09)).view(np.uint32),
            ((b >> 8).astype(np.float32) * np.float32(1.1920929e-07)).view(np.uint32),
        ),
        (a, b),
        (wide, (b & 0x007FFFFF) | ((100 + (b >> 24) % 29) << 23)),
        (wide, 0x3F3504F3 - 2048 + b % 4097),
    ]
    loc, scale = (np.choose(i & 3, parts).astype(np.uint32) for parts in zip(*kinds, strict=True))
    first = i[:1024]
    loc[:1024], scale[:1024] = EDGES[first >> 5], EDGES[first & 31]
    return loc.view(np.float32), scale.view(np.float32)


def sums(count: int, method: Method | None, table: ModeTable | None) -> NDArray[np.uint32]:
    """(count/1000, 2): for every thousand points those of the mode, and of the mode on [LOW, HIGH]; without a method of
    the mean."""
    loc, scale = points(count)

    def answer(*bounds: float) -> Any:
        if method is None:
            return mean(loc, scale, *bounds, backend="cpu")
        return mode(loc, scale, *bounds, method=method, table=table, backend="cpu")

    answers = (answer(), answer(LOW, HIGH))
    return np.stack([_summed(np.asarray(y, np.float32)) for y in answers], 1)


def _summed(y: NDArray[np.float32]) -> Words:
    words = np.where(np.isnan(y), np.uint32(0x7FC00000), y.view(np.uint32))
    mine = mixed(words ^ mixed(np.arange(len(y), dtype=np.uint32)))
    return np.asarray(mine.reshape(-1, BLOCK).sum(1, dtype=np.uint32), np.uint32)


def mixed(x: Words) -> Words:
    x = np.asarray((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D), np.uint32)
    x = np.asarray((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B), np.uint32)
    return np.asarray(x ^ (x >> np.uint32(16)), np.uint32)
