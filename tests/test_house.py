"""The house: who imports whom when a module is loaded. No circle, no arrow out of the formulas, no longer chains."""

import ast
from functools import cache
from pathlib import Path

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
