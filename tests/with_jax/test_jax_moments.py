"""tanhlut.jax: mean, variance, standard deviation and entropy against thirty digits, at the edges, differentiated."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest

import tanhlut
from test_moments import drawn, truth

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from jax_checks import check_against_differences, edges  # noqa: E402

import tanhlut.jax as tj  # noqa: E402

NAMES = ("mean", "variance", "stddev", "entropy")
EVERY = pytest.mark.parametrize("name", NAMES)
# The standard deviation is the root of the variance: what compiles longest is asked of it alone.
FEWER = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "variance" else name for name in NAMES]
)
INF = math.inf


def found(name: str, loc: Any, scale: Any, *bounds: Any) -> Any:
    return np.asarray(getattr(tj, name)(np.asarray(loc), np.asarray(scale), *bounds))


def test_float32_against_thirty_digits() -> None:
    loc, scale = drawn(10, 18)
    answers = {name: found(name, loc, scale).astype(np.float64) for name in NAMES}
    for i, (a, b) in enumerate(zip(loc.tolist(), scale.tolist(), strict=True)):
        mean, variance, entropy = truth(a, b)
        assert abs(answers["mean"][i] - mean) <= 5e-7
        assert abs(answers["entropy"][i] - entropy) <= 1.5e-6 * (1 + abs(entropy))
        if variance > 1e-13:
            assert abs(answers["variance"][i] / variance - 1) <= 2e-5
            assert abs(answers["stddev"][i] / mpmath.sqrt(variance) - 1) <= 1e-5


def test_float64_against_thirty_digits() -> None:
    loc, scale = (part.double().numpy() for part in drawn(11, 12))
    with jax.enable_x64(True):
        answers = {name: found(name, loc, scale) for name in NAMES}
    assert {answer.dtype for answer in answers.values()} == {np.dtype(np.float64)}
    for i, (a, b) in enumerate(zip(loc.tolist(), scale.tolist(), strict=True)):
        mean, variance, entropy = truth(a, b)
        assert abs(answers["mean"][i] - mean) <= 2e-14
        assert abs(answers["entropy"][i] - entropy) <= 1e-13 * (1 + abs(entropy))
        if variance > 1e-13:
            assert abs(answers["variance"][i] / variance - 1) <= 1e-10
            assert abs(answers["stddev"][i] / mpmath.sqrt(variance) - 1) <= 1e-10


def test_many_points_against_quadrature() -> None:
    loc, scale = (part.numpy() for part in drawn(12, 20_000))
    with jax.enable_x64(True):
        exact = {name: found(name, loc.astype(np.float64), scale.astype(np.float64)) for name in NAMES}
    answers = {name: found(name, loc, scale) for name in NAMES}
    assert np.abs(answers["mean"] - exact["mean"]).max() <= 5e-7
    assert (np.abs(answers["entropy"] - exact["entropy"]) / (1 + np.abs(exact["entropy"]))).max() <= 1.5e-6
    assert np.abs(answers["variance"] - exact["variance"]).max() <= 3e-6
    some = exact["variance"] > 1e-13
    assert np.abs(answers["variance"] / exact["variance"] - 1)[some].max() <= 2e-5


@EVERY
@pytest.mark.parametrize("wide", [False, True])
def test_edges_are_as_in_torch(name: str, wide: bool) -> None:
    """But for subnormal numbers, which XLA takes for 0."""
    loc, scale = edges()
    normal = ~((np.abs(loc) < 1e-37) & (loc != 0)) & ~((np.abs(scale) < 1e-37) & (scale != 0))
    loc, scale = loc[normal], scale[normal]
    if wide:
        loc, scale = loc.astype(np.float64), scale.astype(np.float64)
    with jax.enable_x64(wide):
        answer = found(name, loc, scale)
    wanted = getattr(tanhlut, name)(loc, scale)
    assert answer.dtype == loc.dtype
    assert np.array_equal(np.isnan(answer), np.isnan(wanted))
    np.testing.assert_allclose(answer, wanted, rtol=1e-5 if not wide else 1e-10, atol=5e-7 if not wide else 1e-13)
    if name == "mean":
        good = ~np.isnan(wanted)
        assert np.array_equal(np.signbit(answer[good]), np.signbit(wanted[good]))


def test_a_negative_subnormal_scale_is_refused() -> None:
    assert all(np.isnan(found(name, np.float32(0.2), np.float32(-1e-40))) for name in NAMES)


@FEWER
def test_derivatives_against_differences(name: str) -> None:
    function = getattr(tj, name)
    check_against_differences(lambda x: function(x[0], x[1]), [(0.2, 0.5), (-1.5, 2.0), (0.0, 0.9)], orders=2)


@FEWER
def test_float32_derivatives_are_those_of_float64(name: str) -> None:
    loc, scale = (part.numpy() for part in drawn(13, 2_000))
    usual = (scale > 1e-2) & (scale < 10) & (np.abs(loc) < 3)
    loc, scale = loc[usual], scale[usual]
    each = jax.jit(jax.vmap(jax.grad(getattr(tj, name), (0, 1))))
    single = [np.asarray(part) for part in each(loc, scale)]
    with jax.enable_x64(True):
        double = [np.asarray(part) for part in each(loc.astype(np.float64), scale.astype(np.float64))]
    limit = {"mean": 2e-6, "entropy": 2e-6, "variance": 2e-3, "stddev": 2e-3}[name]
    for got, wanted in zip(single, double, strict=True):
        assert (np.abs(got - wanted) <= limit * (1 + np.abs(wanted))).all()


@FEWER
def test_derivatives_at_the_edges_are_numbers(name: str) -> None:
    loc = np.array([0.0, -0.0, 30.0, 1e10, 0.3, 0.0], np.float32)
    scale = np.array([1.0, 1.0, 0.1, 1.0, 1e10, 1e-3], np.float32)
    assert all(np.isfinite(part).all() for part in jax.vmap(jax.grad(getattr(tj, name), (0, 1)))(loc, scale))


@FEWER
def test_bounds_are_an_affine_image(name: str) -> None:
    loc, scale = (part.numpy() for part in drawn(14, 300))
    wanted = {
        "mean": lambda value: 1.5 + 2.5 * value,
        "variance": lambda value: 6.25 * value,
        "stddev": lambda value: 2.5 * value,
        "entropy": lambda value: value + math.log(2.5),
    }[name](found(name, loc, scale).astype(np.float64))
    for bounds in ((-1.0, 4.0), (np.full(1, -1.0, np.float32), np.full(1, 4.0, np.float32))):
        np.testing.assert_allclose(found(name, loc, scale, *bounds), wanted, rtol=2e-6, atol=2e-6)
    assert np.isnan(found(name, loc, scale, jnp.float32(1.0), jnp.float32(1.0))).all()


@FEWER
def test_transformations_and_half_precision(name: str) -> None:
    function = getattr(tj, name)
    loc, scale = (part.numpy().clip(-3, 10) for part in drawn(15, 64))
    wanted = np.asarray(function(loc, scale))
    for transform in (jax.jit, jax.vmap, lambda f: lambda a, b: jax.lax.map(lambda pair: f(*pair), (a, b))):
        np.testing.assert_allclose(transform(function)(loc, scale), wanted, rtol=1e-5, atol=2e-6)
    for dtype in (jnp.float16, jnp.bfloat16):
        half = function(loc.astype(dtype), scale.astype(dtype))
        again = np.asarray(function(loc.astype(dtype).astype(np.float32), scale.astype(dtype).astype(np.float32)))
        assert half.dtype == dtype
        np.testing.assert_allclose(np.asarray(half, np.float32), again, rtol=float(jnp.finfo(dtype).eps), atol=1e-6)
    assert function(0.2, 1.0).shape == ()


def test_errors_are_those_of_mode() -> None:
    for name in NAMES:
        with pytest.raises(ValueError, match="is negative"):
            getattr(tj, name)(0.1, -1.0)
        with pytest.raises(TypeError, match="scale is a list"):
            getattr(tj, name)(0.1, [1.0])
