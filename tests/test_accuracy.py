"""The accuracy promises of every method, against proven values: the reference rows and a million fresh points."""

import numpy as np
import pytest
import torch

import points
from oracle import REFERENCE, Floats, prove
from tanhlut import ModeTable, mode, pre_tanh_mode, solve_mode
from tanhlut.methods import Method

TABLES = ["default", "narrow", "coarse"]
EXACT_AS: dict[type[np.floating], tuple[float, float]] = {np.float32: (2.4e-7, 1e-6), np.float64: (1e-14, 1e-13)}


@pytest.fixture
def table(request: pytest.FixtureRequest) -> ModeTable:
    name = request.param
    return ModeTable.default() if name == "default" else request.getfixturevalue(name)


def check(y: Floats, truth: Floats, dtype: type[np.floating]) -> None:
    absolute, relative = EXACT_AS[dtype]
    error = np.abs(y.astype(np.float64) - truth)
    assert error.max() <= absolute
    counted = np.abs(truth) >= 1e-30
    assert (error[counted] / np.abs(truth[counted])).max() <= relative


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["refined", "exact"])
@pytest.mark.parametrize("table", TABLES, indirect=True)
def test_reference(table: ModeTable, method: Method, dtype: type[np.floating]) -> None:
    loc, scale = REFERENCE.loc.astype(dtype), REFERENCE.scale.astype(dtype)
    check(mode(loc, scale, method=method, table=table), REFERENCE.mode, dtype)
    check(-mode(-loc, scale, method=method, table=table), REFERENCE.mode, dtype)


@pytest.mark.parametrize("method", ["refined", "exact"])
def test_reference_before_tanh(method: Method) -> None:
    x = pre_tanh_mode(REFERENCE.loc, REFERENCE.scale, method=method)
    assert (np.abs(x - REFERENCE.pre_tanh) / np.abs(REFERENCE.pre_tanh)).max() <= 1e-12


@pytest.mark.parametrize("sample", [points.uniform, points.cusp, points.jump, points.exponents])
def test_a_million_points(sample: points.Sample, narrow: ModeTable) -> None:
    """250 000 a region. Each truth is proven by 200-bit balls; the solver only proposes candidates."""
    loc, scale = sample(250_000, seed=20261123)
    truth = prove(loc, scale, solve_mode(loc, scale, solver="newton"))
    for dtype in (np.float32, np.float64):
        a, b = loc.astype(dtype), scale.astype(dtype)
        for method in ("refined", "exact"):
            check(mode(a, b, method=method), truth, dtype)
    a, b = loc.astype(np.float32), scale.astype(np.float32)
    check(mode(a, b, table=narrow), truth, np.float32)
    for table in (ModeTable.default(), narrow):
        error = np.abs(mode(a, b, method="bilinear", table=table) - truth)
        assert error.max() <= table.tolerance <= 1e-4
        outside = (loc > table.bounds.loc_max) | (scale < table.bounds.scale_min) | (scale > table.bounds.scale_max)
        assert error[outside].max(initial=0.0) <= EXACT_AS[np.float32][0]


def test_the_cusp_at_float64_resolution() -> None:
    loc, scale = points.cusp_float64(100_000, seed=7)
    truth = prove(loc, scale, solve_mode(loc, scale, solver="newton"))
    for method in ("refined", "exact"):
        check(mode(loc, scale, method=method), truth, np.float64)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", ["refined", "exact"])
def test_half_precision_rounds_once(method: Method, dtype: torch.dtype) -> None:
    """Computed in float32 and rounded once: within half a unit in the last place, float32's error aside."""
    rng = np.random.default_rng(5)
    loc = torch.from_numpy(rng.uniform(0, 4, 5000)).to(dtype)
    scale = torch.from_numpy(rng.uniform(0.01, 2, 5000)).to(dtype)
    truth = prove(loc.double().numpy(), scale.double().numpy(), solve_mode(loc, scale, solver="newton").numpy())
    y = mode(loc, scale, method=method)
    assert y.dtype == dtype
    half_ulp = torch.finfo(dtype).eps / 2 * np.exp2(np.floor(np.log2(np.maximum(truth, torch.finfo(dtype).tiny))))
    assert (np.abs(y.double().numpy() - truth) <= half_ulp + 2.4e-7).all()
