"""Launching a compiled backend on plain contiguous tensors of one shape, also from a graph of torch.compile's.

There the cpu kernel is an operator, which torch calls and does not look into. A graph holds numbers, texts and tensors,
so it names a table by its digest; what traced the graph has kept the table here. Graphs that leave the process
(torch.export, ONNX) hold plain operations instead.
"""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from tanhlut.compute import available, threads
from tanhlut.file.packed import NO_TABLE, Packed
from tanhlut.methods import COMPILED, Method
from tanhlut.tracing import apart

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

    where = None if method == "exact" else gpu.table_on(table, method, loc.device)
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
    threads.share(kernel.call, (loc, scale, out), low, high, table.address)


_OPERATOR = "tanhlut::mode_on_cpu"
_kept: dict[str, Packed | None] = {}


def kept(key: int | None, method: Method) -> str | None:
    """The digest of the table that a method interpolates in, of that key, kept for graphs.

    None where no kernel serves: for another method, a table that none can read, or without llvmlite.
    """
    if method not in COMPILED or available.cpu_missing() is not None:
        return None
    if method == "exact":
        return ""
    from tanhlut.file.table import by_key

    used = apart(lambda: by_key(key)).interpolated(method)
    if used.packed is None:
        return None
    _kept[used.digest] = used.packed
    return used.digest


kept._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see `general`


# Not torch.library.custom_op, whose wrapper costs as much again as a lookup of one element.
torch.library.define(_OPERATOR, "(Tensor loc, Tensor scale, str method, str table) -> Tensor")


@torch.library.impl(_OPERATOR, "CPU")
def _run(loc: Tensor, scale: Tensor, method: str, digest: str) -> Tensor:
    if digest and digest not in _kept:
        raise RuntimeError(f"a compiled graph wants a table that this process has not loaded ({digest}): compile again")
    out = torch.empty(loc.shape, dtype=loc.dtype)
    on_cpu(in_memory(loc), in_memory(scale), out, -1.0, 1.0, _kept.get(digest), cast(Method, method))
    return out


@torch.library.register_fake(_OPERATOR)  # type: ignore[untyped-decorator]
def _shape(loc: Tensor, scale: Tensor, method: str, digest: str) -> Tensor:
    return torch.empty(loc.shape, dtype=loc.dtype, device=loc.device)


def _mapped(info: Any, in_dims: tuple[int | None, ...], loc: Tensor, scale: Tensor, *rest: str) -> tuple[Tensor, int]:
    tensors = [
        tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip((loc, scale), in_dims[:2], strict=True)
    ]
    return torch.ops.tanhlut.mode_on_cpu.default(*tensors, *rest), 0


if hasattr(torch.library, "register_vmap"):  # from torch 2.5 on; torch.compile of ours wants 2.7
    torch.library.register_vmap(_OPERATOR, _mapped)
