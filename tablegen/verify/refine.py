"""The one loop of the proofs: judge boxes, keep what is settled, quarter the others and judge again."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import Self  # which Python 3.10 has not

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]


class Quarterable(Protocol):
    """Equal-length arrays, one entry per box."""

    def take(self, chosen: Flags) -> "Self":
        """The chosen boxes."""

    def quarters(self) -> "Self":
        """The four quarters of each box, all first quarters first."""


B = TypeVar("B", bound=Quarterable)


def quarter_until(
    boxes: B,
    parent: Indices,
    judge: Callable[[B, Indices], Flags],
    keep: Callable[[Indices, Flags], None],
    rounds: int,
    most: int,
    progress: Callable[[int], None],
) -> int:
    """Quarter boxes until all are settled, `rounds` are spent or over `most` boxes would be examined: how many were.

    Args:
        parent: of each box the number of the cell, or the like, that it is a part of; so have its quarters.
        judge: which of boxes with these parents are not settled.
        keep: called after it with the parents of the boxes that stay as they are, and which of the judged those are.
    """
    examined = 0
    for left in range(rounds, -1, -1):
        open_ = judge(boxes, parent)
        examined += len(open_)
        progress(len(open_))
        if not left or examined + 4 * int(open_.sum()) > most:
            open_ = np.zeros_like(open_)
        keep(parent[~open_], ~open_)
        if not open_.any():
            break
        boxes, parent = boxes.take(open_).quarters(), np.tile(parent[open_], 4)
    return examined


def largest(error: Array, *where: Array, kept: int = 64) -> tuple[Array, ...]:
    """The largest errors and where they are: candidates for a witness."""
    chosen = np.argsort(-error)[:kept]
    return tuple(part[chosen] for part in (error, *where))
