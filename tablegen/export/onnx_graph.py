"""A method as a self-contained ONNX graph: standard operators, table or network inside, any number of elements.

torch traces the plain torch formulation (`tanhlut.compute.eager`), so the graph is that formulation and no second one.
It uses no operator that ONNX lacks, such as copysign: see `formula.tensors.signed`.
"""

import json
import logging
import warnings

import torch

from tanhlut import ModeLookup, ModeTable
from tanhlut.errors import require
from tanhlut.methods import NETWORK_METHODS, Method

INPUTS, OUTPUT = ("loc", "scale"), "mode"


def model(table: ModeTable, method: Method) -> bytes:
    """The bytes of an ONNX model: float32 `loc` and `scale`, both (n,), to float32 `mode`, (n,), on (−1, 1).

    Its metadata carry the method, the digest of table or network, and the proven bound of the float32 arithmetic of
    torch, which another runtime shares as far as it computes the same operations in float32.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        ValueError: the method needs a network that the table does not hold.
    """
    onnx = require("onnx", "onnx")
    require("onnxscript", "onnx")
    lookup = ModeLookup(table, method).eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    example = (torch.linspace(-1.0, 1.0, 5), torch.linspace(0.1, 1.0, 5))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch about torch
        program = torch.onnx.export(
            lookup,
            example,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n")},) * 2,
            input_names=INPUTS,
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for item in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del item.metadata_props[:]  # where in torch each came from: nine tenths of a small graph
    known = {"method": method, "digest": _digest(table, method), "bound": _bound(table, method)}
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
