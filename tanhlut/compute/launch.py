"""Launching a compiled backend on plain contiguous tensors of one shape."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tanhlut.compute import available, threads
from tanhlut.file.packed import NO_TABLE, Packed
from tanhlut.methods import COMPILED, Method

if TYPE_CHECKING:
    from tanhlut.file.table import ModeTable


def in_memory(tensor: Tensor) -> Tensor:
    """As kernels read it. The zeros of forward-mode differentiation have no memory, and get it by cloning only."""
    if not torch.compiler.is_compiling() and tensor._is_zerotensor():
        return tensor.clone()
    return tensor.resolve_neg().contiguous()


def on_gpu(
    loc: Tensor,
    scale: Tensor,
    method: Method,
    table: "ModeTable | None",
    low: float = -1.0,
    high: float = 1.0,
    out: Tensor | None = None,
) -> Tensor:
    """The gpu kernel on plain contiguous tensors of one shape, dtype and device; by default on the shipped table."""
    from tanhlut.compute import gpu

    where = None if method == "exact" else gpu.table_on(table, loc.device)
    return gpu.mode(loc, scale, method, where, low, high, out)


def on_cpu(
    loc: Tensor, scale: Tensor, out: Tensor, low: float, high: float, table: Packed | None, method: Method
) -> None:
    """The cpu kernel on plain contiguous tensors of one shape and dtype, float32 or float64; `out` apart from them.

    `table` is not needed for "exact".
    """
    table = NO_TABLE if table is None or method == "exact" else table
    real, narrow = str(loc.dtype).removeprefix("torch."), not table.bounds.whole_plane
    kernel = available.cpu_kernels().kernel(real, COMPILED.index(method), narrow)
    shared(kernel.call, loc, scale, out, low, high, table.address)


def shared(kernel: Any, loc: Tensor, scale: Tensor, out: Tensor, *rest: Any) -> None:
    """A kernel (addresses, begin, end, rest) on tensors as `on_cpu` wants them, shared among threads if that pays."""
    a, b, c, n = loc.data_ptr(), scale.data_ptr(), out.data_ptr(), loc.numel()
    if n < threads.THRESHOLD:
        kernel(a, b, c, 0, n, *rest)
    else:

        def work(begin: int, end: int, _kept: object = (loc, scale, out)) -> None:  # as long as a thread may be in it
            kernel(a, b, c, begin, end, *rest)

        threads.run(work, n)
