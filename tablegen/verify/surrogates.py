"""The surrogates of mean and E log cosh against their witnesses, and what float32 adds: proven over the half-plane.

Against a witness b·P̂ (`heat`) the mean's b·(1 + ζ·N/D) is off by b·(D·(1 − P̂) + ζ·N)/D: that this is at most t means
t·D ± b·(D·(1 − P̂) + ζ·N) ≥ 0, polynomials, whose least value the zeros of Chebyshev's polynomials of TIMES their degree
tell but for a share of their spread. So for E log cosh, relative to ρ, with D·(A₀ − P̂) + x·N.

float32, U = 2^-24, first order (SECOND covers the rest), over CELLS² cells of the square. Six roundings make b and 1/τ,
one unit each. What follows from b follows it as the truth does, x = b², ζ = 1 − x, y = 1 − 2x; so does u = 1 − 2c/τ
with 1/τ. So each moves the value along its own direction, (d ln b, du) besides ln ρ:

    τ = scale² + c   (−½ζ, 2(1 − w))       nine = 9τ   (−½ζ, 0)       ρ²    (−½, 0)       ρ, b   (1, 0) each
    1/τ              (0, 2(1 − w))

and x (where it is rounded), ζ, y, u by one more each. In two roundings for an fma: scale² moves as τ does, w times; ρ²
has 1 + x of them; x has one; so has c/τ. Horner's rule, in fma or in two roundings, by its running error: each partial
sum is a polynomial, so its largest value over a cell is known too.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev, polynomial
from numpy.typing import NDArray

from tablegen.verify.chart import Squares, unit_square
from tablegen.verify.heat import between, inverse, zeros
from tablegen.verify.refine import Flags, Indices, quarter_until
from tablegen.verify.rounding import SECOND, U
from tablegen.verify.units import Roundings, half_ulp, roundings
from tanhlut.formula import surrogate

Array = NDArray[np.float64]

TIMES = 16
CELLS = 12
TINY = 1e-30  # what underflow adds: every product is charged 2^-126 at most, and few are divided by much
_AT_ONCE = 64
_LOOSE = 1e-12  # of float64's own rounding, relative to the largest term


class Rows(NamedTuple):
    """A polynomial's coefficients as float64, a row for each power of y, lowest first."""

    rows: tuple[Array, ...]

    def at(self, y: Array, u: Array) -> Array:
        """Values on a grid, or of arrays that broadcast."""
        total = polynomial.polyval(u, self.rows[-1]) + 0.0 * y
        for row in self.rows[-2::-1]:
            total = total * y + polynomial.polyval(u, row)
        return np.asarray(total)

    def by_y(self) -> "Rows":
        """Its derivative by y."""
        return Rows(tuple(k * row for k, row in enumerate(self.rows) if k) or (np.zeros(1),))

    def by_u(self) -> "Rows":
        """Its derivative by u."""
        return Rows(tuple(np.asarray(polynomial.polyder(row) if len(row) > 1 else [0.0], float) for row in self.rows))

    @property
    def size(self) -> float:
        """Σ|coefficients|: no value on the square is larger."""
        return float(sum(np.abs(row).sum() for row in self.rows))


def rows_of(name: str, vector: NDArray[np.float32]) -> Rows:
    """A polynomial of `surrogate` out of a file's vector."""
    place = surrogate.POLYNOMIALS[name]
    ends = zip(place.rows, place.lengths, strict=True)
    return Rows(tuple(vector[first : first + length].astype(np.float64) for first, length in ends))


