"""The pieces of the verifier's analysis, each against what it bounds, at its extremes."""

import numpy as np
import torch
from numpy.typing import NDArray

from conftest import table_named
from points import hard_queries
from tablegen.verify.boxes import Boxes, corners, curvature, mode_at, slope_minimum
from tablegen.verify.cells import domain, exact_delta
from tablegen.verify.exact import ROUNDING, box_error, closed_form, exact_error
from tablegen.verify.halley import EXP
from tablegen.verify.rounding import EXCESS, bilinear_rounding
from tablegen.verify.witness import errors
from tanhlut.compute.grid import grid_of
from tanhlut.formula import tensors
from tanhlut.formula.excess import excess
from tanhlut.methods import EXACT_BOUND

Array = NDArray[np.float64]
U = 2.0**-24
TABLES = ["default", "narrow", "coarse"]


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
    found = excess(torch.from_numpy(scale)).double().numpy()
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
    _, y, _, gap = (part.double().numpy() for part in tensors.SINGLE.tanh_parts(torch.from_numpy(x32)))
    *_, true_gap = (part.numpy() for part in tensors.DOUBLE.tanh_parts(torch.from_numpy(x)))
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
        m, _, delta = tensors.SINGLE.fold(loc, scale)
        grid = grid_of(table, torch.float32, torch.device("cpu"))
        row, column = grid.loc.locate(m)[0].numpy(), grid.delta.locate(delta)[0].numpy()
        found = grid.interpolate(m, delta).double().numpy()
        exact_d = np.maximum(exact_delta(scale.double().numpy()), where.cells.delta[0])
        plain = where.cells.interpolant(m.double().numpy(), exact_d, row, column)
        boxes = Boxes(table.loc[row], table.loc[row + 1], where.cells.delta[column], where.cells.delta[column + 1])
        y = corners(boxes)
        values = where.cells.corner_values(row, column)
        allowed = bilinear_rounding(boxes, y, slope_minimum(boxes, y), values, where.cells.widths(row, column))
        # ŷ's own slopes stand in for the mode's here: they agree to the interpolation error of the cell.
        slack = 8 * U * (values[3] - values[0])
        assert (np.abs(found - plain) <= allowed + slack).all()


def test_the_closed_form_start_is_monotone_and_rounds_as_assumed() -> None:
    rng = np.random.default_rng(5)
    m = np.exp(rng.uniform(-60, 3.6, 100_000)).astype(np.float32)
    delta = (rng.choice([-1.0, 1.0], len(m)) * np.exp(rng.uniform(-16, 0, len(m)))).astype(np.float32)
    wide_m, wide_delta = m.astype(np.float64), delta.astype(np.float64)
    plain = closed_form(wide_m, wide_delta)
    found = tensors.SINGLE.closed_form(torch.from_numpy(m), torch.from_numpy(delta)).double().numpy()
    assert (np.abs(found - plain) <= ROUNDING * plain).all()
    for cube_root in (0.9, 1.1):
        other = closed_form(wide_m, wide_delta, cube_root, 1.05)
        assert (np.sign(1.0 - cube_root) * (other - closed_form(wide_m, wide_delta, 1.0, 1.05)) >= -1e-12 * plain).all()
    assert (closed_form(wide_m * 1.01, wide_delta) >= plain * (1 - 1e-12)).all()
    assert (closed_form(wide_m, wide_delta + 0.01 * np.abs(wide_delta)) >= plain * (1 - 1e-12)).all()


def test_exact_method_over_the_plane() -> None:
    bound, _ = exact_error(None)
    assert bound <= EXACT_BOUND
    rng = np.random.default_rng(6)
    loc = np.exp(rng.uniform(-100, 4, 400_000)).astype(np.float32)
    scale = np.where(
        rng.random(len(loc)) < 0.5, rng.uniform(0, 4, len(loc)), np.sqrt(0.5) + rng.normal(size=len(loc)) * 1e-3
    )
    for backend in ("eager", "cpu"):
        queries = torch.from_numpy(loc), torch.from_numpy(scale.astype(np.float32))
        seen, _ = errors(table_named("narrow"), "exact", *queries, backend)
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
        for backend in ("eager", "cpu"):
            seen, _ = errors(table_named("narrow"), "exact", loc, scale, backend)
            assert (seen.numpy()[inside] <= allowed[inside]).all()
