"""The analysis written down a second time, from the words of its docstrings, one box at a time in 50-digit numbers.

A term that is dropped, a factor that is lost, a comparison that is turned round in tablegen/verify would leave a bound
that looks better and still stands above all that was seen. So the rounding of interpolation and of the Halley step, the
start of the table-free method are entered twice, and the books must agree; the network's: test_network_again.py.
"""

from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mpf

from conftest import table_named
from tablegen.verify import exact, halley, refined, rounding
from tablegen.verify.boxes import Array, Boxes, Corners, corners, mode_at, slope_minimum
from tablegen.verify.cells import domain, reachable
from tablegen.verify.halley import Start, step_error
from tablegen.verify.prove import interpolation
from tablegen.verify.rounding import Widths, bilinear_rounding
from tanhlut.formula import tensors
from tanhlut.formula.coefficients import SEAM

U = mpf(2) ** -24
NODE, EXCESS = mpf("1.01"), mpf("5.6")
CLAMPED = 2 * mpmath.exp(-32) + mpf("1e-16")  # 1 − tanh 16, and a little
TANH_SEAM = mpmath.tanh(mpf(SEAM))


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mpmath.workdps(50):
        yield


def some_boxes(n: int, seed: int) -> Boxes:
    rng = np.random.default_rng(seed)
    m = np.where(rng.random(n) < 0.1, 0.0, np.exp(rng.uniform(-20, 2.5, n)))
    delta = (
        np.where(rng.random(n) < 0.5, -1.0, 1.0) * np.exp(rng.uniform(-12, 0, n)) * np.where(rng.random(n) < 0.3, 8, 1)
    )
    delta = np.maximum(delta, -1.0)
    size = 2.0 ** rng.uniform(-14, -2, n)
    return Boxes(m, m * (1 + size) + 1e-9, delta, delta + size * np.abs(delta))


def q_of(y: mpf) -> mpf:
    return 1 - y * y


def half_ulp(y: mpf) -> mpf:
    """Half the spacing of float32 at y ≤ 1, that below 1 being 2^-24."""
    y = min(y, 1 - mpf(2) ** -30)
    exponent = int(mpmath.floor(mpmath.log(y, 2))) + 1 if y > 0 else -125
    return mpf(2) ** (max(exponent, -125) - 25)


class Cell(NamedTuple):
    """Cells of a table, the boxes in them that are looked at, the mode there and a lower bound of D."""

    boxes: Boxes
    y: Corners
    slope: Array
    values: tuple[Array, Array, Array, Array]
    widths: Widths


def cells_of_a_table() -> Cell:
    cells = domain(table_named("narrow")).cells
    index = np.random.default_rng(1).integers(0, len(cells.row) * len(cells.column), 300)
    i, j = index // len(cells.column), index % len(cells.column)
    row, column = cells.row[i], cells.column[j]
    boxes = Boxes(cells.m_edges[i], cells.m_edges[i + 1], cells.d_edges[j], cells.d_edges[j + 1])
    y = corners(boxes)
    return Cell(boxes, y, slope_minimum(boxes, y), cells.corner_values(row, column), cells.widths(row, column))


def any_cells(n: int = 300, seed: int = 8) -> Cell:
    """As wide or narrow as the contract lets them be, and filled with any increasing values."""
    rng = np.random.default_rng(seed)
    first = rng.random(n) < 0.2
    m0 = np.where(first, 0.0, np.exp(rng.uniform(-59, 2, n)))
    m1 = np.where(first, 2.0 ** rng.uniform(-86, 0, n), m0 * (1 + 2.0 ** rng.uniform(-19, 2, n)))
    d0 = rng.choice([-1.0, 1.0], n) * np.exp(rng.uniform(-17, -0.1, n))
    d1 = d0 + np.abs(d0) * 2.0 ** rng.uniform(-19, 2, n)
    part = rng.random((4, n)) / 2 * (rng.random(n) < 0.5)  # half of them clipped to a part
    boxes = Boxes(
        m0 + (m1 - m0) * part[0], m1 - (m1 - m0) * part[1], d0 + (d1 - d0) * part[2], d1 - (d1 - d0) * part[3]
    )
    y = corners(boxes)
    slope = np.where(rng.random(n) < 0.1, 0.0, slope_minimum(boxes, y))
    corner, rise_m, rise_s, both = rng.random((4, n)) ** rng.choice([1, 9], (4, n)) / 4
    values = (corner, corner + rise_s, corner + rise_m, corner + rise_m + rise_s + both)
    return Cell(boxes, y, slope, values, Widths(m1 - m0, d1 - d0, m1, np.maximum(np.abs(d0), np.abs(d1))))


