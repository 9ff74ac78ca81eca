"""The short road for common calls: Python floats, NumPy arrays and plain tensors of one shape, on a compiled backend.

On its general road `lookup.mode` costs some 20 µs a call, of which the kernel is 0.2. Here stands only what must be
asked before a kernel may run; whatever is out of the ordinary returns None and takes the general road, which gives the
same bits or raises. What one tensor element costs (ns, AMD EPYC, torch.tanh being 780): empty_like 570, calls and
keywords 250, kernel 190, shapes 110, negative views 90, gradients 80, tracing and transforms 100, the rest 500.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._C import _functorch

from tanhlut import tracing
from tanhlut.compute import available, launch, threads
from tanhlut.compute.gate import fits, ordinary
from tanhlut.file.packed import NO_TABLE
from tanhlut.file.table import ModeTable
from tanhlut.methods import COMPILED

_METHODS: dict[str, int] = {method: number for number, method in enumerate(COMPILED)}
_EXACT = _METHODS["exact"]
_INFINITY = float("inf")
_ON_CPU, _ON_CUDA = ("auto", "cpu"), ("auto", "gpu")
_FITS_GPU = (torch.float16, torch.bfloat16, torch.float32)

# The defaults of `low` and `high`, known by identity, which is 50 ns quicker than asking what they are.
LOW, HIGH = -1.0, 1.0

# A module's own names are found faster than another's attributes.
_is_compiling, _is_grad_enabled, _empty_like = (
    torch.compiler.is_dynamo_compiling,
    torch.is_grad_enabled,
    torch.empty_like,
)
_transform, _ndarray, _empty_array, _many = (
    _functorch.peek_interpreter_stack,
    np.ndarray,
    np.empty,
    threads.THRESHOLD,
)
_no_table = NO_TABLE.address
_float32, _float64 = np.dtype(np.float32), np.dtype(np.float64)  # NumPy has one object of each

# The kernels and the default table's address, once loaded.
_number: Any = None
_arrays32: Any = None
_arrays64: Any = None
_kernels: dict[torch.dtype, Any] = {}
_default_address = 0


def quick(
    loc: Any, scale: Any, low: Any, high: Any, method: str, table: ModeTable | None, backend: str, out: Any
) -> Any:
    """The mode from a compiled backend as `lookup.mode` gives it, or None where that must decide.

    One function for all kinds, since each call that it would be divided into costs 70 ns.
    """
    if _is_compiling() or ((low is not LOW or high is not HIGH) and not _usual(low, high)):
        return None
    kind, number = type(loc), _METHODS.get(method)
    if kind is not type(scale) or number is None:
        return None
    if kind is Tensor:
        if not ordinary(loc, scale):
            return None
        if not (loc.is_cpu and scale.is_cpu and backend in _ON_CPU):  # which must not load the kernels for the CPU
            return _cuda(loc, scale, low, high, method, table, backend, out)
    elif backend not in _ON_CPU:
        return None
    if _number is None and not _load():
        return None if kind is not Tensor else _cuda(loc, scale, low, high, method, table, backend, out)
    address = _no_table if number == _EXACT else _default_address if table is None else table.address
    if not address:  # a table that the kernel cannot read
        return None
    if kind is Tensor:
        kernel = _kernels.get(loc.dtype)
        if kernel is None:
            return _cuda(loc, scale, low, high, method, table, backend, out)
        if out is None:
            out = _empty_like(loc)
        elif not fits(out, loc, scale):
            return None
        n, a, b = loc.numel(), loc.data_ptr(), scale.data_ptr()
        if n < _many and a and b:
            kernel(a, b, out.data_ptr(), 0, n, low, high, address, number)
            return out
        return _many_tensors(loc, scale, low, high, address, number, out)
    if kind is float:
        return None if scale < 0.0 or out is not None else _number(loc, scale, low, high, address, number)
    if kind is _ndarray:
        dtype = loc.dtype
        run = _arrays32 if dtype is _float32 else _arrays64 if dtype is _float64 else None
        if run is None or scale.dtype is not dtype or (out is not None and not _writable(out, loc)):
            return None
        if loc.ndim == scale.ndim == 1:  # the compiled function believes that, and the dtype, and checks the rest
            result = _empty_array(len(loc), dtype) if out is None else out
            if run(loc, scale, result, low, high, address, number):
                return result
        return _any_arrays(loc, scale, low, high, address, number, out)
    return None


def _usual(low: Any, high: Any) -> bool:
    return type(low) is float and type(high) is float and -_INFINITY < low < high < _INFINITY


def _writable(out: Any, like: Any) -> bool:
    return type(out) is _ndarray and out.dtype is like.dtype and out.ndim == like.ndim and out.flags.writeable


def _many_tensors(loc: Tensor, scale: Tensor, low: float, high: float, address: int, number: int, out: Tensor) -> Any:
    """Enough elements for several threads; or none, or zeros that have no memory."""
    if loc.numel() and not (loc.data_ptr() and scale.data_ptr()):
        return None
    launch.on_cpu(loc, scale, out, low, high, address, number)
    return out


def _any_arrays(loc: Any, scale: Any, low: float, high: float, address: int, number: int, out: Any) -> Any:
    """Arrays of any shape, or so long that threads share them: as tensors over the same memory."""
    out = np.empty_like(loc) if out is None else out
    if not (loc.flags.carray and scale.flags.carray and out.flags.carray) or loc.shape != scale.shape:
        return None
    a, b, c = (torch.from_numpy(array) for array in (loc, scale, out))
    done = fits(c, a, b) and _many_tensors(a, b, low, high, address, number, c) is not None
    return out if done else None


def _cuda(
    loc: Tensor, scale: Tensor, low: float, high: float, method: Any, table: ModeTable | None, backend: str, out: Any
) -> Any:
    if (
        backend not in _ON_CUDA
        or not loc.is_cuda
        or loc.dtype not in _FITS_GPU
        or scale.device != loc.device
        or loc._is_zerotensor()
        or scale._is_zerotensor()
        or (out is not None and not fits(out, loc, scale))
        or available.gpu_failure(loc.device, loc.dtype) is not None
    ):
        return None
    if method != "exact" and table is not None and table.packed is None:
        return None
    return launch.on_gpu(loc, scale, method, table, low, high, out)


def _load() -> bool:
    """Load the kernels and the default table, once. False where the cpu backend is missing, or now not to be asked."""
    global _number, _arrays32, _arrays64, _default_address
    if tracing.traced():
        return False
    kernels = available.cpu_kernels()
    if kernels is None:
        return False
    _default_address = ModeTable.default().address
    _kernels.update({torch.float32: kernels.call32, torch.float64: kernels.call64})
    _arrays32, _arrays64, _number = kernels.call_arrays32, kernels.call_arrays64, kernels.call_number
    return True
