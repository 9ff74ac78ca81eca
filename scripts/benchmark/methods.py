"""The methods beside each other on every road, for who must choose one: eager, compiled, the kernels, onnxruntime."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.contenders import Contender, Sample
from tanhlut import ModeLookup, ModeTable, mode
from tanhlut.methods import COMPILED, METHODS, Method


def contenders(sample: Sample) -> Iterator[Contender]:
    """All of them for one batch; the yardsticks first."""
    loc, a = sample.loc, sample.loc.numpy()
    yield Contender("torch.tanh", "tensor", lambda: torch.tanh(loc), "")
    yield Contender("np.tanh", "array", lambda: np.tanh(a), "")
    for method in METHODS:
        yield from _roads(sample, method)


def _roads(sample: Sample, method: Method) -> Iterator[Contender]:
    loc, scale, _ = sample
    a, b, _ = (part.numpy() for part in sample)
    if method in COMPILED:
        yield Contender(f"ours {method} cpu", "tensor", lambda: mode(loc, scale, method=method))
    yield Contender(f"ours {method} eager", "tensor", lambda: mode(loc, scale, method=method, backend="eager"))
    try:
        compiled = _compiled(method)
        compiled(loc, scale)
    except Exception as error:  # no C++ compiler, for one
        note = f"missing: torch.compile failed ({type(error).__name__})"
        yield Contender(f"ours {method} compiled", "tensor", None, note=note)
    else:
        yield Contender(f"ours {method} compiled", "tensor", lambda: compiled(loc, scale))
    try:
        session = _session(method)
    except ImportError as error:
        note = f"missing: {error}; pip install 'tanhlut[bench]'"
        yield Contender(f"ours {method} onnxruntime", "array", None, note=note)
    else:
        yield Contender(f"ours {method} onnxruntime", "array", lambda: session.run(None, {"loc": a, "scale": b})[0])


def sizes() -> dict[str, dict[str, Any]]:
    """Of each method: bytes of its numbers, operations in torch, nodes and bytes of its ONNX graph, bound."""
    table = ModeTable.default()
    found: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        held = 0
        if method.startswith("mlp") and table.network is not None:
            held = table.network.nbytes
        elif method != "exact":
            held = table.nbytes
        found[method] = {"bytes": held, "torch operations": _operations(method), "bound": table.error_bound(method)}
        try:
            import onnx

            from tablegen.export import onnx_graph

            data = onnx_graph.model(table, method)
            found[method] |= {"onnx nodes": len(onnx.load_from_string(data).graph.node), "onnx bytes": len(data)}
        except ImportError:
            pass
    return found


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        self.count += 1
        return function(*arguments, **(options or {}))


def _operations(method: Method) -> int:
    loc, scale = torch.ones(3), torch.ones(3)
    mode(loc, scale, method=method, backend="eager")
    counter = _Counter()
    with counter:
        mode(loc, scale, method=method, backend="eager")
    return counter.count


@cache
def _compiled(method: Method) -> Any:
    torch._dynamo.config.recompile_limit = 64  # the modules of all methods share one code object
    return torch.compile(ModeLookup(method=method), fullgraph=True, dynamic=True)


@cache
def _session(method: Method) -> Any:
    import onnxruntime

    from tablegen.export import onnx_graph

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    data = onnx_graph.model(ModeTable.default(), method)
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
