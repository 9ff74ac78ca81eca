"""Mean, variance, standard deviation and entropy against 30 digits, on every road, at the edges; gradients."""

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import oracle
import tanhlut
from tanhlut import ModeTable
from tanhlut.compute import functions
from tanhlut.distributions import quadrature
from tanhlut.formula.functions import FUNCTIONS
from tanhlut.formula.plain import DOUBLE, SINGLE
from torch_versions import compiles

QUANTITIES = {"mean": tanhlut.mean, "variance": tanhlut.variance, "stddev": tanhlut.stddev, "entropy": tanhlut.entropy}
EVERY = pytest.mark.parametrize("name", QUANTITIES)
NAN, INF = math.nan, math.inf


def truth(loc: float, scale: float) -> tuple[Any, Any, Any]:
    """Mean, variance and entropy in 30 digits."""
    mean, variance, log_cosh = oracle.moments(loc, scale)
    with mpmath.workdps(30):
        return mean, variance, mpmath.log(2 * mpmath.pi * mpmath.e) / 2 + mpmath.log(scale) - 2 * log_cosh


def drawn(seed: int, n: int) -> tuple[Tensor, Tensor]:
    """scale from 1e-4 to 1e4, loc where something happens, up to 30; with 0 and the crease loc = 4·scale²."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.uniform(np.log(1e-4), np.log(1e4), n)).astype(np.float32)
    loc = rng.choice([-1, 1], n) * np.minimum(30.0, rng.exponential(1.0, n) * (1.0 + 3.0 * scale))
    loc[::7] = np.minimum(30.0, 4.0 * scale[::7] ** 2)
    loc[::11] = 0.0
    return torch.from_numpy(loc.astype(np.float32)), torch.from_numpy(scale)


def test_float32_against_thirty_digits() -> None:
    loc, scale = drawn(0, 45)
    found = {name: f(loc, scale).double().tolist() for name, f in QUANTITIES.items()}
    for i, (a, b) in enumerate(zip(loc.tolist(), scale.tolist(), strict=True)):
        mean, variance, entropy = truth(a, b)
        assert abs(found["mean"][i] - mean) <= 5e-7
        assert abs(found["entropy"][i] - entropy) <= 1.5e-6 * (1 + abs(entropy))
        if variance > 1e-13:
            assert abs(found["variance"][i] / variance - 1) <= 2e-5
            assert abs(found["stddev"][i] / mpmath.sqrt(variance) - 1) <= 1e-5


def test_float32_against_quadrature_on_many_points() -> None:
    """The quadrature, in float64, is itself held against 30 digits (distributions/test_quadrature.py)."""
    loc, scale = drawn(1, 60_000)
    exact = {
        name: torch.cat([f(a, b, method="quadrature") for a, b in zip(*wide(loc, scale), strict=True)])
        for name, f in QUANTITIES.items()
    }
    mean, entropy, variance = (tanhlut.mean(loc, scale), tanhlut.entropy(loc, scale), tanhlut.variance(loc, scale))
    assert (mean - exact["mean"]).abs().max() <= 5e-7
    assert ((entropy - exact["entropy"]).abs() / (1 + exact["entropy"].abs())).max() <= 1.5e-6
    some = exact["variance"] > 1e-13
    assert ((variance / exact["variance"] - 1)[some]).abs().max() <= 2e-5
    assert (variance - exact["variance"]).abs().max() <= 3e-6


def wide(loc: Tensor, scale: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    return loc.double().split(1 << 13), scale.double().split(1 << 13)


def test_float64_against_quadrature_on_many_points() -> None:
    loc, scale = (x.double() for x in drawn(11, 40_000))
    mean, variance, _, entropy = tanhlut.describe(loc, scale)
    exact = [f(loc, scale, method="quadrature") for f in (tanhlut.mean, tanhlut.variance, tanhlut.entropy)]
    assert (mean - exact[0]).abs().max() <= 1e-14
    assert ((variance / exact[1] - 1)[exact[1] > 1e-13]).abs().max() <= 2e-11
    assert ((entropy - exact[2]).abs() / (1 + exact[2].abs())).max() <= 5e-14


def test_one_call_for_all() -> None:
    """`describe` answers what each function does, of any kind and on any bounds."""
    loc, scale = drawn(12, 300)
    pairs: tuple[tuple[Any, Any], ...] = (
        (loc, scale),
        (loc.numpy(), scale.numpy()),
        (loc.double(), scale.double()),
        (0.3, 0.7),
    )
    for a, b in pairs:
        found = tanhlut.describe(a, b, -2.0, 3.0)
        for name, f in QUANTITIES.items():
            value, wanted = getattr(found, name), f(a, b, -2.0, 3.0)
            assert type(value) is type(wanted)
            torch.testing.assert_close(torch.as_tensor(value), torch.as_tensor(wanted), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (257,), (7, 5, 3), (40_000,)])
def test_one_call_gives_the_bits_of_each(shape: tuple[int, ...]) -> None:
    """By a road of its own on the CPU: both sides of a strip's end, of threads, and odd numbers."""
    loc, scale = (part[: math.prod(shape)].reshape(shape).clone() for part in drawn(17, 40_000))
    odd = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-45, 3e38, -1e30])
    if loc.numel() > 200:
        loc.view(-1)[:64], scale.view(-1)[:64] = odd.repeat(8), odd.repeat_interleave(8)
    for low, high in ((-1.0, 1.0), (-2.0, 3.0)):
        found = tanhlut.describe(loc, scale, low, high)
        for name in ("mean", "stddev", "entropy"):
            one, alone = getattr(found, name), QUANTITIES[name](loc, scale, low, high)
            assert one.shape == alone.shape
            assert torch.equal(one.view(torch.int32), alone.view(torch.int32))
        root = found.stddev
        assert torch.equal(found.variance.view(torch.int32), (root * root).view(torch.int32))


