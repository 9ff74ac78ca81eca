"""Looking modes up: kinds of arguments, method and table, action bounds. The public functions are here.

Gradients are those of the implicit function theorem (`equation.partials`), computed from the value: no method's own
rounding or interpolation is differentiated, and the backward pass is itself differentiable.
"""

import os
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from tanhlut import equation
from tanhlut.arrays import ArrayLike, check_choice, check_tensor, is_number, number, scalar, shown, unify
from tanhlut.dispatch import BACKENDS, squashed_mode
from tanhlut.eager import Source
from tanhlut.grid import Axis, Bounds, Grid
from tanhlut.methods import EXACT_BOUND, METHODS, NETWORK_METHODS, REFINED, Method, compute_dtype
from tanhlut.mlp import Layers
from tanhlut.network import missing as no_network
from tanhlut.shortcut import HIGH, LOW, quick
from tanhlut.table import ModeTable
from tanhlut.tracing import fake_mode, faked, traced


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
            serves; under torch.compile and torch.export always ``"eager"``. See `tanhlut.backends`.
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
        method = _refined(method, refine)
    if table is not None and not isinstance(table, ModeTable):
        raise _not_a_table(table)
    try:
        result = None if backend == "eager" else quick(loc, scale, low, high, method, table, backend, out)
    except (RuntimeError, TypeError, ValueError):
        result = None  # not what the short road takes it for: what follows says what is wrong with it
    if result is not None:
        return result
    check_choice("method", method, METHODS)
    check_choice("backend", backend, BACKENDS)
    (wide_loc, wide_scale, low_, high_), restore = unify(loc, scale, low, high)
    _check_numbers(scale, low, high)
    loc_, scale_ = cast(Tensor, wide_loc), cast(Tensor, wide_scale)
    y = squashed_mode(loc_, scale_, method, table, backend)
    result = restore(_to_bounds(y, low_, high_).to(loc_.dtype))
    return result if out is None else _write(out, result)


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
    method = _refined(method, refine)
    if table is not None and not isinstance(table, ModeTable):
        raise _not_a_table(table)
    (wide_loc, wide_scale), restore = unify(loc, scale)
    _check_numbers(scale, -1.0, 1.0)
    loc_, scale_ = cast(Tensor, wide_loc), cast(Tensor, wide_scale)
    y = squashed_mode(loc_, scale_, method, table, "auto")
    return restore(equation.pre_tanh(y, loc_.to(y.dtype), scale_.to(y.dtype)).to(loc_.dtype))


def is_bimodal(loc: ArrayLike, scale: ArrayLike) -> Any:
    """Whether the density of tanh(Normal(loc, scale²)) has two peaks, and the mode jumps at loc = 0.

    True where scale > 1/√2 and |loc| < s·v − artanh(v), s = 2·scale², v = √(1 − 1/s): the inflection of h at
    tanh x = −v lies above zero. Kinds and shapes as in `mode`; the result is boolean, False for NaN.
    """
    (wide_loc, wide_scale), restore = unify(loc, scale)
    _check_numbers(scale, -1.0, 1.0)
    return restore(equation.is_bimodal(cast(Tensor, wide_loc), cast(Tensor, wide_scale)))


