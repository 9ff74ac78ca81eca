"""Who computes: the one place that chooses a backend, by device, dtype, and whether torch is tracing.

    eager   torch operations, on any device: what torch.export and torch.compile record, but for
    cpu     compiled by LLVM, for CPU tensors, NumPy arrays and Python floats; under torch.compile an operator
    gpu     compiled by Triton, for CUDA tensors up to float32

"auto" takes the compiled backend of the device and falls back to eager where that cannot serve; a named backend raises
where it cannot.
"""

import os
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from tanhlut.compute import available
from tanhlut.compute.available import Name
from tanhlut.methods import COMPILED, Method
from tanhlut.tracing import compiling, traced

if TYPE_CHECKING:
    from tanhlut.file.table import ModeTable


def choose(loc: Tensor, scale: Tensor, method: Method, table: "ModeTable | None", backend: str) -> Name:
    """The backend for tensors of one shape.

    Raises:
        ValueError: the backend that was asked for cannot serve them.
        ImportError: it is not installed, or does not work on their device.
        RuntimeError: a CUDA graph is being captured, and the gpu backend is not ready.
    """
    compiled = loc.device.type == "cpu" and compiling()
    if backend == "eager" or (
        backend == "auto" and (loc.device.type not in ("cpu", "cuda") or (traced() and not compiled))
    ):
        return "eager"
    wanted: Name = ("gpu" if loc.is_cuda else "cpu") if backend == "auto" else cast(Name, backend)
    refusal = _refusal(loc, scale, method, table, wanted)
    if refusal is None:
        return wanted
    if backend == "auto":
        return "eager"
    raise refusal


def _refusal(loc: Tensor, scale: Tensor, method: Method, table: "ModeTable | None", wanted: Name) -> Exception | None:
    """Why `wanted` cannot serve, if so. Whether it is installed comes last: asking imports it."""
    if method not in COMPILED:
        return ValueError(f"backend {wanted!r} has no kernel for method {method!r}: use 'auto' or 'eager'")
    seen_through = compiling() if wanted == "cpu" else torch.compiler.is_dynamo_compiling()  # an operator
    if not seen_through and (traced() or any(type(x) not in (Tensor, torch.nn.Parameter) for x in (loc, scale))):
        return ValueError(f"backend {wanted!r} cannot be traced, nor serve tensor subclasses: use 'auto' or 'eager'")
    if method != "exact" and table is not None and not _readable(table.key, method):
        return ValueError(
            f"backend {wanted!r} needs a table whose cells divide quarter octaves equally, as `tablegen build` lays "
            "them out: use 'auto' or 'eager', or rebuild the table"
        )
    if wanted == "cpu" and not loc.is_cpu:
        return ValueError(f"backend 'cpu' serves CPU tensors, these are on {loc.device}: use 'auto' or move them")
    if wanted == "gpu" and loc.dtype == torch.float64:
        return ValueError("backend 'gpu' computes in float32 and would lose float64's digits: use 'auto' or 'eager'")
    missing = available.cpu_missing() if wanted == "cpu" else available.gpu_failure(loc.device, loc.dtype)
    if missing is not None:
        return ImportError(f"backend {wanted!r} cannot run here: {missing}")
    if wanted == "gpu" and not loc.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        return ValueError(f"backend 'gpu' serves CUDA tensors, these are on {loc.device}: use 'auto' or move them")
    return None


def _readable(key: str, method: Method) -> bool:
    from tanhlut.file.table import by_key

    return by_key(key).interpolated(method).packed is not None


_readable._dynamo_marked_constant = True  # type: ignore[attr-defined]
