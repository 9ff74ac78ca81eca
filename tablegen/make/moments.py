"""Fitting the surrogates of mean, entropy and variance (`tanhlut.formula.moments`) to quadratures, in seconds.

Rationals by Sanathanan and Koerner's iteration with Lawson's weights, on a Chebyshev grid of the unit square (ζ, w):
linear least squares with the denominator of the round before, weighted by the error of the round before. Patches by
interpolation at Chebyshev nodes. And the witnesses of the proof: Chebyshev interpolants in float64 of high degree.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from tqdm import tqdm

from tanhlut.distributions import quadrature
from tanhlut.file.moments import Moments
from tanhlut.formula import surrogate

Array = NDArray[np.float64]

LOG_2 = float(np.log(2.0))
WITNESS_DEGREES = {"mean": (56, 36), "log_cosh": (48, 32)}
_GRID = (60, 40)
_ROUNDS = 40
_EDGE_WEIGHT = 0.02  # of the mean's relative accuracy near loc = 0, where it vanishes


def fitted(asked: Sequence[str] = ("mean", "entropy", "variance"), old: Moments | None = None) -> "Fit":
    """The surrogates over the whole half-plane, behind a progress bar; those not asked for as they were in `old`."""
    with tqdm(desc="fitting the moments", total=len(asked), leave=False) as bar:
        found = fit(asked, old, bar.update)
    return found


class Square(NamedTuple):
    """Points of the unit square, and where in the half-plane they are."""

    zeta: Array
    w: Array
    loc: Array
    scale: Array
    rho: Array


class Fit(NamedTuple):
    """The vectors of numbers, of float32 and of float64, and the witnesses' coefficients by name."""

    vector: NDArray[np.float32]
    witnesses: dict[str, Array]
    double: Array


