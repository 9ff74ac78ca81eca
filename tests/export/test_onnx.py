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
import tanhlut
from oracle import REFERENCE
from tablegen.__main__ import main
from tablegen.export import onnx_graph
from tanhlut import ModeLookup, ModeTable, TanhNormal, mode
from tanhlut.distributions import quadrature
from tanhlut.methods import METHODS, Method

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

DEFAULT = Path(__file__).parents[2] / "data" / "default.h5"
NAN, INF = float("nan"), float("inf")


SOME_METHODS = [  # refined has bilinear's lookup in it, mlp_refined the network
    pytest.param(method, marks=pytest.mark.slow) if method in ("bilinear", "mlp") else method for method in METHODS
]


@cache
def model(method: Method) -> bytes:
    return onnx_graph.model(ModeTable.default(), method)


@cache
def session(method: Method, narrow: ModeTable | None = None) -> Any:
    return onnxruntime.InferenceSession(model(method) if narrow is None else onnx_graph.model(narrow, method))


def run(method: Method, loc: np.ndarray, scale: np.ndarray, narrow: ModeTable | None = None) -> np.ndarray:
    result: np.ndarray = session(method, narrow).run(None, {"loc": loc, "scale": scale})[0]
    return result


@pytest.mark.parametrize("method", SOME_METHODS)
def test_reference_rows_agree_with_torch_and_the_truth(method: Method) -> None:
    loc, scale = REFERENCE.loc.astype(np.float32), REFERENCE.scale.astype(np.float32)
    for sign in (1, -1):
        found = run(method, sign * loc, scale)
        assert np.abs(found - mode(sign * loc, scale, method=method)).max() <= 1e-6
        bound = ModeTable.default().error_bound(method)
        assert np.abs(sign * found.astype(np.float64) - REFERENCE.mode).max() <= bound


@pytest.mark.parametrize("method", SOME_METHODS)
def test_edges_are_as_the_conventions_say(method: Method) -> None:
    loc = np.array([0, -0.0, 0, -0.0, 0, -0.0, INF, -INF, 1, -1, INF, -INF, NAN, 1, 1, -2, 1e-40, -1e-40], np.float32)
    scale = np.array([0.5, 0.5, 1, 1, 0, 0, 1, 1, INF, INF, 0, INF, 1, NAN, -1, 0, 0.6, 0.6], np.float32)
    found, expected = run(method, loc, scale), mode(loc, scale, method=method, backend="eager")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(loc[number]))
    np.testing.assert_array_equal(np.abs(found[np.isinf(loc) | np.isinf(scale)]), 1.0)


@pytest.mark.parametrize("method", SOME_METHODS)
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


NODES = {"bilinear": 75, "refined": 129, "exact": 156, "mlp": 163, "mlp_refined": 214}  # of torch 2.13's exporter


@pytest.mark.parametrize("method", SOME_METHODS)
def test_the_graph_is_small_and_standard_and_says_what_it_is(method: Method) -> None:
    proto = onnx.load_from_string(model(method))
    assert len(proto.graph.node) <= NODES[method] + 4
    assert {node.domain for node in proto.graph.node} == {""}
    assert not proto.functions
    known = {item.key: item.value for item in proto.metadata_props}
    assert known["tanhlut.method"] == f'"{method}"'
    assert float(known["tanhlut.bound"]) == ModeTable.default().error_bound(method)
    if method.startswith("mlp"):
        assert not {node.op_type for node in proto.graph.node} & {"Gather", "GatherND", "GatherElements"}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mode.onnx"
    assert main(["export", str(DEFAULT), "--format", "onnx", "--method", "exact", "-o", str(target)]) == 0
    assert "bytes" in capsys.readouterr().out
    found = onnxruntime.InferenceSession(str(target)).run(
        None, {"loc": np.array([0.2], np.float32), "scale": np.array([1.0], np.float32)}
    )
    assert abs(found[0][0] - 0.9730156866523543) <= 4.2e-7