def saturated(cell: Cell) -> Cell:
    """Where the mode is 1 to the last bit and nothing is known of D: q/D is 0/0."""
    one = np.ones_like(cell.slope)
    return cell._replace(y=Corners(*[(one, one)] * 4), slope=np.zeros_like(one))


@pytest.mark.parametrize("cell", [cells_of_a_table(), any_cells(), saturated(any_cells(50))], ids=["table", "any", "1"])
def test_rounding_of_interpolation(cell: Cell) -> None:
    found = bilinear_rounding(*cell)
    for k in range(len(found)):
        _, m1, d0, d1 = (mpf(float(part[k])) for part in cell.boxes)
        v00, v01, v10, v11 = (mpf(float(part[k])) for part in cell.values)
        width_m, width_d, wider_m, wider_d = (mpf(float(part[k])) for part in cell.widths)
        low, high, slope = (mpf(float(part[k])) for part in (cell.y.y00[0], cell.y.y11[1], cell.slope))
        top = max(v11, high)
        gain = q_of(low) / slope * mpf("1.001") if slope > 0 else mpf("inf")
        by_m, by_s = min(top, m1 * gain), max(abs(d0), abs(d1)) * top * gain
        by_s = min(by_s, top / U if d0 < 0 < d1 else top)
        rise_m, rise_s = max(v10 - v00, v11 - v01), max(v01 - v00, v11 - v10)
        out_m, out_s = wider_m / width_m, wider_d / width_d
        moved = NODE * max(by_m, out_m * rise_m) + (EXCESS + NODE) * max(by_s, out_s * rise_s)
        stretch = 1 + U * (NODE * out_m + (EXCESS + NODE) * out_s)
        total = (2 * top + 6 * (rise_m + rise_s) + moved) * U * (1 + mpf(2) ** -12) * mpf("1.001") * stretch
        total += mpf(2) ** -126 * (rise_m / width_m + rise_s / width_d) + mpf(10) ** -29
        assert found[k] == pytest.approx(float(total), rel=1e-10, abs=0)


def test_where_rounding_leads_out_of_a_cell_its_own_slope_is_charged() -> None:
    """However steep the stored values are: the interpolant at the argument that rounding made, less that at the end."""
    cell = any_cells(2000, 9)
    found = bilinear_rounding(*cell)
    v00, v01, v10, v11 = cell.values
    u = 1.01 * 2.0**-24 * cell.widths.larger_m / cell.widths.m
    v = (5.6 + 1.01) * 2.0**-24 * cell.widths.larger_d / cell.widths.d
    assert (np.maximum(v10 - v00, v11 - v01) * u <= found).all()
    assert (np.maximum(v01 - v00, v11 - v10) * v <= found).all()
    beyond = v11 + (v11 - v01) * u + (v11 - v10) * v + (v11 - v10 - v01 + v00) * u * v
    assert (beyond - v11 <= found).all()


