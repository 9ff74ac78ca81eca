"""The verifier: sound on every query tried, tight, hard to fool; each constant of its analysis at its extremes."""

import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from flint import arb, ctx
from numpy.typing import NDArray
from torch import Tensor

from conftest import table_named
from tablegen.verify import Verification, cells_of, verify
from tablegen.verify.boxes import Boxes, corners, curvature, mode_at, slope_minimum
from tablegen.verify.cells import domain, exact_delta
from tablegen.verify.exact import START, box_error, exact_error
from tablegen.verify.exact import _start as exact_start
from tablegen.verify.halley import EXP
from tablegen.verify.rounding import EXCESS, bilinear_rounding
from tablegen.verify.witness import errors
from tanhlut import eager, equation
from tanhlut import table as table_module
from tanhlut.eager import Method
from tanhlut.errors import MissingExtraError
from tanhlut.table import ModeTable

Array = NDArray[np.float64]
FLOAT32 = NDArray[np.float32]
U = 2.0**-24
TABLES = ["default", "narrow", "coarse"]


@cache
def verified(name: str, method: Method) -> Verification:
    return verify(table_named(name), method)


def altered(
    table: ModeTable,
    values: Callable[[FLOAT32], None] | None = None,
    loc: Callable[[Array], Array] | None = None,
) -> ModeTable:
    """The table with changed arrays, its digest made to match, as a forger would."""
    stored = table.values.copy()
    if values is not None:
        values(stored)
    nodes = table.loc.copy() if loc is None else loc(table.loc.copy())
    return ModeTable(nodes, table.scale.copy(), stored, dict(table.metadata))


def moved_by(bits: FLOAT32, steps: NDArray[np.int32]) -> FLOAT32:
    """Moved by whole floats, not below 0."""
    result: NDArray[np.int32] = np.maximum(bits.view(np.int32) + steps, 0).astype(np.int32)
    return result.view(np.float32)