def approximation(name: str, vector: NDArray[np.float32], witness: Array) -> float:
    """The least t found for which |surrogate − witness| ≤ t is proven: "mean" absolute, "log_cosh" relative to ρ.

    Raises:
        ArithmeticError: the denominator is not proven positive, or t exceeds 1.
    """
    above, below = (rows_of(f"{name}_{part}", vector) for part in ("numerator", "denominator"))
    by_x, by_w = (count - 1 for count in witness.shape)
    w = zeros(TIMES * (by_w + 9))
    if name == "mean":
        b = np.cos(np.pi * (np.arange(TIMES * (2 * (by_x + 10) + 1)) + 0.5) / (TIMES * (2 * (by_x + 10) + 1)))
        b = b[b > -1e-9]  # what is to be proven is the same at −b
        x = b * b
    else:
        x = zeros(TIMES * (by_x + 9))
        b = np.ones(len(x))
    y, u = 1.0 - 2.0 * x[:, None], 2.0 * w[None, :] - 1.0  # y = 2ζ − 1
    known = chebyshev.chebvander(2.0 * x - 1.0, by_x) @ witness @ chebyshev.chebvander(2.0 * w - 1.0, by_w).T
    n, d = above.at(y, u), below.at(y, u)
    if name == "mean":
        off = b[:, None] * (d * (1.0 - known) + (1.0 - x[:, None]) * n)
    else:
        edge = polynomial.polyval(u, rows_of("log_cosh_edge", vector).rows[0])
        off = d * (edge - known) + x[:, None] * n
    loose = _LOOSE * (above.size + below.size * (1.0 + float(np.abs(witness).sum())))
    share = between(TIMES) ** 2 - 1.0
    _positive(d, share, loose)
    t = float(np.abs(off / d).max())
    while not all(_least(t * d + sign * off, share) >= loose for sign in (1.0, -1.0)):
        t *= 1.002
        if not t <= 1.0:
            raise ArithmeticError(f"nothing is proven of the {name} surrogate: it is off by 1 or more, or NaN")
    return t


def _least(values: Array, share: float) -> float:
    """A lower bound of a polynomial by its values at the zeros: between them it leaves their range by a share of it."""
    return float(values.min()) - share * float(values.max() - values.min()) / 2.0


def _positive(values: Array, share: float, loose: float) -> None:
    if not _least(values, share) > loose:
        raise ArithmeticError("the surrogate's denominator is not proven positive")


class Grid(NamedTuple):
    """As many points in each box as the polynomials made of N, D and two coordinates have coefficients, at least.

    From the values there come Chebyshev coefficients over the box; their sizes sum up to a bound, and what is left of
    the first when the others are taken off bounds from below. On small boxes both are near the truth.
    """

    zeta: Array
    w: Array
    n: Array
    d: Array
    n_y: Array
    d_y: Array
    n_u: Array
    d_u: Array
    least: Array  # of D over each cell
    loose: float

    def sup(self, values: Array) -> Array:
        """A bound of a polynomial over each cell by its values at the points."""
        return np.asarray(_sizes(values).sum((1, 2)) + self.loose)

    def least_of(self, values: Array) -> Array:
        """A lower bound over each box of a polynomial that is not negative, over D²."""
        return np.asarray(np.maximum(_least_of(values) - self.loose, 0.0) / self.sup(self.d) ** 2)

    def over_d2(self, values: Array) -> Array:
        """The same of the polynomial over D²."""
        return self.sup(values) / self.least**2


def _sizes(values: Array) -> Array:
    """|Chebyshev coefficients| over boxes, of values at the `zeros`; one where the values are constant."""
    to = [inverse(count) for count in values.shape[1:]]
    return np.asarray(np.abs(to[0] @ values @ to[1].T))


def _least_of(values: Array) -> Array:
    to = [inverse(count) for count in values.shape[1:]]
    found = to[0] @ values @ to[1].T
    first = found[:, 0, 0]
    return np.asarray(first + np.abs(first) - np.abs(found).sum((1, 2)))


