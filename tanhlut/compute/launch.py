"""Launching a compiled backend on plain contiguous tensors of one shape, also from a graph of torch.compile's.

There the cpu kernel is an operator, which torch calls and does not look into. A graph holds numbers, texts and tensors,
so it names a table by its digest; what traced the graph has kept the table here. Graphs that leave the process
(torch.export, ONNX) hold plain operations instead.
"""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from tanhlut.compute import available, threads
from tanhlut.methods import COMPILED, Method, name_of
from tanhlut.tracing import apart

if TYPE_CHECKING:
    from tanhlut.file.packed import Packed
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


def on_cpu(loc: Tensor, scale: Tensor, table: "Packed", method: Method) -> Tensor:
    """The cpu kernel on plain contiguous tensors of one shape and dtype, float32 or float64."""
    kernel, address = of_dtype(loc.dtype, table, method)
    return _into_new(loc, scale, kernel, address)


def of_dtype(dtype: torch.dtype, table: "Packed", method: Method) -> tuple[Any, int]:
    """The cpu kernel for tensors of a dtype, and the address of what it reads."""
    narrow = not table.bounds.whole_plane
    return available.cpu_kernels().kernel(name_of(dtype), COMPILED.index(method), narrow).call, table.address


def _into_new(loc: Tensor, scale: Tensor, kernel: Any, address: int) -> Tensor:
    out = torch.empty_like(loc, memory_format=torch.contiguous_format)
    threads.share(kernel, (loc, scale, out), -1.0, 1.0, address)
    return out


_NAME = "tanhlut::mode_on_cpu"
_kept: "dict[str, Packed]" = {}
_kernels: dict[tuple[torch.dtype, str, str], tuple[Any, int]] = {}  # and the address of what they read


def kept(key: str | None, method: Method) -> str | None:
    """The digest of the table that a method interpolates in, of that key, kept for graphs.

    None where no kernel serves: for another method, a table that none can read, or without llvmlite.
    """
    if method not in COMPILED or available.cpu_missing() is not None:
        return None
    from tanhlut.file.packed import NO_TABLE
    from tanhlut.file.table import by_key

    if method == "exact":
        _kept[""] = NO_TABLE
        return ""
    used = apart(lambda: by_key(key)).interpolated(method)
    if used.packed is None:
        return None
    _kept[used.digest] = used.packed
    return used.digest


kept._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see `general`


# Not torch.library.custom_op, whose wrapper costs as much again as a lookup of one element.
torch.library.define(_NAME, "(Tensor loc, Tensor scale, str method, str table) -> Tensor")
operator: Any = torch.ops.tanhlut.mode_on_cpu.default


@torch.library.impl(_NAME, "CPU")
def _run(loc: Tensor, scale: Tensor, method: str, digest: str) -> Tensor:
    loc, scale = in_memory(loc), in_memory(scale)
    return _into_new(loc, scale, *(_kernels.get((loc.dtype, method, digest)) or _prepared(loc.dtype, method, digest)))


def _prepared(dtype: torch.dtype, method: str, digest: str) -> tuple[Any, int]:
    if digest not in _kept:
        raise RuntimeError(f"a compiled graph wants a table that this process has not loaded ({digest}): compile again")
    found = _kernels[dtype, method, digest] = of_dtype(dtype, _kept[digest], cast(Method, method))
    return found


@torch.library.register_fake(_NAME)  # type: ignore[untyped-decorator]
def _shape(loc: Tensor, scale: Tensor, method: str, digest: str) -> Tensor:
    return torch.empty(loc.shape, dtype=loc.dtype, device=loc.device)


def _mapped(info: Any, in_dims: tuple[int | None, ...], loc: Tensor, scale: Tensor, *rest: str) -> tuple[Tensor, int]:
    tensors = [
        tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip((loc, scale), in_dims[:2], strict=True)
    ]
    return operator(*tensors, *rest), 0


if hasattr(torch.library, "register_vmap"):  # from torch 2.5 on; torch.compile of ours wants 2.7
    torch.library.register_vmap(_NAME, _mapped)
