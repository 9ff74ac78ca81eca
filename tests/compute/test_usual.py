"""The short and the middle road give the general road's bits and derivatives, or leave the call to it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

import tanhlut.lookup
import tanhlut.module
from conftest import table_named
from tanhlut import ModeLookup, mode
from tanhlut.compute import cpu
from tanhlut.compute.quick import quick
from tanhlut.compute.usual import usual

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def drawn(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    loc, scale = torch.randn(6, 40, generator=generator), 2.0 * torch.rand(6, 40, generator=generator)
    loc[0, :4] = torch.tensor([0.0, -0.0, torch.nan, torch.inf])
    scale[1, :4] = torch.tensor([0.0, torch.nan, -1.0, torch.inf])
    return loc.to(dtype), scale.to(dtype)


def both(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """By the short or the middle road, one of which must serve, and by the general one."""
    served = []

    def watched(road: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*given: Any) -> Any:
            served.append(road(*given))
            return served[-1]

        return answer

    def general(*given: Any) -> None:
        return None

    results = []
    for roads in ((watched(quick), watched(usual)), (general, general)):
        with monkeypatch.context() as patch:
            for module in (tanhlut.lookup, tanhlut.module):
                for name, road in zip(("quick", "usual"), roads, strict=True):
                    patch.setattr(module, name, road)
            results.append(call())
    assert any(answer is not None for answer in served)
    return results[0], results[1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-2.0, 3.0)])
def test_the_bits_of_the_general_road(
    dtype: torch.dtype, bounds: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    mode(0.1, 1.0)
    loc, scale = drawn(dtype)
    table = table_named("narrow")
    calls = [
        lambda: mode(loc, 0.7, *bounds),
        lambda: mode(loc, scale[:1], *bounds),
        lambda: mode(loc[:, :1], scale[0], *bounds, method="exact"),
        lambda: mode(loc.T, scale.T, *bounds, method="bilinear", table=table),
        lambda: mode(loc[0, 0], scale, *bounds),
        lambda: mode(torch.nn.Parameter(loc), scale, *bounds),
        lambda: ModeLookup(table)(loc, scale[:1], *bounds),
        lambda: mode(loc, scale[:, ::2].repeat_interleave(2, 1), *bounds),
        lambda: mode(loc, 0.7, *bounds, out=torch.empty_like(loc)),
        lambda: mode(loc[:1], scale, *bounds, out=torch.empty_like(scale)),
    ]
    for call in calls:
        found, wanted = both(call, monkeypatch)
        assert found.dtype == wanted.dtype == dtype
        assert found.shape == wanted.shape
        assert torch.equal(found.double().nan_to_num(9.0), wanted.double().nan_to_num(9.0))
        number = ~found.isnan()
        assert torch.equal(found.signbit()[number], wanted.signbit()[number])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bounds_of_each_dimension(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    mode(0.1, 1.0)
    loc, scale = drawn(dtype)
    low = torch.linspace(-3.0, -1.0, 40, dtype=dtype)
    high = torch.where(torch.arange(40) % 5 == 0, low, 1.0 - low)  # here and there not above low
    for call in (
        lambda: mode(loc, scale, low, high),
        lambda: ModeLookup()(loc, scale[:1], low[0], high[1]),
        lambda: mode(loc[:, :1], 0.5, low, high.requires_grad_()).detach(),
        lambda: mode(loc.requires_grad_(), scale, low, high).detach(),
    ):
        found, wanted = both(call, monkeypatch)
        assert found.dtype == dtype
        assert torch.equal(found.nan_to_num(9.0), wanted.nan_to_num(9.0))
    for zero in (loc.detach(), -loc.detach()):  # signs of zero too, and a bound of 0
        found, wanted = both(partial(mode, zero, 0.5, low[:1] * 0.0, high[1:2]), monkeypatch)
        assert torch.equal(found.signbit(), wanted.signbit())
    half = loc.detach().half()
    found, wanted = (
        mode(half, 0.5, low.half(), high.detach().half()),
        mode(half.float(), 0.5, low.half().float(), high.detach().half().float()),
    )
    assert torch.equal(found.nan_to_num(9.0), wanted.half().nan_to_num(9.0))  # rounded once
    for bounds in ((low.half(), high), (low.half(), high.half()), (low, 4.0)):
        assert usual(loc.detach(), scale, bounds[0], bounds[1], "refined", None) is None


def test_where_float16_is_not_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    loc, scale = drawn(torch.float16)
    expected = mode(loc, scale)
    monkeypatch.setattr(cpu, "served", lambda real: real != "float16")
    monkeypatch.setattr("tanhlut.compute.quick._whole", {"refined": {}})
    assert quick(loc, scale, -1.0, 1.0, "refined", None, "auto", None) is None
    assert torch.equal(mode(loc, scale).nan_to_num(9.0), expected.nan_to_num(9.0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivatives(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    loc, scale = (part[2:].clone().requires_grad_() for part in drawn(dtype))

    def twice() -> list[Tensor]:
        y = mode(loc, scale, -2.0, 3.0)
        first = torch.autograd.grad(y.sum(), (loc, scale), create_graph=True)
        return [y.detach(), *first, *torch.autograd.grad(first[0].sum() + first[1].sum(), (loc, scale))]

    for found, wanted in zip(*both(twice, monkeypatch), strict=True):
        assert torch.equal(found, wanted)
    one = mode(loc.detach(), scale)
    assert one.requires_grad
    with torch.no_grad():
        assert not mode(loc, scale).requires_grad


def test_what_it_leaves_to_the_general_road(monkeypatch: pytest.MonkeyPatch) -> None:
    loc, scale = drawn()
    for given in (
        (loc, scale.double()), (loc, -0.5), (loc, float("nan")), (loc, 1), (loc, True), (loc.int(), 0.5),
        (loc.to("meta"), 0.5), (torch._neg_view(loc), scale[:1]), (torch._neg_view(loc), 0.5),
        (loc, torch._neg_view(scale)), (loc.numpy(), scale.numpy()),
    ):  # fmt: skip
        assert usual(given[0], given[1], -1.0, 1.0, "refined", None) is None
    with pytest.raises(RuntimeError):
        usual(loc.to_sparse(), scale, -1.0, 1.0, "refined", None)
    with pytest.raises(TypeError, match="sparse"):
        mode(loc.to_sparse(), scale)
    for bounds in ((1.0, -1.0), (0.0, float("inf")), (0, 1), (-1.0, float("nan"))):
        assert usual(loc, 0.5, bounds[0], bounds[1], "refined", None) is None
    assert usual(loc, 0.5, -1.0, 1.0, "mlp", None) is None
    with pytest.raises(ValueError, match="negative"):
        mode(loc, -0.5)
    with pytest.raises(ValueError, match="do not broadcast"):
        mode(loc, scale[:3])
    half = loc[2:].half()
    assert torch.equal(mode(half, 1e30), mode(half, torch.full_like(half, torch.inf)))
    found = torch.func.vmap(lambda a: mode(a, 0.5))(loc)  # seen by a transform
    assert torch.equal(found.nan_to_num(9.0), mode(loc, 0.5).nan_to_num(9.0))


def test_a_view_that_negates_is_read_as_what_it_stands_for() -> None:
    """Forward by the general road, backward by torch operations: kernels read memory as it is."""
    loc, scale = (part[2:] for part in drawn())
    plain, view = scale.clone().requires_grad_(), torch._neg_view(-scale).requires_grad_()
    found, wanted = (torch.autograd.grad(mode(loc, x).sum(), x)[0] for x in (view, plain))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    assert torch.equal(mode(torch._neg_view(-loc), 0.5), mode(loc, 0.5))


def test_where_no_kernel_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also inside the autograd function: the general road answers."""
    monkeypatch.setattr("tanhlut.compute.usual.quick", lambda *given: None)
    loc, scale = (part[2:].clone().requires_grad_() for part in drawn())
    mode(loc, scale).sum().backward()
    assert loc.grad is not None
    assert loc.grad.isfinite().all()