def fit(
    asked: Sequence[str] = ("mean", "entropy", "variance"),
    old: Moments | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Fit:
    """The surrogates over the whole half-plane; `progress` is told of each quantity.

    Args:
        asked: which to fit: "mean", "entropy", "variance".
        old: where the others' numbers are.
    """
    vector = np.zeros(surrogate.SIZE, np.float32) if old is None else old.vector.copy()
    double = np.zeros(surrogate.DOUBLE_SIZE) if old is None else old.double.copy()
    witnesses = {} if old is None else {name: array.copy() for name, array in old.witnesses.items()}

    def put(**polynomials: list[Array]) -> None:
        for name, rows in polynomials.items():
            place = surrogate.POLYNOMIALS[name]
            vector[place.first : place.first + place.size] = np.concatenate(rows)

    def patch(into: NDArray[Any], grid: surrogate.Grid, function: Callable[[Array, Array], Array]) -> None:
        into[grid.first : grid.end] = _patches(grid, function).ravel()

    at = square(*(_nodes(count) for count in _GRID))
    if "mean" in asked:
        put(**_fit_mean(at))
        patch(double, surrogate.MEAN_PATCHES, _mean_ratio)
        there = square(*(_nodes(degree) for degree in WITNESS_DEGREES["mean"]))
        witnesses["mean"] = _interpolant((_mean(there) / np.sqrt(1.0 - there.zeta))[::-1])  # in x = 1 − ζ
        progress(1)
    if "entropy" in asked:
        put(**_fit_log_cosh(at))
        patch(double, surrogate.ENTROPY_PATCHES, _log_cosh_ratio)
        there = square(*(_nodes(degree) for degree in WITNESS_DEGREES["log_cosh"]))
        witnesses["log_cosh"] = _interpolant(((_log_cosh(there) + LOG_2) / there.rho)[::-1])
        progress(1)
    if "variance" in asked:
        patch(vector, surrogate.SINGLE_PATCHES, log_ratio)
        patch(double, surrogate.DOUBLE_PATCHES, log_ratio)
        progress(1)
    return Fit(vector, witnesses, double)


def _fit_mean(at: Square) -> dict[str, list[Array]]:
    ratio = (_mean(at) / np.sqrt(1.0 - at.zeta) - 1.0) / at.zeta
    weight = np.sqrt(1.0 - at.zeta + _EDGE_WEIGHT) * at.zeta
    numerator, denominator = _rational("mean", at, ratio, weight)
    return {"mean_numerator": numerator, "mean_denominator": denominator}


def _fit_log_cosh(at: Square) -> dict[str, list[Array]]:
    expected = _log_cosh(at)
    edge = square(np.ones(1), _nodes(_GRID[1]))
    on_edge = chebyshev.chebfit(2.0 * edge.w[0] - 1.0, ((_log_cosh(edge) + LOG_2) / edge.rho)[0], 8)
    row = np.asarray(chebyshev.cheb2poly(on_edge), np.float64)
    x = 1.0 - at.zeta
    stored = row.astype(np.float32).astype(float)
    ratio = ((expected + LOG_2) / at.rho - np.polynomial.polynomial.polyval(2.0 * at.w - 1.0, stored)) / x
    entropy = 0.5 * np.log(2.0 * np.pi * np.e) + np.log(at.scale) - 2.0 * expected
    weight = 2.0 * at.rho * x / (1.0 + np.abs(entropy)) + 1e-4
    numerator, denominator = _rational("log_cosh", at, ratio, weight)
    return {"log_cosh_edge": [row], "log_cosh_numerator": numerator, "log_cosh_denominator": denominator}


def square(zeta: Array, w: Array) -> Square:
    """The grid of given coordinates."""
    return _half_plane(*np.meshgrid(zeta, w, indexing="ij"))


def _half_plane(zeta: Array, w: Array) -> Square:
    tau = surrogate.LOGISTIC / (1.0 - w)
    loc = np.sqrt(9.0 * tau * (1.0 - zeta) / zeta)
    return Square(zeta, w, loc, np.sqrt(w * tau), np.sqrt(loc * loc + 9.0 * tau))


def _mean(at: Square) -> Array:
    return _quadrature(quadrature.mean, at.loc, at.scale)


def _log_cosh(at: Square) -> Array:
    return _quadrature(quadrature.expected_log_cosh, at.loc, at.scale)


def _quadrature(function: Callable[..., torch.Tensor], loc: Array, scale: Array) -> Array:
    blocks = zip(*(torch.from_numpy(part.ravel().copy()).split(1 << 14) for part in (loc, scale)), strict=True)
    return torch.cat([function(*block) for block in blocks]).numpy().reshape(loc.shape)


def _nodes(count: int) -> Array:
    """Chebyshev's, on (0, 1), decreasing."""
    return np.asarray((1.0 + np.cos(np.pi * (np.arange(count) + 0.5) / count)) / 2.0)


def _interpolant(values: Array) -> Array:
    """Chebyshev coefficients on [0, 1]² of values at the `_nodes`."""
    inverses = [np.linalg.inv(chebyshev.chebvander(2.0 * _nodes(count) - 1.0, count - 1)) for count in values.shape]
    return np.asarray(inverses[0] @ values @ inverses[1].T)


def _rational(name: str, at: Square, ratio: Array, weight: Array) -> tuple[list[Array], list[Array]]:
    """Rows of numerator and denominator of the weighted minimax rational, as far as `_ROUNDS` rounds come."""
    lengths = [surrogate.POLYNOMIALS[f"{name}_{part}"].lengths for part in ("numerator", "denominator")]
    above, below = (_basis(at, rows) for rows in lengths)
    wanted, weight = ratio.ravel(), weight.ravel()
    denominator, lawson = np.ones(wanted.size), np.ones(wanted.size)
    best, found = np.inf, np.zeros(above.shape[1] + below.shape[1] - 1)
    for _ in range(_ROUNDS):
        matrix = np.hstack([above, -wanted[:, None] * below[:, 1:]])
        by = np.sqrt(lawson) * weight / np.abs(denominator)
        matrix = matrix * by[:, None]
        norms = np.linalg.norm(matrix, axis=0)
        coefficients = np.linalg.lstsq(matrix / norms, wanted * by, rcond=1e-14)[0] / norms
        denominator = 1.0 + below[:, 1:] @ coefficients[above.shape[1] :]
        error = np.abs(above @ coefficients[: above.shape[1]] / denominator - wanted) * weight
        if denominator.min() > 0.0 and error.max() < best:
            best, found = float(error.max()), coefficients
        lawson = lawson * (error / error.max() + 0.02)
        lawson /= lawson.mean()
    split = above.shape[1]
    numbers = found[:split], np.concatenate([[1.0], found[split:]])
    first, second = (_monomials(rows, part) for rows, part in zip(lengths, numbers, strict=True))
    return first, second


def _basis(at: Square, lengths: tuple[int, ...]) -> Array:
    """Products of Chebyshev polynomials, row by row, one line for each point."""
    by_y = chebyshev.chebvander(2.0 * at.zeta.ravel() - 1.0, len(lengths) - 1)
    by_u = chebyshev.chebvander(2.0 * at.w.ravel() - 1.0, max(lengths) - 1)
    return np.hstack([by_y[:, [i]] * by_u[:, :length] for i, length in enumerate(lengths)])


def _monomials(lengths: tuple[int, ...], coefficients: Array) -> list[Array]:
    """Rows of monomials' coefficients in (y, u) of a staircase of products of Chebyshev polynomials."""
    full = np.zeros((len(lengths), max(lengths)))
    begin = 0
    for i, length in enumerate(lengths):
        full[i, :length] = coefficients[begin : begin + length]
        begin += length
    to = [np.array([np.pad(chebyshev.cheb2poly(np.eye(n)[k]), (0, n - 1 - k)) for k in range(n)]) for n in full.shape]
    whole = to[0].T @ full @ to[1]
    return [whole[i, :length] for i, length in enumerate(lengths)]


def _patches(grid: surrogate.Grid, function: Callable[[Array, Array], Array]) -> Array:
    """(rows, columns, side, side): interpolants of a function on a square, at Chebyshev nodes of each patch."""
    rows, columns, side, _ = grid.shape
    local = 2.0 * _nodes(side) - 1.0
    nodes = np.linalg.inv(chebyshev.chebvander(local, side - 1))
    powers = np.array([np.pad(chebyshev.cheb2poly(np.eye(side)[k]), (0, side - 1 - k)) for k in range(side)])
    x = ((np.arange(grid.first_row, grid.rows)[:, None] + (local + 1.0) / 2.0) / grid.rows).ravel()
    y = ((np.arange(columns)[:, None] + (local + 1.0) / 2.0) / columns).ravel()
    values = function(*np.meshgrid(x, y, indexing="ij")).reshape(rows, side, columns, side)
    series = np.einsum("ki,xiyj,lj->xykl", nodes, values, nodes)  # first, or else monomials' large numbers cancel
    return np.asarray(np.einsum("kp,xykl,lq->xyqp", powers, series, powers))


def _mean_ratio(zeta: Array, w: Array) -> Array:
    """F = E tanh X/b."""
    at = _half_plane(zeta, w)
    return np.asarray(_mean(at) / np.sqrt(1.0 - zeta))


def _log_cosh_ratio(zeta: Array, w: Array) -> Array:
    """A = (E log cosh X + log 2)/ρ."""
    at = _half_plane(zeta, w)
    return np.asarray((_log_cosh(at) + LOG_2) / at.rho)


def log_ratio(z: Array, q: Array) -> Array:
    """Λ = log(variance/w) at points of the square (z, q), scale > 0."""
    tau = surrogate.LOGISTIC / np.maximum((1.0 - q) ** 2, 1e-10)
    w = q * (2.0 - q)
    loc = 3.0 * np.sqrt(np.maximum(1.0 - z * z, 0.0) / (z * z) * tau)
    return np.asarray(np.log(_quadrature(quadrature.variance, loc, np.sqrt(w * tau)) / w))