def test_what_is_added_where_lookups_clamp() -> None:
    """Whole-plane tables clamp beyond both ends; nothing but what the clamps move is added elsewhere."""
    table = table_named("coarse")
    begun = interpolation(table)
    where, found = begun.where, begun.found
    rows, columns = len(where.cells.row), len(where.cells.column)
    assert where.over_m
    assert where.over_delta
    row, column = where.cells.row.repeat(columns), np.tile(where.cells.column, rows)
    values, widths = where.cells.corner_values(row, column), where.cells.widths(row, column)
    rest = begun.added - bilinear_rounding(found.boxes, found.y, found.slope, values, widths)
    rise = np.zeros((rows, columns))
    rise[-1] += 1.0 - found.y.y10[0].reshape(rows, columns)[-1]
    rise[:, -1] += 1.0 - found.y.y01[0].reshape(rows, columns)[:, -1]
    np.testing.assert_allclose(rest.reshape(rows, columns), rise + float(CLAMPED), rtol=1e-3, atol=1e-17)
    np.testing.assert_allclose(
        begun.errors, (np.maximum(-found.low, found.high) + begun.added) * (1 + 1e-12), rtol=1e-15
    )


def again(box: tuple[mpf, ...], low: mpf, high: mpf, slope: mpf, error: mpf) -> mpf:
    """tablegen.verify.halley, once more."""
    m0, m1, d0, d1 = box
    s = 1 + d1
    x_low, x_high = m0 + (1 + d0) * low, m1 + s * high
    eps = s * error
    eps += 3 * U * (x_high + eps)
    big_s = min(mpf(1), q_of(low) * mpmath.exp(2 * eps))
    t_low = max(low - big_s * eps, mpf(0))
    t_high = min(high + min(mpf(1), q_of(high) * mpmath.exp(2 * eps)) * eps, mpf(1))
    b = s * min(t_high * big_s, mpf("0.38490018"))
    third = s * big_s * max(abs(1 - 3 * t_low**2), abs(1 - 3 * t_high**2)) / 3
    a = slope - 2 * b * eps
    if a <= 0:
        return mpf(1)
    w, p = b * eps / a, third * eps**2 / a
    shrink = (1 - w + w * w if w <= 0.5 else mpf("0.75")) - w * p
    if shrink <= 0:
        return mpf(1)
    miss = eps * (p * (1 + w) + w * w) / shrink
    kappa = w * (1 + w + p)
    step = eps + miss
    beyond = big_s * mpmath.exp(2 * step)
    exact_part = beyond * mpf(2) / 3 * step**3 + min(beyond, mpf(1)) * miss
    if kappa >= 0.5:
        return mpf(1)
    amplify = 1 / (1 - kappa) ** 2
    h = min(mpf(1), t_high**2 + max(-d0, mpf(0))) * eps * (1 + w + p)
    x0, x1 = max(x_low - eps, mpf(0)), x_high + eps
    size = max(abs(d0), abs(d1))

    def relative(s_: mpf, e_t: mpf, e_s: mpf) -> mpf:
        e_a = (t_high**2 * (2 * e_t + U) + size * s_ * ((EXCESS + 1) * U + e_s)) / a + U
        quotient = e_a * (1 + 2 / (1 - kappa)) + (2 * U + kappa * (e_t + e_s + 4 * U)) / (1 - kappa) + 3 * U
        return mpf("1.01") * (quotient + e_s + 4 * U + step * (e_t + 2 * U))

    near = far = mpf(0)
    if x0 <= SEAM:
        t = min(t_high, mpf(TANH_SEAM) + mpf("1e-7"))
        gap = min(mpmath.atanh(t) - t, SEAM - mpf(TANH_SEAM))
        t_least = min(t_low, t)
        r = (mpmath.atanh(t_least) - t_least) / t_low if t_low > 0 else mpf(0)
        g, tau = (mpf("3.6") / (1 + r) + 3) * U * gap, half_ulp(t)
        per_a = big_s * amplify / a
        positive, negative = max(d1, mpf(0)), max(-d0, mpf(0))
        near = g * (1 + s * per_a) + tau * max(1 + positive * per_a, amplify)
        near += (EXCESS + 1) * U * t * max(positive * per_a, min(negative * per_a, amplify))
        near += U * (gap + h) * per_a + U * h * per_a
        e_t = U + (g / t if t > 0 else mpf(0))
        near += big_s * step * relative(big_s, e_t, (g + tau) * (1 / (1 - t) + 1) + 3 * U)
    if x1 > SEAM:
        s_far = min(big_s, 1 - mpf(TANH_SEAM) ** 2)
        per_a = s_far * amplify / a
        t = max(t_low, mpf(TANH_SEAM))
        tau = (1 - t) * 6 * U + U / 2
        far = tau * (1 + s * per_a) + 3 * U * max(x0, mpf(SEAM)) * per_a + 3 * U * h * per_a
        e_t, e_s = tau / t, 8 * U + tau
        spread = (t_high**2 * (2 * e_t + U) + size * big_s * ((EXCESS + 1) * U + e_s)) / a + U
        quotient = spread * (1 + 2 / (1 - kappa)) + (2 * U + kappa * (e_t + e_s + 4 * U)) / (1 - kappa) + 3 * U
        far += s_far * step * mpf("1.01") * (quotient + e_s + 4 * U + step * (e_t + 2 * U))
    total = exact_part + max(near, far) + half_ulp(min(high + exact_part, mpf(1)))
    total = total * (1 + mpf(2) ** -12) * (1 + mpf("1e-12")) + mpf("7e-14") + CLAMPED
    return min(total, mpf(1))


