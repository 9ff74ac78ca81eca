"""Gradients, vmap, torch.compile, export and friends: what torch does to the functions."""

import copy
import pickle
import warnings
from collections.abc import Callable
from contextlib import nullcontext

import mpmath
import pytest
import torch
from torch.func import grad, vmap

from oracle import REFERENCE
from tanhlut import ModeLookup, ModeTable, TanhNormal, mode, pre_tanh_mode
from tanhlut.methods import METHODS, Method
from torch_versions import COMPILES, TORCH, compiles

mpmath.mp.prec = 200


@pytest.fixture
def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    loc = torch.randn(60, generator=generator, dtype=torch.float64)
    scale = torch.rand(60, generator=generator, dtype=torch.float64) * 1.5 + 0.02
    return loc.requires_grad_(), scale.requires_grad_()


@pytest.mark.parametrize("method", ["refined", "exact"])
def test_first_and_second_derivatives(method: Method, pairs: tuple[torch.Tensor, torch.Tensor]) -> None:
    low = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    high = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64, requires_grad=True)
    loc, scale = (part.reshape(20, 3) for part in pairs)
    assert torch.autograd.gradcheck(lambda *a: mode(*a, method=method), (loc, scale, low, high))
    assert torch.autograd.gradcheck(
        lambda *a: mode(*a, method=method), (loc, scale, (-high).detach().requires_grad_(), high)
    )
    assert torch.autograd.gradcheck(lambda *a: pre_tanh_mode(*a, method=method), (loc, scale))
    assert torch.autograd.gradgradcheck(lambda *a: mode(*a, method=method), (loc, scale))


def test_gradients_at_the_reference_rows() -> None:
    """Against mpmath's implicit derivatives at the proven roots, also next to the cusp and where y saturates."""
    loc = torch.tensor(REFERENCE.loc, requires_grad=True)
    scale = torch.tensor(REFERENCE.scale, requires_grad=True)
    got = torch.autograd.grad(mode(loc, scale).sum(), (loc, scale))
    for i, (sigma, x) in enumerate(zip(REFERENCE.scale, REFERENCE.pre_tanh, strict=True)):
        y, q = mpmath.tanh(x), mpmath.sech(x) ** 2
        d = y**2 - (2 * mpmath.mpf(sigma) ** 2 - 1) * q
        # x is rounded to float64 in the file, and q is 1 − y² of a float64 y: hence 1e-9 relative and 4e-16 absolute.
        for value, truth in ((got[0][i], q / d), (got[1][i], 4 * mpmath.mpf(sigma) * y * q / d)):
            assert abs(float(value) - float(truth)) <= 1e-9 * abs(float(truth)) + 4e-16 * (1 + 4 * sigma), i


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_gradients_are_finite_at_every_edge(method: Method, dtype: torch.dtype) -> None:
    inf = float("inf")
    loc = torch.tensor([0.0, -0.0, 0.0, inf, -inf, 1.0, 0.0, 1e-30, 50.0], dtype=dtype, requires_grad=True)
    scale = torch.tensor([0.5, 1.0, 0.0, 1.0, 0.5, inf, inf, 0.7, 9.0], dtype=dtype, requires_grad=True)
    y = mode(loc, scale, method=method)
    for part in torch.autograd.grad(y.sum(), (loc, scale)):
        assert part.dtype == dtype
        assert part.isfinite().all()


def test_nan_has_nan_gradient_and_no_neighbour_does() -> None:
    loc = torch.tensor([0.3, float("nan"), 0.3], requires_grad=True)
    (by_loc,) = torch.autograd.grad(mode(loc, torch.tensor([1.0, 1.0, -1.0])).sum(), loc)
    assert by_loc.isnan().tolist() == [False, True, True]


@pytest.mark.parametrize("method", METHODS)
def test_vmap(method: Method) -> None:
    loc, scale = torch.randn(6, 5), torch.rand(5) + 0.1
    lookup = ModeLookup(method=method)
    for function in (lookup, lambda a, b: mode(a, b, method=method)):
        expected = function(loc, scale)
        torch.testing.assert_close(vmap(function, (0, None))(loc, scale), expected, rtol=0, atol=0)
        torch.testing.assert_close(vmap(function, (1, 0), 1)(loc, scale), expected, rtol=0, atol=0)
        torch.testing.assert_close(vmap(vmap(function), (0, None))(loc, scale), expected, rtol=0, atol=0)
        by_loc = vmap(vmap(grad(function)), (0, None))(loc, scale)
        wide = loc.clone().requires_grad_()
        plain = torch.autograd.grad(function(wide, scale).sum(), wide)[0]  # by a kernel, which fuses where torch rounds
        torch.testing.assert_close(by_loc, plain, rtol=1e-6, atol=0)
        assert vmap(vmap(grad(grad(function))), (0, None))(loc, scale).isfinite().all()