def test_float64_and_floats_against_thirty_digits() -> None:
    loc, scale = drawn(2, 25)
    for a, b in zip(loc.double().tolist(), scale.double().tolist(), strict=True):
        mean, variance, entropy = truth(a, b)
        assert abs(tanhlut.mean(a, b) - mean) <= 2e-14
        assert abs(tanhlut.entropy(a, b) - entropy) <= 1e-13 * (1 + abs(entropy))
        if variance > 1e-13:
            assert abs(tanhlut.variance(a, b) / variance - 1) <= 1e-10


def every_exponent() -> tuple[Tensor, Tensor]:
    sizes = torch.cat([torch.tensor([0.0, 1e-45, 3e-39, 3.4028234e38, INF]), 2.0 ** torch.arange(-126.0, 128.0, 7.0)])
    loc, scale = torch.meshgrid(torch.cat([sizes, -sizes]), sizes, indexing="ij")
    return loc.flatten(), scale.flatten()


def test_every_exponent_is_answered() -> None:
    loc, scale = every_exponent()
    mean, variance, stddev, entropy = (f(loc, scale) for f in QUANTITIES.values())
    for found in (mean, variance, stddev, entropy):
        assert not found.isnan().any()
    assert (mean.abs() <= torch.tanh(loc.abs()) * (1 + 1e-6) + 5e-7).all()
    assert ((variance >= 0) & (variance <= 1 + 1e-6)).all()
    assert (entropy <= math.log(2.0)).all()
    assert (mean[loc.isinf()].abs() == 1).all()
    assert (stddev[(scale == 0) | loc.isinf()] == 0).all()
    assert (entropy[(scale == 0) | loc.isinf() | scale.isinf()] == -INF).all()
    far = (scale > 1e5) & scale.isfinite() & loc.isfinite()  # tanh X is the sign of X then
    wanted = torch.erf(loc[far].double() / scale[far].double() / math.sqrt(2.0))
    assert (mean[far] - wanted).abs().max() <= 5e-6 + 1e-5
    torch.testing.assert_close(
        stddev[(scale > 0) & (scale < 1e-9) & (loc == 0)],
        scale[(scale > 0) & (scale < 1e-9) & (loc == 0)],
        rtol=1e-5,
        atol=1e-44,
    )