def test_the_halley_step() -> None:
    boxes = some_boxes(400, 2)
    y = corners(boxes)
    low, high, slope = y.y00[0], y.y11[1], slope_minimum(boxes, y)
    error = 10.0 ** np.random.default_rng(3).uniform(-9, 0.5, 400) * high
    found = step_error(boxes, Start(low, high, slope, error))
    proven = 0
    for k in range(400):
        box = tuple(mpf(float(part[k])) for part in boxes)
        once_more = again(box, *(mpf(float(part[k])) for part in (low, high, slope, error)))
        assert found[k] == pytest.approx(float(once_more), rel=1e-9, abs=0)
        proven += once_more < 1
    assert 200 < proven < 400


def test_the_start_of_refined_is_stretched_by_what_rounding_moves() -> None:
    table = table_named("coarse")
    begun = interpolation(table)
    cells, boxes, y = begun.where.cells, begun.found.boxes, begun.found.y
    for over in ((False, False), (True, True)):
        wide, start = refined._start(cells, boxes, y, begun.errors, over)
        near = (5.6 + 2 * 1.01) * 2.0**-24
        last_row, last_column = boxes.m1 == cells.m_edges[-1], boxes.d1 == cells.d_edges[-1]
        beyond = (last_row | last_column) & over[0]
        np.testing.assert_allclose(wide.m0, boxes.m0 * (1 - near), rtol=1e-15)
        np.testing.assert_allclose(wide.m1, np.where(last_row & over[0], 16.0, boxes.m1 * (1 + near)), rtol=1e-15)
        np.testing.assert_allclose(wide.d0, np.maximum(boxes.d0 - near * np.abs(boxes.d0), -1), rtol=1e-15)
        wanted = np.where(last_column & over[1], 17.0, boxes.d1 + near * np.abs(boxes.d1))
        np.testing.assert_allclose(wide.d1, wanted, rtol=1e-15)
        np.testing.assert_allclose(start.low, y.y00[0] * (1 - 2 * near), rtol=1e-15)
        np.testing.assert_allclose(
            start.high, np.where(beyond, 1.0, np.minimum(y.y11[1] * (1 + 2 * near), 1)), rtol=1e-15
        )
        top = np.where(beyond, 1.0, np.minimum(y.y01[1] * (1 + 2 * near), 1))
        ends = Corners((start.low,) * 2, (top, top), (start.low,) * 2, (start.high,) * 2)
        np.testing.assert_allclose(start.slope, slope_minimum(wide, ends) / 1.001, rtol=1e-14)
        assert start.error is begun.errors


