"""What comes in goes out: torch tensors, NumPy arrays or Python floats, their dtypes, devices and shapes.

A call's kind is the richest among its arguments: a tensor makes it torch, else an array (or NumPy scalar) makes it
NumPy, else it is Python floats in float64. Python floats never widen a dtype; integers and booleans count as default
floats. What is none of these is refused in one line, so that nothing is lost in silence: no mask, unit or part.

Devices are named wherever a tensor is made: torch.set_default_device never decides where a number goes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parameter import is_lazy

from tanhlut.tracing import traced

ArrayLike = Tensor | NDArray[Any] | np.generic | float

_NUMPY = (np.ndarray, np.generic)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (
    *(torch.bool, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
)
_FLOAT_NAMES = "float16, bfloat16, float32 or float64"
_CPU = torch.device("cpu")

# Subclasses of Tensor that hold more than numbers, or only some of them; by name, since importing them takes seconds.
_WRAPPERS = {
    "torch.distributed.tensor.DTensor": "give its local part, x.to_local(): every element is computed alone",
    "torch.distributed._shard.sharded_tensor.api.ShardedTensor": "give its local shards' tensors, one by one",
    "torch.masked.maskedtensor.core.MaskedTensor": "give x.to_tensor(torch.nan): NaN comes out where it was masked",
}


class Arguments(NamedTuple):
    """Arguments as broadcastable tensors of one dtype and device, and the way back to what the caller gave."""

    tensors: tuple[Tensor | float, ...]
    restore: Callable[[Tensor], Any]


def unify(loc: ArrayLike, scale: ArrayLike, *others: ArrayLike, dtype: torch.dtype | None = None) -> Arguments:
    """`loc` and `scale` as tensors of the call's dtype; `others` too unless they are Python numbers: floats then.

    Args:
        dtype: take this one, whatever the arguments have.

    Raises:
        TypeError: tensors mixed with NumPy arrays, an unsupported kind or layout, or a dtype that is not a float or an
            integer.
        ValueError: tensors on different devices, shapes that do not broadcast, or a number beyond float64.
    """
    given = (loc, scale, *others)
    for value in given:
        if isinstance(value, Tensor):
            check_tensor(value)
        elif isinstance(value, _NUMPY):
            _check_array(value)
    if any(isinstance(value, Tensor) for value in given):
        return _torch(given, dtype)
    if any(isinstance(value, _NUMPY) for value in given):
        return _numpy(given, dtype)
    wide = [scalar(number(value), torch.float64, _CPU) for value in given[:2]]
    return Arguments((*wide, *(number(value) for value in given[2:])), lambda result: result.item())


def unify_for_proof(loc: ArrayLike, scale: ArrayLike, *others: ArrayLike) -> tuple[list[Tensor], Callable[..., Any]]:
    """All arguments as float64 tensors of one shape, none rounded to another's dtype; and the way back.

    Raises:
        TypeError, ValueError: as `unify`; ValueError for tensors without numbers too.
    """
    arguments, restore = unify(loc, scale, *others, dtype=torch.float64)
    device = cast(Tensor, arguments[0]).device
    if device.type == "meta":
        raise ValueError("tensors on device meta hold no numbers of which to prove anything: give them on another")
    tensors = (part if isinstance(part, Tensor) else scalar(part, torch.float64, device) for part in arguments)
    return list(torch.broadcast_tensors(*tensors)), restore


def scalar(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number as a 0-dim tensor: by a kernel, which rounds once and a CUDA graph can capture."""
    limits = torch.finfo(dtype)
    if value > limits.max or value < -limits.max:  # torch.full alone refuses to round these
        halfway = limits.max / (2.0 - limits.eps) * (2.0 - limits.eps / 2.0)
        value = math.copysign(limits.max if abs(value) < halfway else math.inf, value)
    return torch.full((), value, dtype=dtype, device=device)


def number(value: Any) -> float:
    """A Python number, or one of a library that has them (fractions, decimal, mpmath), as a float.

    Raises:
        TypeError: it is something else.
        ValueError: it is too large for a float, or a signalling NaN.
    """
    if isinstance(value, (float, int)) or is_number(value):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{shown(value)} beyond float64: give math.inf, or at most 1.79e308") from None
        except ValueError:
            raise ValueError(f"{shown(value)} that float() refuses: give a float, such as math.nan") from None
        except Exception:  # a class's own __float__ may raise anything
            pass
    raise TypeError(
        f"{shown(value)}: give torch tensors, NumPy arrays or numbers "
        "(lists and other libraries' arrays become arrays by torch.tensor or numpy.asarray)"
    )


def is_number(value: object) -> bool:
    """Whether this is one number by itself, not a tensor or array, nor text or what else float() would read."""
    return hasattr(type(value), "__float__") and not hasattr(type(value), "__array__")


def shown(value: object) -> str:
    """A value and its type in a few words on one line, whatever its repr does."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # as that of an integer beyond 4300 digits
        text = "this"
    return f"{text if len(text) <= 60 else text[:57] + '…'} is a {type(value).__name__}"


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """TypeError unless `value` is a string, ValueError unless it is one of those."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: {shown(value)}: use one of {', '.join(map(repr, allowed))}")
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is unknown: use one of {', '.join(map(repr, allowed))}")


