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
from tablegen.verify.halley import Start, rough_error, step_error
from tablegen.verify.prove import interpolation
from tablegen.verify.rounding import Widths, bilinear_rounding
from tanhlut.formula import tensors
from tanhlut.formula.coefficients import SEAM

U = mpf(2) ** -24
NODE, EXCESS, EXP = mpf("1.01"), mpf("5.6"), mpf("4.2")
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


class Exact(NamedTuple):
    """The exact step's bounds, in one box."""

    s: mpf
    eps: mpf
    miss: mpf
    x0: mpf
    x1: mpf
    t_low: mpf
    t_high: mpf
    big_s: mpf
    a: mpf
    b: mpf
    kappa: mpf
    h: mpf
    w: mpf
    p: mpf


def from_y(box: tuple[mpf, ...], high: mpf, error: mpf) -> mpf:
    """How far off x = m + s·y is."""
    eps = (1 + box[3]) * error
    return eps + 3 * U * (box[1] + (1 + box[3]) * high + eps)


def step_again(box: tuple[mpf, ...], low: mpf, high: mpf, slope: mpf, eps: mpf) -> Exact | None:
    """tablegen.verify.halley.exact_step, once more; None where nothing is known."""
    m0, m1, d0, d1 = box
    s = 1 + d1
    x_low, x_high = m0 + (1 + d0) * low, m1 + s * high
    big_s = min(mpf(1), q_of(low) * mpmath.exp(2 * eps))
    t_low = max(low - big_s * eps, mpf(0))
    t_high = min(high + min(mpf(1), q_of(high) * mpmath.exp(2 * eps)) * eps, mpf(1))
    b = s * min(t_high * big_s, mpf("0.38490018"))
    third = s * big_s * max(abs(1 - 3 * t_low**2), abs(1 - 3 * t_high**2)) / 3
    a = slope - 2 * b * eps
    if a <= 0:
        return None
    w, p = b * eps / a, third * eps**2 / a
    shrink = (1 - w + w * w if w <= 0.5 else mpf("0.75")) - w * p
    if shrink <= 0:
        return None
    miss = eps * (p * (1 + w) + w * w) / shrink
    h = min(mpf(1), t_high**2 + max(-d0, mpf(0))) * eps * (1 + w + p)
    ends = max(x_low - eps, mpf(0)), x_high + eps
    return Exact(s, eps, miss, *ends, t_low, t_high, big_s, a, b, w * (1 + w + p), h, w, p)


def again(box: tuple[mpf, ...], low: mpf, high: mpf, slope: mpf, off: mpf) -> mpf:
    """tablegen.verify.halley, once more."""
    _, _, d0, d1 = box
    at = step_again(box, low, high, slope, off)
    if at is None or at.kappa >= 0.5:
        return mpf(1)
    s, eps, miss, x0, x1, t_low, t_high, big_s, a, _, kappa, h, _, _ = at
    step = eps + miss
    beyond = big_s * mpmath.exp(2 * step)
    exact_part = beyond * mpf(2) / 3 * step**3 + min(beyond, mpf(1)) * miss
    amplify = 1 / (1 - kappa) ** 2
    size, positive, negative = max(abs(d0), abs(d1)), max(d1, mpf(0)), max(-d0, mpf(0))

    def factors(s_: mpf, e_t: mpf, sigma: mpf) -> mpf:
        e_a = (t_high**2 * (2 * e_t + U) + size * (s_ * (EXCESS + 1) * U + sigma)) / a + U
        of_b = kappa * (e_t + 4 * U) + h * s * t_high * sigma / a**2
        quotient = e_a * (1 + 2 / (1 - kappa)) + (2 * U + of_b) / (1 - kappa) + 6 * U
        return mpf("1.01") * step * (s_ * (quotient + 4 * U + step * (e_t + 2 * U)) + sigma)

    def sums(t: mpf, per_a: mpf, gap_per_a: mpf) -> mpf:
        linear = max(min(positive * t * per_a, gap_per_a + h * per_a), t * min(negative * per_a, amplify))
        return U * ((EXCESS + 1) * linear + gap_per_a + 2 * h * per_a)

    near = far = mpf(0)
    if x0 <= SEAM:
        t = min(t_high, mpf(TANH_SEAM) + mpf("1e-7"))
        gap = min(mpmath.atanh(t) - t, SEAM - mpf(TANH_SEAM))
        t_least = min(t_low, t)
        r = (mpmath.atanh(t_least) - t_least) / t_low if t_low > 0 else mpf(0)
        g, tau = (mpf("3.6") / (1 + r) + 3) * U * gap, half_ulp(t)
        per_a = big_s * amplify / a
        near = g * (1 + s * per_a) + tau * max(1 + positive * per_a, amplify) + sums(t, per_a, gap * per_a)
        near += factors(big_s, U + (g / t if t > 0 else mpf(0)), 2 * t * (g + tau) + 2 * U)
    if x1 > SEAM:
        s_far = min(big_s, 1 - mpf(TANH_SEAM) ** 2)
        per_a = s_far * amplify / a
        t, x = max(t_low, mpf(TANH_SEAM)), max(x0, mpf(SEAM))
        c = 1 - t
        exp = mpf("4.01") + mpf("2.5") * mpmath.log((2 - c) / c) / 2 if c > mpf("1e-30") else mpf(100)
        assert exp > EXP
        tau = c * (exp + 2) * U + U / 2
        gap_per_a = ((x - t) * s_far if x > mpf("1.31") else mpf("0.1132")) * amplify / a
        far = tau * (1 + s * per_a) + U * gap_per_a + sums(t_high, per_a, gap_per_a)
        far += factors(s_far, tau / t, 2 * tau + 2 * U)
    total = exact_part + max(near, far) + half_ulp(min(high + exact_part, mpf(1)))
    total = total * (1 + mpf(2) ** -12) * (1 + mpf("1e-12")) + mpf("7e-14") + CLAMPED
    return min(total, mpf(1))


