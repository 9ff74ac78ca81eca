"""What is released: built, installed and used far from any checkout; what its pages and records say is so."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_wheel_works_far_from_its_checkout(tmp_path: Path) -> None:
    pytest.importorskip("build")
    command = [sys.executable, str(ROOT / "scripts/release_check"), "--keep", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "works far from its checkout" in run.stdout
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {"tanhlut/py.typed", "tanhlut/data/default.h5", "tablegen/py.typed"} <= set(names)
    assert {name.partition("/")[0] for name in names} == {"tanhlut", "tablegen", wheel.name[:13] + ".dist-info"}
    assert len(list(tmp_path.glob("*.tar.gz"))) == 1


def test_the_readme_links_what_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text())
    assert links
    for link in links:
        assert "://" in link or (ROOT / link).exists(), link


def test_the_version_is_the_changelogs() -> None:
    import tanhlut

    project = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{tanhlut.__version__}"\n' in project
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert heads[0] == tanhlut.__version__


def test_the_oldest_set_is_the_floors() -> None:
    """What pyproject.toml promises is what scripts/test_versions tests."""
    project = (ROOT / "pyproject.toml").read_text()
    oldest = (ROOT / "constraints/oldest.txt").read_text()
    (python,) = re.findall(r'requires-python = ">=(.*)"', project)
    assert oldest.startswith(f"# python {python}\n")
    (dependencies,) = re.findall(r"^dependencies = \[(.*)\]$", project, re.M)
    floors = dict(re.findall(r'"(\w+)>=([\d.]+)"', dependencies))
    pins = dict(re.findall(r"^(\w+)==([\d.]+)$", oldest, re.M))
    assert set(floors) == {"torch", "numpy", "h5py", "tqdm", "llvmlite"}
    for name, floor in floors.items():
        assert f"{pins[name]}.".startswith(f"{floor}."), name
