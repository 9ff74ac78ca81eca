"""The short road for common calls: Python floats, NumPy arrays and plain tensors of one shape, on a compiled backend.

On its general road `lookup.mode` costs some 20 µs a call, of which the kernel is 0.2. Here stands only what must be
asked before a kernel may run; whatever is out of the ordinary returns None and takes another road (`usual`, or the
general one), which gives the same bits or raises.

What one tensor element costs (ns, AMD EPYC, torch.tanh being 780): empty_like 570, calls and keywords 250, kernel 100,
shapes 110, negative views 90, gradients 80, tracing and transforms 100, the rest 500.
"""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from tanhlut import tracing
from tanhlut.arrays import FLOATS
from tanhlut.compute import available, launch, threads
from tanhlut.compute.gate import fits, ordinary
from tanhlut.file.packed import NO_TABLE
from tanhlut.methods import COMPILED, Method, name_of

if TYPE_CHECKING:
    from tanhlut.file.table import ModeTable

# What answers, by method and then by kind (a dtype of torch or NumPy, or float); filled as it is compiled. Likewise for
# tables of narrower bounds.
_whole: dict[str, dict[Any, Any]] = {method: {} for method in COMPILED}
_within: dict[str, dict[Any, Any]] = {method: {} for method in COMPILED}
_exact = _whole["exact"]
_INFINITY = float("inf")
_ON_CPU, _ON_CUDA = ("auto", "cpu"), ("auto", "gpu")
_FITS_GPU = (torch.float16, torch.bfloat16, torch.float32)

# The defaults of `low` and `high`, known by identity, which is 50 ns quicker than asking what they are.
LOW, HIGH = -1.0, 1.0

# A module's own names are found faster than another's attributes.
_empty_like, _full_like = torch.empty_like, torch.full_like
_ndarray, _empty_array, _many, _share = np.ndarray, np.empty, threads.THRESHOLD, threads.share

_REALS: dict[Any, str] = {dtype: name_of(dtype) for dtype in FLOATS} | {float: "float64"}
_OF_TENSORS = {np.dtype(_REALS[dtype]): dtype for dtype in FLOATS if dtype != torch.bfloat16}
_REALS |= {dtype: dtype.name for dtype in _OF_TENSORS}  # NumPy has one object of each
_addresses: dict[str, int] = {}  # of what a method reads by default, once the backend is loaded


def quick(
    loc: Any, scale: Any, low: Any, high: Any, method: str, table: "ModeTable | None", backend: str, out: Any
) -> Any:
    """The mode from a compiled backend as `lookup.mode` gives it, or None where that must decide; not in a graph.

    One function for all kinds, since each call that it would be divided into costs 70 ns.
    """
    if (low is not LOW or high is not HIGH) and not within_reach(low, high):
        return None
    kind, kernels = type(loc), _whole.get(method)
    if kernels is None:
        return None
    if kind is not type(scale):
        if not (kind is Tensor and type(scale) is float and scale >= 0.0 and ordinary(loc, loc)):
            return None
        scale = _full_like(loc, scale)
    elif kind is Tensor and not ordinary(loc, scale):
        return None
    if kind is Tensor:
        if loc.shape != scale.shape:
            if loc.device != scale.device:
                return None
            loc, scale = of_one_shape(loc, scale)
        if not (loc.is_cpu and scale.is_cpu and backend in _ON_CPU):  # which must not load the kernels for the CPU
            return _cuda(loc, scale, low, high, method, table, backend, out)
    elif backend not in _ON_CPU:
        return None
    if not _addresses and not _load():
        return None if kind is not Tensor else _cuda(loc, scale, low, high, method, table, backend, out)
    if table is None or kernels is _exact:
        address = _addresses[method]
    else:
        address = table.interpolated(method).address
        if not address:  # a table that the kernel cannot read
            return None
        if table.narrow:
            kernels = _within[method]
    if kind is Tensor:
        kernel = kernels.get(loc.dtype) or _prepared(kernels, method, loc.dtype)
        if kernel is None:
            return _cuda(loc, scale, low, high, method, table, backend, out)
        if out is None:
            out = _empty_like(loc)
        elif not fits(out, loc, scale):
            return None
        n, a, b = loc.numel(), loc.data_ptr(), scale.data_ptr()
        if n and not (a and b):  # zeros that have no memory
            return None
        if n < _many:
            kernel(a, b, out.data_ptr(), 0, n, low, high, address, 1)
        else:
            _share(kernel, (loc, scale, out), low, high, address)
        return out
    if kind is float:
        if scale < 0.0 or out is not None:
            return None
        run = kernels.get(float) or _prepared(kernels, method, float)
        return None if run is None else run(loc, scale, low, high, address)
    if kind is _ndarray:
        dtype = loc.dtype
        run = kernels.get(dtype) or _prepared(kernels, method, dtype)
        if run is None or scale.dtype is not dtype or (out is not None and not _writable(out, loc)):
            return None
        if loc.ndim == scale.ndim == 1:  # the compiled function believes that, and the dtype, and checks the rest
            result = _empty_array(len(loc), dtype) if out is None else out
            if run(loc, scale, result, low, high, address):
                return result
        of_tensors = _OF_TENSORS[dtype]
        kernel = kernels.get(of_tensors) or _prepared(kernels, method, of_tensors)
        return _any_arrays(loc, scale, low, high, out, kernel, address)
    return None


