"""Both exact solvers against proven values; determinism, batch independence, conventions."""

import numpy as np
import pytest
import torch

from oracle import REFERENCE
from tanhlut import solve_mode
from tanhlut.solver import Solver

SOLVERS = ["newton", "adam"]


@pytest.mark.parametrize(("solver", "absolute"), [("newton", 2e-15), ("adam", 1e-12)])
def test_reference(solver: Solver, absolute: float) -> None:
    y = solve_mode(REFERENCE.loc, REFERENCE.scale, solver=solver)
    error = np.abs(y - REFERENCE.mode)
    assert error.max() <= absolute
    if solver == "newton":
        assert (error / np.abs(REFERENCE.mode)).max() <= 1e-14


@pytest.mark.parametrize("solver", SOLVERS)
def test_kinds_shapes_and_conventions(solver: Solver) -> None:
    nan, inf = float("nan"), float("inf")
    loc = np.array([0.0, -0.0, 0.0, -0.0, nan, 1.0, 1.0, inf, -inf, 5.0, 0.3])
    scale = np.array([0.5, 0.5, 1.0, 1.0, 1.0, nan, -1.0, 1.0, 1.0, inf, 0.0])
    peak = 0.9575040240772687  # the positive solution of y = tanh(2y)
    expected = np.array([0.0, -0.0, peak, -peak, nan, nan, nan, 1.0, -1.0, 1.0, np.tanh(0.3)])
    y = solve_mode(loc, scale, solver=solver)
    np.testing.assert_allclose(y, expected, rtol=1e-15)
    np.testing.assert_array_equal(
        np.signbit(y), np.signbit(expected) & ~np.isnan(expected) | np.signbit(y) & np.isnan(y)
    )
    as_tensor = solve_mode(torch.from_numpy(loc).float()[:, None], torch.tensor(1.0), solver=solver)
    assert as_tensor.dtype == torch.float64
    assert as_tensor.shape == (11, 1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_element_does_not_see_its_batch(solver: Solver) -> None:
    rng = np.random.default_rng(3)
    loc, scale = rng.normal(size=300), rng.uniform(0.01, 2, 300)
    whole = solve_mode(loc, scale, solver=solver)
    np.testing.assert_array_equal(whole, solve_mode(loc, scale, solver=solver))
    np.testing.assert_array_equal(whole, [solve_mode(a, b, solver=solver) for a, b in zip(loc, scale, strict=True)])
    np.testing.assert_array_equal(whole[::-3], solve_mode(loc[::-3], scale[::-3], solver=solver))


def test_unknown_solver() -> None:
    with pytest.raises(ValueError, match=r"'sgd'.*'adam', 'newton'"):
        solve_mode(np.zeros(1), np.ones(1), solver="sgd")  # type: ignore[call-overload]
