"""The network's proof: enclosures contain what they enclose, the bound is never beaten, and it is near the truth."""

import itertools
import json
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import points
from tablegen.__main__ import main
from tablegen.verify import chart, forward
from tablegen.verify import network as proof
from tablegen.verify.chart import Interval, Squares
from tablegen.verify.network import verify_network
from tablegen.verify.witness import errors
from tanhlut import ModeTable
from tanhlut.compute import mlp
from tanhlut.compute.mlp import layers_of
from tanhlut.formula import tensors

DEFAULT = Path(__file__).parents[2] / "data" / "default.h5"
CPU = torch.device("cpu")


PART = 0, 6, 15  # of the 16 groups of cells from v = 0 to 1: the cusp, most boxes and the largest error, saturation


@pytest.fixture(
    scope="module", params=[pytest.param(PART, id="part"), pytest.param(range(16), id="whole", marks=pytest.mark.slow)]
)
def found(request: pytest.FixtureRequest) -> proof.NetworkVerification:
    """The proof; in the fast suite that of some groups of cells, the others' bounds being 0."""
    settle, groups = proof._settle, itertools.count()

    def settle_some(first: Squares, noise: NDArray[np.float64], *rest: Any) -> proof.Settled:
        if next(groups) in request.param:
            return settle(first, noise, *rest)
        none = np.zeros(0)
        return proof.Settled(np.zeros(len(noise)), 0.0, 0.0, none, none, none, 0.0, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "_settle", settle_some)
        result = verify_network(ModeTable.default(), "mlp")
    assert next(groups) == 16
    assert (result.cell_bounds > 0).sum() == len(request.param) * result.cell_bounds.size // 16
    return result


def random_squares(count: int, seed: int) -> Squares:
    """Dyadic boxes of many sizes, near the cusp and the edges too."""
    rng = np.random.default_rng(seed)
    size = 2.0 ** -rng.integers(6, 20, count)
    v, r = rng.random(count) ** rng.choice([1, 3], count), rng.random(count) ** rng.choice([1, 5], count)
    v0, r0 = np.floor(v / size) * size, np.floor(r / size) * size
    return Squares(v0, v0 + size, r0, r0 + size)


