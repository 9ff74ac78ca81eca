"""Who computes: the one place that chooses a backend, by device, dtype, and whether torch is tracing.

    eager   torch operations, on any device: what is traced under torch.compile and torch.export
    cpu     compiled by numba, for CPU tensors, NumPy arrays and Python floats
    gpu     compiled by Triton, for CUDA tensors up to float32

"auto" takes the compiled backend of the device and falls back to eager where that cannot serve; a named backend raises
where it cannot. Gradients, forward and backward, are those of the implicit function theorem whoever computed the value.
"""

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor

from tanhlut import eager, equation, parallel
from tanhlut.eager import Source
from tanhlut.methods import COMPILED, NETWORK_METHODS, Method, compute_dtype
from tanhlut.network import missing as no_network
from tanhlut.packed import NO_TABLE
from tanhlut.table import ModeTable
from tanhlut.tracing import fake_mode, faked, jit_traced, traced, transformed

if TYPE_CHECKING:
    from tanhlut.gpu import DeviceTable

Name = Literal["eager", "cpu", "gpu"]
NAMES: tuple[Name, ...] = ("eager", "cpu", "gpu")
BACKENDS = ("auto", *NAMES)


def squashed_mode(
    loc: Tensor, scale: Tensor, method: Method, table: ModeTable | None, backend: str, source: Source = None
) -> Tensor:
    """The mode on (−1, 1) of broadcastable tensors of one dtype and device, in float64 for float64, else in float32.

    Args:
        table: by default the shipped one; not used by "exact".
        source: the table or network as buffers of a module, for when torch is tracing; by default the table's own.

    What torch.jit traces has the derivatives of the operations instead of the theorem's.
    """
    dtype = compute_dtype(loc.dtype)
    loc, scale = torch.broadcast_tensors(loc.to(dtype), scale.to(dtype))
    name = choose(loc, scale, method, table, backend)
    if name != "eager":
        source = None
    elif method != "exact":
        fake = fake_mode() is not None
        if source is None:
            source = _source(table, method, dtype, torch.device("cpu") if fake else loc.device)
        if fake:
            source = faked(source, loc.device)
    if name == "eager" or method == "exact":
        table = None
    elif name == "cpu" and table is None:
        table = ModeTable.default()
    if not traced() and transformed():
        return cast(Tensor, _Transformable.apply(loc, scale, name, method, source, table))
    if torch.is_grad_enabled() and (loc.requires_grad or scale.requires_grad) and not jit_traced():
        return cast(Tensor, _Implicit.apply(loc, scale, name, method, source, table))
    return _evaluate(loc, scale, name, method, source, table)


def choose(loc: Tensor, scale: Tensor, method: Method, table: ModeTable | None, backend: str) -> Name:
    """The backend for tensors of one shape.

    Raises:
        ValueError: the backend that was asked for cannot serve them.
        ImportError: it is not installed, or does not work on their device.
        RuntimeError: a CUDA graph is being captured, and the gpu backend is not ready.
    """
    if backend == "eager" or (backend == "auto" and (loc.device.type not in ("cpu", "cuda") or traced())):
        return "eager"
    wanted: Name = ("gpu" if loc.is_cuda else "cpu") if backend == "auto" else cast(Name, backend)
    refusal = _refusal(loc, scale, method, table, wanted)
    if refusal is None:
        return wanted
    if backend == "auto":
        return "eager"
    raise refusal


def cpu_kernels() -> Any:
    """The module of kernels, or None. The first call compiles them, or loads what was compiled before."""
    return _load_cpu()[0]


def cpu_missing() -> str | None:
    """Why the cpu backend cannot run here, or None."""
    return _load_cpu()[1]


def cpu_uncached() -> str | None:
    """Why every process has to compile the cpu backend anew, or None."""
    kernels = cpu_kernels()
    return None if kernels is None else cast("str | None", kernels.kernels.uncached)


@cache
def gpu_missing() -> str | None:
    """Why the gpu backend cannot run here, or None. With TRITON_INTERPRET=1 it runs on CPU tensors, slowly."""
    if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
        return "torch sees no CUDA device"
    try:
        from tanhlut import gpu  # noqa: F401
    except Exception as error:  # a Triton of another age than torch fails in ways of its own
        return f"Triton cannot be imported ({type(error).__name__}: {error}): pip install 'tanhlut[gpu]'"
    return None


gpu_tried: dict[tuple[torch.device, torch.dtype], str | None] = {}


