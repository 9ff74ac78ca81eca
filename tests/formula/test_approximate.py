"""The approximate text: what NVIDIA's GPUs compute with, here in NumPy, with approximations as bad as allowed."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import points
from conftest import table_named
from oracle import REFERENCE
from tablegen.verify import pieces, premises
from tablegen.verify.halley import exp_units
from tablegen.verify.rounding import U
from tanhlut import certify
from tanhlut.compute import plain
from tanhlut.file.packed import Packed
from tanhlut.file.words import words_of
from tanhlut.formula import layout, plain_approximate
from tanhlut.formula.plain import SINGLE, WIDE
from tanhlut.methods import COMPILED

WAYS: dict[str, Callable[[Any], Any]] = {
    "up": lambda x: 1.0,
    "down": lambda x: -1.0,
    "either way": plain_approximate.either_way,
}
TEXTS = {name: plain_approximate.text(off, f"_tested_{k}") for k, (name, off) in enumerate(WAYS.items())}


@pytest.fixture(params=TEXTS)
def text(request: pytest.FixtureRequest) -> Any:
    return TEXTS[request.param]


def packed(name: str) -> Packed:
    found = table_named(name).packed
    assert found is not None
    return found


def mode(
    text: Any, loc: Any, scale: Any, method: Any, name: str = "default", low: float = -1.0, high: float = 1.0
) -> Any:
    loc, scale, table = np.asarray(loc, np.float32), np.asarray(scale, np.float32), packed(name)
    return plain.mode(loc, scale, method, table, low, high, text, words_of(table))


@pytest.mark.parametrize("method", ["refined", "exact"])
def test_reference_rows(method: Any, text: Any) -> None:
    assert np.abs(mode(text, REFERENCE.loc, REFERENCE.scale, method) - REFERENCE.mode).max() <= 2.4e-7


@pytest.mark.parametrize("name", ["default", "narrow", "coarse"])
@pytest.mark.parametrize("method", COMPILED)
def test_no_answer_is_further_off_than_proven(method: Any, name: str, text: Any) -> None:
    table = table_named(name)
    bound = table.tolerance if method == "bilinear" else 4.2e-7
    loc, scale = (part.numpy() for part in points.hard_queries(table, 4000, seed=5))
    for sample in (points.uniform, points.cusp, points.jump, points.exponents):
        more = sample(1000, seed=6)
        loc, scale = (np.concatenate([a, np.asarray(b, np.float32)]) for a, b in zip((loc, scale), more, strict=True))
    known = np.isfinite(loc) & (scale > 0) & np.isfinite(scale)
    loc, scale = loc[known], scale[known]
    found = mode(text, loc, scale, method, name)
    assert np.max(certify(*(part.astype(np.float64) for part in (loc, scale, found)))) <= bound
    assert (np.signbit(found) == np.signbit(loc)).all()


@pytest.mark.parametrize("method", COMPILED)
def test_edges(method: Any, text: Any) -> None:
    """Conventions are every backend's, on any bounds."""
    inf, nan = np.inf, np.nan
    numbers = [0.0, -0.0, 0.3, -1.0, 1e-40, 0.7, inf, -inf, nan, 1e30]
    loc, scale = np.array(list(itertools.product(numbers, numbers)), np.float32).T
    for bounds in ((-1.0, 1.0), (0.0, 10.0)):
        found = mode(text, loc, scale, method, "default", *bounds)
        expected = plain.mode(loc, scale, method, packed("default"), *bounds)
        np.testing.assert_allclose(found, expected, rtol=0, atol=4.2e-7 * (bounds[1] - bounds[0]) / 2)
        known = ~np.isnan(expected)
        assert (np.signbit(found) == np.signbit(expected))[known].all()


@pytest.mark.parametrize("name", ["default", "narrow", "coarse"])
def test_words_say_what_the_index_says(name: str) -> None:
    """Cell and weight, at every edge of a quarter octave and its neighbours, at nodes and between."""
    table, text = packed(name), TEXTS["either way"]
    rng, nodes = np.random.default_rng(0), table_named(name)
    first, last, first_delta, last_delta = table.ends
    edges = np.arange(layout.KEYS // 2, dtype=np.uint32) << layout.KEY_SHIFT
    near = (edges[:, None] + np.arange(-2, 3).astype(np.uint32)).ravel().view(np.float32)
    drawn = np.exp(rng.uniform(-60, 3, 40_000)).astype(np.float32)
    m = np.concatenate([near, drawn, nodes.loc.astype(np.float32)])
    m = m[(m >= 0) & (m <= last)]
    delta = np.concatenate([near, -near, drawn, -drawn])
    delta = delta[(np.abs(delta) >= 2.0**-26) & (delta >= first_delta) & (delta <= last_delta)]
    for x, index, words in zip((m, delta), (table.loc_index, table.delta_index), words_of(table), strict=True):
        number = text.key(x, layout.DELTA_KEYS)
        cell, weight = text.place(x, words, number)
        assert ((weight >= 0) & (weight <= 1)).all()
        expected = sum(WIDE.place(x, index[SINGLE.key(x, layout.DELTA_KEYS)]))
        if x is m:
            expected = np.where(x < first, 1.0 + x.astype(np.float64) / first, expected)
        assert np.abs(cell + weight.astype(np.float64) - expected).max() <= 2.0 * U


def test_a_quotient_is_rounded_to_nearest_but_for_a_trace(text: Any) -> None:
    rng = np.random.default_rng(1)
    a, b = (np.exp(rng.uniform(-9, 9, 200_000)).astype(np.float32) for _ in range(2))
    a[:2] = 0.0, np.nan
    exact = a.astype(np.float64) / b
    found = text.divide(a, b).astype(np.float64)
    assert found[0] == 0.0
    assert np.isnan(found[1])
    assert (np.abs(found - exact)[2:] <= (1.0 + 2.0**-19) * 0.5 * np.spacing(exact[2:].astype(np.float32))).all()
    assert (np.abs(text.divide_roughly(a, b) - exact)[2:] <= 4.0 * U * exact[2:]).all()


def test_exp_is_within_what_the_proof_charges(text: Any) -> None:
    x = np.linspace(1.25, 34.0, 200_000).astype(np.float32)
    exact = np.exp(-2.0 * x.astype(np.float64))
    off = np.abs(text.exp_minus_twice(x) / exact - 1.0)
    assert (off <= exp_units(1.0 - np.tanh(x.astype(np.float64))) * U)[x < 17].all()
    assert (off <= (4.01 + 2.5 * x.astype(np.float64)) * U).all()


def test_approximations_that_are_worse_are_noticed() -> None:
    """Eight times what NVIDIA allows."""
    for k, factor in enumerate((8.0, -8.0)):
        worse = premises.of_text("worse", plain_approximate.text(lambda x: factor, f"_worse_{k}"), exp_units)  # noqa: B023, called at once
        assert list(pieces.of_equation(worse))
    assert not any(said for one in premises.approximate() for said in pieces.of_equation(one))
