"""The house: who imports whom when a module is loaded. No circle, no arrow out of the formulas, no longer chains.

And that all of it is linted and type-checked.
"""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST = {"tanhlut": 8, "tablegen": 10}


def modules() -> dict[str, Path]:
    found = {}
    for package in ("tanhlut", "tablegen"):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def graph() -> dict[str, set[str]]:
    """For each module those that it imports at its top, type checking aside."""
    known = modules()
    arrows: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module in known:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    is_module = inner in known and not (node.module == "tanhlut" and name == "tanhlut")
                    arrows[name].add(inner if is_module else node.module)
            elif isinstance(node, ast.Import):
                arrows[name] |= {alias.name for alias in node.names if alias.name in known}
    return {name: targets - {"tanhlut", "tablegen", name} for name, targets in arrows.items()}


def chain(name: str, above: tuple[str, ...] = ()) -> list[str]:
    """The longest chain of imports that begins with a module."""
    assert name not in above, f"a circle: {' → '.join([*above, name])}"
    below = [chain(target, (*above, name)) for target in sorted(graph()[name])]
    return [name, *max(below, key=len, default=[])]


def test_no_circle_and_no_long_chain() -> None:
    for package, most in LONGEST.items():
        longest = max((chain(name) for name in graph() if name.startswith(package)), key=len)
        assert len(longest) <= most, " → ".join(longest)


def test_the_formulas_stand_on_nothing() -> None:
    """The text and its numbers know no file, no backend, no argument's kind."""
    for name, targets in graph().items():
        if name.startswith("tanhlut.formula."):
            assert all(target.startswith("tanhlut.formula") for target in targets), (name, targets)


def test_the_runtime_knows_no_generator() -> None:
    for name, targets in graph().items():
        if name.startswith("tanhlut"):
            assert not any(target.startswith("tablegen") for target in targets), (name, targets)


def python_files() -> set[Path]:
    """Those with a suffix, and scripts that say what they are in their first line."""
    folders = ("tanhlut", "tablegen", "tests", "scripts")
    found = {path for folder in folders for path in (ROOT / folder).rglob("*.py")}
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    return found | {path for path in scripts if "python" in path.read_text().partition("\n")[0]}


def test_every_python_file_is_linted() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--show-files", str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert python_files() <= {Path(line) for line in run.stdout.splitlines()}


def test_every_python_file_is_type_checked() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has none")
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    named = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert [path for path in python_files() if not named & {path, *path.parents}] == []
    assert [path for path in named if path.is_file() and path not in python_files()] == []