def test_a_table_without_a_network_writes_nothing(
    coarse_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mode.onnx"
    assert main(["export", str(coarse_file), "--method", "mlp", "-o", str(target)]) == 2
    assert "tablegen distill" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.slow
def test_quantities_together(tmp_path: Path) -> None:
    """One graph of three outputs, beside torch and, within the proven bounds, the truth."""
    target, names = tmp_path / "all.onnx", ("mode", "mean", "entropy")
    assert main(["export", str(DEFAULT), "--method", "exact", "--quantity", ",".join(names), "-o", str(target)]) == 0
    run = onnxruntime.InferenceSession(str(target))
    assert [output.name for output in run.get_outputs()] == [*names]
    known = run.get_modelmeta().custom_metadata_map
    loc, scale = (part.astype(np.float32) for part in points.uniform(20_000, seed=4))
    wide_loc, wide_scale = (torch.from_numpy(part.astype(np.float64)) for part in (loc, scale))
    found = dict(zip(names, run.run(None, {"loc": loc, "scale": scale}), strict=True))
    truth = {name: getattr(quadrature, name)(wide_loc, wide_scale).numpy() for name in ("mean", "entropy")}
    for name in names:
        unit = 1.0 + np.abs(truth["entropy"]) if name == "entropy" else 1.0  # in which its bound is
        assert (np.abs(found[name] - getattr(tanhlut, name)(loc, scale)) / unit).max() <= 1e-6
        if name in truth:
            assert (np.abs(found[name] - truth[name]) / unit).max() <= float(known[f"tanhlut.{name}.bound"])


@pytest.mark.parametrize(
    "names",
    [("mean", "stddev"), pytest.param(("mean", "stddev", "variance", "entropy"), marks=pytest.mark.slow)],
    ids=len,
)
def test_moments_alone_at_the_edges(names: tuple[str, ...]) -> None:
    run = onnxruntime.InferenceSession(onnx_graph.model(ModeTable.default(), "refined", names))
    loc = np.array([0, -0.0, 1, -1, INF, -INF, 1, 1, NAN, 1, 1, -2, 3e30, 1, 1e-40], np.float32)
    scale = np.array([0.5, 0.5, 0, 0, 1, 1, INF, 3e38, 1, NAN, -1, 1e-20, 1e30, 1e20, 1.0], np.float32)
    for name, found in zip(names, run.run(None, {"loc": loc, "scale": scale}), strict=True):
        expected = getattr(tanhlut, name)(loc, scale, backend="eager")
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
        if name == "mean":
            np.testing.assert_array_equal(np.signbit(found[:8]), np.signbit(loc[:8]))


def test_a_table_without_moments_has_only_the_mode(coarse: ModeTable) -> None:
    with pytest.raises(ValueError, match="holds no moments"):
        onnx_graph.model(coarse, "exact", ("mode", "mean"))


class Statistics(torch.nn.Module):
    """What a policy may want of its distribution."""

    def forward(self, loc: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, ...]:
        policy = TanhNormal(loc, scale, -2.0, 2.0)
        return policy.mode, policy.mean, policy.entropy()


@pytest.mark.slow
def test_a_distribution_in_one_graph() -> None:
    """torch.onnx.export of TanhNormal's mode, mean and entropy."""
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Statistics(),
            (torch.randn(5, 3), torch.rand(5, 3) + 0.1),
            dynamo=True,
            dynamic_shapes=({0: batch}, {0: batch}),
            input_names=["loc", "scale"],
            verbose=False,
        )
    assert program is not None
    run = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    loc, scale = torch.randn(4001, 3) * 1.5, torch.rand(4001, 3) * 2 + 0.01
    found = run.run(None, {"loc": loc.numpy(), "scale": scale.numpy()})
    for got, expected in zip(found, Statistics()(loc, scale), strict=True):
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-6, atol=1e-6)


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
