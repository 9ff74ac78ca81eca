"""How the numbers of the moments' surrogates lie in memory: a vector for each precision.

In float32 the polynomials come first, then the patches of the variance; float64 has patches alone. A polynomial in
(y, u) is a staircase: for each power of y, lowest first, the coefficients of u⁰, u¹, … . A patch is a square of
coefficients: for each power of h, lowest first, those of f⁰, f¹, … . `half_plane`, `moments` and `patched` say what is
made of them, `tablegen.make.moments` fits them.
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
    mean_numerator=staircase(11, 9),
    mean_denominator=staircase(3, 2),
    log_cosh_edge=(9,),  # at loc = 0
    log_cosh_numerator=staircase(8, 6),
    log_cosh_denominator=staircase(4, 4),
)


class Grid(NamedTuple):
    """Patches over a square: rows of them over [first_row/rows, 1], columns over [0, 1], each of side² coefficients."""

    first: int
    rows: int
    first_row: int
    columns: int
    side: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of their coefficients."""
        return self.rows - self.first_row, self.columns, self.side, self.side

    @property
    def end(self) -> int:
        """Where the next begins."""
        return self.first + (self.rows - self.first_row) * self.columns * self.side**2


# log(variance/w) over (z, q): below the first row the variance is under 1e-13·w.
SINGLE_PATCHES = Grid(sum(polynomial.size for polynomial in POLYNOMIALS.values()), 74, 10, 32, 4)
PATCHES, ROWS, FIRST_ROW, COLUMNS, PATCH = (*SINGLE_PATCHES[:4], SINGLE_PATCHES.side**2)
# In float64, of degree 11, the least that comes within 2e-14: F and A over (ζ, w), log(variance/w) over (z, q).
MEAN_PATCHES = Grid(0, 16, 0, 8, 12)
ENTROPY_PATCHES = Grid(MEAN_PATCHES.end, 12, 0, 8, 12)
DOUBLE_PATCHES = Grid(ENTROPY_PATCHES.end, 18, 2, 12, 12)
SIZE, DOUBLE_SIZE = SINGLE_PATCHES.end, DOUBLE_PATCHES.end

LOGISTIC = 0.822467029094696  # π²/12 rounded to float32: the chart is that of this number, exactly


class Range(NamedTuple):
    """Beyond `big` both arguments are taken `of_big` times, a power of two, so that no square leaves the precision's
    range; what is infinite is taken for `cap`."""

    big: float
    of_big: float
    cap: float
    least: float  # exp(−2·least) is a normal number


SINGLE_RANGE = Range(2.0**60, 2.0**-67, 2.0**61, 42.0)
DOUBLE_RANGE = Range(2.0**480, 2.0**-540, 2.0**490, 80.0)


def side(double: bool) -> int:
    """Coefficients along a side of a patch."""
    return (DOUBLE_PATCHES if double else SINGLE_PATCHES).side


def numbers(real: Callable[[float], Any], double: bool = False) -> dict[str, Any]:
    """The numbers that `half_plane`, `moments` and `patched` name."""
    limits, own = (DOUBLE_RANGE, DOUBLE_PATCHES) if double else (SINGLE_RANGE, SINGLE_PATCHES)
    reals = {
        "QUARTER": 0.25,
        "LEAST": limits.least,
        "NINE": 9.0,
        "LOGISTIC": LOGISTIC,
        "ROOT_LOGISTIC": math.sqrt(LOGISTIC),
        "BIG": limits.big,
        "OF_BIG": limits.of_big,
        "FROM_BIG": 1.0 / limits.of_big,
        "CAP": limits.cap,
        "INFINITY": math.inf,
        "ENTROPY_OF_UNIT": 0.5 * math.log(2.0 * math.pi * math.e) + 2.0 * math.log(2.0),
        "ROWS": float(own.rows),
        "FIRST_ROW": float(own.first_row),
        "COLUMNS": float(own.columns),
        "MEAN_ROWS": float(MEAN_PATCHES.rows),
        "MEAN_COLUMNS": float(MEAN_PATCHES.columns),
        "ENTROPY_ROWS": float(ENTROPY_PATCHES.rows),
        "ENTROPY_COLUMNS": float(ENTROPY_PATCHES.columns),
    }
    whole = {
        "PATCH": own.side**2,
        "PATCHES": own.first,
        "MEAN_PATCHES": MEAN_PATCHES.first,
        "ENTROPY_PATCHES": ENTROPY_PATCHES.first,
    }
    return {name: real(value) for name, value in reals.items()} | whole


