"""The header's mean, in the text's operations: `c_mode` beside it says how such functions are run.

Of `moments` the C needs two things that the mode does not: the polynomials' numbers, and a square root.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tablegen.export.c_mode import LARGEST
from tanhlut.file.moments import missing
from tanhlut.file.table import ModeTable
from tanhlut.formula import surrogate

NAMES = ("mean_numerator", "mean_denominator")  # the polynomials, which come first in the vector


class Functions(NamedTuple):
    """Of the mean."""

    mean: Callable[..., Any]
    mean_bounded: Callable[..., Any]


def numbers(table: ModeTable) -> NDArray[np.float32]:
    """The numbers of the mean's polynomials.

    Raises:
        ValueError: the table holds no moments.
    """
    if table.moments is None:
        raise missing()
    return table.moments.vector[: sum(surrogate.POLYNOMIALS[name].size for name in NAMES)]


def functions(text: Any, data: Any) -> Functions:
    """Its functions in the operations of `text` (`moments`), decorated as its own are; `data` as the text takes it."""
    element: Callable[[Callable[..., Any]], Callable[..., Any]] = text.element

    @element
    def mean_bounded(loc: Any, scale: Any, low: Any, high: Any) -> Any:
        """The mean on [low, high]; NaN unless low < high and both are finite."""
        good = (low < high) & (text.absolute(low) <= LARGEST) & (text.absolute(high) <= LARGEST)
        return text.invalid_if(~good, text.mean(loc, scale, data, low, high))

    @element
    def mean(loc: Any, scale: Any) -> Any:
        """The mean on [-1, 1]; NaN where loc or scale is NaN or scale < 0."""
        return mean_bounded(loc, scale, -text.ONE, text.ONE)

    return Functions(mean, mean_bounded)


def square_root(fma: Callable[..., Any], inverse_root: Callable[..., Any], half: Any) -> Callable[[Any], Any]:
    """√x, made of an operation that every machine has: C's own sets errno, which is a branch and a library."""

    def square_root(x: Any) -> Any:
        """The square root of a float in [2^-60, 2^126], rounded to nearest: three Newton steps for g = sqrt x and
        h = 1/(2*sqrt x), and Markstein's last one (1990), whose remainder x - g*g is exact. NaN stays NaN."""
        y = inverse_root(x)
        g, h = x * y, half * y
        for _ in range(3):
            rest = fma(-g, h, half)
            g, h = fma(g, rest, g), fma(h, rest, h)
        return fma(fma(-g, g, x), h, g)

    return square_root
