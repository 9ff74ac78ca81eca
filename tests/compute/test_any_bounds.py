"""Whatever bounds a user asks for, the table builds, is proven, is stored, loads, is served by kernels, and answers."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tqdm import tqdm

from tablegen import store
from tablegen.__main__ import main
from tablegen.make.build import FINEST_TOLERANCE, ROUNDING, build
from tablegen.verify import witness
from tablegen.verify.prove import interpolation
from tanhlut import ModeTable, certify, mode
from tanhlut.file.bounds import Bounds
from tanhlut.methods import EXACT_BOUND

CUSP = 0.5**0.5
INFINITY = math.inf


def stepped(x: float, steps: int, dtype: type[np.floating] = np.float64) -> float:
    """x moved by whole numbers of dtype."""
    with np.errstate(over="ignore"):
        value = dtype(x)
        for _ in range(abs(steps)):
            value = np.nextafter(value, dtype(math.copysign(INFINITY, steps)))
    return float(value)


few_steps = st.integers(-3, 3)
dtypes = st.sampled_from([np.float32, np.float64])


def powers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda e: 10.0**e)


locs = st.one_of(
    st.just(INFINITY),
    st.floats(0.01, 20.0),
    powers(-30, 2),
    st.sampled_from([5e-324, 1e-300, 2.0**-149, 2.0**-126, 2.0**-86, 2.0**-85, 1.0, 3.0, 16.0, 40.0, 1e30, 1e308]),
    st.builds(stepped, st.sampled_from([2.0**-85, 2.0**-44, 1.0, 2.5, 16.0]), few_steps, dtypes),
)
ends = st.one_of(
    st.just(0.0),
    st.floats(0.0, 4.0),
    powers(-40, 1),
    st.builds(stepped, st.just(CUSP), few_steps, dtypes),
    st.builds(lambda e, side: CUSP + side * e, powers(-16, -1), st.sampled_from([-1.0, 1.0])),
    st.sampled_from([5e-324, 1e-300, 2.0**-149, 2.0**-126, 0.1, 0.5, 1.0, 1.5, 2.9, 2.916, 5.0, 1e30, 1e200, 1e308]),
)


@st.composite
def scales(draw: st.DrawFn) -> tuple[float, float]:
    """Any two ends; or an end and what is just above it, in float64, in float32 or by a small part of it."""
    low = draw(ends)
    other = st.one_of(
        ends,
        st.just(INFINITY),
        st.builds(stepped, st.just(low), st.integers(1, 3), dtypes),
        powers(-16, 0).map(lambda e: low * (1.0 + e)),
    )
    high = draw(other.filter(lambda x: x != low))
    return min(low, high), max(low, high)


requests = st.builds(lambda loc_max, ends: Bounds(loc_max, *ends), locs, scales())


def queries(bounds: Bounds, dtype: type[np.floating], seed: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Inside, at the ends and their neighbours, and outside."""
    rng = np.random.default_rng(seed)
    low, high = bounds.scale_min, min(bounds.scale_max, max(5.0, 2.0 * bounds.scale_min))
    loc_max = min(bounds.loc_max, 20.0)
    within = rng.uniform(0, 1, (3, 150))
    loc = np.concatenate([loc_max * within[0], loc_max * 10.0 ** (-30.0 * within[1]), 10.0 ** rng.uniform(-30, 1, 150)])
    scale = np.concatenate([low + (high - low) * within[2], rng.uniform(0, 4, 150), np.full(150, CUSP)])
    corners = np.array([(m, s) for m in (0.0, loc_max) for s in (low, high)])
    with np.errstate(over="ignore", under="ignore"):
        m, s = (
            np.concatenate([a, rng.permutation(a), b]).astype(dtype)
            for a, b in zip((loc, scale), corners.T, strict=True)
        )
        beside = [np.nextafter(x, dtype(side)) for x in (m[-4:], s[-4:]) for side in (0, 100)]
        m = np.concatenate([m, beside[0], beside[1], m[-4:], m[-4:]])
        s = np.concatenate([s, s[-8:-4], s[-4:], beside[2], beside[3]])
    kept = np.isfinite(m) & np.isfinite(s)
    return m[kept] * rng.choice(np.array([-1, 1], dtype), kept.sum()), s[kept]


