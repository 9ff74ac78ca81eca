"""The thinner table that "refined" starts from: its nodes, its error against proven modes, and files without one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import oracle
import points
from conftest import table_named
from tablegen import store
from tanhlut import ModeTable, mode
from tanhlut.file.axes import delta_nodes
from tanhlut.file.bounds import WHOLE_PLANE
from tanhlut.file.start import thinned

Floats = NDArray[np.float64]
TABLES = ["default", "narrow"]


def rebuilt(table: ModeTable, **metadata: float) -> ModeTable:
    known = {name: value for name, value in table.metadata.items() if name != "start_tolerance"}
    return ModeTable(table.loc.copy(), table.scale.copy(), table.values.copy(), known | metadata)


@pytest.mark.parametrize("name", TABLES)
def test_it_is_a_table_of_fewer_nodes_over_the_same_ground(name: str) -> None:
    table, start = table_named(name), table_named(f"{name} start")
    assert start.nbytes < table.nbytes / (4 if name == "default" else 2)
    assert start.bounds == table.bounds
    assert start.packed is not None
    assert table.interpolated("refined") is start
    assert table.interpolated("bilinear") is table
    for few, many in ((start.loc, table.loc), (start.scale, table.scale)):
        assert few[0] == many[0]
        assert few[-1] == many[-1]


@pytest.mark.parametrize("name", TABLES)
def test_an_octave_keeps_three_cells_where_a_float32_may_come(name: str) -> None:
    start = table_named(f"{name} start")
    delta = delta_nodes(start.scale)
    checked = 0
    for side in (start.loc, delta, -delta[::-1]):
        nodes = side[side >= 2.0**-25].astype(np.float32)
        whole = [2.0**e for e in range(-25, 4) if nodes[0] <= 2.0**e and 2.0 ** (e + 1) <= nodes[-1]]
        for low in whole:
            assert ((nodes > low) & (nodes < 2 * low)).sum() >= 2, low
        checked += len(whole)
    assert checked >= 50


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("draw", [points.uniform, points.cusp, points.exponents])
def test_its_error(name: str, draw: Callable[[int, int], tuple[Floats, Floats]]) -> None:
    """About what its name says, against proven modes; the proof of "refined" takes it as it is."""
    start = table_named(f"{name} start")
    loc, scale = draw(4000, 3)
    loc, loc_max = np.abs(loc), start.bounds.reach.loc_max
    inside = (loc <= loc_max) & (scale >= start.bounds.scale_min) & (scale <= start.bounds.scale_max)
    loc, scale = loc[inside], scale[inside]
    assert len(loc) >= 20
    truth = oracle.prove(loc, scale, mode(loc, scale, method="exact"))
    assert np.abs(mode(loc, scale, method="bilinear", table=start) - truth).max() <= 1.1e-3


def test_a_file_that_knows_of_none(tmp_path: Path) -> None:
    """As those made before: "refined" starts from the table itself, whose certificate speaks of that."""
    table = rebuilt(table_named("coarse"))
    path = tmp_path / "old.h5"
    path.write_bytes(store.image(table))
    old = ModeTable.load(path)
    assert "start_tolerance" not in old.metadata
    assert old.start is old
    finer = rebuilt(table_named("narrow"), start_tolerance=1e-4)  # no coarser than the table
    assert finer.start is finer


@pytest.mark.parametrize("wrong", [0.0, -1e-3, float("nan"), 2.0, float("inf")])
def test_a_tolerance_that_is_none(wrong: float) -> None:
    with pytest.raises(ValueError, match="start_tolerance"):
        rebuilt(table_named("coarse"), start_tolerance=wrong)


def test_nodes_that_stay_are_the_same_numbers() -> None:
    """Nothing is thinned to the tolerance that is there, where no cell may go."""
    table = table_named("narrow")
    loc, scale, values = thinned(table.loc, table.scale, table.values, 1e-4, 1e-4)
    assert np.array_equal(loc, table.loc)
    assert np.array_equal(scale, table.scale)
    assert np.array_equal(values, table.values)
    assert values.flags.c_contiguous


def test_any_axes_can_be_thinned() -> None:
    """Of a stranger's table, whose nodes follow no rule: a table comes out, though kernels may not read it."""
    rng = np.random.default_rng(1)
    loc = np.concatenate([[0.0], np.sort(rng.uniform(0.1, 16.0, 60)).astype(np.float32).astype(np.float64)])
    loc[-1] = 16.0
    scale = np.concatenate([[0.0], np.sort(rng.uniform(0.1, 2.9, 60)), [3.0]])
    values = np.asarray(mode(*np.meshgrid(loc, scale, indexing="ij"), method="exact"), np.float32)
    values = np.maximum.accumulate(np.maximum.accumulate(values, 0), 1)
    given = {**WHOLE_PLANE._asdict(), "tolerance": 1e-4, "start_tolerance": 1e-3}
    start = ModeTable(loc, scale, values, given).start
    assert start.nbytes < values.nbytes
    assert torch.isfinite(mode(torch.tensor([0.3]), torch.tensor([0.9]), table=start)).all()
