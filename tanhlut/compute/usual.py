"""The middle road, on the CPU: tensors that want a gradient, are Parameters, lie apart or have tensors for bounds.

On the general road such a call costs 20 to 200 µs, most of it questions. Here they become what `quick` takes, and get
the same bits and derivatives.
"""

from typing import Any, cast

import torch
from torch import Tensor

from tanhlut.arrays import FLOATS
from tanhlut.compute import image
from tanhlut.compute.gate import observed
from tanhlut.compute.implicit import Imaged, Plain
from tanhlut.compute.quick import HIGH, LOW, quick, within_reach
from tanhlut.file.table import ModeTable
from tanhlut.methods import COMPILED, Method, compute_dtype

_is_grad_enabled = torch.is_grad_enabled
_TENSORS = (Tensor, torch.nn.Parameter)


def usual(loc: Any, scale: Any, low: Any, high: Any, method: Method, table: ModeTable | None) -> Tensor | None:
    """The mode as `lookup.mode` gives it by the cpu kernel, or None where the general road must decide.

    `backend` is "auto" or "cpu", `out` is not given, and torch is not compiling.

    Raises:
        RuntimeError, TypeError, ValueError: the general road must decide, too.
    """
    if type(loc) not in _TENSORS or method not in COMPILED:
        return None
    given = loc.dtype
    if given not in FLOATS or observed() or not loc.is_cpu:
        return None
    dtype = compute_dtype(given)
    if not within_reach(low, high):
        return _between(loc, scale, low, high, method, table) if given is dtype else None
    if type(scale) is float:
        if not scale >= 0.0:
            return None
        scale = torch.full_like(loc, scale)
    elif type(scale) not in _TENSORS or scale.dtype is not given or not scale.is_cpu:
        return None
    if _is_grad_enabled() and (loc.requires_grad or scale.requires_grad):
        return _derived(loc, scale, low, high, method, table, dtype)
    found = quick(_bare(loc), _bare(scale), low, high, method, table, "auto", None)
    if found is None and given is not dtype:  # a processor that does not convert it
        found = quick(_bare(loc.to(dtype)), _bare(scale.to(dtype)), low, high, method, table, "auto", None)
        return None if found is None else cast(Tensor, found.to(given))
    return cast(Tensor | None, found)


def _between(loc: Tensor, scale: Any, low: Any, high: Any, method: Method, table: ModeTable | None) -> Tensor | None:
    """On bounds that are tensors, such as those of each dimension, in float32 or float64."""
    if not all(type(bound) is Tensor and bound.dtype is loc.dtype and bound.is_cpu for bound in (low, high)):
        return None
    y = usual(loc, scale, LOW, HIGH, method, table)
    return None if y is None else image.in_tensors(y, low, high)


def _derived(
    loc: Tensor, scale: Tensor, low: float, high: float, method: Method, table: ModeTable | None, dtype: torch.dtype
) -> Tensor:
    """With derivatives to come."""
    given = loc.dtype
    if given is not dtype:
        loc, scale = loc.to(dtype), scale.to(dtype)
    if loc.shape != scale.shape:
        loc, scale = torch.broadcast_tensors(loc, scale)
    if (low, high) == (LOW, HIGH):
        y = cast(Tensor, Plain.apply(loc, scale, _found, method, table))
    else:
        y, _ = cast(tuple[Tensor, Tensor], Imaged.apply(loc, scale, _found, image.in_numbers, low, high, method, table))
    return y if given is dtype else y.to(given)


def _found(loc: Tensor, scale: Tensor, method: Method, table: ModeTable | None) -> Tensor:
    found = quick(_bare(loc), _bare(scale), LOW, HIGH, method, table, "auto", None)
    if found is None:
        raise RuntimeError("no kernel serves")
    return cast(Tensor, found)


def _bare(x: Tensor) -> Tensor:
    """The numbers alone: no Parameter, none that derivatives are taken through, one behind the other."""
    return x if type(x) is Tensor and x.is_contiguous() else x.detach().contiguous()
