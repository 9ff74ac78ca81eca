"""Exported graphs in onnxruntime: the reference values, the edge conventions, any length, behind a policy."""

import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import points
from oracle import REFERENCE
from tablegen.__main__ import main
from tablegen.export import onnx_graph
from tanhlut import ModeLookup, ModeTable, mode
from tanhlut.methods import METHODS, Method

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

DEFAULT = Path(__file__).parents[2] / "data" / "default.h5"
NAN, INF = float("nan"), float("inf")


@cache
def session(method: Method, narrow: ModeTable | None = None) -> Any:
    table = ModeTable.default() if narrow is None else narrow
    return onnxruntime.InferenceSession(onnx_graph.model(table, method))


def run(method: Method, loc: np.ndarray, scale: np.ndarray, narrow: ModeTable | None = None) -> np.ndarray:
    result: np.ndarray = session(method, narrow).run(None, {"loc": loc, "scale": scale})[0]
    return result


@pytest.mark.parametrize("method", METHODS)
def test_reference_rows_agree_with_torch_and_the_truth(method: Method) -> None:
    loc, scale = REFERENCE.loc.astype(np.float32), REFERENCE.scale.astype(np.float32)
    for sign in (1, -1):
        found = run(method, sign * loc, scale)
        assert np.abs(found - mode(sign * loc, scale, method=method)).max() <= 1e-6
        bound = ModeTable.default().error_bound(method)
        assert np.abs(sign * found.astype(np.float64) - REFERENCE.mode).max() <= bound


@pytest.mark.parametrize("method", METHODS)
def test_edges_are_as_the_conventions_say(method: Method) -> None:
    loc = np.array([0, -0.0, 0, -0.0, 0, -0.0, INF, -INF, 1, -1, INF, -INF, NAN, 1, 1, -2, 1e-40, -1e-40], np.float32)
    scale = np.array([0.5, 0.5, 1, 1, 0, 0, 1, 1, INF, INF, 0, INF, 1, NAN, -1, 0, 0.6, 0.6], np.float32)
    found, expected = run(method, loc, scale), mode(loc, scale, method=method, backend="eager")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(loc[number]))
    np.testing.assert_array_equal(np.abs(found[np.isinf(loc) | np.isinf(scale)]), 1.0)


@pytest.mark.parametrize("method", METHODS)
def test_any_length_and_no_influence_of_neighbours(method: Method) -> None:
    loc, scale = (part.astype(np.float32) for part in points.uniform(1000, seed=3))
    whole = run(method, loc, scale)
    for n in (0, 1, 2, 17):
        assert run(method, loc[:n], scale[:n]).shape == (n,)
        np.testing.assert_allclose(run(method, loc[:n], scale[:n]), whole[:n], rtol=0, atol=3e-7)


def test_a_narrow_table_falls_back_in_the_graph_too(narrow: ModeTable) -> None:
    loc, scale = np.array([0.5, 5.0, -5.0, 0.5], np.float32), np.array([1.0, 1.0, 2.0, 0.01], np.float32)
    found = run("bilinear", loc, scale, narrow)
    np.testing.assert_allclose(found, mode(loc, scale, method="bilinear", table=narrow), rtol=0, atol=1e-6)
    assert np.abs(found[1:] - mode(loc[1:], scale[1:], method="exact")).max() <= 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_the_graph_is_standard_and_says_what_it_is(method: Method) -> None:
    proto = onnx.load_from_string(onnx_graph.model(ModeTable.default(), method))
    assert {node.domain for node in proto.graph.node} == {""}
    assert not proto.functions
    known = {item.key: item.value for item in proto.metadata_props}
    assert known["tanhlut.method"] == f'"{method}"'
    assert float(known["tanhlut.bound"]) == ModeTable.default().error_bound(method)
    if method.startswith("mlp"):
        assert not {node.op_type for node in proto.graph.node} & {"Gather", "GatherND", "GatherElements"}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mode.onnx"
    assert main(["export", str(DEFAULT), "--format", "onnx", "--method", "mlp", "-o", str(target)]) == 0
    assert "bytes" in capsys.readouterr().out
    found = onnxruntime.InferenceSession(str(target)).run(
        None, {"loc": np.array([0.2], np.float32), "scale": np.array([1.0], np.float32)}
    )
    assert abs(found[0][0] - 0.9730156866523543) <= 6e-6


def test_a_table_without_a_network_writes_nothing(
    coarse_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mode.onnx"
    assert main(["export", str(coarse_file), "--method", "mlp", "-o", str(target)]) == 2
    assert "tablegen distill" in capsys.readouterr().err
    assert not target.exists()


class Policy(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(3, 4)
        self.mode = ModeLookup(method="mlp")

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        loc, log_scale = self.net(observation).chunk(2, -1)
        return self.mode(loc, log_scale.exp(), -2.0, 2.0)  # type: ignore[no-any-return]


def test_behind_a_policy() -> None:
    """As docs/network.md shows: torch.onnx.export needs no table of translations of ours."""
    policy, observation = Policy().eval(), torch.randn(5, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            policy, (observation,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False
        )
    assert program is not None
    run = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for n in (1, 5, 9):
        observation = torch.randn(n, 3)
        found = run.run(None, {run.get_inputs()[0].name: observation.numpy()})[0]
        np.testing.assert_allclose(found, policy(observation).detach().numpy(), rtol=0, atol=2e-5)


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['onnxscript'] = None\n"
        "from tanhlut import ModeTable\nfrom tablegen.export import onnx_graph\n"
        "onnx_graph.model(ModeTable.default(), 'mlp')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "tanhlut[onnx]" in result.stderr
