"""What float32 rounding adds to the network, entered a second time: from the words of tablegen.verify.forward."""

from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from tablegen.verify import chart, forward
from tanhlut import ModeTable

U = mpf(2) ** -24
EXCESS = mpf("5.6")

Span = tuple[mpf, mpf]


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mpmath.workdps(50):
        yield


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
        assert found[k] == pytest.approx(float(whole * second + mpf("1e-30")), rel=1e-8, abs=0)


def test_nothing_is_claimed_where_rounding_leaves_the_ranges() -> None:
    """Two weights of 2^30 that cancel: the sum rounds by more than it is, so its derivative may be any."""
    boxes = chart.Squares(*(np.array([end]) for end in (0.5, 0.5 + 2.0**-28, 0.25, 0.25 + 2.0**-28)))

    def bound(size: float) -> float:
        weights = [np.array([[size, -size], [1.0, 1.0]]), np.array([[1e-3, 1e-3]])]
        numbers = (weights, [np.array([100.0, 0.0]), np.zeros(1)])
        return float(forward.rounding(boxes, numbers, forward.over(boxes, numbers))[0])

    assert bound(2.0**2) < 1e-6
    assert bound(2.0**30) == np.inf
