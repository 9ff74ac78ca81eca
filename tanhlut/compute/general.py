"""The general road to a mode: any tensors, any backend, gradients, transforms and tracing. `quick` is the short one."""

from typing import cast

import torch
from torch import Tensor

from tanhlut.compute import eager, launch, mlp
from tanhlut.compute.available import Name
from tanhlut.compute.choose import choose
from tanhlut.compute.eager import Source
from tanhlut.compute.grid import grid_of
from tanhlut.compute.implicit import Implicit, Transformable
from tanhlut.file.network import missing as no_network
from tanhlut.file.packed import NO_TABLE
from tanhlut.file.table import ModeTable, by_key, key_of
from tanhlut.methods import NETWORK_METHODS, Method, compute_dtype
from tanhlut.tracing import compiling, fake_mode, faked, jit_traced, traced, transformed


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
            source = _source(key_of(table), method, dtype, torch.device("cpu") if fake else loc.device)
        if fake:
            source = faked(source, loc.device)
    if name == "eager" or method == "exact":
        table = None
    elif name == "cpu" and table is None and not compiling():
        table = ModeTable.default()
    if not traced() and transformed():
        return cast(Tensor, Transformable.apply(loc, scale, _evaluate, name, method, source, table))
    if torch.is_grad_enabled() and (loc.requires_grad or scale.requires_grad) and not jit_traced():
        return cast(Tensor, Implicit.apply(loc, scale, _evaluate, name, method, source, table))
    return _evaluate(loc, scale, name, method, source, table)


def _evaluate(
    loc: Tensor, scale: Tensor, name: Name, method: Method, source: Source, table: ModeTable | None
) -> Tensor:
    """The mode on (−1, 1) by the backend of that name; `source` is what eager computes from, `table` what others do."""
    if name == "eager":
        return eager.evaluate(loc, scale, method, source)
    if name == "cpu" and compiling():
        return cast(Tensor, launch.operator(loc, scale, method, launch.kept(key_of(table), method)))
    loc, scale = launch.in_memory(loc), launch.in_memory(scale)
    if name == "cpu":
        packed = NO_TABLE if table is None else table.interpolated(method).packed
        assert packed is not None  # `choose` has asked
        return launch.on_cpu(loc, scale, packed, method)
    return launch.on_gpu(loc, scale, method, table)


def _source(key: str | None, method: Method, dtype: torch.dtype, device: torch.device) -> Source:
    """What a method that needs anything computes from, of the table of that key."""
    table = by_key(key)
    if method not in NETWORK_METHODS:
        return grid_of(table.interpolated(method), dtype, device)
    if table.network is None:
        raise no_network()
    return mlp.layers(table.network, dtype, device)


# Tracing takes the table as a constant (as in `launch`). This is all that torch.compiler.assume_constant_result does,
# but for importing torch._dynamo, which would make `import tanhlut` three seconds slower.
_source._dynamo_marked_constant = True  # type: ignore[attr-defined]
