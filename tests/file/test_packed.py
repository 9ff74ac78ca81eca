"""The table as the kernels read it: an index without search finds the same place as a search."""

import numpy as np
import pytest

import points
from conftest import table_named
from tanhlut import ModeTable, mode
from tanhlut.file.axes import delta_nodes
from tanhlut.file.bounds import WHOLE_PLANE
from tanhlut.file.packed import Packed, pack, positions

TABLES = ["default", "narrow", "coarse", "default start", "narrow start"]


def packed(table: ModeTable) -> Packed:
    assert table.packed is not None
    return table.packed


@pytest.mark.parametrize("name", TABLES)
def test_positions_are_those_of_a_search(name: str) -> None:
    """To float32's rounding of the argument, as the proof charges it: seen from the axis, not from the cell."""
    table = table_named(name)
    loc, scale = (part.double().numpy() for part in points.hard_queries(table, 200_000, seed=1))
    delta = delta_nodes(table.scale)
    axes = (
        (loc, table.loc, packed(table).loc_index, 2.0**-85),
        (2 * scale * scale - 1, delta, packed(table).delta_index, 2.0**-26),
    )
    for x, nodes, index, smallest in axes:
        x = x[(x >= nodes[0]) & (x <= nodes[-1]) & (np.abs(x) >= smallest)].astype(np.float32).astype(np.float64)
        found = np.interp(positions(x.astype(np.float32), index), np.arange(len(nodes)), nodes)
        assert (np.abs(found - np.clip(x, nodes[0], nodes[-1])) <= 1.01 * 2.0**-24 * np.abs(x)).all()


@pytest.mark.parametrize("name", TABLES)
def test_no_float32_leads_outside_the_values(name: str) -> None:
    """Every key at both its ends, infinities and NaN, after the clamp to the axis' ends that the kernels make."""
    table = table_named(name)
    keys = np.arange(2048, dtype=np.uint32) << 21
    every = np.concatenate([keys, keys | ((1 << 21) - 1), keys | 1]).view(np.float32)
    _, last, low, high = packed(table).ends
    for x, index, nodes in (
        (np.abs(np.where(every > last, last, every)), packed(table).loc_index, len(table.loc)),
        (np.where(every > high, high, np.where(every < low, low, every)), packed(table).delta_index, len(table.scale)),
    ):
        cell = np.floor(positions(np.minimum(x, last) if nodes == len(table.loc) else x, index)) + 1
        assert cell.min() >= 0
        assert cell.max() <= nodes  # of nodes + 2 stored values; the next one is read too


@pytest.mark.parametrize("name", TABLES)
def test_bytes(name: str) -> None:
    table = table_named(name)
    rows, columns = table.values.shape
    assert packed(table).nbytes == 4 * (2 * (rows + 1) * (columns + 2) + 2 * 2048)
    np.testing.assert_array_equal(packed(table).pairs[:-1, 1:-1, 1], table.values)
    np.testing.assert_array_equal(packed(table).values[1:-1, 1:-1], table.values)


def test_an_axis_of_other_cells_is_refused() -> None:
    table = ModeTable.default()
    delta = delta_nodes(table.scale)
    assert pack(table.loc, delta, table.values, WHOLE_PLANE) is not None
    even = np.linspace(0, 16, len(table.loc))
    moved = table.loc.copy()
    moved[400] *= 1.0 + 1e-6
    for loc in (even, moved):
        assert pack(loc, delta, table.values, WHOLE_PLANE) is None


def test_a_first_cell_may_be_large() -> None:
    """Below the first node the weight is a quotient, wherever that node is."""
    table = ModeTable.default()
    kept = (table.loc == 0.0) | (table.loc >= 2.0**-40)
    large = ModeTable(table.loc[kept], table.scale.copy(), table.values[kept], table.metadata)
    assert large.packed is not None
    loc, scale = points.hard_queries(table, 100_000, seed=5)
    eager, cpu = (mode(loc, scale, method="bilinear", table=large, backend=b) for b in ("eager", "cpu"))
    assert float((eager - cpu).abs().max()) <= 4e-7
