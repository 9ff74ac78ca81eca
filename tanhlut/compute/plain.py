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
) -> NDArray[Any]:
    """The mode on [low, high] of float32 or float64 arrays of one shape and dtype, bit for bit the kernels'."""
    text = SINGLE if loc.dtype == np.float32 else DOUBLE
    bounded = method != "exact" and not table.bounds.whole_plane
    with np.errstate(all="ignore"):
        m, s, delta = (part.astype(np.float32) for part in SINGLE.fold(loc, scale))
        x = SINGLE.rough_start(m, s, delta)
        y, done = x, np.zeros(loc.shape, bool)
        if method != "exact":
            row, column, u, v = SINGLE.cell(m, delta, *table.ends, table.loc_index, table.delta_index)
            corners = (table.values[row + i, column + j] for i in (0, 1) for j in (0, 1))
            loc_max, scale_min, scale_max = np.array(table.bounds).astype(loc.dtype)
            inside = (np.abs(loc) <= loc_max) & (scale >= scale_min) & (scale <= scale_max)
            inside |= not bounded
            y = SINGLE.corners(*corners, u, v)
            x = np.where(inside, SINGLE.fma(s, y, m), x)
            done = inside & (method == "bilinear")
        y = np.where(done, y, SINGLE.step(x, m, s, delta))
        y = y.astype(loc.dtype)
        if text is DOUBLE:
            m, s, delta = text.fold(loc, scale)
            y = np.where(done, y, text.step(text.fma(s, y, m), m, s, delta))
        low, high = (loc.dtype.type(bound) for bound in (low, high))
        return np.asarray(text.finish(y, loc, *text.image(low, high), low, high))