def of_one_shape(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Broadcast, one behind the other if they were; where one has the shape already, in one operation."""
    try:
        if loc.numel() >= scale.numel():
            return loc, torch.empty_like(loc).copy_(scale)
        return torch.empty_like(scale).copy_(loc), scale
    except RuntimeError:
        a, b = torch.broadcast_tensors(loc, scale)
        return a.contiguous(), b.contiguous()


def within_reach(low: Any, high: Any) -> bool:
    return type(low) is float and type(high) is float and -_INFINITY < low < high < _INFINITY


def _writable(out: Any, like: Any) -> bool:
    return type(out) is _ndarray and out.dtype is like.dtype and out.ndim == like.ndim and out.flags.writeable


def _any_arrays(loc: Any, scale: Any, low: float, high: float, out: Any, kernel: Any, address: int) -> Any:
    """Arrays of any shape, or so long that threads share them: as tensors over the same memory."""
    out = np.empty_like(loc) if out is None else out
    if not (loc.flags.carray and scale.flags.carray and out.flags.carray) or loc.shape != scale.shape:
        return None
    a, b, c = (torch.from_numpy(array) for array in (loc, scale, out))
    if not fits(c, a, b):
        return None
    _share(kernel, (a, b, c), low, high, address)
    return out


def _cuda(
    loc: Tensor, scale: Tensor, low: float, high: float, method: Any, table: "ModeTable | None", backend: str, out: Any
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
    if method != "exact" and table is not None and table.interpolated(method).packed is None:
        return None
    return launch.on_gpu(loc, scale, method, table, low, high, out)


def _load() -> bool:
    """Load the backend and the default table, once. False where it is missing, or now not to be asked."""
    if tracing.traced() or available.cpu_kernels() is None:
        return False
    from tanhlut.file.table import ModeTable

    default = ModeTable.default()
    _addresses.update(exact=NO_TABLE.address, refined=default.start.address, bilinear=default.address)
    return True


def _prepared(kernels: dict[Any, Any], method: str, kind: Any) -> Any:
    """What answers a method for a kind, compiled or loaded when first asked for; None where nothing does."""
    real = _REALS.get(kind)
    if real is None or tracing.traced() or not available.cpu_kernels().served(real):
        return None
    kernel = available.cpu_kernels().kernel(real, COMPILED.index(cast(Method, method)), kernels is _within[method])
    run = kernel.call if type(kind) is torch.dtype else kernel.floats if kind is float else kernel.arrays
    kernels[kind] = run
    return run