def grid_of(name: str, vector: NDArray[np.float32], boxes: Squares) -> Grid:
    """The grid for the rational of that name.

    Raises:
        ArithmeticError: its denominator is not proven positive.
    """
    above, below = (rows_of(f"{name}_{part}", vector) for part in ("numerator", "denominator"))
    edge = surrogate.POLYNOMIALS["log_cosh_edge"].size if name == "log_cosh" else 0
    by_y = len(above.rows) + 2 * len(below.rows) + 4
    by_u = max(map(len, above.rows)) + 2 * max(map(len, below.rows)) + edge + 3
    zeta = (boxes.v0[:, None] + (boxes.v1 - boxes.v0)[:, None] * zeros(by_y))[:, :, None]
    w = (boxes.r0[:, None] + (boxes.r1 - boxes.r0)[:, None] * zeros(by_u))[:, None, :]
    y, u = 2.0 * zeta - 1.0, 2.0 * w - 1.0
    parts = [part.at(y, u) for part in (above, below, above.by_y(), below.by_y(), above.by_u(), below.by_u())]
    loose = _LOOSE * (above.size + below.size) ** 2 * 100.0
    least = _least_of(parts[1]) - loose
    if not (least > 0.0).all():
        raise ArithmeticError("the surrogate's denominator is not proven positive")
    n, d, n_y, d_y, n_u, d_u = parts
    return Grid(zeta, w, n, d, n_y, d_y, n_u, d_u, least, loose)


def _horner(rows: Rows, grid: Grid, fused: bool) -> Array:
    """The running error of Horner's rule over cells, in units of U."""
    y, u = 2.0 * grid.zeta - 1.0, 2.0 * grid.w - 1.0
    size_y, size_u = (np.abs(part).max((1, 2)) * (1.0 + 1e-3) + 1e-3 for part in (y, u))
    products = 0.0 if fused else 1.0
    total, error = np.zeros_like(grid.n), np.zeros(len(grid.least))
    for k, row in enumerate(rows.rows[::-1]):
        of_row, part = np.zeros(len(grid.least)), np.full_like(u, row[-1])
        for coefficient in row[-2::-1]:
            of_row = of_row * size_u + products * half_ulp(grid.sup(part * u))
            part = part * u + coefficient
            of_row = of_row + half_ulp(grid.sup(part))
        if k == 0:
            total, error = part + 0.0 * y, of_row
            continue
        error = error * size_y + products * half_ulp(grid.sup(total * y)) + of_row
        total = total * y + part
        error = error + half_ulp(grid.sup(total))
    return error


def mean_rounding(vector: NDArray[np.float32], fused: bool) -> float:
    """A bound of |float32 mean − the same rational exactly| over the half-plane, with fma or with two roundings."""

    def judged(boxes: Squares) -> Array:
        grid = grid_of("mean", vector, boxes)
        of = roundings(boxes)
        of_ratio, horner, slopes = _ratio(grid, of, "mean", vector, fused)
        zeta, x = grid.zeta, 1.0 - grid.zeta
        # F = 1 + ζ·G and its slopes, times D²: by ζ and y with it; of b·F by ln b; by 1/τ, in parts of it.
        itself = grid.d * (grid.d + zeta * grid.n)
        by_zeta = grid.n * grid.d + 2.0 * zeta * (grid.n_y * grid.d - grid.n * grid.d_y)
        by_b = itself - 2.0 * x * by_zeta
        by_inverse = 2.0 * (1.0 - grid.w) * zeta * (grid.n_u * grid.d - grid.n * grid.d_u)
        tau = by_inverse - 0.5 * zeta * by_b
        moved = of.tau * grid.over_d2(tau) + of.inverse * grid.over_d2(by_inverse)
        moved = moved + (0.5 * (of.square_in(fused) + of.nine * boxes.v1) + of.rho + of.b) * grid.over_d2(by_b)
        moved = moved + of.zeta * grid.over_d2(zeta * grid.n * grid.d)
        if not fused:
            moved = moved + of.variance * grid.over_d2(grid.w * tau) + of.share * grid.over_d2(by_inverse)
            moved = moved + of.x * grid.over_d2(x * by_zeta)
        rounded = boxes.v1 * (slopes + horner + of_ratio * (1.0 if fused else 2.0))
        b = np.sqrt(1.0 - boxes.v0)
        last = np.minimum(half_ulp(b * grid.over_d2(itself)), 0.5)  # no mean is over 1
        return np.asarray((b * (moved + rounded) + last) * U * SECOND + TINY)

    return _largest_of(judged, (0.45, 0.6, 0.8, 0.9, 1.0))


