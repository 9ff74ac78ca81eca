"""The checks of the program's pieces: each accepts what the analysis allows and names what it does not."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from conftest import table_named
from tablegen.verify import pieces, premises
from tablegen.verify.cells import exact_delta
from tablegen.verify.pieces import Floats, Pieces
from tanhlut import ModeTable
from tanhlut.compute.grid import grid_of
from tanhlut.file.bounds import WHOLE_PLANE, Bounds
from tanhlut.formula import tensors

GOOD = premises.EAGER
ONE = np.float32(1.0)


def with_parts(change: Callable[[Floats, Any, Floats, Floats, Floats], tuple[Any, ...]]) -> Pieces:
    return GOOD._replace(tanh_parts=lambda x: change(x, *GOOD.tanh_parts(x)))


def with_fold(change: Callable[[Floats, Floats, Floats], tuple[Floats, ...]]) -> Pieces:
    return GOOD._replace(fold=lambda loc, scale: change(*GOOD.fold(loc, scale)))  # type: ignore[arg-type, return-value]


def far_naive(x: Floats, m: Floats, s: Floats, delta: Floats) -> Floats:
    """h as it is written in books."""
    t = np.tanh(x)
    h, d = x - s * t - m, ONE - s * (ONE - t * t)
    return np.clip(np.tanh(x - h * d / (d * d - h * s * t * (ONE - t * t))), np.float32(0), ONE)


def test_the_pieces_that_run_are_those_of_the_proof() -> None:
    assert premises._pieces(True) == ()
    for name in ("default", "narrow", "coarse"):
        assert list(premises._places(table_named(name))) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (GOOD._replace(fold=lambda m, s: (*GOOD.fold(m, s)[:2], ONE * 2 * s * s - ONE)), "δ is within 5.6"),
        (GOOD._replace(fold=lambda m, s: (np.abs(m), *GOOD.fold(m, s)[1:])), "clamped, is exact: inf at"),
        (GOOD._replace(fold=lambda m, s: GOOD.fold(m, np.abs(s))), "not nan"),
        (with_fold(lambda m, s, delta: (m, s * np.float32(1 + 3e-7), delta)), "s is within U"),
        (with_fold(lambda m, s, delta: (m, s, delta * np.float32(1 + 7e-7))), "δ is within 5.6"),
        (with_parts(lambda x, near, t, slope, gap: (near, t, ONE - t * t, gap)), "1 − tanh² x"),
        (with_parts(lambda x, near, t, slope, gap: (near, t, slope, x - t)), "x − tanh x"),
        (with_parts(lambda x, near, t, slope, gap: (near, t * np.float32(1 - 2e-7), slope, gap)), "tanh x"),
        (with_parts(lambda x, near, t, slope, gap: (x <= 1.3, t, slope, gap)), "x is near up to the seam"),
        (with_parts(lambda x, near, t, slope, gap: (near, np.where(x > 9, np.nan, t), slope, gap)), "nan at"),
        (GOOD._replace(closed_form=lambda m, d: GOOD.closed_form(m, d) * np.float32(1.09)), "closed form"),
        (GOOD._replace(closed_form=lambda m, d: GOOD.closed_form(m, np.abs(d))), "closed form"),
        (GOOD._replace(rough_step=lambda x, m, s, d: x), "rough step"),
        (GOOD._replace(rough_step=lambda x, m, s, d: GOOD.rough_step(x, m, s, np.float32(1.001) * d)), "rough step"),
        (GOOD._replace(step=lambda x, m, s, d: x), "Halley step"),
        (GOOD._replace(step=far_naive), "Halley step"),
        (GOOD._replace(step=lambda *parts: GOOD.step(*parts) + np.float32(1.2e-7)), "Halley step|ends in"),
        (GOOD._replace(unfold=lambda y, loc: np.copysign(y, loc)), "clipped"),
        (GOOD._replace(unfold=lambda y, loc: np.clip(y, 0, 1) * np.where(loc < 0, -ONE, ONE)), "on loc's side"),
        (GOOD._replace(unfold=lambda y, loc: np.copysign(np.clip(y, 0, 1), loc) + np.float32(0.0)), "bears loc's sign"),
    ],
)
def test_a_changed_piece_is_named(changed: Pieces, words: str) -> None:
    found = list(pieces.of_equation(changed))
    assert found
    assert re.search(words, found[0])
    assert "\n" not in found[0]


@pytest.mark.parametrize(
    "changed",
    [
        with_parts(lambda x, near, t, slope, gap: (x < 1.25, t, slope, gap)),  # SEAM itself may take either form
        GOOD._replace(closed_form=lambda m, d: GOOD.closed_form(m, d) * np.float32(1.08)),  # the kernels' is that far
    ],
)
def test_what_the_analysis_allows_is_accepted(changed: Pieces) -> None:
    assert list(pieces.of_equation(changed)) == []


BOUNDS = Bounds(3.0, 0.1, 1.5)


def contained(loc: Floats, scale: Floats, bounds: Bounds = BOUNDS) -> Any:
    found: torch.Tensor = bounds.contain(torch.from_numpy(loc), torch.from_numpy(scale))
    return found.numpy()


def test_bounds_are_held_exactly() -> None:
    for bounds in (
        BOUNDS,
        Bounds(3.1, 0.1, 1e300),
        Bounds(1e300, 1e-300, 0.3),
        Bounds(1e-30, 0.0, np.inf),
        WHOLE_PLANE,
    ):
        assert list(pieces.contains(partial(contained, bounds=bounds), bounds)) == []
    others: list[Callable[[Floats, Floats], Any]] = [
        lambda loc, scale: contained(loc, scale) & (loc > -1),
        lambda loc, scale: (loc <= 3.0) & (scale >= np.float32(0.1)) & (scale <= 1.5),
        lambda loc, scale: contained(loc, scale) & (loc != 3.0),
        lambda loc, scale: contained(loc, scale, BOUNDS._replace(scale_max=1.5000001)),
        lambda loc, scale: contained(loc, scale, BOUNDS._replace(scale_min=0.10000001)),
        lambda loc, scale: contained(loc, scale) | np.isnan(loc),
    ]
    for other in others:
        assert "what lies within the bounds" in next(pieces.contains(other, BOUNDS))


@pytest.mark.parametrize("name", ["loc", "scale"])
def test_places_are_held_on_both_axes(name: str) -> None:
    table = table_named("narrow")
    nodes = table.loc if name == "loc" else exact_delta(table.scale)
    least = float(np.abs(nodes[nodes != 0]).min()) if name == "loc" else 2.0**-26
    ends = np.float32(nodes[0]), np.float32(nodes[-1])

    def locate(x: Floats, clamp: bool = True, side: str = "right") -> tuple[Any, Any]:
        x = np.clip(x, *ends) if clamp else x
        cell = np.clip(np.searchsorted(nodes[1:-1], x, side=side), 0, len(nodes) - 2)  # type: ignore[call-overload]
        return cell, (x - nodes[cell]) / (nodes[cell + 1] - nodes[cell])

    def broken(position: Callable[[Floats], tuple[Any, Any]]) -> bool:
        return next(pieces.locates(name, position, nodes), None) is not None

    assert not broken(locate)
    assert not broken(lambda x: locate(x, side="left"))  # on a node: all of the lower cell, or nothing of the upper
    assert broken(lambda x: locate(x, clamp=False))
    assert broken(lambda x: (locate(x)[0], locate(x)[1] * (1 + 1e-4)))
    assert broken(lambda x: (locate(x)[0] + 1, locate(x)[1]))
    assert broken(lambda x: locate(x * np.float32(1 + 4e-7)))
    assert broken(lambda x: (locate(x)[0], np.where(np.abs(x) < 2 * least, np.nan, locate(x)[1])))


def test_edges_are_repeated() -> None:
    values = table_named("coarse").values

    def paired(padded: Floats) -> Floats:
        return np.stack([padded[:-1], padded[1:]], axis=2)

    right = paired(np.pad(values, 1, mode="edge"))
    assert list(pieces.paired(right, values)) == []
    other = right.copy()
    other[5, 7, 1] += 1e-6  # what the next row has in its own place
    for wrong in (paired(np.pad(values, 1)), paired(np.pad(values, 1, mode="reflect")), paired(values), other):
        assert list(pieces.paired(wrong, values)) == ["the kernels' values are not the table's with its edges repeated"]


def test_the_chart_is_held() -> None:
    def chart(m: Floats, delta: Floats) -> tuple[Floats, Floats, Floats]:
        return tuple(part.numpy() for part in tensors.SINGLE.chart(torch.from_numpy(m), torch.from_numpy(delta)))

    assert list(pieces.charts(chart, GOOD.fold, GOOD.clamps)) == []
    for k in range(3):
        for factor in (1 - 1e-5, 1 + 1e-5):

            def other(m: Floats, delta: Floats, k: int = k, factor: float = factor) -> Any:
                parts = list(chart(m, delta))
                parts[k] = parts[k] * np.float32(factor)
                return parts

            assert f"the network's chart, {'uρb'[k]}" in next(pieces.charts(other, GOOD.fold, GOOD.clamps))


def test_a_changed_program_fails_its_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_named("coarse")
    assert premises.broken(table, "bilinear") is None
    grid = grid_of(table, torch.float32, torch.device("cpu"))
    wrong = grid._replace(loc=grid.loc._replace(per_width=grid.loc.per_width * 1.0001))
    monkeypatch.setitem(table.forms._made, (torch.float32, torch.device("cpu")), wrong)
    assert "axis 'loc'" in str(premises.broken(table, "bilinear"))
    monkeypatch.undo()
    monkeypatch.setattr(
        premises, "EAGER", GOOD._replace(unfold=lambda y, loc: y * np.where(np.signbit(loc), -ONE, ONE))
    )
    premises._pieces.cache_clear()
    try:
        assert "clipped to [0, 1]" in str(premises.broken(table, "refined"))
    finally:
        premises._pieces.cache_clear()


def test_kernels_that_can_read_no_table_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch operations would serve in their place, rightly and slowly."""
    table = table_named("coarse")
    monkeypatch.setitem(ModeTable.default().__dict__, "packed", None)
    assert "does not find the cells of the shipped table" in str(premises.broken(table, "bilinear"))
