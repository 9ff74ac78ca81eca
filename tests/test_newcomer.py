"""A new function of one element costs two files: its text, and its name among `FUNCTIONS`. Every backend runs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
TEXT = '''\
# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The text of tanh loc, the mode and the mean of an action without noise."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.element import finish, image, tanh_parts
    from tanhlut.formula.operations import *


@element
def tanh_of_loc(loc, scale, data, low, high):
    """tanh loc, in [low, high]."""
    _, t, _, _ = tanh_parts(at_most(absolute(loc), LOC_SATURATION))
    half, middle = image(low, high)
    return finish(t, loc, half, middle, low, high)
'''
ROADS = """
import sys
from pathlib import Path

import numpy as np
import torch

import tanhlut
from tanhlut.compute import functions
from tanhlut.formula.plain import SINGLE

assert Path(tanhlut.__file__).is_relative_to(Path.cwd())
loc = np.load("loc.npy")
one, tensors = np.float32(1.0), (torch.from_numpy(loc), torch.ones(len(loc)))


def by(backend):
    return lambda loc, scale: functions.evaluate("tanh_of_loc", loc, scale, None, backend)


roads = {
    "text": lambda a, b: torch.from_numpy(SINGLE.tanh_of_loc(a.numpy(), b.numpy(), None, -one, one)),
    "eager": by("eager"),
    "compile": torch.compile(by("auto"), backend="eager", fullgraph=True),
    "cpu": by("cpu"),
    "gpu": by("gpu"),
}
with np.errstate(all="ignore"):
    for name in sys.argv[1:]:
        np.save(f"{name}.npy", roads[name](*tensors).numpy())
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the function in it."""
    house = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "tanhlut", house / "tanhlut", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data/default.h5", "pyproject.toml"):
        (house / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, house / name)
    (house / "tanhlut/formula/toy.py").write_text(TEXT)
    names = house / "tanhlut/formula/functions.py"
    before = names.read_text()
    names.write_text(before.replace("FUNCTIONS = {\n", 'FUNCTIONS = {\n    "tanh_of_loc": "toy",\n'))
    assert names.read_text() != before
    return house


def test_two_files_are_touched(house: Path) -> None:
    copied = {path for path in house.rglob("*") if path.suffix in (".py", ".toml", ".h5")}
    originals = {path: ROOT / path.relative_to(house) for path in copied}
    same = {path for path, original in originals.items() if original.exists() and equal(path, original)}
    assert {path.name for path in copied - same} == {"functions.py", "toy.py"}
    assert same


def equal(path: Path, other: Path) -> bool:
    return path.read_bytes() == other.read_bytes()


def test_it_is_linted_like_the_others(house: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", str(house / "tanhlut/formula")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def answers(house: Path) -> dict[str, NDArray[np.float32]]:
    np.save(house / "loc.npy", points())
    return run(house, "text", "eager", "compile", "cpu")


def test_text_torch_and_llvm_run_it(answers: dict[str, NDArray[np.float32]]) -> None:
    for name, found in answers.items():
        check(name, found)
    assert np.array_equal(bits(answers["cpu"]), bits(answers["text"]))


def test_triton_runs_it(house: Path, answers: dict[str, NDArray[np.float32]]) -> None:
    pytest.importorskip("triton", minversion="3.9", reason="whose interpreter rounds an fma once")
    found = run(house, "gpu", TRITON_INTERPRET="1")["gpu"]
    check("gpu", found)
    assert np.array_equal(bits(found), bits(answers["text"]))


def check(name: str, found: NDArray[np.float32]) -> None:
    loc = points()
    with mpmath.workdps(30):
        exact = np.array([float(mpmath.tanh(float(x))) for x in loc])
    assert found.dtype == np.float32
    assert np.array_equal(np.isnan(found), np.isnan(loc)), name
    assert np.nanmax(np.abs(found - exact)) <= 3e-7, name
    assert np.array_equal(np.signbit(found[:-1]), np.signbit(loc[:-1])), name


def points() -> NDArray[np.float32]:
    """Edges on both sides of 0, random ones, NaN at last."""
    sizes = [0.0, 1e-45, 3e-39, 1e-7, 1.25, 16.0, 3.4e38, np.inf]
    rng = np.random.default_rng(0)
    loc = np.concatenate([sizes, np.negative(sizes), rng.normal(size=900) * 3.0, [np.nan]])
    return loc.astype(np.float32)


def bits(answer: NDArray[np.float32]) -> NDArray[np.int32]:
    return np.where(np.isnan(answer), np.float32(np.nan), answer).view(np.int32)


def run(house: Path, *roads: str, **variables: str) -> dict[str, NDArray[np.float32]]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"} | variables
    environment["PYTHONPATH"] = str(house)
    command = [sys.executable, "-c", ROADS, *roads]
    done = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: np.load(house / f"{name}.npy") for name in roads}
