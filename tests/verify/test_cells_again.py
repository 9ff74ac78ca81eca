"""Interpolation's error in a cell, entered a second time: from the words of tablegen.verify.bilinear and boxes."""

from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from conftest import table_named
from tablegen.verify import bilinear
from tablegen.verify.boxes import Boxes, Corners, corners, slope_minimum
from tablegen.verify.cells import Cells, domain
from tablegen.verify.refine import Indices


class Parts(NamedTuple):
    """Boxes in cells of a table, and the mode at their corners."""

    cells: Cells
    boxes: Boxes
    y: Corners
    row: Indices
    column: Indices


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mpmath.workdps(50):
        yield


def some_parts(n: int, seed: int, points: bool = False) -> Parts:
    """Parts of cells of two tables, from whole ones down; or mere points of them."""
    rng = np.random.default_rng(seed)
    cells = domain(table_named(("narrow", "coarse")[seed % 2])).cells
    row, column = rng.integers(0, len(cells.m) - 1, n), rng.integers(0, len(cells.delta) - 1, n)
    ends = []
    for nodes, k in ((cells.m, row), (cells.delta, column)):
        width = nodes[k + 1] - nodes[k]
        low = nodes[k] + width * rng.random(n) * (rng.random(n) < 0.7)
        size = 0.0 if points else rng.random(n) ** rng.choice([0, 1, 5], n)
        ends += [low, np.minimum(low + (nodes[k + 1] - low) * size, nodes[k + 1])]
    boxes = Boxes(*ends)
    return Parts(cells, boxes, corners(boxes), row, column)


def interpolant(part: Parts, k: int, m: float, delta: float) -> mpf:
    """In exact arithmetic but for 50 digits."""
    i, j = part.row[k], part.column[k]
    m0, m1, d0, d1 = (mpf(float(x)) for x in (*part.cells.m[i : i + 2], *part.cells.delta[j : j + 2]))
    (v00, v01), (v10, v11) = ((mpf(float(x)) for x in line) for line in part.cells.values[i : i + 2, j : j + 2])
    u, v = (mpf(float(m)) - m0) / (m1 - m0), (mpf(float(delta)) - d0) / (d1 - d0)
    return v00 * (1 - u) * (1 - v) + v01 * (1 - u) * v + v10 * u * (1 - v) + v11 * u * v


def bends(low: mpf, high: mpf, d: mpf) -> tuple[mpf, mpf, mpf]:
    """Of |y_mm|, y_ss and −y_ss, the largest for y in [low, high] and D in [d, 1]."""
    if d == 0:
        return mpf("inf"), mpf("inf"), mpf("inf")
    turn = 1 / mpmath.sqrt(3)
    top = max(y * (1 - y * y) for y in (low, high, min(max(turn, low), high)))
    a, b = 1 - low * low, low * low
    turns = [d, mpf(1), min(max(3 * b / (2 * a), d), mpf(1))] if a > 0 else [d, mpf(1)]
    up = max(max((a * x - b) / x**3 for x in turns), mpf(0))
    down = max((high * high - (1 - high * high) * d) / d**3, mpf(0))
    return 2 * top / d**3, 2 * top * up, 2 * top * down


@pytest.mark.parametrize("seed", [0, 1])
def test_the_error_of_interpolation(seed: int) -> None:
    part = some_parts(300, seed)
    slope = slope_minimum(part.boxes, part.y)
    found = bilinear.judge(part.cells, part.boxes, part.y, slope, part.row, part.column)
    curved = 0
    for k in range(300):
        m0, m1, d0, d1 = (float(end[k]) for end in part.boxes)
        at = [interpolant(part, k, m, d) for m in (m0, m1) for d in (d0, d1)]
        y = [(mpf(float(low[k])), mpf(float(high[k]))) for low, high in part.y]
        along_m, up, down = bends(y[0][0], y[3][1], mpf(float(slope[k])))
        wide_m, wide_d = (mpf(m1) - mpf(m0)) ** 2 / 8, (mpf(d1) - mpf(d0)) ** 2 / 8
        below, above = (
            min(a - y[1] for a, y in zip(at, y, strict=True)),
            max(a - y[0] for a, y in zip(at, y, strict=True)),
        )
        hull = min(at) - y[3][1], max(at) - y[0][0]
        low = max(below - wide_m * along_m - wide_d * down, hull[0])
        high = min(above + wide_d * up, hull[1])
        curved += low > hull[0]
        # Where y·q turns, the analysis takes its largest value over [0.577, 0.578].
        assert found.low[k] == pytest.approx(float(low), rel=1e-6, abs=1e-13)
        assert found.high[k] == pytest.approx(float(high), rel=1e-6, abs=1e-13)
    assert curved > 100


@pytest.mark.parametrize("seed", [2, 3])
def test_interpolation_in_float64_is_charged_for_its_rounding(seed: int) -> None:
    """At points, where nothing but rounding is between the interpolant and what the analysis makes of it."""
    part = some_parts(1000, seed, points=True)
    found = bilinear.judge(part.cells, part.boxes, part.y, slope_minimum(part.boxes, part.y), part.row, part.column)
    for k in range(1000):
        exact = interpolant(part, k, part.boxes.m0[k], part.boxes.d0[k])
        assert mpf(float(found.low[k])) <= exact - mpf(float(part.y.y11[1][k]))
        assert mpf(float(found.high[k])) >= exact - mpf(float(part.y.y00[0][k]))
