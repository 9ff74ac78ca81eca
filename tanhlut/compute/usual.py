"""The middle road: CPU tensors that want more than the short one gives, and nothing out of the ordinary.

A gradient, half precision, a broadcast, a number as scale: on the general road (`general`) such a call costs 20 to
50 µs, most of it questions that a training loop need not be asked again. What is not usual returns None and takes that
road, which gives the same bits or says what is wrong.
"""

from typing import Any, cast

import torch
from torch import Tensor

from tanhlut.affine import to_bounds
from tanhlut.compute import available, launch
from tanhlut.compute.gate import observed
from tanhlut.compute.implicit import Implicit
from tanhlut.file.packed import Packed
from tanhlut.file.table import ModeTable
from tanhlut.methods import COMPILED, Method

_COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}
_TENSORS = (Tensor, torch.nn.Parameter)
_INFINITY = float("inf")


def usual(loc: Any, scale: Any, low: Any, high: Any, method: Method, table: ModeTable | None) -> Tensor | None:
    """The mode as `lookup.mode` gives it by the cpu kernel, or None where the general road must decide.

    `backend` is "auto" or "cpu", and `out` is not given.
    """
    if torch.compiler.is_dynamo_compiling() or type(loc) not in _TENSORS or method not in COMPILED:
        return None
    dtype = _COMPUTED_IN.get(loc.dtype)
    if dtype is None or not (type(low) is float and type(high) is float and -_INFINITY < low < high < _INFINITY):
        return None
    if type(scale) in _TENSORS:
        if scale.dtype is not loc.dtype or observed((loc, scale)):
            return None
        wide = scale
    elif type(scale) is float and scale >= 0.0 and not observed((loc,)):
        wide = torch.full((), scale, dtype=loc.dtype, device=loc.device)
    else:
        return None
    if available.cpu_missing() is not None:
        return None
    packed = None
    if method != "exact":
        packed = (ModeTable.default() if table is None else table).packed
        if packed is None:
            return None
    a, b = loc.to(dtype), wide.to(dtype)
    if a.shape != b.shape:
        a, b = torch.broadcast_tensors(a, b)
    if torch.is_grad_enabled() and (a.requires_grad or b.requires_grad):
        y = to_bounds(cast(Tensor, Implicit.apply(a, b, _kernel, -1.0, 1.0, packed, method)), low, high)
    else:
        y = _kernel(a, b, low, high, packed, method)
    return y.to(loc.dtype)


def _kernel(loc: Tensor, scale: Tensor, low: float, high: float, table: Packed | None, method: Method) -> Tensor:
    loc, scale = loc.contiguous(), scale.contiguous()
    out = torch.empty_like(loc)
    launch.on_cpu(loc, scale, out, low, high, table, method)
    return out
