"""The analysis written down a second time, from the words of its docstrings, one box at a time in 50-digit numbers.

A term that is dropped, a factor that is lost, a comparison that is turned round in tablegen/verify would leave a bound
that looks better and still stands above all that was seen. So the rounding of interpolation and of the Halley step, the
start of the table-free method and the rounding of the network are entered twice, and the books must agree.
"""

from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from conftest import table_named
from tablegen.verify import chart, exact, forward, halley, refined
from tablegen.verify.boxes import Boxes, Corners, corners, slope_minimum
from tablegen.verify.cells import domain
from tablegen.verify.halley import Start, step_error
from tablegen.verify.rounding import bilinear_rounding
from tablegen.verify.verify import interpolation
from tanhlut import ModeTable

U = mpf(2) ** -24
NODE, EXCESS = mpf("1.01"), mpf("5.6")


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


def test_rounding_of_interpolation() -> None:
    table = table_named("narrow")
    cells = domain(table).cells
    rng = np.random.default_rng(1)
    index = rng.integers(0, len(cells.row) * len(cells.column), 300)
    row, column = cells.row[index // len(cells.column)], cells.column[index % len(cells.column)]
    i, j = index // len(cells.column), index % len(cells.column)
    boxes = Boxes(cells.m_edges[i], cells.m_edges[i + 1], cells.d_edges[j], cells.d_edges[j + 1])
    y = corners(boxes)
    slope = slope_minimum(boxes, y)
    found = bilinear_rounding(boxes, y, slope, cells.corner_values(row, column), cells.widths(row, column))
    for k in range(len(index)):
        a, b = row[k], column[k]
        m0, m1 = (mpf(float(x)) for x in table.loc[a : a + 2])
        d0, d1 = (mpf(float(x)) for x in cells.delta[b : b + 2])
        v = [[mpf(float(x)) for x in line] for line in table.values[a : a + 2, b : b + 2]]
        top = max(v[1][1], mpf(float(y.y11[1][k])))
        gain = q_of(mpf(float(y.y00[0][k]))) / mpf(float(slope[k])) * mpf("1.001") if slope[k] > 0 else mpf("inf")
        clipped_m, clipped_d = (max(abs(mpf(float(p[k]))) for p in ends) for ends in (boxes[:2], boxes[2:]))
        by_m, by_s = min(top, clipped_m * gain), clipped_d * top * gain
        crossing = boxes.d0[k] < 0 < boxes.d1[k]
        by_s = min(by_s, top / U if crossing else top)
        rise_m, rise_s = max(v[1][0] - v[0][0], v[1][1] - v[0][1]), max(v[0][1] - v[0][0], v[1][1] - v[1][0])
        out_m, out_s = m1 / (m1 - m0), max(abs(d0), abs(d1)) / (d1 - d0)
        moved = NODE * max(by_m, out_m * rise_m) + (EXCESS + NODE) * max(by_s, out_s * rise_s)
        stretch = 1 + U * (NODE * out_m + (EXCESS + NODE) * out_s)
        total = (2 * top + 6 * (rise_m + rise_s) + moved) * U * (1 + mpf(2) ** -12) * mpf("1.001") * stretch
        total += mpf(2) ** -126 * (rise_m / (m1 - m0) + rise_s / (d1 - d0)) + mpf(10) ** -29
        assert found[k] == pytest.approx(float(total), rel=1e-10)


def test_what_is_added_where_lookups_clamp() -> None:
    """Whole-plane tables clamp beyond both ends; nothing but the clamps' own 3e-14 is added elsewhere."""
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
    np.testing.assert_allclose(rest.reshape(rows, columns), rise + 3e-14, rtol=1e-3, atol=1e-17)
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
    if x0 <= halley.SEAM:
        t = min(t_high, mpf(halley.TANH_SEAM) + mpf("1e-7"))
        gap = min(mpmath.atanh(t) - t, halley.SEAM - mpf(halley.TANH_SEAM))
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
    if x1 > halley.SEAM:
        s_far = min(big_s, 1 - mpf(halley.TANH_SEAM) ** 2)
        per_a = s_far * amplify / a
        t = max(t_low, mpf(halley.TANH_SEAM))
        tau = (1 - t) * 6 * U + U / 2
        far = tau * (1 + s * per_a) + 3 * U * max(x0, mpf(halley.SEAM)) * per_a + 3 * U * h * per_a
        e_t, e_s = tau / t, 8 * U + tau
        spread = (t_high**2 * (2 * e_t + U) + size * big_s * ((EXCESS + 1) * U + e_s)) / a + U
        quotient = spread * (1 + 2 / (1 - kappa)) + (2 * U + kappa * (e_t + e_s + 4 * U)) / (1 - kappa) + 3 * U
        far += s_far * step * mpf("1.01") * (quotient + e_s + 4 * U + step * (e_t + 2 * U))
    total = exact_part + max(near, far) + half_ulp(min(high + exact_part, mpf(1)))
    total = total * (1 + mpf(2) ** -12) * (1 + mpf("1e-12")) + mpf("1e-13")
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
        assert found[k] == pytest.approx(float(once_more), rel=1e-9)
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
        np.testing.assert_allclose(wide.m1, np.where(last_row & over[0], 40.0, boxes.m1 * (1 + near)), rtol=1e-15)
        np.testing.assert_allclose(wide.d0, np.maximum(boxes.d0 - near * np.abs(boxes.d0), -1), rtol=1e-15)
        wanted = np.where(last_column & over[1], 31.0, boxes.d1 + near * np.abs(boxes.d1))
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
            error = again(box, *ends, error)
        assert found[k] == pytest.approx(float(error), rel=1e-8)


Span = tuple[mpf, mpf]


def activation(x: mpf) -> mpf:
    return x / mpmath.sqrt(1 + x * x)


def slopes(z: Span) -> Span:
    """The activation's derivative over centre ± radius, a little wider."""
    far, near, tiny = abs(z[0]) + z[1], max(abs(z[0]) - z[1], mpf(0)), mpf(2) ** -40
    return (1 + far**2) ** mpf("-1.5") * (1 - tiny), (1 + near**2) ** mpf("-1.5") * (1 + tiny)


def largest(span: Span) -> mpf:
    return max(abs(span[0]), abs(span[1]))


def own(span: Span) -> mpf:
    """What an activation in `span` rounds."""
    return U * (mpf("2.5") + largest(span) ** 2 / 2) * largest(span)


def sums_round(weight: Any, inputs: list[Span], z: list[Span]) -> list[mpf]:
    """What a layer rounds in units of U: its products, the partial sums of a tree of halves, the bias; underflow."""
    result = []
    for row, (centre, radius) in zip(weight, z, strict=True):
        parts = [sorted((w * low, w * high)) for w, (low, high) in zip(row, inputs, strict=True)]
        total = sum(largest((low, high)) for low, high in parts)
        while len(parts) > 1:
            half = len(parts) // 2
            pairs = [[parts[n][i] + parts[half + n][i] for i in (0, 1)] for n in range(half)]
            total += sum(largest((low, high)) for low, high in pairs)
            parts = pairs + parts[2 * half :]
        result.append(total + abs(centre) + radius + 2 * len(row) * mpf(2) ** -126 / U)
    return result


def states(at: forward.Local, k: int) -> list[list[Span]]:
    """Centre and radius of every layer's pre-activations in box k."""
    return [[(mpf(float(c[n, k])), mpf(float(r[n, k]))) for n in range(len(c))] for c, r in at.z]


def inputs_of(layer: int, first: list[Span], z: list[list[Span]]) -> list[Span]:
    return first if layer == 0 else [(activation(c - r), activation(c + r)) for c, r in z[layer - 1]]


def test_rounding_of_the_network() -> None:
    """forward.rounding from its docstring: every rounded number's error times a bound of its derivative."""
    network = ModeTable.default().network
    assert network is not None
    numbers = forward.numbers_of(network.weights, network.biases)
    rng = np.random.default_rng(5)
    size = 2.0 ** -rng.integers(6, 12, 40)
    v0, r0 = np.floor(rng.random(40) / size) * size, np.floor(rng.random(40) / size) * size
    boxes = chart.Squares(v0, v0 + size, r0, r0 + size)
    plain = forward.over(boxes, numbers)
    found = forward.rounding(boxes, numbers, plain)
    weights = [w.astype(object) * mpf(1) for w in numbers[0]]
    second = 1 + mpf(2) ** -12
    for k in range(40):
        a0, a1, b0, b1 = (mpf(float(part[k])) for part in boxes)
        u0, u1 = a0 * a0, a1 * a1
        first = [(u0, u1), (b0, b1)]
        d = min(2 * u0 * (1 - b0) + b0, 2 * u0 * (1 - b1) + b1)
        terms = 2 * u1 * (1 - b0) + (1 + EXCESS) * max(abs(u1 - b0), abs(u0 - b1)) + 3 * b1 * (1 - u0)
        root = U * (mpf("1.1") + min(terms / d if d > 0 else mpf("inf"), 4 + 1 + EXCESS))
        moved = [root * 2 * (1 - u0) * u1 + U * (3 - u0) * u1, (root + U) * b1]

        z, error, drift = states(plain, k), moved, [moved]
        for layer, weight in enumerate(weights):
            inputs = inputs_of(layer, first, z)
            if layer:
                error = [slopes(p)[1] * e + own(i) for p, e, i in zip(z[layer - 1], error, inputs, strict=True)]
            rounded = sums_round(weight, inputs, z[layer])
            carried = [sum(abs(w) * e for w, e in zip(row, error, strict=True)) for row in weight]
            error = [c + U * r for c, r in zip(carried, rounded, strict=True)]
            drift.append(error)
        wide = forward.over(boxes, numbers, [np.array([[float(2 * second * e)] * 40 for e in part]) for part in drift])

        z, total = states(wide, k), mpf(0)
        adjoint: list[Span] = [(mpf(1), mpf(1))]
        for layer in range(len(weights) - 1, -1, -1):
            inputs = inputs_of(layer, first, z)
            rounded = sums_round(weights[layer], inputs, z[layer])
            total += U * sum(largest(a) * e for a, e in zip(adjoint, rounded, strict=True))
            if layer:
                by_a = []
                for column in weights[layer].T:
                    spans = [sorted((w * low, w * high)) for w, (low, high) in zip(column, adjoint, strict=True)]
                    by_a.append((sum(low for low, _ in spans), sum(high for _, high in spans)))
                total += sum(largest(a) * own(i) for a, i in zip(by_a, inputs, strict=True))
                adjoint = []
                for span, p in zip(by_a, z[layer - 1], strict=True):
                    products = [end * factor for end in span for factor in slopes(p)]
                    adjoint.append((min(products), max(products)))
        base0, base1 = (mpmath.sqrt(3) * v / mpmath.sqrt(1 + 2 * v * v) for v in (a0, a1))
        by_u, by_rho, values = (
            (mpf(float(part.low[k])), mpf(float(part.high[k]))) for part in (wide.by_u, wide.by_rho, wide.range)
        )
        through = moved[0] * largest(by_u) + moved[1] * largest(by_rho)
        answer = base1 * max(abs(1 + values[0]), abs(1 + values[1]))
        base_error = U * (mpf("2.5") + base1**2 / 2) + root * (1 - base0**2)
        whole = (base1 * (total + through) + answer * (base_error + 2 * U)) * (1 + mpf(2) ** -18)
        assert found[k] == pytest.approx(float(whole * second + mpf("1e-30")), rel=1e-8)
