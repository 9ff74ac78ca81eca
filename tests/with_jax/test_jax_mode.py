"""tanhlut.jax: the modes against proven ones, at the edges, under every transformation."""

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

import points
import tanhlut
from oracle import REFERENCE, prove
from tanhlut import solve_mode
from tanhlut.methods import EXACT_BOUND

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from jax_checks import check_against_differences, edges  # noqa: E402

import tanhlut.jax as tj  # noqa: E402

NAN, INF = math.nan, math.inf
SAMPLES = [points.uniform, points.cusp, points.jump, points.exponents]


def single(*arrays: Any) -> list[Any]:
    return [np.asarray(array, np.float32) for array in arrays]


def test_proven_rows() -> None:
    found = tj.mode(*single(REFERENCE.loc, REFERENCE.scale))
    assert found.dtype == jnp.float32
    assert np.abs(np.asarray(found, np.float64) - REFERENCE.mode).max() <= 2.4e-7
    x = np.asarray(tj.pre_tanh_mode(*single(REFERENCE.loc, REFERENCE.scale)), np.float64)
    assert (np.abs(x - REFERENCE.pre_tanh) <= 3e-7 * (1.0 + np.abs(x) + 2.0 * REFERENCE.scale**2)).all()


def test_proven_rows_in_float64() -> None:
    with jax.enable_x64(True):
        found = tj.mode(REFERENCE.loc, REFERENCE.scale)
        x = np.asarray(tj.pre_tanh_mode(REFERENCE.loc, REFERENCE.scale))
    assert found.dtype == np.float64
    assert np.abs(np.asarray(found) - REFERENCE.mode).max() <= 1e-14
    assert (np.abs(x - REFERENCE.pre_tanh) <= 1e-14 * (1.0 + np.abs(x) + 2.0 * REFERENCE.scale**2)).all()


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_million_points(sample: points.Sample) -> None:
    """Against Newton's in float64; the worst of them, and some others, against balls."""
    loc, scale = sample(250_000, seed=5)
    found = np.asarray(tj.mode(*single(loc, scale)), np.float64)
    near = np.asarray(solve_mode(loc, scale, solver="newton"))
    error = np.abs(found - near)
    assert error.max() <= EXACT_BOUND
    some = np.r_[np.argsort(error)[-400:], :400]
    assert np.abs(found[some] - prove(loc[some], scale[some], near[some])).max() <= EXACT_BOUND


def test_the_cusp_in_float64() -> None:
    loc, scale = points.cusp_float64(20_000, seed=6)
    near = np.asarray(solve_mode(loc, scale, solver="newton"))
    with jax.enable_x64(True):
        error = np.abs(np.asarray(tj.mode(loc, scale)) - near)
    some = np.argsort(error)[-500:]
    truth = prove(loc[some], scale[some], near[some])
    with jax.enable_x64(True):
        assert np.abs(np.asarray(tj.mode(loc[some], scale[some])) - truth).max() <= 1e-14


@pytest.mark.parametrize("jitted", [True, False])
def test_edges_are_as_in_torch(jitted: bool) -> None:
    loc, scale = edges()
    with jax.disable_jit(not jitted):
        found = np.asarray(tj.mode(loc, scale))
    wanted = tanhlut.mode(loc, scale, method="exact")
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    good = ~np.isnan(wanted)
    assert np.array_equal(np.signbit(found[good]), np.signbit(wanted[good]))
    assert np.abs(found[good] - wanted[good]).max() <= EXACT_BOUND
    assert np.array_equal(np.asarray(tj.mode(-loc, scale))[good], -np.asarray(tj.mode(loc, scale))[good])


def test_bimodal_on_both_sides_of_its_limit() -> None:
    with mpmath.workdps(30):
        for scale in (0.7072, 0.72, 0.9, 1.0, 3.0, 50.0, 1e6):
            wide = mpmath.mpf(float(np.float32(scale)))
            s = 2 * wide**2
            v = mpmath.sqrt(1 - 1 / s)
            limit = float(s * v - mpmath.atanh(v))
            for factor, answer in ((1 - 4e-5, True), (1 + 4e-5, False)):
                for sign in (1.0, -1.0):
                    assert bool(tj.is_bimodal(np.float32(sign * limit * factor), np.float32(scale))) is answer
            with jax.enable_x64(True):
                for factor, answer in ((1 - 1e-11, True), (1 + 1e-11, False)):
                    assert bool(tj.is_bimodal(limit * factor, float(wide))) is answer
    assert not tj.is_bimodal(0.0, 0.7).item()
    assert not tj.is_bimodal(*single([NAN, 0.0, 0.0], [1.0, NAN, -1.0])).any()
    assert tj.is_bimodal(*single([0.0, 1e30], [INF, INF])).all()


