"""What comes in goes out: torch tensors, NumPy arrays or Python floats, their dtypes, devices and shapes.

A call's kind is the richest among its arguments: a tensor makes it torch, else an array (or NumPy scalar) makes it
NumPy, else it is Python floats in float64. Python floats never widen a dtype; integers count as default floats.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ArrayLike = Tensor | NDArray[Any] | np.generic | float

_NUMPY = (np.ndarray, np.generic)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_FLOAT_NAMES = "float16, bfloat16, float32 or float64"


class Arguments(NamedTuple):
    """Arguments as broadcastable tensors of one dtype and device, and the way back to what the caller gave."""

    tensors: tuple[Tensor | float, ...]
    restore: Callable[[Tensor], Any]


def unify(loc: ArrayLike, scale: ArrayLike, *others: ArrayLike) -> Arguments:
    """`loc` and `scale` as tensors of the call's dtype; `others` too unless they are Python floats, which stay.

    Raises:
        TypeError: tensors mixed with NumPy arrays, or a dtype that is not a float or an integer.
        ValueError: tensors on different devices, or shapes that do not broadcast.
    """
    given = (loc, scale, *others)
    if any(isinstance(value, Tensor) for value in given):
        return _torch(given)
    if any(isinstance(value, _NUMPY) for value in given):
        return _numpy(given)
    _check_python(given)
    wide = [torch.tensor(float(value), dtype=torch.float64) for value in given[:2]]
    return Arguments((*wide, *(float(value) for value in others)), lambda result: result.item())


def _torch(given: tuple[ArrayLike, ...]) -> Arguments:
    if any(isinstance(value, _NUMPY) for value in given):
        raise TypeError("torch tensors and NumPy arrays are mixed: convert one kind, for example by torch.from_numpy")
    _check_python([value for value in given if not isinstance(value, Tensor)])
    tensors = [value for value in given if isinstance(value, Tensor)]
    _check_shapes([tensor.shape for tensor in tensors])
    dtype = _common_dtype(tensors)
    devices = list({tensor.device: None for tensor in tensors if tensor.dim()} or {tensors[0].device: None})
    if len(devices) > 1:
        raise ValueError(f"tensors lie on {' and '.join(map(str, devices))}: move them to one device")

    def convert(value: ArrayLike) -> Tensor:
        if isinstance(value, Tensor):
            return value.to(device=devices[0], dtype=dtype)
        return torch.full((), float(value), dtype=dtype, device=devices[0])

    rest = (convert(value) if isinstance(value, Tensor) else float(value) for value in given[2:])
    return Arguments((convert(given[0]), convert(given[1]), *rest), lambda result: result)


def _common_dtype(tensors: list[Tensor]) -> torch.dtype:
    """torch's promotion: tensors with dimensions decide, 0-dim ones only where there are no others; floats decide."""
    for tensor in tensors:
        if tensor.dtype.is_complex or (tensor.dtype.is_floating_point and tensor.dtype not in FLOATS):
            raise TypeError(f"dtype {tensor.dtype} is not supported: use {_FLOAT_NAMES}")
    floats = [tensor for tensor in tensors if tensor.dtype.is_floating_point]
    deciding = [tensor for tensor in floats if tensor.dim()] or floats
    if not deciding:
        return torch.get_default_dtype()
    dtype = deciding[0].dtype
    for tensor in deciding[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _numpy(given: tuple[ArrayLike, ...]) -> Arguments:
    _check_python([value for value in given if not isinstance(value, _NUMPY)])
    arrays = [np.asarray(value) for value in given if isinstance(value, _NUMPY)]
    _check_shapes([array.shape for array in arrays])
    for array in arrays:
        if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
            raise TypeError(f"dtype {array.dtype} is not supported: use float16, float32 or float64")
    dtype = np.result_type(*arrays, 0.0).newbyteorder("=")

    def tensor_of(value: ArrayLike) -> Tensor:
        # A copy in native byte order, C layout and writable: what torch.from_numpy accepts without warning.
        return torch.from_numpy(np.array(value, dtype=dtype, order="C", subok=False))

    rest = (tensor_of(value) if isinstance(value, _NUMPY) else float(value) for value in given[2:])
    scalar = not any(isinstance(value, np.ndarray) for value in given)
    return Arguments(
        (tensor_of(given[0]), tensor_of(given[1]), *rest),
        lambda result: result.numpy()[()] if scalar else result.numpy(),
    )


def _check_python(values: Sequence[ArrayLike]) -> None:
    for value in values:
        if isinstance(value, float | int):
            continue
        if isinstance(value, str | bytes | complex) or not hasattr(value, "__float__"):
            raise TypeError(
                f"{value!r} is a {type(value).__name__}: give torch tensors, NumPy arrays or numbers "
                "(lists become arrays by torch.tensor or numpy.asarray)"
            )


def _check_shapes(shapes: Sequence[Sequence[int]]) -> None:
    try:
        torch.broadcast_shapes(*(tuple(shape) for shape in shapes))
    except RuntimeError:
        listed = ", ".join(str(tuple(shape)) for shape in shapes)
        raise ValueError(f"shapes {listed} do not broadcast: make them equal, or 1 where they differ") from None
