"""The cell of a query found by counting, where a graph has no search: the same cell."""

import numpy as np
import pytest
import torch

from tanhlut import ModeTable
from tanhlut.compute.grid import counted, grid_of


@pytest.mark.parametrize("length", [1, 2, 3, 4, 8, 9, 15, 16, 17, 480])
def test_counting_is_bisection(length: int) -> None:
    rng = np.random.default_rng(length)
    splits = torch.from_numpy(np.sort(rng.normal(size=length)).astype(np.float32))
    x = torch.cat(
        [splits, torch.nextafter(splits, -splits.new_tensor(9)), torch.randn(500) * 2, torch.tensor([-1e30, 1e30])]
    )
    torch.testing.assert_close(counted(x, splits), torch.bucketize(x, splits, right=True), rtol=0, atol=0)


def test_on_the_axes_of_the_shipped_table() -> None:
    grid = grid_of(ModeTable.default(), torch.float32, torch.device("cpu"))
    for axis in (grid.loc, grid.delta):
        beside = [torch.nextafter(axis.splits, torch.full_like(axis.splits, end)) for end in (-1e30, 1e30)]
        x = torch.cat([axis.splits, *beside, axis.origin, axis.end])
        cells = counted(x, axis.splits)
        torch.testing.assert_close(cells, torch.bucketize(x, axis.splits, right=True), rtol=0, atol=0)
        assert set(cells.tolist()) == set(range(len(axis.origin)))
    assert 0 <= counted(torch.tensor([torch.nan]), axis.splits).item() < len(axis.origin)  # whose weight is NaN
