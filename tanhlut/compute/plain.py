"""A mode by the plain text (`formula.plain`): what the compiled kernels do, without haste. No backend; a reference."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut.file.packed import NO_TABLE, Packed
from tanhlut.formula.plain import DOUBLE, SINGLE
from tanhlut.methods import Method


def mode(
    loc: NDArray[Any],
    scale: NDArray[Any],
    method: Method,
    table: Packed = NO_TABLE,
    low: float = -1.0,
    high: float = 1.0,
    single: Any = SINGLE,
    words: Any = None,
) -> NDArray[Any]:
    """The mode on [low, high] of float32 or float64 arrays of one shape and dtype, bit for bit the kernels'.

    `single` and `words` may be another text in float32, with its index of the table (`formula.plain_approximate`,
    `file.words`).
    """
    text = single if loc.dtype == np.float32 else DOUBLE
    index = (table.loc_index, table.delta_index) if words is None else words
    bounded = method != "exact" and not table.bounds.whole_plane
    with np.errstate(all="ignore"):
        m, s, delta = (part.astype(np.float32) for part in single.fold(loc, scale))
        x = single.rough_start(m, s, delta)
        y, done = x, np.zeros(loc.shape, bool)
        if method != "exact":
            row, column, u, v = single.cell(m, delta, *table.ends, *index)
            corners = (table.values[row + i, column + j] for i in (0, 1) for j in (0, 1))
            loc_max, scale_min, scale_max = np.array(table.bounds).astype(loc.dtype)
            inside = (np.abs(loc) <= loc_max) & (scale >= scale_min) & (scale <= scale_max)
            inside |= not bounded
            y = single.corners(*corners, u, v)
            y = y + (m - m) * (delta - delta)  # a NaN stays one
            x = np.where(inside, single.fma(s, y, m), x)
            done = inside & (method == "bilinear")
        y = np.where(done, y, single.step(x, m, s, delta))
        y = y.astype(loc.dtype)
        if text is DOUBLE:
            m, s, delta = text.fold(loc, scale)
            y = np.where(done, y, text.step(text.fma(s, y, m), m, s, delta))
        low, high = (loc.dtype.type(bound) for bound in (low, high))
        return np.asarray(text.finish(y, loc, *text.image(low, high), low, high))