@pytest.mark.parametrize("backend", ["cpu", "eager"])
def test_every_exponent_is_answered_in_float64(backend: str) -> None:
    """On every backend: torch's numbers beside the tensors are of its default dtype, which has not float64's range."""
    sizes = torch.cat([torch.tensor([0.0, 5e-324, 1.8e308, INF]).double(), 2.0 ** torch.arange(-1022.0, 1024.0, 93.0)])
    loc, scale = (part.flatten() for part in torch.meshgrid(torch.cat([sizes, -sizes]), sizes, indexing="ij"))
    mean, variance, stddev, entropy = (f(loc, scale, backend=backend) for f in QUANTITIES.values())
    for found in (mean, variance, stddev, entropy):
        assert not found.isnan().any()
    far = (scale > 1e10) & scale.isfinite() & loc.isfinite()  # tanh X is the sign of X then
    wanted = torch.erf(loc[far] / scale[far] / math.sqrt(2.0))
    torch.testing.assert_close(mean[far], wanted, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(variance[far], 1.0 - wanted * wanted, rtol=0.0, atol=1e-9)
    near = (loc.abs() > 1e10) & (scale < 1e-5 * loc.abs()) & loc.isfinite()
    assert (mean[near].abs() == 1.0).all()
    assert (variance[near] <= 1e-20).all()
    some = near & (scale > 0)
    torch.testing.assert_close(entropy[some], scale[some].log() - 2.0 * loc[some].abs(), rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("backend", ["cpu", "eager"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_flushed_subnormals_change_no_answer(name: str, dtype: torch.dtype, backend: str) -> None:
    """Of normal numbers, k·scale of which may be none: by more than what an underflow is multiplied by."""
    bits, allowed = (128.0, 1e-30) if dtype == torch.float32 else (1024.0, 1e-200)
    sizes = torch.cat([torch.tensor([0.0, INF]), 2.0 ** torch.arange(2.0 - bits, bits, bits / 32.0, dtype=dtype)])
    loc, scale = (part.flatten() for part in torch.meshgrid(torch.cat([sizes, -sizes]), sizes, indexing="ij"))
    wanted = functions.evaluate(name, loc, scale, None, backend)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush")
    try:
        assert (torch.tensor([torch.finfo(dtype).smallest_normal], dtype=dtype) / 2.0 == 0.0).all()
        found = functions.evaluate(name, loc, scale, None, backend)
    finally:
        torch.set_flush_denormal(False)
    assert not found.isnan().any()
    assert ((found == wanted) | ((found - wanted).abs() <= allowed)).all()


@EVERY
def test_what_has_no_answer_is_nan(name: str) -> None:
    loc, scale = (
        torch.tensor([NAN, 0.3, NAN, 0.3, INF, NAN, INF, 0.0]),
        torch.tensor([1.0, NAN, NAN, -1.0, NAN, INF, -1.0, -INF]),
    )
    for backend in ("cpu", "eager"):
        assert QUANTITIES[name](loc, scale, backend=backend).isnan().all()
    assert QUANTITIES[name](loc.double(), scale.double()).isnan().all()
    with pytest.raises(ValueError, match="negative"):
        QUANTITIES[name](0.1, -1.0)
    assert (
        QUANTITIES[name](torch.tensor([0.1]), torch.tensor([1.0]), torch.tensor([1.0]), torch.tensor([1.0]))
        .isnan()
        .all()
    )


@settings(deadline=None, max_examples=200)
@given(st.floats(-50, 50, width=32), st.floats(0, 1e4, width=32))
def test_odd_even_and_in_range(loc: float, scale: float) -> None:
    a, b = torch.tensor([loc, -loc]), torch.tensor([scale, scale])
    mean, variance, stddev, entropy = (f(a, b) for f in QUANTITIES.values())
    assert torch.equal(mean[0], -mean[1])
    assert torch.signbit(mean[0]) == torch.signbit(a[0])
    for even in (variance, stddev, entropy):
        assert torch.equal(even[0], even[1])
    assert mean[0].abs() <= min(1.0, math.tanh(abs(loc)) + 5e-7)
    assert 0 <= variance[0] <= 1 + 1e-6
    assert entropy[0] <= math.log(2.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_kernels_have_the_bits_of_the_text(name: str, dtype: torch.dtype) -> None:
    """The loop of the compiled kernel, whatever the batch and its end, against the text in NumPy."""
    loc, scale = (torch.cat(pair).to(dtype) for pair in zip(drawn(3, 3001), every_exponent(), strict=True))
    moments = functions.moments_of(None)
    text, one, vector = (
        (SINGLE, np.float32(1.0), moments.vector)
        if dtype == torch.float32
        else (DOUBLE, np.float64(1.0), moments.double)
    )
    with np.errstate(all="ignore"):
        wanted = torch.from_numpy(getattr(text, name)(loc.numpy(), scale.numpy(), vector, -one, one))
    for part in (slice(None), slice(5, 6), slice(100, 355), slice(1, 513)):
        a, b = loc[part].clone(), scale[part].clone()
        found = torch.empty_like(a)
        functions.on_cpu(name, a, b, found, -1.0, 1.0, None)
        assert torch.equal(found.nan_to_num(7.0), wanted[part].nan_to_num(7.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@EVERY
def test_the_short_road_has_the_general_ones_bits(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half precision rounded once, a number, broadcasting; and the general road's errors."""
    f = QUANTITIES[name]
    loc, scale = (part.reshape(6, 50).to(dtype) for part in drawn(4, 300))
    loc[0, :4] = torch.tensor([0.0, -0.0, torch.nan, torch.inf])
    scale[1, :4] = torch.tensor([0.0, torch.nan, -1.0, torch.inf])
    calls = [
        lambda: f(loc, scale),
        lambda: f(loc, 0.7),
        lambda: f(loc[:, :1], scale[:1]),
        lambda: f(loc[0, 0], scale, out=torch.empty_like(scale)),
    ]
    for short, general in zip([call() for call in calls], _generally(calls, monkeypatch), strict=True):
        assert short.dtype == dtype
        assert torch.equal(short.nan_to_num(9.0), general.nan_to_num(9.0))
    with pytest.raises(ValueError, match="do not broadcast"):
        f(loc, scale[:3])
    with pytest.raises(ValueError, match="negative"):
        f(loc, -0.5)


def _generally(calls: list[Callable[[], Any]], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    with monkeypatch.context() as patch:
        patch.setattr("tanhlut.moments._plain", lambda *given: None)
        return [call() for call in calls]


@EVERY
def test_roads_agree(name: str) -> None:
    """float32 by kernel and by torch operations, NumPy, out=, long arrays on threads, broadcasting, half precision."""
    f = QUANTITIES[name]
    loc, scale = drawn(4, 70_000)
    found = f(loc, scale)
    torch.testing.assert_close(f(loc, scale, backend="eager"), found, rtol=3e-6, atol=1e-6)
    assert np.array_equal(f(loc.numpy(), scale.numpy()), found.numpy())
    out = torch.empty_like(loc)
    assert f(loc, scale, out=out) is out
    assert torch.equal(out, found)
    assert torch.equal(
        f(loc[:9].reshape(3, 3), scale[:3]), f(loc[:9].reshape(3, 3), scale[:3].expand(3, 3).contiguous())
    )
    half = f(loc[:100].bfloat16(), scale[:100].bfloat16())
    assert torch.equal(half, f(loc[:100].bfloat16().float(), scale[:100].bfloat16().float()).bfloat16())
    with pytest.raises(ValueError, match="method"):
        f(loc, scale, method="sampled")
    with pytest.raises(ValueError, match="serves CPU tensors"):
        f(loc.to("meta"), scale.to("meta"), backend="cpu")
    with pytest.raises(ValueError, match="'gpu' has no moments of what is traced or transformed"):
        torch.func.vmap(lambda a, b: f(a, b, backend="gpu"))(loc, scale)


def test_bounds() -> None:
    loc, scale = drawn(5, 1000)
    low, high = -3.0, 5.0
    assert torch.equal(
        tanhlut.mean(loc, scale, low, high), tanhlut.mean(loc, scale, torch.tensor(low), torch.tensor(high))
    )
    torch.testing.assert_close(tanhlut.mean(loc, scale, low, high), 1.0 + 4.0 * tanhlut.mean(loc, scale))
    torch.testing.assert_close(tanhlut.variance(loc, scale, low, high), 16.0 * tanhlut.variance(loc, scale))
    torch.testing.assert_close(tanhlut.stddev(loc, scale, low, high), 4.0 * tanhlut.stddev(loc, scale))
    wide_ = tanhlut.entropy(loc, scale, low, high)
    torch.testing.assert_close(wide_, tanhlut.entropy(loc, scale) + math.log(4.0), rtol=1e-6, atol=1e-6)
    assert (wide_ <= math.log(8.0) + 1e-6).all()
    assert (tanhlut.mean(loc, scale, 0.0, 1e38) <= 1e38).all()
    assert tanhlut.stddev(torch.zeros(1), torch.ones(1), -3e38, 3e38).isfinite().all()


@EVERY
def test_gradients(name: str) -> None:
    """First and second derivatives of float32 answers against those of the quadrature in float64, at loc = 0 too."""
    at = torch.tensor([0.0, 0.2, -0.7, 2.0, -3.0, 0.01]), torch.tensor([1.0, 0.3, 0.9, 1.5, 0.5, 0.05])
    loc, scale = at
    wanted = derivatives(name, loc.double(), scale.double(), "quadrature")
    for dtype, first, second in ((torch.float32, 2e-5, 2e-3), (torch.float64, 1e-9, 1e-6)):
        found = derivatives(name, loc.to(dtype), scale.to(dtype))
        for a, b, allowed in zip(found, wanted, (first, first, second, second), strict=True):
            torch.testing.assert_close(a.double(), b, rtol=allowed, atol=allowed)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_at_the_edges(name: str, dtype: torch.dtype) -> None:
    """Finite where the value is, but for the entropy's at scale 0; with the signs of an odd and of even functions."""
    loc = torch.tensor([0.0, -0.0, 3.0, -3.0, INF, -INF, 1e30, 1e-40], dtype=dtype)
    for scale in (1e-30, 1e-3, 1.0, 1e30):
        by_loc, by_scale, *_ = derivatives(name, loc, torch.full_like(loc, scale))
        if name != "entropy":
            assert by_loc.isfinite().all()
            assert by_scale.isfinite().all()
        sign = 1.0 if name == "mean" else -1.0
        assert torch.equal(by_loc[2], sign * by_loc[3])
        assert torch.equal(by_scale[2], -sign * by_scale[3])


def test_a_backward_pass_while_another_is_taken_forward() -> None:
    """The compiled kernel that gave the value does not serve then; torch operations do."""
    loc, scale = (x[:5] for x in drawn(10, 5))
    leaf = loc.clone().requires_grad_()
    value = tanhlut.entropy(leaf, scale, backend="cpu").sum()
    with torch.autograd.forward_ad.dual_level():
        found = torch.autograd.grad(value, leaf)[0]
    torch.testing.assert_close(found, -2.0 * tanhlut.mean(loc, scale), rtol=3e-6, atol=1e-6)


def derivatives(name: str, loc: Tensor, scale: Tensor, method: str = "surrogate") -> tuple[Tensor, ...]:
    loc, scale = loc.clone().requires_grad_(), scale.clone().requires_grad_()
    value = QUANTITIES[name](loc, scale, method=method).sum()
    first = torch.autograd.grad(value, (loc, scale), create_graph=True)
    return (*(part.detach() for part in first), *torch.autograd.grad(first[0].sum() + first[1].sum(), (loc, scale)))


@compiles
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns about torch
def test_transformed_compiled_and_exported() -> None:
    loc, scale = drawn(6, 40)

    def everything(loc: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
        return tuple(f(loc, scale, -2.0, 3.0) for f in QUANTITIES.values())

    class Policy(torch.nn.Module):
        def forward(self, loc: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
            return everything(loc, scale)

    wanted = everything(loc, scale)
    roads = (
        torch.compile(everything, backend="eager", fullgraph=True),
        torch.func.vmap(everything),
        torch.export.export(Policy(), (loc, scale)).module(),
    )
    for road in roads:
        for a, b in zip(road(loc, scale), wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=3e-6, atol=3e-6)
    tangent = torch.func.jvp(lambda x: tanhlut.entropy(x, scale), (loc,), (torch.ones_like(loc),))[1]
    torch.testing.assert_close(tangent, -2.0 * tanhlut.mean(loc, scale), rtol=1e-4, atol=1e-5)


def test_a_table_without_moments(coarse: ModeTable) -> None:
    loc, scale = drawn(7, 5)
    with pytest.raises(ValueError, match="no moments"):
        tanhlut.mean(loc, scale, table=coarse)
    assert torch.equal(tanhlut.mean(loc, scale, table=coarse, method="quadrature"), quadrature.mean(loc, scale))
