"""The GPU backend: launching `gpu_kernel`, the text that `cpu` runs or its approximate form, where the tensors are.

No host sync and no allocation but the result: a CUDA graph can capture it, once `warm` has compiled everything.

BLOCK, WARPS and FEW are guesses that no hardware has judged yet: `scripts/bench --gpu` measures them.

With TRITON_INTERPRET=1 Triton runs the same code on CPU tensors, which is how its numbers are tested without a GPU; how
it is launched is tested with a driver that does nothing. Triton is an optional dependency (torch's CUDA builds bring
it): import this module only where `available.gpu_missing` gives None.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import product
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.library import custom_op

from tanhlut.compute import gpu_texts
from tanhlut.compute.gpu_ops import INTERPRETED
from tanhlut.file import packed
from tanhlut.file.bounds import Bounds
from tanhlut.file.packed import Packed
from tanhlut.file.table import ModeTable
from tanhlut.file.words import words_of
from tanhlut.methods import COMPILED, Method
from tanhlut.tracing import apart

BLOCK, WARPS = 512, 4
ALIGNMENT = 16  # what lengths and addresses must be multiples of for accesses of 16 bytes: see `gpu_kernel`
# Up to here a thread has one element, not four in a row: fewer would leave most of a GPU idle (an H100 has room for
# 270,000 threads), and each would wait four times as long for its own. The interpreter, which has no threads, has none.
FEW = 0 if INTERPRETED else 1 << 17
FEW_BLOCK = BLOCK if INTERPRETED else 32 * WARPS


class DeviceTable(NamedTuple):
    """`packed.Packed` on a device."""

    loc_index: Tensor  # (2048,), int32, or int64 for the approximate text: two float32 of `file.words`
    delta_index: Tensor  # likewise
    pairs: Tensor  # int64 (rows, columns): two float32 of `packed.Packed.pairs`
    ends: tuple[float, float, float, float]
    bounds: tuple[float, float, float]
    bounded: bool


def device_table(table: Packed, device: torch.device) -> DeviceTable:
    """Copy a table to a device.

    Raises:
        RuntimeError: a CUDA graph is being captured there.
    """
    with current(device), torch.inference_mode(False):
        refuse_capture(device)
        arrays = (*_index(table), table.pairs.view(np.int64)[:, :, 0])
        loc_index, delta_index, pairs = (torch.from_numpy(array.copy()).to(device) for array in arrays)
    first_loc, last_loc, first_delta, last_delta = table.ends.tolist()
    return DeviceTable(
        loc_index,
        delta_index,
        pairs,
        (first_loc, last_loc, first_delta, last_delta),
        _single(table.bounds),
        not table.bounds.whole_plane,
    )


def _index(table: Packed) -> tuple[NDArray[Any], NDArray[Any]]:
    if not gpu_texts.APPROXIMATE:
        return table.loc_index, table.delta_index
    loc, delta = words_of(table)
    return loc.view(np.int64).ravel(), delta.view(np.int64).ravel()


def table_on(table: ModeTable | None, method: Method, device: torch.device) -> DeviceTable:
    """The table that a method interpolates in, by default the shipped one's, on a device; copied once."""
    table = (ModeTable.default() if table is None else table).interpolated(method)
    packed = table.packed
    assert packed is not None
    return cast(DeviceTable, table.forms(("gpu", device), lambda: device_table(packed, device)))


table_on._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see `general`


def _single(bounds: Bounds) -> tuple[float, float, float]:
    """As float32, which queries are compared in: what is beyond its range is infinite."""
    with np.errstate(over="ignore"):
        loc_max, scale_min, scale_max = np.array(bounds).astype(np.float32).tolist()
    return loc_max, scale_min, scale_max


def mode(
    loc: Tensor,
    scale: Tensor,
    method: Method,
    table: DeviceTable | None,
    low: float = -1.0,
    high: float = 1.0,
    out: Tensor | None = None,
) -> Tensor:
    """The mode of contiguous tensors of one shape, dtype (float32, bfloat16, float16) and device, on [low, high].

    `out`, contiguous and apart from them, is written if given. `table` is not needed for "exact".

    Raises:
        RuntimeError: a CUDA graph is being captured, and nothing has compiled this before.
    """
    table = _no_table(loc.device) if table is None else table
    numbers = [*table.ends, *table.bounds, low, high]
    if out is None and torch.compiler.is_dynamo_compiling():
        result: Tensor = _operator(loc, scale, *table[:3], numbers, COMPILED.index(method), table.bounded)
        return result
    out = torch.empty_like(loc) if out is None else out
    _launch(out, loc, scale, *table[:3], numbers, COMPILED.index(method), table.bounded)
    return out


def trial(device: torch.device, dtype: torch.dtype) -> str | None:
    """Compile and launch on one element, and tell why that fails, or None: no C compiler, a GPU too old, …

    Raises:
        RuntimeError: a CUDA graph is being captured. And whatever is no fault of Triton's: no memory left; an error
            of an earlier kernel, which CUDA reports to whoever asks next.
    """
    with current(device):
        refuse_capture(device)
    with ThreadPoolExecutor(1) as alone:  # transforms and modes of torch belong to a thread: a new one has none
        return alone.submit(_try, device, dtype).result()


