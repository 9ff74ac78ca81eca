"""The variance's patches against the variance, and what float32 adds: proven cell by cell.

In a cell of (z, q) the answer is w·exp Λ, Λ a bicubic polynomial, and V/w is within `second` of G/(2 − q), G a
polynomial over the whole square. G's Chebyshev series over the cell alone, cut off where it has become small (what is
cut off is charged), less the interpolant of (2 − q)·exp Λ (an analytic function: bounded on ellipses about the cell, it
is off by 4·M·r^-n/(r − 1), Trefethen 2013, theorem 8.2), is a polynomial again, which Ehlich and Zeller's points bound.
Cells are taken a share MARGIN wider: rounding may carry a point over an edge. Where exp Λ is tiny, its size is enough.

float32, in units U = 2^-24, first order (SECOND covers the rest). What a rounding moves, along ln z, ln p and ln of the
root besides Λ/2, with p = √(c/τ) = 1 − q, x = 1 − z²:

    τ = scale² + c  (x/2, −½, −½)   nine = 9τ  (x/2, 0, 0)   ρ²  (½, 0, 0)   ζ  (½, 0, 0)   √ζ, row  (1, 0, 0) each
    1/τ             (0, ½, ½)       its root  (0, 1, 1)      √c  (0, ROOT, 0)
    the product with scale, that with exp  (0, 0, 1) each    exp  (0, 0, EXP)

q by one more of itself, and without fma: scale² as τ, w times; m² in ρ², x times; √c times the root (0, 1, 0). And the
local coordinates, the running error of the patch's polynomial (`operations.patch`), and the square.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from tablegen.verify import second
from tablegen.verify.chart import Squares
from tablegen.verify.heat import Array, between, inverse, zeros
from tablegen.verify.rounding import SECOND, U
from tablegen.verify.units import roundings, units
from tanhlut.formula import surrogate

FLOOR = 1e-3  # of w: the variance is proven relative to itself where it is larger, and to this share of w below
MARGIN = 1e-4  # of half a cell
EXP = 4.2  # exp(−2x), 0 ≤ x ≤ LEAST, within so many units, relative: 4.06 the text's, 1.1 torch.exp (measured)
# What √c, as the text has it, is off by, relative, in units of U; and float64's own rounding.
ROOT = abs(float(surrogate.numbers(np.float32)["ROOT_LOGISTIC"]) / surrogate.LOGISTIC**0.5 - 1.0) / U + 1e-6
UNDERFLOW = 1e-30  # of variances below nothing is said: their squares are subnormal, or nothing
_DEGREE = 15
_TIMES = 5


class Proven(NamedTuple):
    """Suprema of |answer − variance|/max(variance, FLOOR·w), and of |answer − variance|: with fma and without."""

    relative: tuple[float, float]
    absolute: tuple[float, float]
    approximation: float  # the patches' part of the first
    witness: float  # the witness's


class Row(NamedTuple):
    """The cells of one row, an entry for each column."""

    z: tuple[float, float]
    q: tuple[Array, Array]
    values: Array  # (columns, power of q, power of z) of Λ in local coordinates
    off: Array  # |exp Λ − V/w|, but for the witness
    beyond: bool = False  # the lookup clamps z to the first row


def prove(vector: NDArray[np.float32], witness: Array) -> Proven:
    """The bounds for a file's vector by the mean's witness.

    Raises:
        MissingExtraError: python-flint is not installed.
    """
    certified = second.certify(witness)
    relative, absolute = np.zeros(2), np.zeros(2)
    approximation, of_all = 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for row in rows(vector, witness):
            q0, q1 = row.q
            of_witness = certified.of(q0 * (2.0 - q0), np.minimum(q1 * (2.0 - q1), 1.0))
            of_all = float(np.maximum(of_all, of_witness.max()))
            low, high = _range(row)
            off = row.off + of_witness
            for k, fused in enumerate((True, False)):
                moved = rounding(row, fused)
                moved = np.expm1(moved)
                share = np.minimum((high + off) / FLOOR, 1.0)
                found = off * (1.0 + moved) / np.maximum(low - off, FLOOR) + moved * share
                relative[k] = np.maximum(relative[k], found.max())  # NaN, if there is one
                size = np.minimum(q1 * (2.0 - q1), 1.0)
                absolute[k] = np.maximum(absolute[k], (size * (off * (1.0 + moved) + moved * (high + off))).max())
            approximation = float(np.maximum(approximation, (row.off / np.maximum(low - off, FLOOR)).max()))
    tiny = 2.0**-126 / UNDERFLOW
    return Proven(
        (float(relative[0]) + tiny, float(relative[1]) + tiny),
        (float(absolute[0]) + tiny, float(absolute[1]) + tiny),
        approximation,
        of_all / FLOOR,
    )


def rows(vector: NDArray[np.float32], witness: Array) -> Iterator[Row]:
    """The patches' rows, and before them what lies below the first."""
    shape = (surrogate.ROWS - surrogate.FIRST_ROW, surrogate.COLUMNS, 4, 4)
    patches = vector[surrogate.PATCHES :].astype(np.float64).reshape(shape)
    over, loose = second.ratio(witness)
    by_z, by_q = (_Restricted(count) for count in over.shape)
    edges = np.arange(surrogate.COLUMNS) / surrogate.COLUMNS
    q = edges, edges + 1.0 / surrogate.COLUMNS
    on_q = [by_q.over(*_wider(low, high)) for low, high in zip(*q, strict=True)]
    sizes = np.array([np.abs(part).sum(axis=0) for part in on_q])  # (columns, series)
    all_q = np.array(on_q).transpose(0, 2, 1)

    def expanded(low: float, high: float) -> tuple[Array, Array]:
        """G's series over the cells of a strip, and what was cut off."""
        along = by_z.over(*_wider(low, high)) @ over
        whole = np.einsum("zk,ckq->czq", along[: _DEGREE + 1], all_q)
        cut = np.abs(whole[:, :, _DEGREE + 1 :]).sum((1, 2)) + sizes @ np.abs(along[_DEGREE + 1 :]).sum(axis=0)
        return whole[:, :, : _DEGREE + 1], cut + loose

    first = surrogate.FIRST_ROW / surrogate.ROWS
    series, cut = expanded(0.0, first)
    flat = np.zeros_like(patches[0])
    flat[:, :, 0] = (patches[0] * np.array([(-1.0) ** k for k in range(4)])).sum(axis=2)
    low = Row((0.0, first), q, flat, np.zeros(surrogate.COLUMNS), True)
    largest = _at_points(series) + cut
    yield low._replace(off=_range(low)[1] + largest / (2.0 - q[1]))
    for i, values in enumerate(patches):
        edge = (surrogate.FIRST_ROW + i) / surrogate.ROWS
        row = Row((edge, edge + 1.0 / surrogate.ROWS), q, values, np.zeros(surrogate.COLUMNS))
        series, cut = expanded(*row.z)
        yield row._replace(off=_off(row, series, cut))


