"""How the numbers of the moments' surrogates lie in memory: one vector, the polynomials first, then the patches.

A polynomial in (y, u) is a staircase: for each power of y, lowest first, the coefficients of u⁰, u¹, … . `moments` says
what is made of them, `tablegen.make.moments` fits them.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Polynomial(NamedTuple):
    """A polynomial's place in the vector: where it begins, and how many coefficients each power of y has."""

    first: int
    lengths: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many coefficients it has."""
        return sum(self.lengths)

    @property
    def rows(self) -> tuple[int, ...]:
        """Where each power's coefficients begin."""
        return tuple(self.first + sum(self.lengths[:k]) for k in range(len(self.lengths)))


def staircase(by_y: int, by_u: int) -> tuple[int, ...]:
    """Lengths of the rows, j ≤ by_u with i/by_y + j/by_u ≤ 1.35: so fall the coefficients (measured)."""
    return tuple(1 + max(j for j in range(by_u + 1) if i / by_y + j / by_u <= 1.35) for i in range(by_y + 1))


def _laid_out(**lengths: tuple[int, ...]) -> dict[str, Polynomial]:
    found: dict[str, Polynomial] = {}
    end = 0
    for name, rows in lengths.items():
        found[name] = Polynomial(end, rows)
        end += found[name].size
    return found


POLYNOMIALS = _laid_out(
    mean_numerator=staircase(12, 10),
    mean_denominator=staircase(3, 2),
    log_cosh_edge=(9,),  # at loc = 0
    log_cosh_numerator=staircase(8, 6),
    log_cosh_denominator=staircase(4, 4),
)

# log(variance/w) in bicubic patches over (z, q): ROWS of which the first FIRST_ROW are not kept (there the variance is
# below 1e-13·w), COLUMNS, and in each 4 × 4 coefficients, those of a power of the column's coordinate together.
ROWS, FIRST_ROW, COLUMNS, PATCH = 74, 10, 32, 16
PATCHES = sum(polynomial.size for polynomial in POLYNOMIALS.values())
SIZE = PATCHES + (ROWS - FIRST_ROW) * COLUMNS * PATCH

LOGISTIC = 0.822467029094696  # π²/12 rounded to float32: the chart is that of this number, exactly
# Beyond BIG, HUGE both arguments are taken smaller by a power of two, so that no square leaves float32's range; what
# is infinite is taken for CAP.
BIG, HUGE, OF_BIG, OF_HUGE, CAP = 2.0**60, 2.0**100, 2.0**-40, 2.0**-70, 2.0**61


def numbers(real: Callable[[float], Any]) -> dict[str, Any]:
    """The numbers that `moments` names."""
    reals = {
        "QUARTER": 0.25,
        "LEAST": 42.0,  # exp(−2·42) is a normal float32, its square is none
        "NINE": 9.0,
        "LOGISTIC": LOGISTIC,
        "BIG": BIG,
        "HUGE": HUGE,
        "OF_BIG": OF_BIG,
        "OF_HUGE": OF_HUGE,
        "CAP": CAP,
        "INFINITY": math.inf,
        "ENTROPY_OF_UNIT": 0.5 * math.log(2.0 * math.pi * math.e) + 2.0 * math.log(2.0),
        "ROWS": float(ROWS),
        "FIRST_ROW": float(FIRST_ROW),
        "LAST_ROW": float(ROWS - 1),
        "COLUMNS": float(COLUMNS),
        "LAST_COLUMN": float(COLUMNS - 1),
    }
    return {name: real(value) for name, value in reals.items()} | {"PATCH": PATCH, "PATCHES": PATCHES}


def polynomials(fma: Callable[..., Any], number: Callable[[Any, int], Any]) -> dict[str, Callable[..., Any]]:
    """The polynomials by name, and with "_slope" behind it each with its derivative by y, for backends in plain Python.

    Args:
        fma: the backend's.
        number: the k-th of the vector.
    """

    def row(data: Any, first: int, length: int, u: Any) -> Any:
        total = number(data, first + length - 1)
        for k in range(first + length - 2, first - 1, -1):
            total = fma(total, u, number(data, k))
        return total

    def both(polynomial: Polynomial) -> tuple[Callable[..., Any], Callable[..., Any]]:
        rows = [*zip(polynomial.rows, polynomial.lengths, strict=True)][::-1]

        def value(data: Any, y: Any, u: Any) -> Any:
            total = row(data, *rows[0], u)
            for first, length in rows[1:]:
                total = fma(total, y, row(data, first, length, u))
            return total

        def slope(data: Any, y: Any, u: Any) -> tuple[Any, Any]:
            by_y = row(data, *rows[0], u)
            total = fma(by_y, y, row(data, *rows[1], u))
            for first, length in rows[2:]:
                by_y = fma(by_y, y, total)
                total = fma(total, y, row(data, first, length, u))
            return total, by_y

        return value, slope

    found: dict[str, Callable[..., Any]] = {}
    for name, polynomial in POLYNOMIALS.items():
        found[name], found[f"{name}_slope"] = both(polynomial)
    edge = POLYNOMIALS["log_cosh_edge"]
    return found | {"log_cosh_edge": lambda data, u: row(data, edge.first, edge.size, u)}