def _ratio(
    grid: Grid, of: Roundings, name: str, vector: NDArray[np.float32], fused: bool
) -> tuple[Array, Array, Array]:
    """Over boxes, of G = N/D: |G|; the error of Horner's rule and the division; what rounding y and u moves."""
    above, below = (rows_of(f"{name}_{part}", vector) for part in ("numerator", "denominator"))
    ratio = grid.sup(grid.n) / grid.least
    error = (_horner(above, grid, fused) + ratio * _horner(below, grid, fused)) / grid.least + half_ulp(ratio)
    by_y, by_u = (n_z * grid.d - grid.n * d_z for n_z, d_z in ((grid.n_y, grid.d_y), (grid.n_u, grid.d_u)))
    return ratio, error, of.y * grid.over_d2(by_y) + of.u * grid.over_d2(by_u)


def _largest_of(judged: Callable[[Squares], Array], shares: tuple[float, ...]) -> float:
    """The largest bound over the unit square; round by round boxes with a larger share of the largest are quartered."""
    worst, bounds, rounds = 0.0, np.zeros(0), 0

    def open_(boxes: Squares, parent: Indices) -> Flags:
        nonlocal bounds, rounds
        pieces = np.array_split(np.arange(len(parent)), len(parent) // _AT_ONCE + 1)
        bounds = np.concatenate([judged(boxes.take(piece)) for piece in pieces])
        rounds += 1
        return np.asarray(~(bounds <= max(worst, shares[rounds - 1] * float(bounds.max()))))

    def keep(parent: Indices, done: Flags) -> None:
        nonlocal worst
        worst = float(bounds[done].max(initial=worst))  # NaN, if there is one

    boxes = unit_square(CELLS)
    quarter_until(boxes, np.arange(len(boxes.v0)), open_, keep, len(shares) - 1, 100_000, lambda boxes: None)
    return worst


def entropy_error(vector: NDArray[np.float32], witness: Array, relative: float, fused: bool) -> float:
    """A bound of |float32 entropy − entropy|/(1 + |entropy|) over the half-plane, for bounds (−1, 1).

    H = log scale + C − 2ρA with A = (E log cosh X + log 2)/ρ, so that |H| ≥ 2ρA − log scale − C. log scale and its sum
    with C are within (1.4·|log scale| + 1.3 + |log scale + C|)·U.

    Args:
        witness: of E log cosh, which is off by at most `relative`, relative to ρ.
    """
    edge = rows_of("log_cosh_edge", vector)
    constant = 0.5 * np.log(2.0 * np.pi * np.e) + 2.0 * np.log(2.0)

    def judged(boxes: Squares) -> Array:
        grid = grid_of("log_cosh", vector, boxes)
        zeta, w, x = grid.zeta, grid.w, 1.0 - grid.zeta
        u = 2.0 * w - 1.0
        e, e_u = (part.at(np.zeros(1), u) for part in (edge, edge.by_u()))
        n_y, n_u = grid.n_y * grid.d - grid.n * grid.d_y, grid.n_u * grid.d - grid.n * grid.d_u
        # Of A, times D²: itself; by x, its factor alone and y with it; by ln b; by u; by 1/τ, in parts of it.
        itself = grid.d * (grid.d * e + x * grid.n)
        factor = grid.n * grid.d
        by_x = factor - 2.0 * x * n_y
        by_b = 2.0 * x * by_x
        by_u = e_u * grid.d * grid.d + x * n_u
        by_inverse = 2.0 * (1.0 - w) * by_u
        tau = 0.5 * zeta * (itself - by_b) + by_inverse
        of = roundings(boxes)
        moved = of.tau * grid.over_d2(tau) + of.inverse * grid.over_d2(by_inverse) + of.b * grid.over_d2(by_b)
        with_rho = 0.5 * (of.square_in(fused) + of.nine * boxes.v1) + of.rho
        moved = moved + with_rho * grid.over_d2(itself - by_b) + of.x * grid.over_d2(x * (factor if fused else by_x))
        moved = moved + of.y * grid.over_d2(x * n_y) + of.u * grid.over_d2(by_u)
        if not fused:
            moved = moved + of.variance * grid.over_d2(w * tau) + of.share * grid.over_d2(by_inverse)
        of_ratio, horner, _ = _ratio(grid, of, "log_cosh", vector, fused)
        size, of_x = grid.over_d2(itself), 1.0 - boxes.v0
        arithmetic = _horner(edge, grid, fused) + of_x * (horner + of_ratio * (0.0 if fused else 1.0))
        of_a = (moved + arithmetic + half_ulp(size) + (0.0 if fused else 1.0) * size) * U * SECOND
        of_a = of_a + relative + _off(vector, witness, boxes) / grid.least
        least = grid.least_of(itself) - of_a
        return _of_entropy(boxes, of_a, np.maximum(least, 0.0), constant)

    return _largest_of(judged, (0.3, 0.45, 0.7, 0.85, 1.0))


def _off(vector: NDArray[np.float32], witness: Array, boxes: Squares) -> Array:
    """A bound over boxes of |D·(A₀ − P̂) + x·N|, D times what the surrogate of E log cosh is off by, relative to ρ."""
    above, below, edge = (rows_of(f"log_cosh_{part}", vector) for part in ("numerator", "denominator", "edge"))
    by_x, by_w = (count - 1 for count in witness.shape)
    zeta = boxes.v0[:, None] + (boxes.v1 - boxes.v0)[:, None] * zeros(by_x + 9)
    w = boxes.r0[:, None] + (boxes.r1 - boxes.r0)[:, None] * zeros(by_w + 9)
    on_x, on_w = chebyshev.chebvander(1.0 - 2.0 * zeta, by_x), chebyshev.chebvander(2.0 * w - 1.0, by_w)
    known = on_x @ witness @ on_w.transpose(0, 2, 1)
    y, u = (2.0 * zeta - 1.0)[:, :, None], (2.0 * w - 1.0)[:, None, :]
    off = below.at(y, u) * (edge.at(np.zeros(1), u) - known) + (1.0 - zeta)[:, :, None] * above.at(y, u)
    loose = _LOOSE * (above.size + below.size * (1.0 + float(np.abs(witness).sum())))
    return np.asarray(_sizes(off).sum((1, 2)) + loose)


def _of_entropy(boxes: Squares, of_a: Array, least: Array, constant: float) -> Array:
    """The entropy's relative error over boxes from that of A, and A's least value.

    scale = ρ·√(wζ)/3. ρ is cut into pieces, on each of which the numerator is taken where it is largest and the
    denominator where it is least; log scale, between its ends, at its ends or where one of the two has a corner.
    """
    with np.errstate(divide="ignore"):
        rho_low, rho_high = (
            3.0 * np.sqrt(surrogate.LOGISTIC / ((1.0 - w) * zeta))
            for w, zeta in ((boxes.r0, boxes.v1), (boxes.r1, boxes.v0))
        )
        kappa_low, kappa_high = (0.5 * np.log(w * z / 9.0) for w, z in ((boxes.r0, boxes.v0), (boxes.r1, boxes.v1)))
    rho = np.geomspace(2.7, 1e6, 400)
    below = np.clip(rho[:-1], rho_low[:, None], rho_high[:, None])
    above = np.clip(rho[1:], rho_low[:, None], rho_high[:, None])
    of_a, least = of_a[:, None], least[:, None]
    low, high = np.log(below) + kappa_low[:, None], np.log(above) + kappa_high[:, None]
    free = 1.0 + 2.0 * below * least - constant  # the denominator is at least free − log scale, and 1
    found = np.full(below.shape, 2.4 * U)  # as log scale → −∞
    for log in (low, high, np.zeros_like(low), np.full_like(low, -constant), free - 1.0):
        at = np.clip(log, np.maximum(low, -1e3), high)
        sums = (1.4 * np.abs(at) + 1.3 + np.abs(at + constant)) * U
        found = np.maximum(found, (2.0 * above * of_a + sums) / np.maximum(1.0, free - at))
    # Beyond the last piece the logarithms are less than 1e-4 of ρ.
    beyond = np.where(rho_high > rho[-1], (of_a[:, 0] + 1e-4 * U) / np.maximum(least[:, 0] - 1e-4, 1e-9), 0.0)
    return np.asarray(np.maximum(found.max(axis=1), beyond) + U)
