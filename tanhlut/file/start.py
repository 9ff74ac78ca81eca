"""The table from which the method "refined" starts: the file's own with fewer nodes.

A Halley step cubes the error of its start, so a start within 1e-3 does (proven: 4.02e-7 in float32, from within 1e-4
3.83e-7). A table for 1e-4 has four times the nodes and falls out of a core's second cache of 512 KB: measured on AVX2,
when tables were half as large in memory, 1.6 to 2.2 of a torch.tanh, where the thin one took 1.2.

Every run of equal cells, within a quarter octave or within an octave that is not cut by quarters, becomes a run of
fewer, by plain elementwise arithmetic: the same bits on every machine. An octave keeps three cells where a float32 may
come, as `tablegen.make.layout` has it and for its reason.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tanhlut.file.axes import delta_nodes

_DEEPEST = 2.0**-26  # below it a cell is an octave
_ROUNDING = 2.0**-22
_FEWEST = 3  # cells in an octave above it

Array = NDArray[np.float64]


def thinned(
    loc: Array, scale: Array, values: NDArray[np.float32], tolerance: float, start_tolerance: float
) -> tuple[Array, Array, NDArray[np.float32]]:
    """(loc, scale, values) of a table that interpolates to about `start_tolerance`, from one of `tolerance`."""
    share = min(float(np.sqrt(tolerance / start_tolerance)), 1.0)
    rows, loc_nodes = _fewer(loc, share)
    columns, delta = _fewer(delta_nodes(scale), share)
    own = scale[columns.astype(np.int64)]  # where a node stays
    return (
        loc_nodes.astype(np.float32).astype(np.float64),
        np.where(columns % 1.0 == 0.0, own, np.sqrt(np.maximum(0.5 * (1.0 + delta), 0.0))),
        _isotone(_at(_at(values.astype(np.float64), rows).T, columns).T.astype(np.float32)),
    )


def _fewer(nodes: Array, share: float) -> tuple[Array, Array]:
    """Where on the axis, in node numbers and fractions of them, the fewer nodes lie; and the nodes themselves."""
    places, fewer = [np.zeros(1)], [nodes[:1]]
    for first, last, fewest in _runs(np.abs(nodes).astype(np.float32)):  # as float32: a δ has its scale's rounding
        cells = last - first
        count = max(min(fewest, cells), int(np.ceil(cells * share)))
        steps = np.arange(1, count + 1)
        places.append(first + steps * cells / count)
        fewer.append(nodes[first] + (nodes[last] - nodes[first]) * steps / count)
    return np.concatenate(places), np.concatenate(fewer)


def _runs(sizes: NDArray[np.float32]) -> Iterator[tuple[int, int, int]]:
    """(first node, last node, how few cells must remain) of every run of equal cells: an octave's, or a quarter's."""
    eighths = np.frexp(sizes)[0] * 8.0
    octaves = _sorted(0, np.flatnonzero((eighths == 4.0) | (sizes < _DEEPEST)), len(sizes) - 1)
    for first, last in itertools.pairwise(octaves):
        inside = slice(first, last + 1)
        ends = float(sizes[first]), float(sizes[last])
        uneven = np.abs(sizes[inside] - np.linspace(*ends, last + 1 - first)).max() > _ROUNDING * max(ends)
        if uneven or max(ends) != 2.0 * min(ends):
            quarters = first + np.flatnonzero(eighths[inside] % 1.0 == 0.0)
            yield from ((a, b, 1) for a, b in itertools.pairwise(_sorted(first, quarters, last)))
        else:
            yield first, last, _FEWEST


def _sorted(first: int, between: NDArray[np.int64], last: int) -> list[int]:
    """Each once. (For numpy.unique a first lookup would wait until masked arrays are imported, 15 ms.)"""
    return sorted({first, *between.tolist(), last})


def _at(array: Array, places: Array) -> Array:
    """A table's rows there, interpolated."""
    low = np.minimum(places.astype(np.int64), len(array) - 2)
    weight = (places - low).reshape(-1, *[1] * (array.ndim - 1))
    return np.asarray(array[low] * (1.0 - weight) + array[low + 1] * weight)


def _isotone(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without the last-bit dips that rounding leaves where the mode is flat."""
    return np.ascontiguousarray(np.maximum.accumulate(np.maximum.accumulate(values, axis=0), axis=1))