def along_last_axis(x: Any) -> Any:
    """As `patches` wants it beside rows along a last axis: tensors of a device that torch here knows by name only are
    not indexed."""
    return x.reshape((*x.shape, 1))


def patches(
    fma: Callable[..., Any],
    side: int,
    row: Callable[[Any, Any, int], Any],
    apart: Callable[[Any], Any],
    wide: Callable[[Any], Any] = along_last_axis,
) -> dict[str, Callable[..., Any]]:
    """`patch` and `patch_slopes` for backends in plain Python.

    Args:
        fma: the backend's, also of rows, each with its neighbour.
        row: (data, at, k) to the patch's coefficients of h^k, along a last axis or as `wide` and `apart` have it.
        apart: a row's numbers, one by one.
        wide: a number as fma takes it beside rows.
    """

    def along(row: Any, f: Any) -> Any:
        given, fourth = apart(row), (f * f) * (f * f)
        value = None
        for lane in (3, 2, 1, 0):
            total = given[side - 4 + lane]
            for i in range(side - 8 + lane, -1, -4):
                total = fma(total, fourth, given[i])
            value = total if value is None else fma(value, f, total)
        return value

    def patch(data: Any, at: Any, f: Any, h: Any) -> Any:
        square, h = wide(h * h), wide(h)
        odd, even = row(data, at, side - 1), row(data, at, side - 2)
        for k in range(side - 3, 0, -2):
            odd, even = fma(odd, square, row(data, at, k)), fma(even, square, row(data, at, k - 1))
        return along(fma(odd, h, even), f)

    def patch_slopes(data: Any, at: Any, f: Any, h: Any) -> tuple[Any, Any, Any]:
        first, h = row(data, at, side - 1), wide(h)
        total, slope = fma(first, h, row(data, at, side - 2)), first
        for k in range(side - 3, -1, -1):
            slope = fma(slope, h, total)
            total = fma(total, h, row(data, at, k))
        given = apart(total)
        value, by_f = fma(given[side - 1], f, given[side - 2]), given[side - 1]
        for i in range(side - 3, -1, -1):
            by_f = fma(by_f, f, value)
            value = fma(value, f, given[i])
        return along(total, f), by_f, along(slope, f)

    return {"patch": patch, "patch_slopes": patch_slopes}


def polynomials(fma: Callable[..., Any], number: Callable[[Any, int], Any]) -> dict[str, Callable[..., Any]]:
    """The polynomials by name, and with "_slopes" behind it each with its derivatives by y and u, for backends in plain
    Python.

    Args:
        fma: the backend's.
        number: the k-th of the vector.
    """

    def row(data: Any, first: int, length: int, u: Any) -> Any:
        total = number(data, first + length - 1)
        for k in range(first + length - 2, first - 1, -1):
            total = fma(total, u, number(data, k))
        return total

    def row_slope(data: Any, first: int, length: int, u: Any) -> tuple[Any, Any]:
        slope, total = 0.0 * u, number(data, first + length - 1) + 0.0 * u
        for k in range(first + length - 2, first - 1, -1):
            slope = fma(slope, u, total)
            total = fma(total, u, number(data, k))
        return total, slope

    def both(polynomial: Polynomial) -> tuple[Callable[..., Any], Callable[..., Any]]:
        rows = [*zip(polynomial.rows, polynomial.lengths, strict=True)][::-1]

        def value(data: Any, y: Any, u: Any) -> Any:
            total = row(data, *rows[0], u)
            for first, length in rows[1:]:
                total = fma(total, y, row(data, first, length, u))
            return total

        def slopes(data: Any, y: Any, u: Any) -> tuple[Any, Any, Any]:
            total, by_u = row_slope(data, *rows[0], u)
            by_y = 0.0 * y
            for first, length in rows[1:]:
                by_y = fma(by_y, y, total)
                own, own_u = row_slope(data, first, length, u)
                total, by_u = fma(total, y, own), fma(by_u, y, own_u)
            return total, by_y, by_u

        return value, slopes

    found: dict[str, Callable[..., Any]] = {}
    for name, polynomial in POLYNOMIALS.items():
        found[name], found[f"{name}_slopes"] = both(polynomial)
    edge = POLYNOMIALS["log_cosh_edge"]
    return found | {"log_cosh_edge": lambda data, u: row(data, edge.first, edge.size, u)}
