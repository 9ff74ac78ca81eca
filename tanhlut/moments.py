"""Mean, standard deviation, variance and entropy of a tanh-squashed Gaussian: the public functions.

With X ~ Normal(loc, scale²) and Y = low + (high − low)·(tanh X + 1)/2, half = (high − low)/2:

    E Y = middle + half·E tanh X,   Var Y = half²·Var tanh X,   H(Y) = H(tanh X) + log half,
    H(tanh X) = ½·log(2πe·scale²) − 2·E log cosh X.

They come from surrogates in a table's file (`tanhlut.formula.half_plane`), of float32, where half precision is computed
too, and of float64; or, with method="quadrature", from deterministic quadrature (`tanhlut.distributions.quadrature`).
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from tanhlut.affine import half_width, to_bounds
from tanhlut.arrays import FLOATS, ArrayLike, check_choice, scalar, unify, write_to
from tanhlut.compute import available, functions
from tanhlut.compute.gate import fits, ordinary
from tanhlut.compute.quick import of_one_shape
from tanhlut.distributions import quadrature
from tanhlut.file.table import ModeTable
from tanhlut.methods import compute_dtype
from tanhlut.questions import check_numbers, check_table

METHODS = ("surrogate", "quadrature")
LOW, HIGH = -1.0, 1.0
FITS_GPU = (torch.float16, torch.bfloat16, torch.float32)
_ON_CPU, _ON_CUDA = ("auto", "cpu"), ("auto", "gpu")
_is_compiling = torch.compiler.is_dynamo_compiling


def mean(
    loc: ArrayLike,
    scale: ArrayLike,
    low: ArrayLike = LOW,
    high: ArrayLike = HIGH,
    *,
    method: str = "surrogate",
    table: ModeTable | None = None,
    backend: str = "auto",
    out: Any = None,
) -> Any:
    """E[Y], within [low, high].

    Args:
        loc, scale: torch tensors (any device; float16, bfloat16, float32, float64), NumPy arrays or Python floats,
            broadcast together. Dimensionless. Half-precision types are computed in float32 and rounded once.
        low, high: action bounds, numbers or of the same kind as loc; low < high.
        method: ``"surrogate"``, or ``"quadrature"``, which takes microseconds an element.
        table: a `ModeTable` with moments, by default the shipped one.
        backend: ``"cpu"``, ``"gpu"`` (compiled), ``"eager"`` (torch operations) or ``"auto"``, as in `tanhlut.mode`.
        out: tensor or array of the result's shape and dtype to write to; it is returned. Not differentiable.

    Returns:
        Same kind, dtype and device as the arguments. mean(−loc) = −mean(loc) bitwise for low = −high. NaN where loc or
        scale is NaN, where scale < 0 or where not low < high; a bound at loc = ±inf.

    Raises:
        ValueError, TypeError, ImportError: as `tanhlut.mode`; ValueError too where the table holds no moments.
    """
    return _answer("mean", loc, scale, low, high, method, table, backend, out)


def variance(
    loc: ArrayLike,
    scale: ArrayLike,
    low: ArrayLike = LOW,
    high: ArrayLike = HIGH,
    *,
    method: str = "surrogate",
    table: ModeTable | None = None,
    backend: str = "auto",
    out: Any = None,
) -> Any:
    """Var[Y]; arguments, kinds and errors as `mean`. 0 at scale 0 and at loc = ±inf."""
    return _answer("variance", loc, scale, low, high, method, table, backend, out)


def stddev(
    loc: ArrayLike,
    scale: ArrayLike,
    low: ArrayLike = LOW,
    high: ArrayLike = HIGH,
    *,
    method: str = "surrogate",
    table: ModeTable | None = None,
    backend: str = "auto",
    out: Any = None,
) -> Any:
    """√Var[Y]; arguments, kinds and errors as `mean`. Where scale² has no digits left it still has."""
    return _answer("stddev", loc, scale, low, high, method, table, backend, out)


def entropy(
    loc: ArrayLike,
    scale: ArrayLike,
    low: ArrayLike = LOW,
    high: ArrayLike = HIGH,
    *,
    method: str = "surrogate",
    table: ModeTable | None = None,
    backend: str = "auto",
    out: Any = None,
) -> Any:
    """H(Y), the differential entropy in nats, at most log(high − low); arguments, kinds and errors as `mean`.

    −inf at scale 0 and where loc or scale is infinite. Gradients: dH/dloc = −2·E tanh X, dH/dscale = 1/scale −
    2·scale·E sech² X.
    """
    return _answer("entropy", loc, scale, low, high, method, table, backend, out)


class Description(NamedTuple):
    """What `describe` answers, each as the function of its name would."""

    mean: Any
    variance: Any
    stddev: Any
    entropy: Any


def describe(
    loc: ArrayLike,
    scale: ArrayLike,
    low: ArrayLike = LOW,
    high: ArrayLike = HIGH,
    *,
    method: str = "surrogate",
    table: ModeTable | None = None,
    backend: str = "auto",
) -> Description:
    """Mean, variance, standard deviation and entropy in one call; arguments, kinds and errors as `mean`.

    The variance is the standard deviation's square, to a rounding that of `variance`, and costs nothing of its own.
    """
    check_table(table)
    if (found := _all_by_kernels(loc, scale, low, high, method, table, backend)) is not None:
        return found
    first, root, last = (
        _answer(name, loc, scale, low, high, method, table, backend, None) for name in ("mean", "stddev", "entropy")
    )
    return Description(first, root * root, root, last)


def _answer(
    name: str,
    loc: Any,
    scale: Any,
    low: Any,
    high: Any,
    method: str,
    table: ModeTable | None,
    backend: str,
    out: Any,
) -> Any:
    check_table(table)
    if method == "surrogate" and (found := _quick(name, loc, scale, low, high, table, backend, out)) is not None:
        return found
    check_choice("method", method, METHODS)
    check_choice("backend", backend, available.BACKENDS)
    (wide_loc, wide_scale, low_, high_), restore = unify(loc, scale, low, high)
    check_numbers(scale, low, high)
    loc_, scale_ = cast(Tensor, wide_loc), cast(Tensor, wide_scale)
    dtype = compute_dtype(loc_.dtype)
    mu, sigma = torch.broadcast_tensors(loc_.to(dtype), scale_.to(dtype))
    if method == "quadrature":
        value = _by_quadrature(name, mu, sigma)
    else:
        value = functions.evaluate(name, mu, sigma, table, backend)
    result = restore(_on(name, value, low_, high_).to(loc_.dtype))
    return result if out is None else write_to(out, result)


def _quick(
    name: str, loc: Any, scale: Any, low: Any, high: Any, table: ModeTable | None, backend: str, out: Any
) -> Tensor | None:
    """The short road: plain tensors that a kernel serves, straight to it; None for all else."""
    plain = _plain(loc, scale, low, high, backend)
    if plain is None:
        return None
    loc, scale = plain
    if out is None:
        out = torch.empty_like(loc)
    elif not fits(out, loc, scale):
        return None
    (functions.on_gpu if loc.is_cuda else functions.on_cpu)(name, loc, scale, out, low, high, table)
    return cast(Tensor, out)


def _all_by_kernels(
    loc: Any, scale: Any, low: Any, high: Any, method: str, table: ModeTable | None, backend: str
) -> Description | None:
    """All four by the kernels of the CPU, with the questions asked once."""
    plain = _plain(loc, scale, low, high, backend) if method == "surrogate" else None
    if plain is None or plain[0].is_cuda or plain[0].dtype not in (torch.float32, torch.float64):
        return None
    return Description(*functions.all_on_cpu(*plain, low, high, table))


def _plain(loc: Any, scale: Any, low: Any, high: Any, backend: str) -> tuple[Tensor, Tensor] | None:
    """loc and scale in one shape if a kernel serves, with nothing else to be done, and the bounds are two numbers."""
    if _is_compiling() or ((low is not LOW or high is not HIGH) and not _within_reach(low, high)):
        return None
    if type(loc) is not Tensor:
        return None
    try:
        if type(scale) is float and scale >= 0.0 and ordinary(loc, loc):
            scale = torch.full_like(loc, scale)
        if type(scale) is not Tensor or not ordinary(loc, scale) or loc._is_zerotensor() or scale._is_zerotensor():
            return None
        if loc.shape != scale.shape:
            if loc.device != scale.device:
                return None
            loc, scale = of_one_shape(loc, scale)
    except RuntimeError:  # a number beyond the dtype, shapes that do not broadcast: the general road says so
        return None
    if loc.is_cpu:
        serves = backend in _ON_CPU and scale.is_cpu and loc.dtype in FLOATS and available.cpu_missing() is None
        serves = serves and (loc.dtype is not torch.float16 or available.cpu_kernels().served("float16"))
    else:
        serves = backend in _ON_CUDA and loc.is_cuda and loc.dtype in FITS_GPU and scale.device == loc.device
        serves = serves and available.gpu_failure(loc.device, loc.dtype) is None
    return (loc, scale) if serves else None


def _within_reach(low: Any, high: Any) -> bool:
    return type(low) is float and type(high) is float and low < high and half_width(low, high) < torch.inf


def _by_quadrature(name: str, loc: Tensor, scale: Tensor) -> Tensor:
    if name == "mean":
        return quadrature.mean(loc, scale)
    if name == "entropy":
        return quadrature.entropy(loc, scale)
    found = quadrature.variance(loc, scale)
    return found if name == "variance" else torch.sqrt(found)


def _on(name: str, value: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """The value for bounds [low, high] of that for (−1, 1); NaN unless low < high."""
    if name == "mean":
        return to_bounds(value, low, high)
    if isinstance(low, float) and isinstance(high, float) and (low, high) == (LOW, HIGH):
        return value
    below, above = (
        bound.to(value.dtype) if isinstance(bound, Tensor) else scalar(bound, value.dtype, value.device)
        for bound in (low, high)
    )
    half = half_width(below, above)
    found = value + torch.log(half) if name == "entropy" else value * (half if name == "stddev" else half * half)
    return torch.where(below < above, found, torch.nan)