class ModeLookup(torch.nn.Module):
    """`mode` as a module with the table as buffers, for policies that move between devices, compile or export.

    The buffers begin on the default device and follow ``.to(device)`` but keep their precision under ``.half()`` and
    the like, and are not part of ``state_dict``: a policy's checkpoint does not carry a table. Their contents are
    always the table's, also after ``.to_empty(device)`` of a module that was on the meta device.

    Args:
        table: a `ModeTable`, by default the shipped one; not used by ``method="exact"``.
        method, refine: as in `mode`. With ``"mlp"`` the buffers are the network's.
    """

    _BUFFERS = tuple(f"{name}_{part}" for name in ("loc", "delta") for part in Axis._fields)

    def __init__(self, table: ModeTable | None = None, method: Method = "refined", refine: bool = False) -> None:
        super().__init__()
        method = _refined(method, refine)
        if table is not None and not isinstance(table, ModeTable):
            raise _not_a_table(table)
        self.method = method
        self._table: ModeTable | None = None
        self.bounds: Bounds | None = None
        self._error_bound: float | None = EXACT_BOUND
        if method == "exact":
            return
        self._table = table = ModeTable.default() if table is None else table
        self._error_bound = table.certificates[method].bound if method in table.certificates else None
        if method not in NETWORK_METHODS:
            self.bounds = table.bounds
            self.columns = len(table.scale)
        elif table.network is None:
            raise no_network()
        else:
            self.layers = len(table.network.weights)
        contents, device = self._contents(), torch.empty(0).device
        for name, tensor in (contents if fake_mode() is None else faked(contents, device)).items():
            self.register_buffer(name, tensor.to(device, copy=True), persistent=False)

    def forward(self, loc: Tensor, scale: Tensor, low: Tensor | float = LOW, high: Tensor | float = HIGH) -> Tensor:
        """The mode of tensors loc, scale, as `mode` gives it."""
        try:
            result = quick(loc, scale, low, high, self.method, self._table, "auto", None)
        except (RuntimeError, TypeError, ValueError):
            result = None
        if result is not None:
            return cast(Tensor, result)
        (wide_loc, wide_scale, low_, high_), restore = unify(loc, scale, low, high)
        _check_numbers(scale, low, high)
        loc_, scale_ = cast(Tensor, wide_loc), cast(Tensor, wide_scale)
        own = traced() or not (loc_.is_cpu or loc_.is_cuda)
        source = self._source(compute_dtype(loc_.dtype), loc_.device) if own else None
        y = squashed_mode(loc_, scale_, self.method, self._table, "auto", source)
        return cast(Tensor, restore(_to_bounds(y, low_, high_).to(loc_.dtype)))

    @property
    def error_bound(self) -> float:
        """The proven bound of |forward(loc, scale) − mode| in float32, on (−1, 1): `ModeTable.error_bound`."""
        if self._error_bound is None:
            raise ValueError(f"no bound is proven for method {self.method!r} on this table: see `tablegen verify`")
        return self._error_bound

    def reset_parameters(self) -> None:
        """Fill the buffers from the table again: deferred initialisation calls this after ``to_empty``."""
        for name, tensor in self._contents().items():
            self.get_buffer(name).copy_(tensor)

    def _contents(self) -> dict[str, Tensor]:
        """What the buffers hold, by name; the tensors are the table's own."""
        if self._table is None:
            return {}
        cpu = torch.device("cpu")
        if self.method in NETWORK_METHODS:
            assert self._table.network is not None
            layers = self._table.network.layers(torch.float32, cpu)
            parts = zip(Layers._fields, layers, strict=True)
            return {f"{name}{k}": tensor for name, tensors in parts for k, tensor in enumerate(tensors)}
        contents = {}
        for dtype in (torch.float32, torch.float64):
            grid = self._table.grid(dtype, cpu)
            for name, part in zip(self._BUFFERS, (*grid.loc, *grid.delta), strict=True):
                contents[f"{name}_{_suffix(dtype)}"] = part
        return contents | {"values": grid.values}

    def _source(self, dtype: torch.dtype, device: torch.device) -> Source:
        """The buffers; None, which stands for the table itself, where there are none on the device."""
        some = next(self.buffers(), None)
        if some is None or some.device != device:
            return None
        if self.method in NETWORK_METHODS:
            names = ([f"{name}{k}" for k in range(self.layers)] for name in Layers._fields)
            return Layers(*(tuple(self.get_buffer(name).to(dtype) for name in group) for group in names))
        assert self.bounds is not None
        parts = [self.get_buffer(f"{name}_{_suffix(dtype)}") for name in self._BUFFERS]
        half = len(Axis._fields)
        return Grid(Axis(*parts[:half]), Axis(*parts[half:]), self.get_buffer("values"), self.columns, self.bounds)

    def _apply(self, fn: Any, recurse: bool = True) -> "ModeLookup":
        """Let the buffers change device, never precision nor contents: `fn` may well give memory with nothing in it."""
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)
        for name, tensor in self._contents().items():
            moved = self.get_buffer(name).to(tensor.dtype)
            if moved is not before[name] and type(moved) is Tensor:
                moved.copy_(tensor)
            self._buffers[name] = moved
        return self

    def extra_repr(self) -> str:
        return f"method={self.method!r}, bounds={self.bounds}"


def _refined(method: Method, refine: bool) -> Method:
    check_choice("method", method, METHODS)
    if not isinstance(refine, bool | int | np.bool_):
        raise TypeError(f"refine: {shown(refine)}: give True or False")
    return REFINED.get(method, method) if refine else method


def _suffix(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _to_bounds(y: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """The affine image of y ∈ [−1, 1] in [low, high]; NaN unless low < high. Bounds (−1, 1) leave y as it is.

    mid is built to be −0.0 when low = −high, the one number that adds to anything, ±0.0 included, without a trace.
    """
    if isinstance(low, float) and isinstance(high, float) and (low, high) == (-1.0, 1.0):
        return y
    low, high = (
        bound.to(y.dtype) if isinstance(bound, Tensor) else scalar(bound, y.dtype, y.device) for bound in (low, high)
    )
    half = 0.5 * high - 0.5 * low
    mid = -(-0.5 * low + -0.5 * high)
    result = torch.maximum(torch.minimum(half * y + mid, high), low)
    return torch.where(low < high, result, torch.nan)


def _write(out: Any, result: Any) -> Any:
    if type(out) is not type(result) or isinstance(out, float | np.generic):
        raise TypeError(f"out is a {type(out).__name__}, the result a {type(result).__name__}: give a matching buffer")
    if isinstance(out, Tensor):
        check_tensor(out)
    if tuple(out.shape) != tuple(result.shape) or out.dtype != result.dtype:
        raise ValueError(
            f"out has shape {tuple(out.shape)} and dtype {out.dtype}, the result {tuple(result.shape)} and "
            f"{result.dtype}: give a matching buffer"
        )
    if isinstance(result, Tensor):
        if result.requires_grad or out.requires_grad:
            raise ValueError("out= is not differentiable: call under torch.no_grad(), or without out")
        if out.is_meta != result.is_meta:
            raise ValueError(f"out lies on {out.device}, the result on {result.device}: give a matching buffer")
        try:
            return out.copy_(result)
        except RuntimeError as error:
            raise ValueError(
                f"out cannot be written to: give a buffer of its own ({str(error).splitlines()[0]})"
            ) from None
    out[...] = result
    return out


def _check_numbers(scale: ArrayLike, low: ArrayLike, high: ArrayLike) -> None:
    """Python numbers can be judged at once; arrays answer NaN instead, since judging them would stall a GPU."""
    if is_number(scale) and number(scale) < 0:
        raise ValueError(f"scale = {scale} is negative: give a standard deviation ≥ 0")
    if is_number(low) and is_number(high) and not -torch.inf < number(low) < number(high) < torch.inf:
        raise ValueError(f"low = {low}, high = {high}: give finite bounds with low < high")


def _not_a_table(table: object) -> TypeError:
    path = isinstance(table, str | bytes | os.PathLike)
    return TypeError(f"table: {shown(table)}: give {'tanhlut.ModeTable.load(path)' if path else 'a tanhlut.ModeTable'}")
