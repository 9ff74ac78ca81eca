"""A method, and moments, as a self-contained ONNX graph: standard operators, tables inside, any number of elements.

torch traces the plain torch formulation (`tanhlut.compute.eager`), so the graph is that formulation and no second one.
It uses no operator that ONNX lacks, such as copysign: see `formula.tensors.signed`.
"""

import json
from collections.abc import Collection

import torch
from torch import Tensor

import tanhlut
from tanhlut import ModeLookup, ModeTable
from tanhlut.arrays import check_choice
from tanhlut.errors import require
from tanhlut.file.moments import missing
from tanhlut.integrations.deploy import onnx_model
from tanhlut.methods import NETWORK_METHODS, Method

INPUTS, QUANTITIES = ("loc", "scale"), ("mode", "mean", "variance", "stddev", "entropy")


class Answers(torch.nn.Module):
    """Several quantities of (loc, scale), in the order in which they are named."""

    def __init__(self, table: ModeTable, method: Method, quantities: Collection[str]) -> None:
        super().__init__()
        self.table, self.quantities = table, tuple(quantities)
        self.lookup = ModeLookup(table, method) if "mode" in quantities else None

    def forward(self, loc: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
        """Of tensors (n,), each (n,)."""
        return tuple(
            getattr(tanhlut, name)(loc, scale, table=self.table) if self.lookup is None or name != "mode"
            else self.lookup(loc, scale)
            for name in self.quantities
        )  # fmt: skip


def model(table: ModeTable, method: Method, quantities: Collection[str] = ("mode",)) -> bytes:
    """The bytes of an ONNX model: float32 `loc` and `scale`, both (n,), to outputs named as `quantities`, float32 (n,),
    on (−1, 1).

    Its metadata carry the digest of table, network or moments, and of the mode the method and the proven bound of the
    float32 arithmetic of torch, which another runtime shares as far as it computes the same operations in float32;
    likewise those of mean and entropy, the latter relative to 1 + |entropy|.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        ValueError: the method needs a network that the table does not hold, or a quantity moments; another quantity.
    """
    for name in quantities:
        check_choice("quantity", name, QUANTITIES)
    known: dict[str, object] = {}
    if "mode" in quantities:
        known |= {"method": method, "digest": _digest(table, method), "bound": _bound(table, method)}
    if {*quantities} - {"mode"}:
        if table.moments is None:
            raise missing()
        known["moments.digest"] = table.moments.digest
        named = [name for name in ("mean", "entropy") if name in quantities]
        known |= {f"{name}.bound": table.moments.metadata[f"{name}_bound"] for name in named}
    example = (torch.linspace(-1.0, 1.0, 5), torch.linspace(0.1, 1.0, 5))
    data = onnx_model(Answers(table, method, quantities), *example, inputs=INPUTS, outputs=[*quantities])
    onnx = require("onnx", "onnx")
    proto = onnx.load_from_string(data)
    onnx.helper.set_model_props(proto, {f"tanhlut.{name}": json.dumps(value) for name, value in known.items()})
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString(deterministic=True))


def _digest(table: ModeTable, method: Method) -> str:
    return table.network.digest if method in NETWORK_METHODS and table.network is not None else table.digest


def _bound(table: ModeTable, method: Method) -> float | None:
    try:
        return table.error_bound(method)
    except ValueError:
        return None
