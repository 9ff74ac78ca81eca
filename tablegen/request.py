"""What `tablegen build --quantity` asks for, and whether it can be had."""

from collections.abc import Sequence
from pathlib import Path

from tablegen.verify import moments
from tanhlut.file.bounds import Bounds
from tanhlut.file.moments import missing
from tanhlut.file.table import ModeTable

QUANTITIES = ("mode", *moments.QUANTITIES, "all")


def asked_for(names: Sequence[str], beside: Path | None, bounds: Bounds) -> frozenset[str]:
    """The quantities to make, "all" spelt out; ValueError where they cannot be made so."""
    asked = frozenset(QUANTITIES[:-1]) if "all" in names else frozenset(names)
    of_moments = asked - {"mode"}
    if "mode" in asked:
        if beside is not None:
            raise ValueError(
                f"--beside {beside} is of no use where the mode is made: leave it out, or name other quantities"
            )
        if of_moments and len(of_moments) < len(moments.QUANTITIES):
            raise ValueError("a new file holds mean, entropy and variance together: say --quantity all")
        return asked
    if beside is None:
        raise ValueError("every file holds the mode: say --quantity all, or --beside FILE, a file that holds it")
    if bounds != Bounds(float("inf"), 0.0, float("inf")):
        raise ValueError(
            "mean, entropy and variance cover every loc and every scale, with as many numbers as the kernels have: "
            "bounds would make them no faster and, since most of their error is rounding, hardly nearer; leave them out"
        )
    return asked


def check_beside(table: ModeTable | None, asked: Sequence[str]) -> None:
    """ValueError where some of the moments are to be made beside a table that has not the others."""
    if table is not None and table.moments is None and len(asked) < len(moments.QUANTITIES):
        raise missing()


def bytes_of(table: ModeTable) -> str:
    """What to say of the moments' size."""
    return "" if table.moments is None else f", {table.moments.nbytes:,} of moments"