def test_vmap_over_samples_draws_for_each() -> None:
    loc, scale = torch.zeros(4, 2), torch.full((4, 2), 0.8)

    def draw(loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        validate = None if COMPILES else False  # which torch 2.4 cannot under vmap
        return TanhNormal(loc, scale, validate_args=validate).rsample((2000,))

    torch.manual_seed(3)
    each = vmap(draw, randomness="different")(loc, scale)
    assert each.shape == (4, 2000, 2)
    assert len(each.unique()) > 15000
    assert ((each < 0).double().mean(1) - 0.5).abs().max() < 0.06  # five standard deviations
    same = vmap(draw, randomness="same")(loc, scale)
    assert torch.equal(same, same[:1].expand(4, -1, -1))


@compiles
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler warns about torch
@pytest.mark.parametrize(
    ("method", "backend"),
    [
        *((method, "aot_eager") for method in ("refined", "exact", "mlp_refined")),
        *(pytest.param(method, "aot_eager", marks=pytest.mark.slow) for method in ("bilinear", "mlp")),
        ("refined", "inductor"),
    ],
)
def test_compile_whole_graph(method: Method, backend: str) -> None:
    """Code generation takes a minute a graph on a busy machine: it is run once, the tracing for every method."""
    loc, scale = torch.randn(64) * 2, torch.rand(64) * 2
    lookup = ModeLookup(method=method)
    functions: list[Callable[..., torch.Tensor]] = [lookup, lambda a, b: mode(a, b, -2.0, 2.0, method=method)]
    for function in functions[: 1 if backend == "inductor" else 2]:
        torch._dynamo.reset()
        compiled = torch.compile(function, fullgraph=True, backend=backend)
        torch.testing.assert_close(compiled(loc, scale), function(loc, scale), rtol=0, atol=2.4e-7 * 2)
        a = loc.clone().requires_grad_()
        got = torch.autograd.grad(compiled(a, scale).sum(), a)[0]
        torch.testing.assert_close(got, torch.autograd.grad(function(a, scale).sum(), a)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@compiles
def test_compile_with_dynamic_numbers() -> None:
    """dynamic=True makes Python numbers symbolic too."""
    torch._dynamo.reset()
    compiled = torch.compile(ModeLookup(), fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (5, 7):
        loc, scale = torch.randn(n), torch.rand(n)
        torch.testing.assert_close(compiled(loc, scale), mode(loc, scale), rtol=0, atol=2.4e-7)


class Policy(torch.nn.Module):
    def __init__(self, method: Method) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)
        self.mode = ModeLookup(method=method)

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        loc, log_scale = self.linear(observation).chunk(2, -1)
        return self.mode(loc, log_scale.exp(), -2.0, 2.0)  # type: ignore[no-any-return]


@compiles
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch 2.7's exporter warns about torch
@pytest.mark.parametrize("method", METHODS)
def test_export_with_a_dynamic_batch(method: Method) -> None:
    policy = Policy(method)
    shapes = ({0: torch.export.Dim("batch")},)
    # With parameters that want a gradient, torch 2.7's compiler finds no autograd function over dynamic shapes.
    with torch.no_grad() if TORCH < (2, 8) else nullcontext():
        exported = torch.export.export(policy, (torch.randn(7, 3),), dynamic_shapes=shapes)
    observation = torch.randn(11, 3)
    torch.testing.assert_close(exported.module()(observation), policy(observation), rtol=0, atol=4e-7)


def test_copies_and_pickles() -> None:
    lookup = ModeLookup()
    loc, scale = torch.randn(9), torch.rand(9)
    for twin in (copy.deepcopy(lookup), pickle.loads(pickle.dumps(lookup))):
        torch.testing.assert_close(twin(loc, scale), lookup(loc, scale), rtol=0, atol=0)
    table = pickle.loads(pickle.dumps(ModeTable.default()))
    assert table.digest == ModeTable.default().digest


def test_no_warning_and_no_host_sync_is_needed_on_a_device() -> None:
    """The meta device has no data: any peek at a value would raise."""
    loc, scale = torch.empty(5, device="meta"), torch.empty(5, device="meta")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in METHODS:
            lookup = ModeLookup(method=method).to("meta")
            assert lookup(loc, scale, scale, loc).shape == (5,)