def covered(bounds: Bounds, loc: NDArray[np.floating], scale: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Compared in the queries' dtype, as lookups do."""
    with np.errstate(over="ignore"):
        loc_max, scale_min, scale_max = (loc.dtype.type(end) for end in bounds)
    return np.asarray((abs(loc) <= loc_max) & (scale >= scale_min) & (scale <= scale_max))


def check(bounds: Bounds, tolerance: float, path: Path) -> ModeTable:
    table, found = build(bounds, tolerance, "newton", "tests")
    assert found.error <= tolerance
    assert 0.0 <= found.loc <= bounds.reach.loc_max
    assert bounds.reach.scale_min <= found.scale <= bounds.reach.scale_max
    proof = interpolation(table)
    assert proof.nodes.wrong == 0
    assert float(proof.errors.max()) <= tolerance
    assert float(proof.added.max()) <= ROUNDING + 0.01 * tolerance  # what the builder takes off beforehand
    path.write_bytes(store.image(table))
    loaded = ModeTable.load(path)
    assert loaded.digest == table.digest
    assert loaded.packed is not None
    assert loaded.start.packed is not None
    for dtype in (np.float32, np.float64):
        loc, scale = queries(bounds, dtype, seed=len(table.loc))
        limit = np.where(covered(bounds, loc, scale), tolerance, EXACT_BOUND)
        for backend in ("cpu", "eager"):
            by_bilinear = mode(loc, scale, method="bilinear", table=loaded, backend=backend)
            assert (certify(loc, scale, by_bilinear) <= limit).all()
            refined = mode(loc, scale, table=loaded, backend=backend)
            assert (certify(loc, scale, refined) <= (EXACT_BOUND if dtype is np.float32 else 1e-14)).all()
    return table


@pytest.fixture(autouse=True)
def _without_progress_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tablegen.make.build.tqdm", partial(tqdm, disable=True))


@pytest.fixture(autouse=True)
def _short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the largest error seen: what is claimed is the bound."""
    monkeypatch.setattr(witness, "search", partial(witness.search, size=4000))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bounds") / "table.h5"


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(requests, st.sampled_from([0.01, 0.01, 3e-3, 1e-3]))
@pytest.mark.slow
def test_any_bounds(path: Path, bounds: Bounds, tolerance: float) -> None:
    check(bounds, tolerance, path)


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(3.0, 0.1, 0.2), Bounds(1e-3, 0.8, 0.82), Bounds(0.3, 2.0, INFINITY), Bounds(INFINITY, 0.0, 1e-30),
        Bounds(2.9e-12, stepped(CUSP, 0), stepped(CUSP, 1)), Bounds(1e-9, stepped(CUSP, -1, np.float32), CUSP),
        Bounds(1.292342176704724e-21, 1.5488783387550797, 1.6010798282851437),
    ],
)  # fmt: skip
def test_the_finest_tolerance_that_is_offered(bounds: Bounds, path: Path) -> None:
    """Up to 70 cells a quarter octave, bounds whose nearest float32 numbers lie outside them, and bounds that cut the
    worst cell."""
    table = check(bounds, FINEST_TOLERANCE, path)
    with pytest.raises(ValueError, match=f"give {FINEST_TOLERANCE:g} to"):
        build(bounds, float(np.nextafter(FINEST_TOLERANCE, 0.0)), "newton", "tests")
    assert table.tolerance == FINEST_TOLERANCE


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("--scale-min 5 --scale-max 10", marks=pytest.mark.slow),
        "--scale-min 0.7071067 --scale-max 0.7071068 --loc-max 1",
        "--loc-max 4.41210760166467 --scale-min 0.7070032046252899 --scale-max 4.216594957124029 --tol 4.93e-05",
        pytest.param("--loc-max 5e-324 --scale-min 1e200 --scale-max 1e308", marks=pytest.mark.slow),
    ],
)
def test_requests_that_failed(options: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.unlink(missing_ok=True)
    assert main(["build", "-o", str(path), "--solver", "newton", *options.split()]) == 0
    table = ModeTable.load(path)
    assert table.error_bound("bilinear") <= table.tolerance
    assert "proven" in capsys.readouterr().out


def test_a_table_that_takes_minutes_says_so_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its size, before any node is solved."""

    def unwanted(*_: object) -> None:
        raise AssertionError("work had begun")

    monkeypatch.setattr("tablegen.make.build._fitting_layout", unwanted)
    lines: list[str] = []
    with pytest.raises(AssertionError, match="work had begun"):
        build(Bounds(INFINITY, 0.0, INFINITY), FINEST_TOLERANCE, "newton", "tests", lines.append)
    (line,) = lines
    assert "million nodes" in line
    assert "MB" in line
    assert "minutes" in line
    with pytest.raises(AssertionError, match="work had begun"):
        build(Bounds(3.0, 0.1, 1.5), 1e-4, "newton", "tests", lines.append)
    assert len(lines) == 1