def inside(boxes: Squares, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A dyadic point of each box."""
    rng = np.random.default_rng(seed)
    steps = [rng.integers(0, 33, len(boxes.v0)) / 32 for _ in range(2)]
    return boxes.v0 + (boxes.v1 - boxes.v0) * steps[0], boxes.r0 + (boxes.r1 - boxes.r0) * steps[1]


def range_of(boxes: Squares) -> Interval:
    return Interval(chart.mode_on_chart(boxes.v0, boxes.r1).low, chart.mode_on_chart(boxes.v1, boxes.r0).high)


def test_the_shipped_claim_is_proven_and_tight(found: proof.NetworkVerification) -> None:
    assert found.bound <= ModeTable.default().error_bound("mlp") <= 6e-6
    assert found.ratio <= 1.1
    assert found.parameters == 105
    assert found.relative <= proof.RELATIVE
    assert found.cell_bounds.max() == found.bound
    low, _ = errors(
        ModeTable.default(), "mlp", torch.tensor([found.witness.loc]), torch.tensor([found.witness.scale]), "eager"
    )
    assert float(low) == found.witness.error


@pytest.mark.slow
def test_refined_is_proven_below_a_millionth() -> None:
    found = verify_network(ModeTable.default(), "mlp_refined")
    assert found.bound <= ModeTable.default().error_bound("mlp_refined") <= 1e-6


def test_no_query_beats_its_cells_bound(found: proof.NetworkVerification) -> None:
    """Of half a million from every kind of place (two, of the whole proof) those in cells with a bound, against it."""
    closest = 0.0
    for seed in range(4 if (found.cell_bounds > 0).all() else 1):
        loc, scale = points.hard_queries(ModeTable.default(), 500_000, seed)
        keep = scale > 0
        loc, scale = loc[keep], scale[keep]
        at_least, _ = errors(ModeTable.default(), "mlp", loc, scale, "eager")
        m, _, delta = tensors.DOUBLE.fold(loc.double(), scale.double())
        u, rho, _ = tensors.DOUBLE.chart(m, delta)
        cells = len(found.cell_bounds)
        i, j = ((part * cells).long().clamp(max=cells - 1) for part in (u.sqrt(), rho))
        bounds = torch.from_numpy(found.cell_bounds)[i, j]
        at_least, bounds = at_least[bounds > 0], bounds[bounds > 0]
        # At an edge between cells rounding may choose the other: then the larger of the neighbours' holds.
        worse = at_least > bounds
        assert not (at_least[worse] > found.bound).any()
        assert float(worse.float().mean()) < 1e-3
        closest = max(closest, float(at_least.max()) / found.bound)
    assert closest > 0.8


@mpmath.workdps(40)
def test_the_modes_gradient_is_enclosed() -> None:
    """Central differences of a 40-digit mode at points of boxes."""
    boxes = random_squares(300, 1)
    by_v, by_rho = chart.gradient(boxes, range_of(boxes))
    v, rho = inside(boxes, 2)
    known = np.flatnonzero(
        np.isfinite(by_v.high) & np.isfinite(by_rho.low) & (v > 0) & (rho > 0) & (v < 0.995) & (rho < 1)
    )
    assert len(known) > 100

    def y(v: mpmath.mpf, rho: mpmath.mpf) -> mpmath.mpf:
        u = v * v
        root = mpmath.sqrt(3) * v / mpmath.sqrt(1 - u)
        m, s = rho * root, (1 - rho) / (1 - u)
        x = root * (1 + root**2 / 10) + mpmath.mpf(10) ** -30
        x = min(x, m + s)
        for _ in range(60):
            x -= (x - m - s * mpmath.tanh(x)) / (1 - s * mpmath.sech(x) ** 2)
        return mpmath.tanh(x)

    step = mpmath.mpf(10) ** -15
    for i in known[:120]:
        a, b = mpmath.mpf(v[i]), mpmath.mpf(rho[i])
        slope_v = (y(a * (1 + step), b) - y(a * (1 - step), b)) / (2 * a * step)
        slope_rho = (y(a, b * (1 + step)) - y(a, b * (1 - step))) / (2 * b * step)
        tiny = 1e-9
        assert by_v.low[i] * (1 - tiny) - tiny <= slope_v <= by_v.high[i] * (1 + tiny) + tiny
        assert by_rho.low[i] * (1 + tiny) - tiny <= slope_rho <= by_rho.high[i] * (1 - tiny) + tiny


def test_the_networks_range_and_gradient_are_enclosed() -> None:
    network = ModeTable.default().network
    assert network is not None
    layers = mlp.layers(network, torch.float64, CPU)
    boxes = random_squares(20_000, 3)
    at = forward.over(boxes, forward.numbers_of(network.weights, network.biases))
    for seed in range(4):
        v, rho = inside(boxes, seed)
        u, r = (torch.from_numpy(part).requires_grad_() for part in (v * v, rho))
        value = mlp.forward(u, r, layers)
        by_u, by_rho = (part.numpy() for part in torch.autograd.grad(value.sum(), (u, r)))
        for interval, numbers in ((at.range, value.detach().numpy()), (at.by_u, by_u), (at.by_rho, by_rho)):
            assert (interval.low - 1e-12 <= numbers).all()
            assert (numbers <= interval.high + 1e-12).all()


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_rounding_stays_within_its_bound(seed: int | None) -> None:
    """The shipped network, and random ones with larger weights: float32 against float64 on the same query."""
    network = ModeTable.default().network
    assert network is not None
    weights, biases = network.weights, network.biases
    if seed is not None:
        rng = np.random.default_rng(seed)
        weights, biases = (
            tuple((3 * rng.standard_normal(a.shape)).astype(np.float32) for a in part) for part in (weights, biases)
        )
    boxes = chart.unit_square(64)
    numbers = forward.numbers_of(weights, biases)
    bounds = forward.rounding(boxes, numbers, forward.over(boxes, numbers)).reshape(64, 64)
    worst = 0.0
    for sample in (points.uniform, points.cusp, points.jump, points.exponents):
        loc, scale = (torch.from_numpy(part.astype(np.float32)) for part in sample(100_000, seed=5))
        keep = (scale > 1e-3) & (loc < 16) & (scale < 3)  # beyond, float32 answers 1
        loc, scale = loc[keep], scale[keep]
        m, s, delta = tensors.DOUBLE.fold(loc.double(), scale.double())
        exact = mlp.evaluate(m, s, delta, layers_of(weights, biases, torch.float64, CPU))
        u, rho, _ = tensors.DOUBLE.chart(m, delta)
        m, s, delta = tensors.SINGLE.fold(loc, scale)
        rounded = mlp.evaluate(m, s, delta, layers_of(weights, biases, torch.float32, CPU))
        i, j = ((part * 64).long().clamp(max=63) for part in (u.sqrt(), rho))
        ratio = (rounded.double() - exact).abs().numpy() / bounds[i, j]
        worst = max(worst, float(np.quantile(ratio, 1 - 1e-4)))
        # Points on a cell's edge may belong to its neighbour.
        assert (ratio > 1).mean() < 1e-4
        assert (rounded.double() - exact).abs().max() <= bounds.max()
    assert worst > 0.03


@pytest.mark.slow
def test_json_and_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    out, picture = tmp_path / "out.json", tmp_path / "map.png"
    assert main(["verify", str(DEFAULT), "--method", "mlp", "--json", str(out), "--plot", str(picture)]) == 0
    assert "105 parameters" in capsys.readouterr().out
    fields = json.loads(out.read_text())
    network = ModeTable.default().network
    assert network is not None
    assert fields["digest"] == network.digest
    assert fields["bound"] <= fields["claim"]
    assert picture.read_bytes().startswith(b"\x89PNG")
