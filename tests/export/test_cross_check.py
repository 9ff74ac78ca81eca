"""scripts/cross_check: it compares what it says, and a wrong header does not pass."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tablegen.export import c_header
from tanhlut import ModeTable

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

from crossing import build, costs, points  # noqa: E402
from crossing.targets import C99, TARGETS, Target  # noqa: E402

COUNT = 20_000
HERE = Target("gcc", "gcc", (*C99, "-O1"), "gcc")

if shutil.which("gcc") is None:
    pytest.skip("there is no C compiler here (gcc)", allow_module_level=True)


def header(folder: Path) -> str:
    text = c_header.header(ModeTable.default(), "exact", "tests").decode()
    (folder / "tanhlut.h").write_text(text)
    return text


def test_a_right_header_is_equal(tmp_path: Path) -> None:
    header(tmp_path)
    found = build.attempt(HERE, tmp_path, COUNT, points.sums(COUNT, "exact", None))
    assert found == {"outcome": "equal", "points": COUNT, "thousands that differ": 0, "self-test": 0}


def test_a_wrong_one_is_different(tmp_path: Path) -> None:
    text = header(tmp_path)
    assert "TANHLUT_Q_2 4725.0f" in text
    text = text.replace("TANHLUT_Q_2 4725.0f", "TANHLUT_Q_2 4725.0005f")
    (tmp_path / "tanhlut.h").write_text(text)
    expected = points.sums(COUNT, "exact", None)
    found = build.attempt(HERE, tmp_path, COUNT, expected)
    assert found["outcome"] == "different"
    assert found["thousands that differ"] > 10
    assert found["self-test"] > 0
    assert build.attempt(HERE._replace(ends=False), tmp_path, COUNT, expected)["outcome"] == "refused"
    (tmp_path / "tanhlut.h").write_text("no C")
    assert build.attempt(HERE, tmp_path, COUNT, expected)["outcome"] == "failed"


def test_what_is_missing_is_named() -> None:
    absent = HERE._replace(compiler="no-such-gcc", runner=("no-such-emulator",), runner_package="emulators")
    assert absent.missing() == ["gcc"]
    assert absent.missing_runner() == ["emulators"]
    assert {target.package for target in TARGETS} >= {"gcc", "clang", "gcc-aarch64-linux-gnu", "gcc-arm-none-eabi"}
    assert {target.runner_package for target in TARGETS} == {"", "qemu-user", "qemu-system-arm"}


def test_the_footprint_here(tmp_path: Path) -> None:
    if shutil.which("objdump") is None or subprocess.check_output(["gcc", "-dumpmachine"], text=True)[:6] != "x86_64":
        pytest.skip("another processor, or no objdump")
    header(tmp_path)
    found = costs.footprint(*costs.HERE_ITSELF, tmp_path, "-Os")
    assert found is not None
    assert 500 < found["code"] < 1500
    assert found["stack"] < 200
    assert 250 < found["executed"] < 500
    assert costs.footprint(*costs.HERE_ITSELF, tmp_path, "-O2", "-DTANHLUT_BRANCHING")["executed"] is None  # type: ignore[index]