def rough_again(box: tuple[mpf, ...], low: mpf, high: mpf, slope: mpf, off: mpf) -> mpf:
    """tablegen.verify.halley.rough_error, once more."""
    at = step_again(box, low, high, slope, off)
    if at is None:
        return mpf("inf")
    delta, x = max(abs(box[2]), abs(box[3])), at.x1
    gap = x**3 / 3 if x < mpf("0.01") else (x - mpmath.tanh(x)) * (1 + mpf("1e-9"))
    g = (mpf("1.4e-4") + mpf("1.5e-3") * max(x - 5, mpf(0))) * gap
    tau = min(g, mpf("1.8e-4")) + 3 * U * x
    eta = g + delta * tau + U * (3 * box[1] + 8 * delta * at.t_high + 4 * gap + 2 * at.h)
    e = (at.s * tau * (2 * at.t_high + tau) + U * (delta * (EXCESS + 4) + 3 * at.t_high**2)) / at.a + U
    beta = at.s * (mpf("2.1") * tau + 8 * U * at.t_high)
    step = at.eps + at.miss
    r = step * (1 + at.kappa)
    of_r = (eta / at.a + r * e) / (1 - e)
    of_kappa = (at.kappa * 2 * e + (eta * at.b + (at.h + eta) * beta) / at.a**2) / (1 - e) ** 2
    left = 1 - at.kappa - of_kappa
    if e >= 0.5 or left <= mpf("0.05"):
        return mpf("inf")
    total = at.miss + of_r / left + r * of_kappa / ((1 - at.kappa) * left)
    total += 16 * U * step / left + 2 * U * (x + total)
    return total * (1 + mpf("1e-12")) + mpf("7e-14") + CLAMPED


def test_the_halley_step() -> None:
    boxes = some_boxes(400, 2)
    y = corners(boxes)
    low, high, slope = y.y00[0], y.y11[1], slope_minimum(boxes, y)
    error = 10.0 ** np.random.default_rng(3).uniform(-9, 0.5, 400) * high
    found, rough = step_error(boxes, Start(low, high, slope, error)), rough_error(boxes, Start(low, high, slope, error))
    proven = known = 0
    for k in range(400):
        box = tuple(mpf(float(part[k])) for part in boxes)
        once_more = again(box, *(mpf(float(part[k])) for part in (low, high, slope, error)))
        assert found[k] == pytest.approx(float(once_more), rel=1e-9, abs=0)
        proven += once_more < 1
        once_more = rough_again(box, *(mpf(float(part[k])) for part in (low, high, slope, error)))
        assert rough[k] == pytest.approx(float(once_more), rel=1e-7, abs=0)
        known += once_more < mpf("inf")
    assert 200 < proven < 400
    assert 200 < known < 400


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
        x = wide.m1 + (1 + wide.d1) * start.high
        wanted = (1 + wide.d1) * begun.errors
        np.testing.assert_allclose(start.off, wanted + 3 * 2.0**-24 * (x + wanted), rtol=1e-14)


def test_the_table_free_method() -> None:
    """Its start between the values at two corners, wider by what roots are off; then a rough step, and a step."""
    boxes = some_boxes(150, 4)
    found = exact.box_error(boxes)
    y = corners(boxes)
    low, high, slope = y.y00[0], y.y11[1], slope_minimum(boxes, y)

    def start(m: mpf, delta: mpf, cube_root: str, root: str, rounding: str) -> mpf:
        a, cube, w2 = 3 * abs(delta), 3 * m, mpmath.cbrt(3 * m) ** 2 * mpf(cube_root)
        if delta > 0:
            c = mpmath.sqrt(a + mpf(root) * cube / mpmath.sqrt(w2 + a))
        else:
            c = cube / (a + (w2**2 / (w2 + a * 2 / 3) if w2 > 0 else 0))
        return c / mpmath.sqrt(1 + c * c) * (mpf(root) + mpf(rounding))

    for k in range(150):
        m0, m1, d0, d1 = box = tuple(mpf(float(part[k])) for part in boxes)
        least = start(m0, d0, "1.039", "0.9999", "-1e-4")
        most = start(m1, d1, "0.9685", "1.0887", "1e-4")
        least_y, most_y, gentlest = (mpf(float(part[k])) for part in (low, high, slope))
        ends = least_y, most_y, gentlest
        error = max(most - ends[0], ends[1] - least)
        off = rough_again(box, *ends, from_y(box, ends[1], error))
        error = mpf(1) if off == mpf("inf") else again(box, *ends, off)
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
    found, examined = refined.bound(cells, boxes, y, start, added, over)
    assert examined > len(found)  # some were halved
    m, delta = (torch.from_numpy(0.5 * (low + high)) for low, high in (boxes[:2], boxes[2:]))
    low, high = (torch.from_numpy(end) for end in mode_at(m.numpy(), delta.numpy()))
    inside = reachable(boxes.d0, boxes.d1)
    for sign in (-1.0, 1.0):
        begin = (low + sign * 0.03).clamp(0.0, 1.0)
        answer = tensors.of(begin).step(m + (1.0 + delta) * begin, m, 1.0 + delta, delta)
        off = torch.maximum(answer - high, low - answer).numpy()
        assert (off <= found)[inside].all()
        assert off[inside].max() > 1e-5