def hard_queries(table: ModeTable, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Float32 queries in every kind of place: interiors, edges and corners of cells, one float either side of them,
    m = 0 and subnormal, the neighbours of scale = 1/√2, the refinement's seam x = 1.25, beyond both axes."""
    rng = np.random.default_rng(seed)
    delta = exact_delta(table.scale)
    i, j = rng.integers(0, len(table.loc) - 1, count), rng.integers(0, len(delta) - 1, count)
    u, v = (np.where(rng.random(count) < 0.4, rng.choice([0.0, 0.5, 1.0], count), rng.random(count)) for _ in range(2))
    spot = delta[j] + (delta[j + 1] - delta[j]) * v
    loc, scale = table.loc[i] + (table.loc[i + 1] - table.loc[i]) * u, np.sqrt((1.0 + spot) / 2.0)
    k = count // 20
    loc[:k] = 0.0
    loc[k : 2 * k] = np.exp(rng.uniform(-100, -80, k))
    loc[2 * k : 3 * k] = np.exp(rng.uniform(2, 80, k))
    scale[3 * k : 4 * k] = np.exp(rng.uniform(0, 80, k))
    scale[4 * k : 5 * k] = np.exp(rng.uniform(-80, -1, k))
    scale[5 * k : 6 * k] = np.sqrt(0.5)
    scale[6 * k : 7 * k] = rng.uniform(0, 0.85, k)
    loc[6 * k : 7 * k] = 1.25 - 2.0 * scale[6 * k : 7 * k] ** 2 * np.tanh(1.25)
    loc32 = moved_by(loc.astype(np.float32), rng.integers(-2, 3, count).astype(np.int32))
    scale32 = moved_by(scale.astype(np.float32), rng.integers(-2, 3, count).astype(np.int32))
    return torch.from_numpy(loc32), torch.from_numpy(scale32)


@pytest.mark.parametrize("method", ["bilinear", "refined"])
@pytest.mark.parametrize("name", TABLES)
def test_no_query_exceeds_its_cells_bound(name: str, method: Method) -> None:
    """Ten million on the shipped table, five a method; a quarter of a million on each other table and method."""
    table, result = table_named(name), verified(name, method)
    for seed in range(50 if name == "default" else 3):
        loc, scale = hard_queries(table, 100_000 if name == "default" else 80_000, seed)
        seen, _ = errors(table, method, loc, scale)
        assert float(seen.max()) <= result.bound
        inside = table.bounds.contain(loc, scale)
        allowed = torch.from_numpy(result.cell_bounds)[cells_of(table, result, loc[inside], scale[inside])]
        assert not allowed.isnan().any()  # columns declared out of reach are out of reach
        assert bool((seen[inside] <= allowed).all())


@pytest.mark.parametrize("method", ["bilinear", "refined"])
def test_errors_agree_with_an_independent_oracle(method: Method) -> None:
    """The enclosure that errors are measured with, against Newton in 200-bit balls."""
    table = table_named("default")
    loc, scale = hard_queries(table, 400, 9)
    scale = scale.clamp(max=5.0)
    y = eager.evaluate(loc, scale, method, table.grid(torch.float32, torch.device("cpu")))
    at_least, at_most = errors(table, method, loc, scale)
    previous, ctx.prec = ctx.prec, 200
    try:
        for m, sigma, answer, low, high in zip(
            loc.tolist(), scale.tolist(), y.tolist(), at_least, at_most, strict=True
        ):
            true = abs(arb(answer) - _mode(min(m, 45.0), sigma))
            assert arb(float(low)) <= true + arb(2) ** -60
            assert true <= arb(float(high)) * (1 + arb(2) ** -50) + arb(2) ** -100
    finally:
        ctx.prec = previous


def _mode(m: float, sigma: float) -> arb:
    """Bisection for the sign change of artanh y − y − δ·y − m on (0, 1)."""
    delta = 2 * arb(sigma) * arb(sigma) - 1
    if m == 0 and not delta > 0:
        return arb(0)
    low, high = arb(0), arb(1)
    for _ in range(150):
        middle = ((low + high) / 2).mid()
        if middle.atanh() - middle - delta * middle < m:
            low = middle
        else:
            high = middle
    return low


def test_bounds_are_tight() -> None:
    for name in TABLES:
        assert 1.0 <= verified(name, "bilinear").ratio <= 1.03
    default = verified("default", "bilinear")
    assert default.supports(table_named("default").tolerance)
    assert verified("default", "refined").bound <= 5e-7
    assert verified("narrow", "refined").bound <= 5e-7
    assert verified("coarse", "refined").bound <= 1e-6


def test_every_node_is_the_rounded_mode() -> None:
    for name in TABLES:
        nodes = verified(name, "bilinear").nodes
        assert nodes.wrong == 0
        assert nodes.error <= 2.0**-25
        assert nodes.balls == 0


def test_ball_arithmetic_confirms_every_node() -> None:
    table = table_named("coarse")
    assert verify(table, "bilinear", paranoid=True).nodes.balls == table.values.size


# Negative controls. Each forged table loads: its digest matches what it holds.


def test_a_node_moved_by_a_thousandth_is_found() -> None:
    table = table_named("default")
    k = int(np.argmin(np.abs(table.values[:, 100] - 0.6)))
    room = float(table.values[k + 1, 100] - table.values[k, 100])
    assert room > 1e-3

    def raise_one(values: FLOAT32) -> None:
        values[k, 100] += 1e-3

    result = verify(altered(table, raise_one))
    assert result.bound >= 1e-3 - 5e-5
    assert not result.supports(table.tolerance)
    assert result.nodes.wrong == 1
    assert (result.nodes.loc, result.nodes.scale) == (table.loc[k], table.scale[100])


def test_a_node_moved_by_twice_the_bound_is_found() -> None:
    table, claim = table_named("default"), verified("default", "bilinear").bound
    k = int(np.argmin(np.abs(table.values[:, 100] - 0.6)))
    for sign in (-1, 1):
        forged = altered(
            table, lambda values, sign=sign: values.__setitem__((k, 100), values[k, 100] + 2 * sign * claim)
        )
        result = verify(forged)
        assert result.bound >= 1.9 * claim
        assert result.nodes.wrong == 1
        assert not result.supports(claim)


def test_swapped_nodes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_named("default")
    k = int(np.argmin(np.abs(table.values[:, 100] - 0.6)))

    def swap(values: FLOAT32) -> None:
        values[[k, k + 1], 100] = values[[k + 1, k], 100]

    with pytest.raises(ValueError, match="not increasing"):
        altered(table, swap)
    monkeypatch.setattr(table_module, "_check_arrays", lambda arrays: None)
    result = verify(altered(table, swap))
    assert result.nodes.wrong == 2
    assert not result.supports(table.tolerance)


def test_a_shifted_axis_is_found() -> None:
    for name in TABLES:
        table = table_named(name)
        for factor in (1 - 1e-6, 1 + 1e-6):
            result = verify(
                altered(table, loc=lambda loc, factor=factor: (loc * factor).astype(np.float32).astype(float))
            )
            assert result.nodes.wrong > 1000
            assert not result.supports(table.tolerance)


@pytest.mark.parametrize("name", TABLES)
def test_a_claim_lowered_by_a_tenth_fails(name: str) -> None:
    result = verified(name, "bilinear")
    assert result.supports(result.bound)
    assert not result.supports(0.9 * result.bound)
    assert result.witness.error > 0.9 * result.bound  # and it would indeed be false


def test_a_displaced_float32_axis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    table = altered(table_named("coarse"))
    honest = table.grid(torch.float32, torch.device("cpu"))
    shifted = honest._replace(loc=honest.loc._replace(origin=honest.loc.origin * (1 + 1e-6)))
    monkeypatch.setattr(ModeTable, "grid", lambda self, dtype, device: shifted)
    with pytest.raises(ArithmeticError, match="loc"):
        domain(table)


def test_the_method_must_have_a_table() -> None:
    with pytest.raises(ValueError, match="exact"):
        verify(table_named("coarse"), "exact")


# The pieces of the analysis, each against what it bounds.


def test_cell_derivatives_bound_differences_of_the_mode() -> None:
    """D, y_mm and y_ss over random boxes against 4th-order differences at points inside them."""
    rng = np.random.default_rng(1)
    n = 3000
    m = np.exp(rng.uniform(-8, 1.5, n))
    delta = np.where(rng.random(n) < 0.5, -1.0, 1.0) * np.exp(rng.uniform(-5, -0.2, n))
    boxes = Boxes(m, m * (1 + 0.1 * rng.random(n)), delta, delta + 0.1 * np.abs(delta) * rng.random(n))
    y = corners(boxes)
    slope = slope_minimum(boxes, y)
    bend = curvature(y, slope)
    for _ in range(5):
        at_m = boxes.m0 + (boxes.m1 - boxes.m0) * rng.random(n)
        at_d = boxes.d0 + (boxes.d1 - boxes.d0) * rng.random(n)
        value = mode_at(at_m, at_d)[0]
        q = 1 - value**2
        d = 1 - (1 + at_d) * q
        assert (slope <= d * (1 + 1e-9)).all()
        h = 2e-3 * at_m
        second = (mode_at(at_m + h, at_d)[0] - 2 * value + mode_at(at_m - h, at_d)[0]) / h**2
        assert (-second <= bend.along_m * (1 + 1e-2) + 1e-6).all()
        h = 2e-3 * np.abs(at_d)
        second = (mode_at(at_m, at_d + h)[0] - 2 * value + mode_at(at_m, at_d - h)[0]) / h**2
        assert (second <= bend.up * (1 + 1e-2) + 1e-4).all()
        assert (-second <= bend.down * (1 + 1e-2) + 1e-4).all()


def test_excess_rounding_is_within_its_constant() -> None:
    """Near 1/√2 every float32, elsewhere a sample; the whole of [2^-13, 4] gave 2.71."""
    half = np.float32(np.sqrt(0.5))
    near = (half.view(np.int32) + np.arange(-200_000, 200_000, dtype=np.int32)).view(np.float32)
    some = np.random.default_rng(2).uniform(0, 4, 400_000).astype(np.float32)
    scale = np.concatenate([near, some])
    found = equation.excess(torch.from_numpy(scale)).double().numpy()
    exact = exact_delta(scale.astype(np.float64))
    assert (np.abs(found - exact) <= 0.6 * EXCESS * U * np.abs(exact)).all()


def test_exp_is_within_its_assumption() -> None:
    x = np.random.default_rng(3).uniform(-87, -2.5, 400_000).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    for found in (torch.exp(torch.from_numpy(x)), torch.stack([torch.exp(torch.tensor(v)) for v in x[:500]])):
        assert (np.abs(found.double().numpy() / exact[: len(found)] - 1) <= 0.5 * EXP * U).all()


def test_tanh_parts_are_within_the_constants_of_the_step() -> None:
    x32 = np.concatenate([np.geomspace(1e-6, 1.25, 300_000), np.linspace(0.3, 9.0, 300_000)]).astype(np.float32)
    x = x32.astype(np.float64)
    y, _, gap = (part.double().numpy() for part in equation.tanh_parts(torch.from_numpy(x32)))
    _, _, true_gap = (part.numpy() for part in equation.tanh_parts(torch.from_numpy(x)))
    true = np.tanh(x)
    near = x <= 1.25
    ratio = x / true - 1
    assert (np.abs(gap - true_gap)[near] <= ((3.6 / (1 + ratio) + 3) * U * true_gap)[near]).all()
    assert (np.abs(y - true)[~near] <= ((1 - true) * (EXP + 2) * U + 0.5 * U)[~near]).all()


def test_bilinear_rounding_is_within_its_bound() -> None:
    """The float32 lookup against the interpolant in float64 at the same query."""
    for name in TABLES:
        table = table_named(name)
        where = domain(table)
        loc, scale = hard_queries(table, 100_000, 4)
        inside = table.bounds.contain(loc, scale) & (loc < float(table.loc[-1])) & (scale < float(table.scale[-1]))
        loc, scale = loc[inside], scale[inside]
        m, _, delta = equation.fold(loc, scale)
        grid = table.grid(torch.float32, torch.device("cpu"))
        row, column = grid.loc.locate(m)[0].numpy(), grid.delta.locate(delta)[0].numpy()
        found = grid.interpolate(m, delta).double().numpy()
        exact_d = np.maximum(exact_delta(scale.double().numpy()), where.cells.delta[0])
        plain = where.cells.interpolant(m.double().numpy(), exact_d, row, column)
        boxes = Boxes(table.loc[row], table.loc[row + 1], where.cells.delta[column], where.cells.delta[column + 1])
        y = corners(boxes)
        values = where.cells.corner_values(row, column)
        allowed = bilinear_rounding(boxes, y, slope_minimum(boxes, y), values)
        # ŷ's own slopes stand in for the mode's here: they agree to the interpolation error of the cell.
        slack = 8 * U * (values[3] - values[0])
        assert (np.abs(found - plain) <= allowed + slack).all()


def test_the_closed_form_start_is_monotone_and_rounds_as_assumed() -> None:
    rng = np.random.default_rng(5)
    m = np.exp(rng.uniform(-60, 3.6, 100_000)).astype(np.float32)
    delta = (rng.choice([-1.0, 1.0], len(m)) * np.exp(rng.uniform(-16, 0, len(m)))).astype(np.float32)
    wide_m, wide_delta = m.astype(np.float64), delta.astype(np.float64)
    plain = exact_start(wide_m, wide_delta)
    found = equation.closed_form_start(torch.from_numpy(m), torch.from_numpy(delta)).double().numpy()
    assert (np.abs(found - plain) <= START * plain).all()
    assert (exact_start(wide_m * 1.01, wide_delta) >= plain * (1 - 1e-12)).all()
    assert (exact_start(wide_m, wide_delta + 0.01 * np.abs(wide_delta)) >= plain * (1 - 1e-12)).all()


def test_exact_method_over_the_plane() -> None:
    bound, _ = exact_error(None)
    assert bound <= eager.EXACT_BOUND
    rng = np.random.default_rng(6)
    loc = np.exp(rng.uniform(-100, 4, 400_000)).astype(np.float32)
    scale = np.where(
        rng.random(len(loc)) < 0.5, rng.uniform(0, 4, len(loc)), np.sqrt(0.5) + rng.normal(size=len(loc)) * 1e-3
    )
    seen, _ = errors(table_named("narrow"), "exact", torch.from_numpy(loc), torch.from_numpy(scale.astype(np.float32)))
    assert 1e-7 < float(seen.max()) <= bound


def test_exact_method_box_by_box() -> None:
    rng = np.random.default_rng(7)
    m = np.exp(rng.uniform(-10, 1.5, 3000))
    delta = np.where(rng.random(3000) < 0.5, -1.0, 1.0) * np.exp(rng.uniform(-8, -0.2, 3000))
    boxes = Boxes(m, m * 1.02, delta, delta + 0.02 * np.abs(delta))
    allowed = box_error(boxes)
    for _ in range(10):
        loc = torch.from_numpy((boxes.m0 + (boxes.m1 - boxes.m0) * rng.random(3000)).astype(np.float32))
        spot = boxes.d0 + (boxes.d1 - boxes.d0) * (0.01 + 0.98 * rng.random(3000))
        scale = torch.from_numpy(np.sqrt((1 + spot) / 2).astype(np.float32))
        inside = (loc.double().numpy() >= boxes.m0) & (loc.double().numpy() <= boxes.m1)
        seen, _ = errors(table_named("narrow"), "exact", loc, scale)
        assert (seen.numpy()[inside] <= allowed[inside]).all()


def test_a_missing_flint_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(MissingExtraError, match=r"tanhlut\[paranoid\]"):
        verify(table_named("coarse"), paranoid=True)
