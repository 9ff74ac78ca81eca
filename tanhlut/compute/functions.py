"""The functions of the text beside the mode (`tanhlut.formula.functions`), for any tensors: backends and derivatives.

The compiled backends are `choose`'s, but that Triton has float32 only; what torch traces or transforms is torch
operations on every device, of which torch.compile makes kernels of its own. Derivatives are functions of the text too,
those of the surrogate itself, but for the entropy's, which follow from the mean and its slope: dH/dloc = −2·E tanh X,
dH/dscale = 1/scale − 2·scale·E sech² X (Stein's lemma). The text's derivatives are differentiated by torch operations
over it, so everything can be differentiated again.
"""

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from tanhlut.compute import launch, threads
from tanhlut.compute.choose import choose
from tanhlut.file.moments import Moments, missing
from tanhlut.file.table import ModeTable, by_key, key_of
from tanhlut.formula import surrogate
from tanhlut.formula.functions import FUNCTIONS
from tanhlut.formula.tensors import Numbers, of
from tanhlut.methods import name_of
from tanhlut.tracing import fake_mode, faked, jit_traced, traced, transformed

NAMES = tuple(FUNCTIONS)


def evaluate(name: str, loc: Tensor, scale: Tensor, table: ModeTable | None, backend: str) -> Tensor:
    """The function on (−1, 1) of float32 or float64 tensors of one shape and device.

    Raises:
        ValueError: the backend that was asked for cannot serve them.
        ImportError: it is not installed, or does not work on their device.
        RuntimeError: a CUDA graph is being captured, and the gpu backend is not ready.
    """
    here = _choose(loc, scale, backend)
    if here == "eager" and (traced() or transformed() or jit_traced()):
        return eager(name, loc, scale, table)
    if torch.is_grad_enabled() and (loc.requires_grad or scale.requires_grad):
        return cast(Tensor, _Derived.apply(loc, scale, name, table, here))
    return _value(name, loc, scale, table, here)


def eager(name: str, loc: Tensor, scale: Tensor, table: ModeTable | None) -> Tensor:
    """By torch operations over the text: differentiable, traceable."""
    fake = fake_mode() is not None
    data = numbers_of(key_of(table), torch.device("cpu") if fake else loc.device, loc.dtype)
    if fake:
        data = data._replace(vector=faked(data.vector, loc.device))
    return cast(Tensor, getattr(of(loc), name)(loc, scale, data, -1.0, 1.0))


def moments_of(table: ModeTable | None) -> Moments:
    """The moments of a table, by default of the shipped one.

    Raises:
        ValueError: it has none.
    """
    found = (ModeTable.default() if table is None else table).moments
    if found is None:
        raise missing()
    return found


def numbers_of(key: str | None, device: torch.device, dtype: torch.dtype) -> Numbers:
    """The surrogates' numbers on a device; made once for each."""
    moments = moments_of(by_key(key))

    def make() -> Numbers:
        if dtype == torch.float64:
            return Numbers((), torch.from_numpy(moments.double.copy()).to(device))
        vector = torch.from_numpy(moments.vector.copy())
        return Numbers(tuple(vector[: surrogate.PATCHES].tolist()), vector.to(device))

    return cast(Numbers, moments.forms((device, dtype), make))


# Tracing takes them as constants: see `general`.
numbers_of._dynamo_marked_constant = True  # type: ignore[attr-defined]


def on_cpu(
    name: str, loc: Tensor, scale: Tensor, out: Tensor, low: float, high: float, table: ModeTable | None
) -> None:
    """The kernel on plain contiguous tensors of one shape and dtype; `out` apart from them."""
    moments = moments_of(table)
    address = moments.double_address if loc.dtype == torch.float64 else moments.address
    threads.share(kernel(name, loc.dtype), (loc, scale, out), low, high, address)