def gpu_failure(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the gpu backend cannot run here, or on this CUDA device, or None. The first question launches it once."""
    missing = gpu_missing()
    if missing is not None or device.type != "cuda":
        return missing
    key = device, dtype
    if key not in gpu_tried:
        from tanhlut import gpu

        gpu_tried[key] = gpu.trial(device, dtype)
    return gpu_tried[key]


gpu_failure._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as `_source` below


def _source(table: ModeTable | None, method: Method, dtype: torch.dtype, device: torch.device) -> Source:
    table = ModeTable.default() if table is None else table
    if method not in NETWORK_METHODS:
        return table.grid(dtype, device)
    if table.network is None:
        raise no_network()
    return table.network.layers(dtype, device)


# Tracing takes the table as a constant. This is all that torch.compiler.assume_constant_result does, but for
# importing torch._dynamo, which would make `import tanhlut` three seconds slower.
_source._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _refusal(loc: Tensor, scale: Tensor, method: Method, table: ModeTable | None, wanted: Name) -> Exception | None:
    """Why `wanted` cannot serve, if so. Whether it is installed comes last: asking imports it."""
    if method not in COMPILED:
        return ValueError(f"backend {wanted!r} has no kernel for method {method!r}: use 'auto' or 'eager'")
    seen_through = wanted == "gpu" and torch.compiler.is_dynamo_compiling()  # an operator that torch.compile knows
    if not seen_through and (traced() or any(type(x) not in (Tensor, torch.nn.Parameter) for x in (loc, scale))):
        return ValueError(f"backend {wanted!r} cannot be traced, nor serve tensor subclasses: use 'auto' or 'eager'")
    if method != "exact" and table is not None and not _readable(table):
        return ValueError(
            f"backend {wanted!r} needs a table whose cells divide quarter octaves equally, as `tablegen build` lays "
            "them out: use 'auto' or 'eager', or rebuild the table"
        )
    if wanted == "cpu" and not loc.is_cpu:
        return ValueError(f"backend 'cpu' serves CPU tensors, these are on {loc.device}: use 'auto' or move them")
    if wanted == "gpu" and loc.dtype == torch.float64:
        return ValueError("backend 'gpu' computes in float32 and would lose float64's digits: use 'auto' or 'eager'")
    missing = cpu_missing() if wanted == "cpu" else gpu_failure(loc.device, loc.dtype)
    if missing is not None:
        return ImportError(f"backend {wanted!r} cannot run here: {missing}")
    if wanted == "gpu" and not loc.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        return ValueError(f"backend 'gpu' serves CUDA tensors, these are on {loc.device}: use 'auto' or move them")
    return None


def _readable(table: ModeTable) -> bool:
    return table.packed is not None


_readable._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _evaluate(
    loc: Tensor, scale: Tensor, name: Name, method: Method, source: Source, table: ModeTable | None
) -> Tensor:
    if name == "eager":
        return eager.evaluate(loc, scale, method, source)
    loc, scale = _in_memory(loc), _in_memory(scale)
    if name == "cpu":
        out = torch.empty_like(loc)
        launch(loc, scale, out, -1.0, 1.0, NO_TABLE.address if table is None else table.address, COMPILED.index(method))
        return out
    return on_gpu(loc, scale, method, table)


def _in_memory(tensor: Tensor) -> Tensor:
    """As kernels read it. The zeros of forward-mode differentiation have no memory, and get it by cloning only."""
    if not torch.compiler.is_compiling() and tensor._is_zerotensor():
        return tensor.clone()
    return tensor.resolve_neg().contiguous()


def on_gpu(
    loc: Tensor,
    scale: Tensor,
    method: Method,
    table: ModeTable | None,
    low: float = -1.0,
    high: float = 1.0,
    out: Tensor | None = None,
) -> Tensor:
    """The gpu kernel on plain contiguous tensors of one shape, dtype and device; by default on the shipped table."""
    from tanhlut import gpu

    where = None if method == "exact" else _device_table(table, loc.device)
    return gpu.mode(loc, scale, method, where, low, high, out)


def _device_table(table: ModeTable | None, device: torch.device) -> "DeviceTable":
    from tanhlut import gpu

    table = ModeTable.default() if table is None else table
    assert table.packed is not None
    packed = table.packed
    return cast(gpu.DeviceTable, table.kept(("gpu", device), lambda: gpu.device_table(packed, device)))


_device_table._dynamo_marked_constant = True  # type: ignore[attr-defined]


def launch(loc: Tensor, scale: Tensor, out: Tensor, low: float, high: float, address: int, method: int) -> None:
    """The cpu kernel on plain contiguous tensors of one shape and dtype, float32 or float64; `out` apart from them."""
    kernels = cpu_kernels()
    kernel = kernels.call32 if loc.dtype == torch.float32 else kernels.call64
    a, b, c, n = loc.data_ptr(), scale.data_ptr(), out.data_ptr(), loc.numel()
    if n < parallel.THRESHOLD:
        kernel(a, b, c, 0, n, low, high, address, method)
    else:

        def work(begin: int, end: int, _kept: object = (loc, scale, out)) -> None:  # as long as a thread may be in it
            kernel(a, b, c, begin, end, low, high, address, method)

        parallel.run(work, n)


@cache
def _load_cpu() -> tuple[Any, str | None]:
    try:
        from tanhlut import cpu
    except ImportError as error:
        return None, f"numba cannot be imported ({error}): install tanhlut with its dependencies"
    except Exception as error:
        return None, f"its kernels cannot be compiled ({type(error).__name__}: {' '.join(str(error).split())})"
    cpu.kernels.warn()
    return cpu, None


class _Implicit(torch.autograd.Function):
    """Any backend's value, with the implicit function theorem's derivatives."""

    @staticmethod
    def forward(
        loc: Tensor, scale: Tensor, name: Name, method: Method, source: Source, table: ModeTable | None
    ) -> Tensor:
        return _evaluate(loc, scale, name, method, source, table)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1], output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None, None, None, None]:
        scale, y = ctx.saved_tensors
        by_loc, by_scale = equation.partials(y, scale)
        return grads[0] * by_loc, grads[0] * by_scale, None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, loc: Tensor, scale: Tensor, *rest: Any) -> Any:
        """Element-wise with equal shapes: put the mapped dimension first and call again."""
        tensors = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip((loc, scale), in_dims[:2], strict=True)
        ]
        return _Transformable.apply(*tensors, *rest), 0


class _Transformable(_Implicit):
    """With a rule for forward-mode differentiation, which torch.compile cannot trace."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1], output)
        ctx.save_for_forward(inputs[1], output)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        scale, y = ctx.saved_tensors
        parts = [part * t for part, t in zip(equation.partials(y, scale), tangents[:2], strict=True) if t is not None]
        return torch.stack(parts).sum(0)