def _off(row: Row, series: Array, cut: Array) -> Array:
    """|exp Λ − G/(2 − q)| over a row's cells."""
    nodes = 2.0 * zeros(_DEGREE + 1) - 1.0
    at = np.exp(_values(row.values, nodes * (1.0 + MARGIN)))
    q0, q1 = row.q
    q = 0.5 * (q0 + q1)[:, None] + 0.5 * (q1 - q0)[:, None] * (1.0 + MARGIN) * nodes
    inverse = np.linalg.inv(chebyshev.chebvander(nodes, _DEGREE))
    surrogates = inverse @ (at * (2.0 - q)[:, None, :]) @ inverse.T
    off = _at_points(series - surrogates) + cut + _interpolation(row)
    simply = _at_points(series) + cut + 2.0 * _range(row)[1]
    return np.asarray(np.fmin(off, simply) / (2.0 - q1 - MARGIN))


def _values(values: Array, at: Array) -> Array:
    """Λ over (columns, z, q) at local coordinates."""
    powers = np.vander(at, 4, increasing=True)
    return np.asarray(np.einsum("cyx,ax,by->cab", values, powers, powers))


def _range(row: Row) -> tuple[Array, Array]:
    """The least and largest exp Λ over cells."""
    lambda_ = _values(row.values, np.linspace(-1.0 - MARGIN, 1.0 + MARGIN, 41))
    # Between equally spaced points a cubic leaves their range by little: its second derivative bounds how far.
    slack = sum(_bend(row.values, axis) for axis in (1, 2)) * (1.0 + MARGIN) ** 2 * (2.0 / 40) ** 2 / 8.0
    low, high = lambda_.min((1, 2)) - slack, lambda_.max((1, 2)) + slack
    return np.exp(np.maximum(low, -700.0)), np.exp(high)