def check_tensor(tensor: Tensor) -> None:
    """TypeError with the remedy, unless this is a dense tensor of numbers that are floats or count as such."""
    if type(tensor) not in (Tensor, torch.nn.Parameter):
        if is_lazy(tensor):
            raise TypeError(f"a {type(tensor).__name__} has no numbers yet: run its module once")
        for base in type(tensor).__mro__:
            remedy = _WRAPPERS.get(f"{base.__module__}.{base.__name__}")
            if remedy is not None:
                raise TypeError(f"a {base.__name__} is not supported: {remedy}")
    if tensor.is_nested:
        raise TypeError("a nested tensor is not supported: give x.to_padded_tensor(torch.nan), or its parts one by one")
    if tensor.layout is not torch.strided:
        raise TypeError(f"layout {tensor.layout} is not supported: give x.to_dense()")
    if tensor.is_quantized:
        raise TypeError(f"a quantised tensor ({tensor.dtype}) is not supported: give x.dequantize()")
    if tensor.dtype not in FLOATS and tensor.dtype not in _INTEGERS:
        raise TypeError(f"dtype {tensor.dtype} is not supported: use {_FLOAT_NAMES}")


def _check_array(array: NDArray[Any] | np.generic) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            "a masked array would lose its mask: give x.filled(numpy.nan), NaN comes out where it was masked"
        )
    if isinstance(array, np.ndarray) and type(array).__array_ufunc__ is not np.ndarray.__array_ufunc__:
        raise TypeError(f"a {type(array).__name__} has arithmetic of its own, such as units: give numpy.asarray(x)")
    if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
        raise TypeError(f"dtype {array.dtype} is not supported: use float16, float32 or float64")


def _torch(given: tuple[ArrayLike, ...], dtype: torch.dtype | None) -> Arguments:
    if any(isinstance(value, _NUMPY) for value in given):
        raise TypeError("torch tensors and NumPy arrays are mixed: convert one kind, for example by torch.from_numpy")
    tensors = [value for value in given if isinstance(value, Tensor)]
    _check_shapes([tensor.shape for tensor in tensors])
    dtype_ = _common_dtype(tensors) if dtype is None else dtype
    devices = list({tensor.device: None for tensor in tensors if tensor.dim()} or {tensors[0].device: None})
    # A 0-dim tensor follows the others to their device, unless it has no number to bring.
    devices += [tensor.device for tensor in tensors if tensor.device.type == "meta" and tensor.device not in devices]
    if len(devices) > 1:
        raise ValueError(f"tensors lie on {' and '.join(map(str, devices))}: move them to one device")

    def convert(value: ArrayLike) -> Tensor:
        if isinstance(value, Tensor):
            return value.to(device=devices[0], dtype=dtype_)
        return scalar(number(value), dtype_, devices[0])

    rest = (convert(value) if isinstance(value, Tensor) else number(value) for value in given[2:])
    return Arguments((convert(given[0]), convert(given[1]), *rest), lambda result: result)


def _common_dtype(tensors: list[Tensor]) -> torch.dtype:
    """torch's promotion: tensors with dimensions decide, 0-dim ones only where there are no others; floats decide."""
    floats = [tensor for tensor in tensors if tensor.dtype.is_floating_point]
    deciding = [tensor for tensor in floats if tensor.dim()] or floats
    if not deciding:
        return torch.get_default_dtype()
    dtype = deciding[0].dtype
    for tensor in deciding[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _numpy(given: tuple[ArrayLike, ...], dtype: torch.dtype | None) -> Arguments:
    values = [np.asarray(value) if isinstance(value, _NUMPY) else number(value) for value in given]
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    _check_shapes([array.shape for array in arrays])
    common = np.dtype(np.float64) if dtype is torch.float64 else _common_array_dtype(arrays)

    def tensor_of(value: NDArray[Any] | float) -> Tensor:
        # A copy in native byte order, C layout and writable: what torch.from_numpy accepts without warning.
        with np.errstate(over="ignore"):  # a number beyond the dtype's largest is its infinity
            return torch.from_numpy(np.array(value, dtype=common, order="C", subok=False))

    rest = (tensor_of(value) if isinstance(value, np.ndarray) else value for value in values[2:])
    scalar_ = not any(isinstance(value, np.ndarray) for value in given)
    return Arguments(
        (tensor_of(values[0]), tensor_of(values[1]), *rest),
        lambda result: result.numpy()[()] if scalar_ else result.numpy(),
    )


def _common_array_dtype(arrays: list[NDArray[Any]]) -> np.dtype[Any]:
    """NumPy's promotion, by dtypes alone: NumPy 1 would look at the values of 0-dim arrays too."""
    dtype = np.result_type(*(array.dtype for array in arrays))
    return dtype.newbyteorder("=") if dtype.kind == "f" else np.dtype(np.float64)


def _check_shapes(shapes: Sequence[Sequence[int]]) -> None:
    broadcast = torch.broadcast_shapes if traced() else np.broadcast_shapes  # torch's imports sympy, for a second
    try:
        broadcast(*(tuple(shape) for shape in shapes))
    except (RuntimeError, ValueError):
        listed = ", ".join(str(tuple(shape)) for shape in shapes)
        raise ValueError(f"shapes {listed} do not broadcast: make them equal, or 1 where they differ") from None


def write_to(out: Any, result: Any) -> Any:
    """Copy a result to the caller's buffer, and return that.

    Raises:
        TypeError, ValueError: it is of another kind, shape, dtype or device, differentiable, or cannot be written to.
    """
    if type(out) is not type(result) or isinstance(out, (float, np.generic)):
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
