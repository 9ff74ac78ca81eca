from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from tablegen import store
from tablegen.make.build import build
from tanhlut import ModeTable
from tanhlut.file.bounds import WHOLE_PLANE, Bounds

NARROW = Bounds(3.0, 0.1, 1.5)


@cache
def table_named(name: str) -> ModeTable:
    """The default table, the rebuild that the README names, the coarsest that can be built, and the coarsest within the
    rebuild's bounds, which is small; each made once.

    The narrow one has the default's network beside it. With " start" what the method "refined" starts from.
    """
    if name.endswith(" start"):
        return table_named(name.removesuffix(" start")).start
    if name == "default":
        return ModeTable.default()
    bounds, tolerance = {"narrow": (NARROW, 1e-4), "coarse": (WHOLE_PLANE, 0.01), "small": (NARROW, 0.01)}[name]
    table = build(bounds, tolerance, "newton", "tests")[0]
    network = ModeTable.default().network if name == "narrow" else None
    return ModeTable(table.loc, table.scale, table.values, table.metadata, (), network)


# Files that take longest begin first, so that no core is left alone with one at the end.
_LONG = (
    "test_onnx", "test_gpu_launch", "test_first_use", "test_jax_moments", "test_build", "test_verify", "test_gpu",
    "test_scripts", "test_c_header", "test_kernel_cache", "test_torchrl", "test_command_line", "test_verify_network",
    "test_likelihood", "test_docs", "test_verify_moments",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: k for k, name in enumerate(_LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(_LONG)))


@pytest.fixture(scope="session")
def narrow() -> ModeTable:
    return table_named("narrow")


@pytest.fixture(scope="session")
def coarse() -> ModeTable:
    return table_named("coarse")


@pytest.fixture
def coarse_file(coarse: ModeTable, tmp_path: Path) -> Path:
    path = tmp_path / "coarse.h5"
    path.write_bytes(store.image(coarse))
    return path


@pytest.fixture(autouse=True)
def _default_dtype() -> Iterator[None]:
    yield
    assert torch.get_default_dtype() == torch.float32