def _bend(values: Array, axis: int) -> Array:
    """A bound of the second derivative of Λ along an axis."""
    weight = np.array([0.0, 0.0, 2.0, 6.0 * (1.0 + MARGIN)])
    grown = np.array([(1.0 + MARGIN) ** k for k in range(4)])
    weights = (weight, grown) if axis == 1 else (grown, weight)
    return np.asarray(np.einsum("cyx,y,x->c", np.abs(values), *weights))


def _interpolation(row: Row) -> Array:
    """What the interpolant of (2 − q)·exp Λ is off by: the best of some ellipses."""
    scaled = row.values * (1.0 + MARGIN) ** np.add.outer(np.arange(4), np.arange(4))
    to = np.zeros((4, 4))
    for k in range(4):
        to[: k + 1, k] = chebyshev.poly2cheb(np.eye(4)[k])[: k + 1]
    parts = np.einsum("py,cyx,qx->cpq", to, scaled, to)
    middle, sizes = parts[:, 0, 0], np.abs(parts)
    sizes[:, 0, 0] = 0.0
    best = np.full(len(middle), np.inf)
    constant = 1.0 + 2.0 / np.pi * np.log(_DEGREE + 1) + 1.0
    for r in (1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 22.0, 40.0):
        grown = np.array([(r**k + r**-k) / 2.0 for k in range(4)])
        along = (grown, np.ones(4)), (np.ones(4), grown)
        each = [middle + np.einsum("cpq,p,q->c", sizes, *weights) for weights in along]
        size = (2.0 + r / surrogate.COLUMNS) * np.exp(np.minimum(np.maximum(*each), 700.0))
        best = np.minimum(best, 4.0 * size * r**-_DEGREE / (r - 1.0) * constant)
    return best


def _at_points(series: Array) -> Array:
    """A bound of polynomials over cells."""
    points = chebyshev.chebvander(2.0 * zeros(_TIMES * _DEGREE) - 1.0, _DEGREE)
    return np.asarray(between(_TIMES) ** 2 * np.abs(points @ series @ points.T).max((1, 2)))


def _wider(low: float, high: float) -> tuple[float, float]:
    more = 0.5 * MARGIN * (high - low)
    return low - more, high + more


class _Restricted:
    """Chebyshev series on [0, 1] as series on a part of it, or a little more."""

    def __init__(self, count: int) -> None:
        self._nodes = zeros(count)
        self._inverse = inverse(count)

    def over(self, low: float, high: float) -> Array:
        """The matrix that takes coefficients to those over [low, high]."""
        at = low + (high - low) * self._nodes
        return np.asarray(self._inverse @ chebyshev.chebvander(2.0 * at - 1.0, len(at) - 1))


Interval = tuple[Array, Array]


def rounding(row: Row, fused: bool) -> Array:
    """A bound of what float32 moves ln of the answer by, over a row's cells."""
    q0, q1 = row.q
    z0, z1 = (np.full(len(q0), end) for end in row.z)
    w0, w1 = q0 * (2.0 - q0), q1 * (2.0 - q1)
    x0, x1 = 1.0 - z1**2, 1.0 - z0**2
    p0, p1 = np.maximum(1.0 - q1, 0.0), 1.0 - q0
    by_z, by_p, by_q = _slopes(row)
    one = np.ones_like(q0)
    zero, half, minus, whole = (np.zeros_like(q0),) * 2, (0.5 * one,) * 2, (-0.5 * one,) * 2, (one,) * 2

    def moves(along_z: Interval, along_p: Interval, along_root: Interval) -> Array:
        """|½·(a·Λ_ln z + b·Λ_ln p) + c|."""
        low, high = (
            0.5 * (first + second_) + third
            for first, second_, third in zip(_product(along_z, by_z), _product(along_p, by_p), along_root, strict=True)
        )
        return np.maximum(-low, high)

    of = roundings(Squares(z0**2, z1**2, w0, w1))
    nine = 0.5 * x0, 0.5 * x1
    total = of.tau * moves(nine, minus, minus) + of.nine * moves(nine, zero, zero)
    root = surrogate.LOGISTIC**0.5
    total = total + of.inverse * moves(zero, half, half) + units(p0 / root, p1 / root) * moves(zero, whole, whole)
    of_z = 0.5 * of.square_in(fused) + 0.5 * of.zeta + units(z0, z1)
    of_z = of_z + units(surrogate.ROWS * z0, surrogate.ROWS * z1)
    total = total + of_z * moves(whole, zero, zero) + ROOT * moves(zero, whole, zero)
    total = total + units(q0, q1) * 0.5 * np.maximum(-by_q[0], by_q[1])
    if not fused:
        total = total + w1 * of.variance * moves(nine, minus, minus) + units(p0, p1) * moves(zero, whole, zero)
    local, horner = _horner(row.values, fused)
    arithmetic = 2.0 * (total + 2.0 + EXP) + 1.0 + local + horner
    return np.asarray(arithmetic * U * SECOND)