def test_the_table_free_method() -> None:
    """Its start between the values at two corners, wider by START; then two steps."""
    boxes = some_boxes(150, 4)
    found = exact.box_error(boxes)
    y = corners(boxes)
    low, high, slope = y.y00[0], y.y11[1], slope_minimum(boxes, y)

    def start(m: mpf, delta: mpf) -> mpf:
        a, w = 3 * abs(delta), mpmath.cbrt(3 * m)
        if delta > 0:
            c = mpmath.sqrt(a + w**3 / mpmath.sqrt(w**2 + a))
        else:
            c = w**3 / (a + (w**4 / (w**2 + a * 2 / 3) if w > 0 else 0))
        return c / mpmath.sqrt(1 + c * c)

    for k in range(150):
        m0, m1, d0, d1 = box = tuple(mpf(float(part[k])) for part in boxes)
        least, most = start(m0, d0) * (1 - mpf("0.004")), min(start(m1, d1) * (1 + mpf("0.004")), mpf(1))
        ends = [mpf(float(part[k])) for part in (low, high, slope)]
        error = max(most - ends[0], ends[1] - least)
        for _ in range(2):
            error = again(box, ends[0], ends[1], ends[2], error)
        assert found[k] == pytest.approx(float(error), rel=1e-8, abs=0)


def test_what_the_clamps_hide_is_charged() -> None:
    """At the kernels' clamps, the narrower ones, the mode is this near to 1."""
    hidden = max(1 - mpmath.tanh(16), 1 - mpmath.tanh(2 * 9 * mpmath.tanh(17)))
    assert hidden <= CLAMPED
    assert hidden <= halley.UNDERFLOW


def test_no_float32_scale_is_out_of_reach() -> None:
    """Those next to 1/√2 have the smallest |δ|: the analysis must count them in, off by the rounding of δ too."""
    below = np.float32(0.5**0.5)
    below = below if float(below) ** 2 < 0.5 else np.nextafter(below, np.float32(0))
    above = np.nextafter(below, np.float32(1))
    near = [2 * mpf(float(scale)) ** 2 - 1 for scale in (below, above)]
    assert near[0] < 0 < near[1]
    least, most = (float(delta * (1 - 8 * U)) for delta in near)
    assert least <= rounding.DELTA_BELOW < 0 < rounding.DELTA_ABOVE <= most
    assert reachable(np.array([least, most]), np.array([least, most])).all()
    boxes = exact._octaves()
    for delta in (least, most):
        assert ((boxes.d0 <= delta) & (delta <= boxes.d1)).any()


def test_what_is_added_stays_with_halved_cells() -> None:
    """Starts that are off by 3 % more than interpolation: what a step really makes of them is within the bound."""
    table = table_named("coarse")
    begun = interpolation(table)
    cells, boxes, y = begun.where.cells, begun.found.boxes, begun.found.y
    added = np.full(len(begun.errors), 0.03)
    start = np.maximum(-begun.found.low, begun.found.high) + added
    over = (begun.where.over_m, begun.where.over_delta)
    found, examined = refined.bound(cells, boxes, y, start, added, over, False)
    assert examined > len(found)  # some were halved
    m, delta = (torch.from_numpy(0.5 * (low + high)) for low, high in (boxes[:2], boxes[2:]))
    low, high = (torch.from_numpy(end) for end in mode_at(m.numpy(), delta.numpy()))
    inside = reachable(boxes.d0, boxes.d1)
    for sign in (-1.0, 1.0):
        begin = (low + sign * 0.03).clamp(0.0, 1.0)
        answer = tensors.of(begin).step(begin, m, 1.0 + delta, delta)
        off = torch.maximum(answer - high, low - answer).numpy()
        assert (off <= found)[inside].all()
        assert off[inside].max() > 1e-5
