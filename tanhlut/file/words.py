"""The index of a table as `formula.approximate` reads it: two float32 a quarter octave, x·span + base = cell + weight.

Within a quarter octave the cells are equal, so a query's place is a straight line in the query itself. Span and base
are what the words of `layout` say, exactly; but for the cell that reaches down to loc = 0, whose span is the float32
nearest to 1/width.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tanhlut.file.packed import Packed, edge
from tanhlut.formula.layout import CELL_MASK, CELL_SHIFT, KEYS, REST_MASK, REST_SHIFT, SPAN_SHIFT, UNIT


class Words(NamedTuple):
    """By the key of |loc|, and of δ."""

    loc: NDArray[np.float32]  # (2048, 2): span, base
    delta: NDArray[np.float32]  # (2048, 2)


def words_of(table: Packed) -> Words:
    """The words of a packed table."""
    loc, delta = _lines(table.loc_index), _lines(table.delta_index)
    first = table.ends[0]
    lowest = edge(np.arange(KEYS // 2, dtype=np.uint32) + 1) <= first
    loc[: KEYS // 2][lowest, 0] = np.float32(1.0) / first
    return Words(loc, delta)


def _lines(index: NDArray[np.int32]) -> NDArray[np.float32]:
    keys = np.arange(KEYS, dtype=np.uint32) % (KEYS // 2)
    sign = np.where(np.arange(KEYS) < KEYS // 2, 1.0, -1.0)
    low, high = edge(keys), edge(keys + 1)
    begin = ((index >> CELL_SHIFT) & CELL_MASK) + ((index >> REST_SHIFT) & REST_MASK) * UNIT
    cells = ((index << SPAN_SHIFT) >> SPAN_SHIFT) * UNIT
    with np.errstate(divide="ignore", invalid="ignore"):  # between equal infinities lies no query
        span = np.where(cells == 0.0, 0.0, sign * cells / (high - low))
        lines = np.stack([span, begin - np.where(cells == 0.0, 0.0, sign * low * span)], axis=1)
    largest = np.finfo(np.float32).max  # exceeded where |δ| < 5e-38 only, which no scale has: |δ| ≥ 3e-8
    return np.asarray(np.clip(lines, -largest, largest), np.float32)
