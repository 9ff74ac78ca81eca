"""`verify_moments`: proven bounds of the surrogates of mean, entropy and variance in float32.

A witness in the file, certified by the heat equation (`heat`, `second`), the surrogate against it and float32's
rounding (`surrogates`, `patches`, `units`): three parts of one bound, for kernels, which have fma, and for torch
operations, which round twice. What is seen is compared with a quadrature. The variance is proven relative to itself
where it is not small, and absolutely, in small parts of w, where it is; that it is good relative to itself there too is
only seen.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tablegen.verify import beyond, heat, patches, surrogates
from tablegen.verify.heat import Array
from tablegen.verify.patches import EXP, FLOOR, UNDERFLOW
from tablegen.verify.rounding import U
from tanhlut.compute import available, functions
from tanhlut.distributions import quadrature
from tanhlut.file.table import ModeTable
from tanhlut.formula import plain, surrogate

Quantity = Literal["mean", "entropy", "variance"]
QUANTITIES: tuple[Quantity, ...] = ("mean", "entropy", "variance")
MEASURE = {
    "mean": "|answer − mean|",
    "entropy": "|answer − entropy|/(1 + |entropy|)",
    "variance": f"|answer − variance|/max(variance, {FLOOR:g}·w, {UNDERFLOW:g}), w = scale²/(scale² + π²/12)",
}
TAIL = "|answer/variance − 1| where it exceeds 1e-13"
ASSUMPTIONS = (
    "IEEE 754 float32 and float64, rounded to nearest, square roots too; subnormals kept, or flushed: a scale too",
    "the lookup runs the text of tanhlut.formula.moments, with fused multiply-adds or without",
    "log in float32 within (1.4·|log| + 1.3)·2^-24, of kernels and of torch.log (held on samples)",
    f"exp(−2x) in float32 within {EXP:g}·2^-24 of itself for 0 ≤ x ≤ 42, likewise (held on samples)",
    "float64 sums of a few hundred terms are within 1e-12 of the sum of the terms' sizes; python-flint's balls",
)


class Worst(NamedTuple):
    """The largest error seen, by `MEASURE`, and where: against a quadrature in float64 (1e-14)."""

    error: float
    loc: float
    scale: float


class Bound(NamedTuple):
    """A proven bound and its parts: of kernels (with fma) and of torch operations."""

    kernels: float
    operations: float
    approximation: float
    witness: float
    absolute: float | None = None  # of the variance: of |answer − variance| too, whatever the backend

    @property
    def largest(self) -> float:
        """What holds of every backend."""
        return float(np.maximum(self.kernels, self.operations))


@dataclass(frozen=True)
class MomentsVerification:
    """What was proven of a quantity, and what was seen.

    Attributes:
        quantity: "mean", "entropy" or "variance".
        bound: by `MEASURE`, on (−1, 1), for every loc and every scale > 0.
        seen: the largest error found.
        unproven: of the variance, the largest found by `TAIL`, of which nothing is proven.
        seconds: how long it took.
        broken: what of the program that runs here is not what the proof is about, or None.
        assumptions: what the proof takes for granted.
    """

    quantity: Quantity
    bound: Bound
    seen: Worst
    unproven: Worst | None
    seconds: float
    broken: str | None
    assumptions: tuple[str, ...] = ASSUMPTIONS


def bound_of(quantity: Quantity, vector: NDArray[np.float32], witnesses: Mapping[str, Array]) -> Bound:
    """The proof.

    Raises:
        ArithmeticError: nothing can be proven of these numbers.
        MissingExtraError: python-flint is not installed.
    """
    if quantity == "variance":
        return _of_variance(vector, witnesses["mean"])
    name = "mean" if quantity == "mean" else "log_cosh"
    witness = heat.error_of(name, witnesses[name])
    approximation = surrogates.approximation(name, vector, witnesses[name])
    if quantity == "mean":
        parts = [witness + approximation + surrogates.mean_rounding(vector, fused) for fused in (True, False)]
    else:
        parts = [surrogates.entropy_error(vector, witnesses[name], witness, fused) for fused in (True, False)]
    kernels, operations = _known(quantity, *parts)
    return Bound(kernels, operations, approximation, witness)


def _of_variance(vector: NDArray[np.float32], witness: Array) -> Bound:
    found = patches.prove(vector, witness)
    kernels, operations = _known("variance", *found.relative)
    return Bound(kernels, operations, found.approximation, found.witness, max(found.absolute))


def _known(quantity: Quantity, *parts: float) -> tuple[float, ...]:
    if not all(part < 1.0 for part in parts):  # NaN too
        raise ArithmeticError(f"nothing is proven of the {quantity}: its bound is {max(parts)}")
    return parts


def verify_moments(table: ModeTable, quantity: Quantity) -> MomentsVerification:
    """Prove a bound of a quantity of a loaded table, and look for the largest error.

    Raises:
        ValueError: the table holds no moments.
        ArithmeticError, MissingExtraError: as `bound_of`.
    """
    moments = functions.moments_of(table)
    began = time.perf_counter()
    bound = bound_of(quantity, moments.vector, moments.witnesses)
    seen = search(table, quantity)
    unproven = search(table, quantity, tail=True) if quantity == "variance" else None
    return MomentsVerification(quantity, bound, seen, unproven, time.perf_counter() - began, broken(table))


def search(
    table: ModeTable, quantity: Quantity, count: int = 1 << 17, rounds: int = 24, *, tail: bool = False
) -> Worst:
    """The largest error of any backend found: among points of every kind, then climbing from the worst of them.

    Whether roundings add up depends on every bit: each round keeps the worst, and tries floats near and very near.
    """
    rng = np.random.default_rng(0)
    loc, scale = queries(rng, count)
    worst = Worst(-1.0, 0.0, 1.0)
    for _ in range(rounds):
        exact = _exact(quantity, loc, scale)
        found = [_off(table, quantity, loc, scale, name, exact, tail) for name in _backends()]
        error = np.max(found, axis=0)
        best = np.argsort(-error)[:64]
        if error[best[0]] > worst.error:
            worst = Worst(float(error[best[0]]), float(loc[best[0]]), float(scale[best[0]]))
        near = 1.0 + 10.0 ** rng.uniform(-7.0, -2.0, (2, 64, 64)) * rng.normal(size=(2, 64, 64))
        near[:, :, 0] = 1.0
        loc = (loc[best][:, None] * near[0]).ravel().astype(np.float32)
        scale = (scale[best][:, None] * near[1]).ravel().astype(np.float32)
    return worst


def queries(rng: np.random.Generator, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Over the chart's square, over the half-plane, and on the crease loc = 4·scale² of the variance."""
    zeta, w = rng.random((2, count // 2))
    tau = 0.82 / (1.0 - w)
    loc, scale = np.sqrt(9.0 * tau * (1.0 - zeta) / np.maximum(zeta, 1e-9)), np.sqrt(w * tau)
    other = np.exp(rng.uniform(np.log(1e-4), np.log(1e4), count // 2))
    along = rng.exponential(1.0, count // 2) * np.where(rng.random(count // 2) < 0.3, 4.0 * other**2, 1.0 + 3.0 * other)
    return (
        np.concatenate([loc, np.minimum(along, 1e5)]).astype(np.float32),
        np.concatenate([scale, other]).astype(np.float32),
    )


def errors(
    table: ModeTable,
    quantity: Quantity,
    loc: NDArray[np.float32],
    scale: NDArray[np.float32],
    backend: str,
    tail: bool = False,
) -> Array:
    """Of a backend's answers, by `MEASURE`, or by `TAIL`; infinite where one is NaN."""
    return _off(table, quantity, loc, scale, backend, _exact(quantity, loc, scale), tail)


def _exact(quantity: Quantity, loc: NDArray[np.float32], scale: NDArray[np.float32]) -> Tensor:
    blocks = zip(*(torch.from_numpy(x).double().split(1 << 13) for x in (loc, scale)), strict=True)
    return torch.cat([getattr(quadrature, quantity)(*block) for block in blocks])


def _off(
    table: ModeTable,
    quantity: Quantity,
    loc: NDArray[np.float32],
    scale: NDArray[np.float32],
    backend: str,
    exact: Tensor,
    tail: bool,
) -> Array:
    pair = torch.from_numpy(loc), torch.from_numpy(scale)
    off = (functions.evaluate(quantity, *pair, table, backend).double() - exact).abs()
    if quantity == "entropy":
        off = off / (1.0 + exact.abs())
    elif quantity == "variance" and tail:
        off = torch.where(exact > 1e-13, off / exact, 0.0)
    elif quantity == "variance":
        square = pair[1].double().square()
        share = FLOOR * square / (square + surrogate.LOGISTIC)
        off = off / torch.maximum(exact, share).clamp(min=UNDERFLOW)
    return np.asarray(torch.where(off.isnan() & exact.isfinite(), torch.inf, off.nan_to_num(0.0)).numpy())


def broken(table: ModeTable) -> str | None:
    """The first premise that does not hold of the program that runs here."""
    rng = np.random.default_rng(1)
    x = np.exp(rng.uniform(-100.0, 88.0, 20_000)).astype(np.float32)
    exact = np.log(x.astype(np.float64))
    allowed = (1.4 * np.abs(exact) + 1.3) * 2.0**-24
    with np.errstate(all="ignore"):
        logs = {"the text's": plain.SINGLE.logarithm(x), "torch's": torch.log(torch.from_numpy(x)).numpy()}
    for whose, found in logs.items():
        if not (np.abs(found - exact) <= allowed).all():
            return f"{whose} logarithm is further off than the proof allows"
    x = np.concatenate([rng.uniform(0.0, 42.0, 20_000), np.exp(rng.uniform(-20.0, 3.7, 20_000))]).astype(np.float32)
    exact = np.exp(-2.0 * x.astype(np.float64))
    exps = {"the text's": plain.SINGLE.exp_minus_twice(x), "torch's": torch.exp(torch.from_numpy(-2.0 * x)).numpy()}
    for whose, found in exps.items():
        if not (np.abs(found - exact) <= EXP * U * exact).all():
            return f"{whose} exp is further off than the proof allows"
    loc, scale = queries(rng, 4096)
    loc[::2] *= -1.0
    vector, one = functions.moments_of(table).vector, np.float32(1.0)
    for name in functions.NAMES if available.cpu_missing() is None else ():
        with np.errstate(all="ignore"):
            wanted = getattr(plain.SINGLE, name)(loc, scale, vector, -one, one)
        pair = torch.from_numpy(loc), torch.from_numpy(scale)
        found = functions.evaluate(name, *pair, table, "cpu").numpy()
        if not np.array_equal(found, wanted, equal_nan=True):
            return f"the cpu backend's {name} has not the bits of the text"
    metadata = functions.moments_of(table).metadata
    claimed: dict[str, float] = {quantity: float(metadata[f"{quantity}_bound"]) for quantity in QUANTITIES}
    return next((words for words in (beyond.wrong(table, name, claimed) for name in _backends()) if words), None)


def _backends() -> list[str]:
    return ["eager", *(["cpu"] if available.cpu_missing() is None else [])]