def _product(a: Interval, b: Interval) -> Interval:
    ends = [x * y for x in a for y in b]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def _slopes(row: Row) -> tuple[Interval, Interval, Interval]:
    """dΛ/d ln z, dΛ/d ln p and dΛ/d ln q over cells."""
    count = 6
    at = (2.0 * zeros(count) - 1.0) * (1.0 + MARGIN)
    powers = np.vander(at, 4, increasing=True)
    steep = np.zeros_like(powers)
    steep[:, 1:] = powers[:, :3] * np.arange(1, 4)
    z0, z1 = row.z
    q0, q1 = row.q
    z = 0.5 * (z0 + z1) + 0.5 * (z1 - z0) * at
    q = 0.5 * (q0 + q1)[:, None] + 0.5 * (q1 - q0)[:, None] * at
    by_z = np.einsum("cyx,ax,by->cab", row.values, steep, powers) * (2.0 * surrogate.ROWS * z)[None, :, None]
    by_q = np.einsum("cyx,ax,by->cab", row.values, powers, steep) * 2.0 * surrogate.COLUMNS
    by_z = by_z * (0.0 if row.beyond else 1.0)
    return _range_of(by_z), _range_of(by_q * (q - 1.0)[:, None, :]), _range_of(by_q * q[:, None, :])


def _range_of(values: Array) -> Interval:
    """Of polynomials of degree 5, by their values at the zeros: the first Chebyshev coefficient ± the others."""
    to = inverse(values.shape[1])
    found = to @ values @ to.T
    middle = found[:, 0, 0]
    spread = np.abs(found).sum((1, 2)) - np.abs(middle)
    return middle - spread, middle + spread


def _horner(values: Array, fused: bool) -> tuple[Array, Array]:
    """What the rounding of local coordinates, and of Horner's rule, move Λ by, in units of U."""
    sizes = np.abs(values)
    grown = 1.0 + MARGIN
    powers = np.full(4, grown) ** np.arange(4)
    steep = np.arange(4) * powers
    local = np.einsum("cyx,x,y->c", sizes, steep, powers) + np.einsum("cyx,x,y->c", sizes, powers, steep)
    more = 0.0 if fused else 1.0

    def running(parts: list[Array], errors: list[Array]) -> tuple[Array, Array]:
        """Of Horner's rule in parts, highest power first, which have errors themselves: size, error."""
        size, error = parts[0], errors[0]
        for part, own in zip(parts[1:], errors[1:], strict=True):
            error = error * grown + own + more * size * grown
            size = size * grown + part
            error = error + size
        return size, error

    def along_h(column: Array) -> tuple[Array, Array]:
        """Of the even and of the odd powers of h, in h², which is rounded itself; and of both together."""
        (even, of_even), (odd, of_odd) = (
            (low + high * grown**2, (1.0 + more) * high * grown**2 + low + high * grown**2)
            for low, high in ((column[:, 0], column[:, 2]), (column[:, 1], column[:, 3]))
        )
        size = even + odd * grown
        return size, of_even + of_odd * grown + more * odd * grown + size

    columns = [along_h(sizes[:, :, i]) for i in (3, 2, 1, 0)]
    return local, running([size for size, _ in columns], [error for _, error in columns])[1]
