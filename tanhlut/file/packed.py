"""A table as the compiled kernels read it: values with a spare row and column all around, and an index without search.

A query's cell comes from the bits of a float32, by words that `formula.layout` explains: one load an axis, no search,
no special case for inf or NaN (their exponent has words of its own). Only the cell that reaches down to loc = 0, over
all smaller exponents, has words that name it and a weight that is a plain quotient.

The weight is within a rounding of where equal division puts it: closer than node arithmetic in float32 gets.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tanhlut.file.bounds import WHOLE_PLANE, Bounds
from tanhlut.formula import layout, plain
from tanhlut.formula.layout import CELL_SHIFT, KEY_SHIFT, KEYS, REST_SHIFT, UNIT

# Where float32 queries fall, nodes must lie where equal division puts them, to float32's rounding of node and query.
# Nearer the cusp only float64 queries fall, where δ of a float64 scale is itself coarse: any start in or next to the
# right cell will do for the steps behind it.
_FLOAT32_DELTA = 2.0**-26
_ROUNDING = 1.05 * 2.0**-24


class Packed(NamedTuple):
    """Arrays for the kernels; C-contiguous and never written. `NO_TABLE` is for methods that need none."""

    loc_index: NDArray[np.int32]  # (2048,), by the key of |loc|
    delta_index: NDArray[np.int32]  # (2048,), by the key of δ
    pairs: NDArray[np.float32]  # (rows + 1, columns + 2, 2): each of `values` and the one in the next row
    ends: NDArray[np.float32]  # the first |loc| > 0, the last; the first δ, the last: queries are clamped to these
    bounds: Bounds
    record: NDArray[np.int64]  # what the cpu kernel wants to know, in one place: see `_packed`

    @property
    def address(self) -> int:
        """Where the record is. It and all that it points to must outlive the kernel's use of it."""
        return int(self.record.ctypes.data)

    @property
    def values(self) -> NDArray[np.float32]:
        """(rows + 2, columns + 2): the table's, with the edges twice, since a rounding may lead one cell out."""
        return np.concatenate([self.pairs[:, :, 0], self.pairs[-1:, :, 1]])

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.loc_index.nbytes + self.delta_index.nbytes + self.pairs.nbytes


def pack(
    loc: NDArray[np.float64], delta: NDArray[np.float64], values: NDArray[np.float32], bounds: Bounds
) -> Packed | None:
    """The table over axes loc ≥ 0 and δ, or None where its nodes do not divide quarter octaves into equal cells."""
    if max(len(loc), len(delta)) + 1 >= 1 << (32 - CELL_SHIFT):
        return None
    loc_index, delta_index = _index(loc), _index(delta)
    if not (_regular(loc, loc_index, float(loc[1])) and _regular(delta, delta_index, _FLOAT32_DELTA)):
        return None
    ends = np.array([loc[1], loc[-1], delta[0], delta[-1]], np.float32)
    return _packed(loc_index, delta_index, np.pad(values, 1, mode="edge"), ends, bounds)


def positions(x: NDArray[np.float32], index: NDArray[np.int32]) -> NDArray[np.float64]:
    """Node number plus weight of float32 arguments on an axis, unrounded. Not for the cell that reaches down to 0, of
    which it gives the lower node."""
    cell, weight = plain.WIDE.place(x, index[plain.WIDE.key(x, layout.DELTA_KEYS)])
    return np.asarray(cell - 1 + weight)


def _index(nodes: NDArray[np.float64]) -> NDArray[np.int32]:
    keys = np.arange(KEYS // 2, dtype=np.uint32)
    low, high = (edge(keys + k) for k in (0, 1))
    above = int(np.searchsorted(nodes, 0.0))
    sides = []
    for sign, first, last in ((1.0, min(above, len(nodes) - 1), len(nodes) - 1), (-1.0, 0, max(above - 1, 0))):
        # Clipped to its own side of zero: no query lies in the cell across it, and none may be rounded into it.
        begin = np.clip(_place(sign * low, nodes), first, last)
        end = np.where((begin == (last if sign > 0 else first)), begin, _place(sign * high, nodes))
        if nodes[0] == 0.0:
            lowest = high <= nodes[1]
            begin[lowest], end[lowest] = 0.0, 0.0
        base = np.round(begin / UNIT).astype(np.int64)
        span = np.clip(np.round(end / UNIT).astype(np.int64) - base, -(1 << 11), (1 << 11) - 1)
        sides.append(((base >> 4) + 1 << CELL_SHIFT) | ((base & 15) << REST_SHIFT) | (span & (1 << REST_SHIFT) - 1))
    return np.concatenate(sides).astype(np.uint32).view(np.int32)


def _place(x: NDArray[np.float64], nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Node number and fraction of x; beyond the ends as if the last cells went on."""
    place = np.interp(x, nodes, np.arange(len(nodes), dtype=np.float64))
    below, above = (x - nodes[0]) / (nodes[1] - nodes[0]), (x - nodes[-1]) / (nodes[-1] - nodes[-2])
    return np.asarray(place + np.minimum(below, 0.0) + np.maximum(above, 0.0))


def edge(keys: NDArray[np.uint32]) -> NDArray[np.float64]:
    """The float32 with nothing but a key for bits; 2^128 for inf and beyond."""
    edges = np.minimum(keys << np.uint32(KEY_SHIFT), np.uint32(0x7F800000)).view(np.float32).astype(np.float64)
    return np.where(np.isinf(edges), 2.0**128, edges)


def _regular(nodes: NDArray[np.float64], index: NDArray[np.int32], smallest: float) -> bool:
    """Whether a query at each node, and at each edge of a quarter, finds its place, but for float32's rounding."""
    edges = edge(np.arange(KEYS // 2, dtype=np.uint32))
    x = np.concatenate([nodes, edges, -edges])
    x = x[(np.abs(x) >= smallest) & (x >= nodes[0]) & (x <= nodes[-1])]
    found = np.clip(positions(x.astype(np.float32), index), 0, len(nodes) - 1)
    place = np.interp(found, np.arange(len(nodes), dtype=np.float64), nodes)
    return bool((np.abs(place - x) <= _ROUNDING * np.abs(x)).all())


def _packed(
    loc_index: NDArray[np.int32],
    delta_index: NDArray[np.int32],
    values: NDArray[np.float32],
    ends: NDArray[np.float32],
    bounds: Bounds,
) -> Packed:
    """With the record, as `layout` has it."""
    pairs = np.ascontiguousarray(np.stack([values[:-1], values[1:]], axis=2))
    record = np.empty(layout.RECORD, np.int64)
    for place, array in ((layout.LOC_INDEX, loc_index), (layout.DELTA_INDEX, delta_index), (layout.PAIRS, pairs)):
        record[place] = array.ctypes.data
    record[layout.COLUMNS], record[layout.BOUNDED] = values.shape[1], not bounds.whole_plane
    record[layout.LOC_MAX : layout.SCALE_MAX + 1] = np.array(bounds, np.float64).view(np.int64)
    record[layout.FIRST_LOC : layout.LAST_DELTA + 1] = ends.astype(np.float64).view(np.int64)
    return Packed(loc_index, delta_index, pairs, ends, bounds, record)


_NO_INDEX = np.zeros(KEYS, np.int32)
NO_TABLE = _packed(_NO_INDEX, _NO_INDEX, np.zeros((2, 2), np.float32), np.ones(4, np.float32), WHOLE_PLANE)
