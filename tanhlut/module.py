"""ModeLookup: looking modes up inside a policy."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from tanhlut.affine import to_bounds
from tanhlut.arrays import unify
from tanhlut.compute import mlp
from tanhlut.compute.eager import Source
from tanhlut.compute.general import squashed_mode
from tanhlut.compute.grid import Axis, Grid, grid_of
from tanhlut.compute.mlp import Layers
from tanhlut.compute.quick import HIGH, LOW, quick
from tanhlut.compute.recorded import recorded
from tanhlut.compute.usual import usual
from tanhlut.file.bounds import Bounds
from tanhlut.file.network import missing as no_network
from tanhlut.file.table import ModeTable
from tanhlut.methods import EXACT_BOUND, NETWORK_METHODS, Method, compute_dtype
from tanhlut.questions import check_numbers, check_table, refined
from tanhlut.tracing import fake_mode, faked, traced


class ModeLookup(torch.nn.Module):
    """`mode` as a module with the table as buffers, for policies that move between devices, compile or export.

    The buffers begin on the default device and follow ``.to(device)`` but keep their precision under ``.half()`` and
    the like, and are not part of ``state_dict``: a policy's checkpoint does not carry a table. Their contents are
    always the table's, also after ``.to_empty(device)`` of a module that was on the meta device.

    Args:
        table: a `ModeTable`, by default the shipped one; not used by ``method="exact"``.
        method, refine: as in `mode`. With ``"mlp"`` the buffers are the network's.
    """

    values: Tensor
    _BUFFERS = tuple(f"{name}_{part}" for name in ("loc", "delta") for part in Axis._fields)

    def __init__(self, table: ModeTable | None = None, method: Method = "refined", refine: bool = False) -> None:
        super().__init__()
        method = refined(method, refine)
        check_table(table)
        self.method = method
        self._table: ModeTable | None = None
        self.bounds: Bounds | None = None
        self._error_bound: float | None = EXACT_BOUND
        if method == "exact":
            return
        self._table = table = ModeTable.default() if table is None else table
        self._error_bound = table.certificates[method].bound if method in table.certificates else None
        if method not in NETWORK_METHODS:
            self.bounds = table.bounds
            self.columns = len(table.interpolated(method).scale)
        elif table.network is None:
            raise no_network()
        else:
            self.layers = len(table.network.weights)
        contents, device = self._contents(), torch.empty(0).device
        for name, tensor in (contents if fake_mode() is None else faked(contents, device)).items():
            self.register_buffer(name, tensor.to(device, copy=True), persistent=False)

    def forward(self, loc: Tensor, scale: Tensor, low: Tensor | float = LOW, high: Tensor | float = HIGH) -> Tensor:
        """The mode of tensors loc, scale, as `mode` gives it."""
        try:
            if is_dynamo_compiling():
                result = recorded(loc, scale, low, high, self.method, self._table)
            else:
                result = quick(loc, scale, low, high, self.method, self._table, "auto", None)
                if result is None:
                    result = usual(loc, scale, low, high, self.method, self._table)
        except (RuntimeError, TypeError, ValueError):
            result = None
        if result is not None:
            return result
        (wide_loc, wide_scale, low_, high_), restore = unify(loc, scale, low, high)
        check_numbers(scale, low, high)
        loc_, scale_ = cast(Tensor, wide_loc), cast(Tensor, wide_scale)
        own = traced() or not (loc_.is_cpu or loc_.is_cuda)
        source = self._source(compute_dtype(loc_.dtype), loc_.device) if own else None
        y = squashed_mode(loc_, scale_, self.method, self._table, "auto", source)
        return cast(Tensor, restore(to_bounds(y, low_, high_).to(loc_.dtype)))

    @property
    def error_bound(self) -> float:
        """The proven bound of |forward(loc, scale) − mode| in float32, on (−1, 1): `ModeTable.error_bound`."""
        if self._error_bound is None:
            raise ValueError(f"no bound is proven for method {self.method!r} on this table: see `tablegen verify`")
        return self._error_bound

    def reset_parameters(self) -> None:
        """Fill the buffers from the table again: deferred initialisation calls this after ``to_empty``."""
        for name, tensor in self._contents().items():
            self.get_buffer(name).copy_(tensor)

    def _contents(self) -> dict[str, Tensor]:
        """What the buffers hold, by name; the tensors are the table's own."""
        if self._table is None:
            return {}
        cpu = torch.device("cpu")
        if self.method in NETWORK_METHODS:
            assert self._table.network is not None
            layers = mlp.layers(self._table.network, torch.float32, cpu)
            parts = zip(Layers._fields, layers, strict=True)
            return {f"{name}{k}": tensor for name, tensors in parts for k, tensor in enumerate(tensors)}
        contents = {}
        for dtype in (torch.float32, torch.float64):
            grid = grid_of(self._table.interpolated(self.method), dtype, cpu)
            for name, part in zip(self._BUFFERS, (*grid.loc, *grid.delta), strict=True):
                contents[f"{name}_{_suffix(dtype)}"] = part
        return contents | {"values": grid.values}

    def _source(self, dtype: torch.dtype, device: torch.device) -> Source:
        """The buffers; None, which stands for the table itself, where there are none on the device.

        Lists and getattr: torch 2.7 traces neither generators nor `buffers` and `get_buffer`.
        """
        if self._table is None:
            return None
        one: Tensor = getattr(self, f"{Layers._fields[0]}0" if self.method in NETWORK_METHODS else "values")
        if one.device != device:
            return None
        if self.method in NETWORK_METHODS:
            names = [[f"{name}{k}" for k in range(self.layers)] for name in Layers._fields]
            return Layers(*[tuple([getattr(self, name).to(dtype) for name in group]) for group in names])
        assert self.bounds is not None
        parts = [getattr(self, f"{name}_{_suffix(dtype)}") for name in self._BUFFERS]
        half = len(Axis._fields)
        return Grid(Axis(*parts[:half]), Axis(*parts[half:]), self.values, self.columns, self.bounds)

    def _apply(self, fn: Any, recurse: bool = True) -> "ModeLookup":
        """Let the buffers change device, never precision nor contents: `fn` may well give memory with nothing in it."""
        before = dict(self.named_buffers())
        super()._apply(fn, recurse)
        for name, tensor in self._contents().items():
            moved = self.get_buffer(name).to(tensor.dtype)
            if moved is not before[name] and type(moved) is Tensor:
                moved.copy_(tensor)
            self._buffers[name] = moved
        return self

    def extra_repr(self) -> str:
        return f"method={self.method!r}, bounds={self.bounds}"


def _suffix(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
