"""Looking modes up: the public functions.

Gradients are those of the implicit function theorem (`equation.partials`), computed from the value: no method's own
rounding or interpolation is differentiated, and the backward pass is itself differentiable.
"""

from typing import Any, cast

from torch import Tensor
from torch.compiler import is_dynamo_compiling

from tanhlut.affine import to_bounds
from tanhlut.arrays import ArrayLike, check_choice, unify, write_to
from tanhlut.compute.available import BACKENDS
from tanhlut.compute.general import squashed_mode
from tanhlut.compute.quick import HIGH, LOW, quick
from tanhlut.compute.recorded import recorded
from tanhlut.compute.usual import usual
from tanhlut.file.table import ModeTable
from tanhlut.formula import equation
from tanhlut.methods import METHODS, Method
from tanhlut.questions import check_numbers, check_table, refined


def mode(
    loc: ArrayLike,
    scale: ArrayLike,
    low: ArrayLike = LOW,
    high: ArrayLike = HIGH,
    *,
    method: Method = "refined",
    refine: bool = False,
    table: ModeTable | None = None,
    backend: str = "auto",
    out: Any = None,
) -> Any:
    """The mode of Y = low + (high − low)·(tanh X + 1)/2, X ~ Normal(loc, scale²).

    Args:
        loc, scale: torch tensors (any device; float16, bfloat16, float32, float64), NumPy arrays or Python floats,
            broadcast together. Dimensionless. Half-precision types are computed in float32 and rounded once.
        low, high: action bounds, numbers or of the same kind as loc; low < high. They never touch the table.
        method: ``"refined"`` (table and one Halley step; as good as exact), ``"bilinear"`` (table only; error up to
            the table's tolerance · (high − low)/2), ``"exact"`` (no table) or ``"mlp"`` (the distilled network; for
            graphs and accelerators without gather; eager only).
        refine: one Halley step more behind ``"mlp"`` (which is the method ``"mlp_refined"``) or ``"bilinear"``.
        table: a `ModeTable`, by default the shipped one. Outside its bounds the answer is that of ``"exact"``.
        backend: ``"cpu"``, ``"gpu"`` (compiled), ``"eager"`` (torch operations) or ``"auto"``: the fastest of them that
            serves; under torch.export always ``"eager"``, and under torch.compile on CUDA. See `tanhlut.backends`.
        out: tensor or array of the result's shape and dtype to write to; it is returned. Not differentiable. A
            compiled backend allocates nothing then, if it is contiguous and apart from loc and scale.

    Returns:
        The mode: same kind, dtype and device as the arguments, within [low, high]. mode(−loc) = −mode(loc) bitwise
        for low = −high; where two peaks tie (loc = ±0.0, scale > 1/√2) the sign bit of loc decides. NaN where loc or
        scale is NaN, where scale < 0 or where not low < high.

    Raises:
        ValueError: unknown method or backend, a named backend that cannot serve, shapes that do not broadcast; for
            Python floats also scale < 0, and for Python-float bounds not low < high.
        TypeError: an unsupported kind, layout or dtype: complex, sparse, nested, quantised or masked arguments, objects
            that are no numbers, and a table that is not a `ModeTable`.
        ImportError: a named backend that cannot run here; `tanhlut.backends` says why.
        RuntimeError: a CUDA graph is being captured, and the gpu backend is not ready: see `tanhlut.warmup`.
    """
    if refine is not False:
        method = refined(method, refine)
    if table is not None:
        check_table(table)
    try:
        if is_dynamo_compiling():
            here = out is None and backend in ("auto", "cpu")
            result = recorded(loc, scale, low, high, method, table) if here else None
        else:
            result = None if backend == "eager" else quick(loc, scale, low, high, method, table, backend, out)
            if result is None and out is None and backend in ("auto", "cpu"):
                result = usual(loc, scale, low, high, method, table)
    except (RuntimeError, TypeError, ValueError):
        result = None  # not what the short road takes it for: what follows says what is wrong with it
    if result is not None:
        return result
    check_choice("method", method, METHODS)
    check_choice("backend", backend, BACKENDS)
    (wide_loc, wide_scale, low_, high_), restore = unify(loc, scale, low, high)
    check_numbers(scale, low, high)
    loc_, scale_ = cast(Tensor, wide_loc), cast(Tensor, wide_scale)
    y = squashed_mode(loc_, scale_, method, table, backend)
    result = restore(to_bounds(y, low_, high_).to(loc_.dtype))
    return result if out is None else write_to(out, result)


def pre_tanh_mode(
    loc: ArrayLike,
    scale: ArrayLike,
    *,
    method: Method = "refined",
    refine: bool = False,
    table: ModeTable | None = None,
) -> Any:
    """x* with tanh(x*) = mode(loc, scale): for log_prob, and for callers that squash by themselves.

    x* = loc + 2·scale²·mode, the equation itself, which is accurate also where tanh saturates. Arguments, result and
    errors are those of `mode`; the method's error in the mode is multiplied by 2·scale².
    """
    method = refined(method, refine)
    check_table(table)
    (wide_loc, wide_scale), restore = unify(loc, scale)
    check_numbers(scale, -1.0, 1.0)
    loc_, scale_ = cast(Tensor, wide_loc), cast(Tensor, wide_scale)
    y = squashed_mode(loc_, scale_, method, table, "auto")
    return restore(equation.pre_tanh(y, loc_.to(y.dtype), scale_.to(y.dtype)).to(loc_.dtype))


def is_bimodal(loc: ArrayLike, scale: ArrayLike) -> Any:
    """Whether the density of tanh(Normal(loc, scale²)) has two peaks, and the mode jumps at loc = 0.

    True where scale > 1/√2 and |loc| < s·v − artanh(v), s = 2·scale², v = √(1 − 1/s): the inflection of h at
    tanh x = −v lies above zero. Kinds and shapes as in `mode`; the result is boolean, False for NaN.
    """
    (wide_loc, wide_scale), restore = unify(loc, scale)
    check_numbers(scale, -1.0, 1.0)
    return restore(equation.is_bimodal(cast(Tensor, wide_loc), cast(Tensor, wide_scale)))