def _try(device: torch.device, dtype: torch.dtype) -> str | None:
    one, table = torch.ones(1, dtype=dtype, device=device), _no_table(device)
    try:
        mode(one, one, "exact", table)
    except Exception as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error):
            raise
        torch.cuda.synchronize(device)
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return (
            f"Triton cannot compile and launch {str(dtype).removeprefix('torch.')} on {device} ({said}): it needs "
            "a C compiler, Python's headers and a GPU that it supports"
        )
    return None


def warm(device: torch.device, dtype: torch.dtype) -> None:
    """Compile and load every kernel: no later launch on the device has to, whatever the length, layout or table."""
    samples = [torch.ones(n, dtype=dtype, device=device) for n in (FEW + ALIGNMENT, 1)]
    for method, bounds in product(COMPILED, ((-1.0, 1.0), (0.0, 1.0))):
        for bounded in (False,) if method == "exact" else (False, True):
            for sample in samples:
                mode(sample, sample, method, _no_table(device)._replace(bounded=bounded), *bounds)


@cache
def _kept_no_table(device: torch.device) -> DeviceTable:
    return apart(lambda: device_table(packed.NO_TABLE, device))


def _no_table(device: torch.device) -> DeviceTable:
    return _kept_no_table(device)


_no_table._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see `general`


def current(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches on the current device, wherever the tensors are."""
    here = device.type != "cuda" or device.index == torch.cuda.current_device()
    return nullcontext() if here else torch.cuda.device(device)


def refuse_capture(device: torch.device) -> None:
    """Compiling, loading a kernel and copying from the host are impossible while a CUDA graph is being captured."""
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            f"the gpu backend is not ready on {device}, and a CUDA graph is being captured: before the capture call "
            "tanhlut.warmup() there, and what you want captured once with a table of your own"
        )


# What Triton compiled, by what it is compiled anew for. To ask Triton each time costs 65 to 90 µs of Python, mostly for
# whether any of 40 globals has changed.
_compiled: dict[tuple[object, ...], Any] = {}


def launch(kernels: Any, what: object, out: Tensor, loc: Tensor, scale: Tensor, *rest: object) -> None:
    """Launch `kernels.wide_kernel` or `kernels.any_kernel` on contiguous tensors of one shape, dtype and device.

    Args:
        kernels: `gpu_kernel` or `gpu_loop`, as a module.
        what: tells those of its variants apart that are compiled anew.
        rest: what the kernel takes between the number of elements and BLOCK.

    Raises:
        RuntimeError: a CUDA graph is being captured, and nothing has compiled this before.
    """
    n = loc.numel()
    if n == 0:
        return
    wide = n > FEW and (n | loc.data_ptr() | scale.data_ptr() | out.data_ptr()) % ALIGNMENT == 0
    block = BLOCK if wide else FEW_BLOCK
    device = loc.device
    variant = device, loc.dtype, what, wide
    grid = (n + block - 1) // block, 1, 1
    with current(device):
        compiled = _compiled.get(variant)
        if compiled is not None:
            compiled[grid](loc, scale, out, n, *rest, block)
            return
        refuse_capture(device)
        kernel = (kernels.wide_kernel if wide else kernels.any_kernel)[grid]
        compiled = kernel(loc, scale, out, n, *rest, block, num_warps=WARPS, enable_fp_fusion=False)
    if not INTERPRETED:
        _compiled[variant] = compiled


def _launch(
    out: Tensor,
    loc: Tensor,
    scale: Tensor,
    loc_index: Tensor,
    delta_index: Tensor,
    pairs: Tensor,
    numbers: list[float],
    method: int,
    bounded: bool,
) -> None:
    table = loc_index, delta_index, pairs, pairs.shape[1]
    variant = method, bounded, tuple(numbers[-2:]) == (-1.0, 1.0)
    launch(gpu_texts.kernels(gpu_texts.APPROXIMATE), variant, out, loc, scale, *table, *numbers, *variant)


# Opaque to torch.compile, unlike a `triton_op`: Inductor would write a launcher of its own, without `enable_fp_fusion`,
# and the bits would be others.
@custom_op(
    "tanhlut::mode",
    mutates_args=(),
    schema="(Tensor loc, Tensor scale, Tensor loc_index, Tensor delta_index, Tensor pairs, float[] numbers, "
    "int method, bool bounded) -> Tensor",
)
def _operator(
    loc: Tensor,
    scale: Tensor,
    loc_index: Tensor,
    delta_index: Tensor,
    pairs: Tensor,
    numbers: list[float],
    method: int,
    bounded: bool,
) -> Tensor:
    """The same as an operator for torch.compile."""
    out = torch.empty_like(loc)
    _launch(out, loc, scale, loc_index, delta_index, pairs, numbers, method, bounded)
    return out


@_operator.register_fake
def _shape(loc: Tensor, *rest: object) -> Tensor:
    return torch.empty_like(loc)
