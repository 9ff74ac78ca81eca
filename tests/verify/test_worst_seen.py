"""The largest errors that the documents name: as scripts/worst_seen found them, held against balls and the proofs."""

import json
import re
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from tanhlut import ModeTable, mode
from test_certificate import _true_mode

ROOT = Path(__file__).parents[2]
FOUND: list[dict[str, Any]] = json.loads((ROOT / "data" / "worst_seen.json").read_text())["found"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.append(str(ROOT / "scripts"))
    path = ROOT / "scripts" / "worst_seen"
    spec = spec_from_loader("worst_seen", SourceFileLoader("worst_seen", str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def true_error(row: dict[str, Any]) -> float:
    """Newton in 300-bit balls, from this suite and not from the script."""
    loc, scale = np.array([row["loc"]], row["dtype"]), np.array([row["scale"]], row["dtype"])
    y = float(mode(loc, scale, method=row["method"], backend=row["backend"])[0])
    previous, ctx.prec = ctx.prec, 300
    try:
        truth = _true_mode(row["loc"], row["scale"])
        error = abs(arb(y) - truth)
        return float(error / truth if row["kind"] == "relative" else error)
    finally:
        ctx.prec = previous


@pytest.mark.parametrize("row", FOUND, ids=lambda row: " ".join(str(row[key]) for key in list(row)[:4]))
def test_what_was_saved_is_so(row: dict[str, Any]) -> None:
    error = true_error(row)
    if row["backend"] == "cpu":  # the same bits on every machine; torch's exp and log are not
        assert error == pytest.approx(row["error"], rel=1e-6)
    if row["dtype"] == "float32" and row["kind"] == "absolute":
        assert max(error, row["error"]) <= ModeTable.default().error_bound(row["method"])


@pytest.mark.parametrize(
    ("road", "at_least"),
    [
        (("refined", "cpu", "float32", "absolute"), 1.9e-7),
        (("exact", "cpu", "float32", "relative"), 2.5e-7),
        (("refined", "cpu", "float64", "relative"), 1e-14),
        (("exact", "cpu", "float64", "absolute"), 3.3e-16),
    ],
)
def test_one_round_of_climbing(script: ModuleType, road: tuple[str, ...], at_least: float) -> None:
    """Seeded, hence the same on every machine: more than a quarter of a million random points a region show."""
    worst = script.climb(script.Road(*road), 0.0, 0)
    assert worst.error >= at_least
    method, backend, dtype, kind = road
    row = {"method": method, "backend": backend, "dtype": dtype, "kind": kind, **worst._asdict()}
    assert true_error(row) == pytest.approx(worst.error, rel=1e-6)


def test_long_double_measures_float64(script: ModuleType) -> None:
    """`correction` of a few ulp, over all the places where climbs begin."""
    loc, scale = script.starts(np.random.default_rng(3), 800)
    exact = mode(loc, scale, method="exact")
    y = exact + np.random.default_rng(4).integers(-4, 5, 800) * np.spacing(exact)
    chosen = (y < 1.0 - 1e-9) & (y > 0.0)  # where G is straight over a few ulp
    measured = script.correction(loc, scale, y)[chosen].astype(np.float64)
    previous, ctx.prec = ctx.prec, 300
    try:
        columns = (part[chosen].tolist() for part in (loc, scale, y))
        truth = np.array([float(arb(answer) - _true_mode(m, sigma)) for m, sigma, answer in zip(*columns, strict=True)])
    finally:
        ctx.prec = previous
    assert chosen.sum() > 500
    assert (np.abs(measured - truth) <= 1e-2 * np.abs(truth) + 2.0**-60 * y[chosen]).all()


def largest(method: str, dtype: str, kind: str = "absolute") -> float:
    return max(
        float(row["error"]) for row in FOUND if (row["method"], row["dtype"], row["kind"]) == (method, dtype, kind)
    )


def test_the_documents_say_it() -> None:
    """README's table: no less than what was seen, nor more than rounding up makes of it."""
    readme = (ROOT / "README.md").read_text()
    said = re.findall(r"^\| `\"(\w+)\"`(, `refine=True`)?.*?\| [\d.e-]+ \| ([\d.e-]+) / ([\d.e-]+) \|", readme, re.M)
    names = [name + ("_refined" if refined else "") for name, refined, _, _ in said]
    assert sorted(names) == ["bilinear", "exact", "mlp", "mlp_refined", "refined"]
    for name, (_, _, *columns) in zip(names, said, strict=True):
        for dtype, column in zip(("float32", "float64"), columns, strict=True):
            assert largest(name, dtype) <= float(column) <= 1.03 * largest(name, dtype), (name, dtype)
