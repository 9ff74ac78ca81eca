"""What the header's functions do, in the text's operations: fold, start, steps, finish, as the cpu kernel does them.

`functions` is run twice, like the text itself: by the printer for the C, with NumPy for what the self-test expects.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tanhlut.file.packed import Packed
from tanhlut.formula import layout
from tanhlut.methods import Method

LARGEST = float(np.finfo(np.float32).max)


class Table(NamedTuple):
    """A table as `bits` asks for it: arrays, and numbers of one kind or another."""

    loc_index: Any
    delta_index: Any
    values: Any  # flat
    columns: Any
    ends: tuple[Any, ...]
    bounds: tuple[Any, ...]  # empty for the whole plane


class Functions(NamedTuple):
    """Of one method."""

    start: Callable[..., Any]
    mode_bounded: Callable[..., Any]
    mode: Callable[..., Any]


def arrays(packed: Packed) -> Table:
    """The table in NumPy. |loc| has no sign: half an index will do."""
    bounds = () if packed.bounds.whole_plane else tuple(map(np.float32, packed.bounds))
    loc_index, values = packed.loc_index[: layout.LOC_KEYS + 1], packed.values.ravel()
    return Table(loc_index, packed.delta_index, values, packed.values.shape[1], tuple(packed.ends), bounds)


def functions(text: Any, method: Method, table: Table | None) -> Functions:
    """The method's functions in the operations of `text` (`bits` and `element`), decorated as its own are."""
    bounds = () if table is None else table.bounds
    stepless = method == "bilinear" and not bounds
    element: Callable[[Callable[..., Any]], Callable[..., Any]] = text.element

    @element
    def interpolated(m: Any, delta: Any) -> Any:
        """Between the four corners of the table's cell."""
        assert table is not None
        row, column, u, v = text.cell(m, delta, *table.ends, table.loc_index, table.delta_index)
        corner = row * table.columns + column
        below = corner + table.columns
        first, second = text.load(table.values, corner), text.load(table.values, corner + 1)
        third, fourth = text.load(table.values, below), text.load(table.values, below + 1)
        return text.corners(first, second, third, fourth, u, v)

    @element
    def inside(loc: Any, scale: Any) -> Any:
        """Whether the table covers (loc, scale); elsewhere the exact method answers."""
        loc_max, scale_min, scale_max = bounds
        return (text.absolute(loc) <= loc_max) & (scale >= scale_min) & (scale <= scale_max)

    def first(loc: Any, scale: Any, m: Any, s: Any, delta: Any) -> Any:
        """(The table's y if there is a table, the x that a step begins with.)"""
        if table is None:
            return None, text.rough_start(m, s, delta)
        y = interpolated(m, delta)
        x = text.fma(s, y, m)
        return y, text.select(inside(loc, scale), x, text.rough_start(m, s, delta)) if bounds else x

    @element
    def start(loc: Any, scale: Any) -> Any:
        """What the steps begin with; for the self-test, which a step would hide an error from."""
        m, s, delta = text.fold(loc, scale)
        y, x = first(loc, scale, m, s, delta)
        return y if stepless else x

    @element
    def fraction(loc: Any, scale: Any) -> Any:
        """|mode| on (-1, 1)."""
        m, s, delta = text.fold(loc, scale)
        y, x = first(loc, scale, m, s, delta)
        if stepless:
            return y
        stepped = text.step(x, m, s, delta)
        return text.select(inside(loc, scale), y, stepped) if method == "bilinear" else stepped

    @element
    def mode_bounded(loc: Any, scale: Any, low: Any, high: Any) -> Any:
        """The mode on [low, high]; NaN unless low < high and both are finite."""
        half, middle = text.image(low, high)
        good = (low < high) & (half <= LARGEST)
        return text.invalid_if(~good, text.finish(fraction(loc, scale), loc, half, middle, low, high))

    @element
    def mode(loc: Any, scale: Any) -> Any:
        """The mode on [-1, 1]; NaN where loc or scale is NaN or scale < 0."""
        return mode_bounded(loc, scale, -text.ONE, text.ONE)

    return Functions(start, mode_bounded, mode)
