"""Sets of versions, as `constraints/*.txt` record them."""

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent.parent.parent / "constraints"
SETS = sorted(path.stem for path in FOLDER.glob("*.txt"))


class Set(NamedTuple):
    """A Python, such as "3.10", and packages with their versions."""

    name: str
    python: str
    pins: list[str]

    @property
    def names(self) -> list[str]:
        """The packages alone."""
        return [pin.partition("==")[0] for pin in self.pins]

    def newest(self) -> list[str]:
        """The packages, whichever their newest version is."""
        return self.names


def read(name: str) -> Set:
    """The set of that name.

    Raises:
        ValueError: its file has no Python in its first line.
    """
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    if not lines or not lines[0].startswith("# python "):
        raise ValueError(f"constraints/{name}.txt: begin with a line '# python 3.X'")
    pins = [line for line in lines if line and not line.startswith("#")]
    return Set(name, lines[0].removeprefix("# python ").strip(), pins)


def record(chosen: Set, pins: list[str]) -> None:
    """Write other versions to a set's file; its comments stay."""
    path = FOLDER / f"{chosen.name}.txt"
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    path.write_text("\n".join([*comments, *pins]) + "\n")
