"""The verifier: sound on every query tried, tight, hard to fool."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from flint import arb, ctx
from numpy.typing import NDArray

from conftest import table_named
from points import hard_queries
from tablegen.verify.cells import domain
from tablegen.verify.nodes import prove_nodes
from tablegen.verify.prove import Verification, cells_of, verify
from tablegen.verify.witness import errors
from tanhlut import mode
from tanhlut.compute.grid import grid_of
from tanhlut.errors import MissingExtraError
from tanhlut.file import table as table_module
from tanhlut.file.table import ModeTable
from tanhlut.methods import Method

Array = NDArray[np.float64]
FLOAT32 = NDArray[np.float32]
U = 2.0**-24
TABLES = ["default", "narrow", "coarse"]


@cache
def verified(name: str, method: Method) -> Verification:
    return verify(table_named(name), method)


def altered(
    table: ModeTable,
    values: Callable[[FLOAT32], None] | None = None,
    loc: Callable[[Array], Array] | None = None,
) -> ModeTable:
    """The table with changed arrays, its digest made to match, as a forger would."""
    stored = table.values.copy()
    if values is not None:
        values(stored)
    nodes = table.loc.copy() if loc is None else loc(table.loc.copy())
    return ModeTable(nodes, table.scale.copy(), stored, dict(table.metadata))


def shifted(factor: float) -> Callable[[Array], Array]:
    return lambda loc: (loc * factor).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("method", ["bilinear", "refined"])
@pytest.mark.parametrize("name", [pytest.param("default", marks=pytest.mark.slow), "narrow", "coarse"])
def test_no_query_exceeds_its_cells_bound(name: str, method: Method) -> None:
    """Ten million on the shipped table, five a method, half of them a backend; a quarter of a million on each other."""
    table, result = table_named(name), verified(name, method)
    for seed in range(50 if name == "default" else 4):
        loc, scale = hard_queries(table, 100_000 if name == "default" else 80_000, seed)
        seen, _ = errors(table, method, loc, scale, ("eager", "cpu")[seed % 2])
        assert float(seen.max()) <= result.bound
        inside = table.bounds.contain(loc, scale)
        allowed = torch.from_numpy(result.cell_bounds)[cells_of(table, result, loc[inside], scale[inside])]
        assert not allowed.isnan().any()  # columns declared out of reach are out of reach
        assert bool((seen[inside] <= allowed).all())


@pytest.mark.parametrize("method", ["bilinear", "refined"])
def test_errors_agree_with_an_independent_oracle(method: Method) -> None:
    """The enclosure that errors are measured with, against Newton in 200-bit balls."""
    table = table_named("default")
    loc, scale = hard_queries(table, 400, 9)
    scale = scale.clamp(max=5.0)
    y = mode(loc, scale, method=method, table=table, backend="eager")
    at_least, at_most = errors(table, method, loc, scale, "eager")
    previous, ctx.prec = ctx.prec, 200
    try:
        for m, sigma, answer, low, high in zip(
            loc.tolist(), scale.tolist(), y.tolist(), at_least, at_most, strict=True
        ):
            true = abs(arb(answer) - _mode(min(m, 45.0), sigma))
            assert arb(float(low)) <= true + arb(2) ** -60
            assert true <= arb(float(high)) * (1 + arb(2) ** -50) + arb(2) ** -100
    finally:
        ctx.prec = previous


def _mode(m: float, sigma: float) -> arb:
    """Bisection for the sign change of artanh y − y − δ·y − m on (0, 1)."""
    delta = 2 * arb(sigma) * arb(sigma) - 1
    if m == 0 and not delta > 0:
        return arb(0)
    low, high = arb(0), arb(1)
    for _ in range(150):
        middle = ((low + high) / 2).mid()
        if middle.atanh() - middle - delta * middle < m:
            low = middle
        else:
            high = middle
    return low


def test_bounds_are_tight() -> None:
    for name in TABLES:
        assert 1.0 <= verified(name, "bilinear").ratio <= 1.03
    default = verified("default", "bilinear")
    assert default.supports(table_named("default").tolerance)
    assert verified("default", "refined").bound <= 5e-7
    assert verified("narrow", "refined").bound <= 5e-7
    assert verified("coarse", "refined").bound <= 1e-6


def test_every_node_is_the_rounded_mode() -> None:
    for name in TABLES:
        nodes = verified(name, "bilinear").nodes
        assert nodes.wrong == 0
        assert nodes.error <= 2.0**-25
        assert nodes.balls == 0


def test_ball_arithmetic_confirms_every_node() -> None:
    table = table_named("coarse")
    assert verify(table, "bilinear", paranoid=True).nodes.balls == table.values.size


def test_what_supports_a_claim() -> None:
    """All of it: nothing seen beyond the bound, no node that is another float32, no broken premise, no NaN."""
    result = verified("coarse", "bilinear")
    nan = float("nan")
    assert result.supports(result.bound)
    for error in (result.bound * (1 + 1e-9), nan, np.inf):
        assert not replace(result, witness=result.witness._replace(error=error)).supports(1.0)
    for bound in (nan, np.inf):
        assert not replace(result, bound=bound).supports(1.0)
    assert not result.supports(nan)
    assert not replace(result, nodes=result.nodes._replace(wrong=1)).supports(1.0)
    assert not replace(result, broken="a premise").supports(1.0)


# Negative controls. Each forged table loads: its digest matches what it holds.


def roomy(table: ModeTable) -> tuple[int, int]:
    """The node that can move the farthest, up or down, with values still increasing."""
    by_loc, by_scale = np.diff(table.values, axis=0), np.diff(table.values, axis=1)
    room = np.minimum(np.minimum(by_loc[:-1], by_loc[1:])[:, 1:-1], np.minimum(by_scale[:, :-1], by_scale[:, 1:])[1:-1])
    k, j = np.unravel_index(room.argmax(), room.shape)
    return int(k) + 1, int(j) + 1


SHIPPED_TOO = [pytest.param("default", marks=pytest.mark.slow), "coarse"]


@pytest.mark.parametrize("name", SHIPPED_TOO)
def test_a_node_moved_far_is_found(name: str) -> None:
    table = table_named(name)
    k, j = roomy(table)
    step = 1e-3 if name == "default" else 0.03

    def raise_one(values: FLOAT32) -> None:
        values[k, j] += step

    result = verify(altered(table, raise_one))
    assert result.bound >= step - table.tolerance
    assert not result.supports(table.tolerance)
    assert result.nodes.wrong == 1
    assert (result.nodes.loc, result.nodes.scale) == (table.loc[k], table.scale[j])


@pytest.mark.parametrize("direction", [0.0, 1.0])
def test_a_node_moved_by_one_float32_is_found(direction: float) -> None:
    table = table_named("coarse")
    k = int(np.argmin(np.abs(table.values[:, 10] - 0.6)))

    def move(values: FLOAT32) -> None:
        values[k, 10] = np.nextafter(values[k, 10], np.float32(direction))

    forged = altered(table, move)
    result = prove_nodes(forged.loc, forged.scale, forged.values, False)
    assert result.wrong == 1
    assert (result.loc, result.scale) == (table.loc[k], table.scale[10])


@pytest.mark.parametrize("name", SHIPPED_TOO)
def test_a_node_moved_by_twice_the_bound_is_found(name: str) -> None:
    table, claim = table_named(name), verified(name, "bilinear").bound
    k, j = roomy(table)
    for sign in (-1, 1):

        def move(values: FLOAT32, sign: int = sign) -> None:
            values[k, j] += 2 * sign * claim

        forged = altered(table, move)
        result = verify(forged)
        assert result.bound >= 1.9 * claim
        assert result.nodes.wrong == 1
        assert not result.supports(claim)


@pytest.mark.parametrize("name", SHIPPED_TOO)
def test_swapped_nodes_are_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_named(name)
    k = int(np.argmin(np.abs(table.values[:, 100] - 0.6)))

    def swap(values: FLOAT32) -> None:
        values[[k, k + 1], 100] = values[[k + 1, k], 100]

    with pytest.raises(ValueError, match="not increasing"):
        altered(table, swap)
    monkeypatch.setattr(table_module, "check_table", lambda *arrays: table.bounds)
    result = verify(altered(table, swap))
    assert result.nodes.wrong == 2
    assert not result.supports(table.tolerance)


@pytest.mark.parametrize("factor", [1 - 1e-6, 1 + 1e-6])
@pytest.mark.parametrize("name", SHIPPED_TOO)
def test_a_shifted_axis_is_found(name: str, factor: float) -> None:
    table = table_named(name)
    result = verify(altered(table, loc=shifted(factor)))
    assert result.nodes.wrong > 1000
    assert not result.supports(table.tolerance)


@pytest.mark.slow
def test_a_shifted_axis_of_a_narrow_table_is_found() -> None:
    table = table_named("narrow")
    result = verify(altered(table, loc=shifted(1 + 1e-6)))
    assert result.nodes.wrong > 1000
    assert not result.supports(table.tolerance)


def test_a_shifted_axis_that_ends_short_of_the_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="short of the bounds"):  # the last node is the bound itself
        altered(table_named("narrow"), loc=shifted(1 - 1e-6))


@pytest.mark.parametrize("name", TABLES)
def test_a_claim_lowered_by_a_tenth_fails(name: str) -> None:
    result = verified(name, "bilinear")
    assert result.supports(result.bound)
    assert not result.supports(0.9 * result.bound)
    assert result.witness.error > 0.9 * result.bound  # and it would indeed be false


def test_a_displaced_float32_axis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    table = altered(table_named("coarse"))
    honest = grid_of(table, torch.float32, torch.device("cpu"))
    shifted = honest._replace(loc=honest.loc._replace(origin=honest.loc.origin * (1 + 1e-6)))
    monkeypatch.setitem(table.forms._made, (torch.float32, torch.device("cpu")), shifted)
    with pytest.raises(ArithmeticError, match="loc"):
        domain(table)


def test_the_method_must_have_a_table() -> None:
    with pytest.raises(ValueError, match="exact"):
        verify(table_named("coarse"), "exact")


def test_a_missing_flint_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(MissingExtraError, match=r"tanhlut\[paranoid\]"):
        verify(table_named("coarse"), paranoid=True)