def all_on_cpu(loc: Tensor, scale: Tensor, low: float, high: float, table: ModeTable | None) -> tuple[Tensor, ...]:
    """Mean, variance, standard deviation and entropy of tensors as `on_cpu` wants them."""
    found = mean, variance, root, entropy = (
        torch.empty_like(loc),
        torch.empty_like(loc),
        torch.empty_like(loc),
        torch.empty_like(loc),
    )
    if loc.dtype == torch.float32:
        threads.share(described(), (loc, scale, *found), low, high, moments_of(table).address)
        return found
    for name, out in (("mean", mean), ("stddev", root), ("entropy", entropy)):
        on_cpu(name, loc, scale, out, low, high, table)
    torch.mul(root, root, out=variance)
    return found


@cache
def kernel(name: str, dtype: torch.dtype) -> Any:
    """The compiled loop; the first call compiles it."""
    from tanhlut.compute import cpu_functions

    return cpu_functions.compiled(name, name_of(dtype))


@cache
def described() -> Any:
    """The compiled loop over all of them at once, of float32."""
    from tanhlut.compute import cpu_functions

    return cpu_functions.described()


def on_gpu(
    name: str, loc: Tensor, scale: Tensor, out: Tensor, low: float, high: float, table: ModeTable | None
) -> None:
    """The same by Triton, where the tensors are; of float32, bfloat16 or float16."""
    from tanhlut.compute import gpu_functions

    data = gpu_functions.numbers_on(moments_of(table), loc.device)
    gpu_functions.evaluate(name, loc, scale, data, low, high, out)


def warm_gpu(device: torch.device, dtype: torch.dtype) -> None:
    """Compile and copy all that `on_gpu` wants for the shipped table, whatever the function, length or layout."""
    from tanhlut.compute import gpu_functions

    gpu_functions.warm(device, dtype, gpu_functions.numbers_on(moments_of(None), device))


def _choose(loc: Tensor, scale: Tensor, backend: str) -> str:
    if backend != "eager" and (traced() or transformed()):
        if backend == "auto":
            return "eager"
        raise ValueError(f"backend {backend!r} has no moments of what is traced or transformed: use 'auto' or 'eager'")
    return choose(loc, scale, "exact", None, backend)  # the mode that needs no table


def _value(name: str, loc: Tensor, scale: Tensor, table: ModeTable | None, here: str) -> Tensor:
    if here == "eager":
        return eager(name, loc, scale, table)
    loc, scale = launch.in_memory(loc), launch.in_memory(scale)
    out = torch.empty_like(loc)
    (on_gpu if here == "gpu" else on_cpu)(name, loc, scale, out, -1.0, 1.0, table)
    return out


class _Derived(torch.autograd.Function):
    """Any backend's value, with derivatives that can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor, name: str, table: ModeTable | None, here: str) -> Tensor:
        ctx.save_for_backward(loc, scale)
        ctx.asked = name, table, here
        return _value(name, loc, scale, table, here)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        loc, scale = ctx.saved_tensors
        name, table, here = ctx.asked

        def part(name: str) -> Tensor:
            return evaluate(name, loc, scale, table, "eager" if here == "eager" else "auto")  # perhaps transformed now

        if name == "entropy":
            by_loc, by_scale = -2.0 * part("mean"), 1.0 / scale - 2.0 * scale * part("mean_by_loc")
        elif name == "variance":
            twice = 2.0 * part("stddev")
            by_loc, by_scale = twice * part("stddev_by_loc"), twice * part("stddev_by_scale")
        elif f"{name}_by_loc" in FUNCTIONS:
            by_loc, by_scale = part(f"{name}_by_loc"), part(f"{name}_by_scale")
        else:
            return (*_of_text(name, loc, scale, grads[0], table), None, None, None)
        return grads[0] * by_loc, grads[0] * by_scale, None, None, None


def _of_text(name: str, loc: Tensor, scale: Tensor, grad: Tensor, table: ModeTable | None) -> tuple[Tensor, ...]:
    """The derivatives of what has none in the text, by torch operations over it."""
    with torch.enable_grad():
        inputs = [x if x.requires_grad else x.detach().requires_grad_() for x in (loc, scale)]
        value = eager(name, inputs[0], inputs[1], table)
        return torch.autograd.grad(value, inputs, grad, create_graph=True)
