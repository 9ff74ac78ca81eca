from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tablegen import store
from tablegen.build import build
from tanhlut import ModeTable
from tanhlut.grid import WHOLE_PLANE, Bounds

NARROW = Bounds(3.0, 0.1, 1.5)


@pytest.fixture(scope="session")
def narrow() -> ModeTable:
    """The rebuild that the issue names: --loc-max 3 --scale-min 0.1 --scale-max 1.5 --tol 1e-4."""
    return build(NARROW, 1e-4, "newton", "tests")[0]


@pytest.fixture(scope="session")
def coarse() -> ModeTable:
    """The coarsest table that can be built: what refinement must survive."""
    return build(WHOLE_PLANE, 0.01, "newton", "tests")[0]


@pytest.fixture
def coarse_file(coarse: ModeTable, tmp_path: Path) -> Path:
    path = tmp_path / "coarse.h5"
    path.write_bytes(store.image(coarse))
    return path


@pytest.fixture(autouse=True)
def _default_dtype() -> Iterator[None]:
    yield
    assert torch.get_default_dtype() == torch.float32