TRANSFORMS: dict[str, Callable[[Any, Any], Any]] = {
    "jit": jax.jit(tj.mode),
    "vmap": jax.vmap(tj.mode),
    "vmap of one": lambda loc, scale: jax.vmap(tj.mode, (0, None))(loc, scale[0]),
    "map": lambda loc, scale: jax.lax.map(lambda pair: tj.mode(*pair), (loc, scale)),
    "jit of vmap": jax.jit(jax.vmap(tj.mode)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transformations(name: str) -> None:
    loc, scale = single(*points.cusp(64, seed=1))
    if name == "vmap of one":
        scale[:] = scale[0]
    near = np.asarray(solve_mode(loc.astype(np.float64), scale.astype(np.float64), solver="newton"))
    assert np.abs(np.asarray(TRANSFORMS[name](loc, scale)) - near).max() <= EXACT_BOUND


def test_gradients_are_the_implicit_function_theorems() -> None:
    loc, scale = points.uniform(2_000, seed=3)
    y = prove(loc, scale, np.asarray(solve_mode(loc, scale, solver="newton")))
    q = (1 - y) * (1 + y)
    d = y**2 - (2 * scale**2 - 1) * q
    for dtype, limit in ((np.float32, 2e-4), (np.float64, 1e-11)):
        with jax.enable_x64(dtype == np.float64):
            each = jax.vmap(jax.grad(tj.mode, (0, 1)))
            by_loc, by_scale = (np.asarray(part, np.float64) for part in each(loc.astype(dtype), scale.astype(dtype)))
        easy = d > 1e-3
        assert easy.mean() > 0.9
        assert (np.abs(by_loc - q / d) <= limit * (1.0 + q / d**2))[easy].all()
        assert (np.abs(by_scale - 4 * scale * y * q / d) <= limit * (1.0 + scale * q / d**2))[easy].all()


@pytest.mark.parametrize("function", [tj.mode, tj.pre_tanh_mode])
def test_three_orders_against_differences(function: Callable[..., Any]) -> None:
    check_against_differences(lambda x: function(x[0], x[1]), [(0.2, 0.5), (-0.4, 1.1), (2.0, 0.3), (0.05, 0.75)])


def test_hessians_by_every_road_agree() -> None:
    roads = [
        jax.jacfwd(jax.jacfwd(tj.mode, (0, 1)), (0, 1)),
        jax.jacrev(jax.jacrev(tj.mode, (0, 1)), (0, 1)),
        jax.hessian(tj.mode, (0, 1)),
    ]
    found = [np.asarray(jax.tree.leaves(jax.jit(road)(0.3, 0.6))) for road in roads]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4)


def test_gradients_at_the_edges_are_numbers() -> None:
    loc, scale = edges()
    good = np.isfinite(loc) & (scale >= 0) & (np.abs(loc) < 1e19)
    gradients = jax.vmap(jax.grad(tj.mode, (0, 1)))(loc[good], scale[good])
    assert all(np.isfinite(part).all() for part in gradients)
    assert jax.grad(tj.mode)(INF, 1.0) == 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_rounded_once(dtype: str) -> None:
    rng = np.random.default_rng(0)
    loc = jnp.asarray(rng.normal(size=300), dtype)
    scale = jnp.asarray(rng.uniform(0.0, 2.0, 300), dtype)
    found = tj.mode(loc, scale)
    assert found.dtype == dtype
    wide = tanhlut.mode(*(torch.tensor(np.asarray(part, np.float64)) for part in (loc, scale))).numpy()
    half_ulp = float(jnp.finfo(dtype).eps) / 2
    assert (np.abs(np.asarray(found, np.float64) - wide) <= half_ulp * np.abs(wide) + EXACT_BOUND).all()
    assert tj.mode(loc, 1.0).dtype == dtype
    assert np.isnan(tj.mode(loc[:1], -jnp.finfo(dtype).smallest_subnormal)).all()


def test_kinds_and_shapes() -> None:
    assert tj.mode(0.2, 1.0).shape == ()
    assert tj.mode(1, 2).dtype == jnp.float32
    assert tj.mode(np.zeros((3, 1), np.float32), np.ones(4, np.float32)).shape == (3, 4)
    assert tj.mode(np.zeros((0, 2), np.float32), 1.0).shape == (0, 2)
    assert tj.mode(jnp.float16(0.5), np.float32(1.0)).dtype == jnp.float32
    with jax.enable_x64(True):
        assert tj.mode(0.2, 1.0).dtype == np.float64
        assert tj.mode(np.float32(0.2), 1.0).dtype == np.float32


def test_bounds() -> None:
    loc, scale = single(*points.uniform(500, seed=2))
    low, high = np.full(1, -2.0, np.float32), np.full(1, 0.5, np.float32)
    found = np.asarray(tj.mode(loc, scale, low, high))
    wanted = tanhlut.mode(loc, scale, low, high, method="exact")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2.5 * EXACT_BOUND)
    assert ((found >= low) & (found <= high)).all()
    assert np.array_equal(np.asarray(tj.mode(-loc, scale, -3.0, 3.0)), -np.asarray(tj.mode(loc, scale, -3.0, 3.0)))
    by_low, by_high = jax.grad(tj.mode, (2, 3))(0.2, 1.0, -2.0, 3.0)
    y = 0.97301568665
    np.testing.assert_allclose([by_low, by_high], [(1 - y) / 2, (1 + y) / 2], rtol=1e-5)
    assert np.isnan(tj.mode(loc, scale, jnp.float32(1.0), jnp.float32(1.0))).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0.1], 1.0), TypeError, "loc is a list"),
        ((torch.zeros(1), 1.0), TypeError, "loc is a Tensor"),
        ((np.zeros(1, complex), 1.0), TypeError, "loc has dtype complex128"),
        ((0.1, -1.0), ValueError, "scale = -1.0 is negative"),
        ((0.1, 1.0, 2.0, 1.0), ValueError, "low = 2.0, high = 1.0"),
        ((0.1, 1.0, -INF, 1.0), ValueError, "give finite bounds"),
        ((np.zeros(3), np.ones(2)), ValueError, "[Ii]ncompatible shapes"),
    ],
)
def test_errors_say_what_is_allowed(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tj.mode(*arguments)
