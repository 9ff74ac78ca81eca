"""The GPU kernel: on the device where there is one, else in Triton's interpreter, which runs the same code."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

CUDA = torch.cuda.is_available()
if not CUDA:
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
triton = pytest.importorskip("triton", reason="Triton is not installed: pip install 'tanhlut[gpu]'")

import points  # noqa: E402
import test_moments  # noqa: E402
from conftest import table_named  # noqa: E402
from oracle import REFERENCE  # noqa: E402
from tanhlut import ModeLookup, ModeTable, mode  # noqa: E402
from tanhlut.compute import available, eager, functions, gpu, gpu_texts  # noqa: E402
from tanhlut.formula.functions import FUNCTIONS  # noqa: E402
from tanhlut.formula.plain import SINGLE  # noqa: E402
from tanhlut.methods import COMPILED, Method  # noqa: E402
from test_lookup import bits  # noqa: E402

DEVICE = torch.device("cuda" if CUDA else "cpu")
TABLES = ["default", "narrow", "coarse"]
on_hardware = pytest.mark.skipif(not CUDA, reason="needs a CUDA device")
fused = pytest.mark.skipif(
    not CUDA and not hasattr(triton._C.libtriton.interpreter, "fma_fp32"),
    reason="this Triton's interpreter rounds an fma twice: pip install 'triton>=3.9'",
)


@pytest.fixture(autouse=True)
def _found_anew() -> Iterator[None]:
    """What is available was perhaps asked before this file asked for the interpreter."""
    available.gpu_missing.cache_clear()
    yield
    available.gpu_missing.cache_clear()


def run(loc: torch.Tensor, scale: torch.Tensor, *bounds: Any, **options: Any) -> torch.Tensor:
    return mode(loc.to(DEVICE), scale.to(DEVICE), *bounds, backend="gpu", **options).cpu()  # type: ignore[no-any-return]


def alike(found: torch.Tensor, expected: torch.Tensor, half: float = 1.0) -> bool:
    """The same numbers; from approximations, within what they and a rounding of half precision may move."""
    few = max(4.2e-7, torch.finfo(found.dtype).eps if found.dtype != torch.float32 else 0.0) * half
    few = few if gpu_texts.APPROXIMATE else 0.0
    torch.testing.assert_close(found, expected, rtol=0, atol=few, equal_nan=True)
    return True


def the_same(found: torch.Tensor, expected: torch.Tensor, half: float = 1.0) -> bool:
    """The same bits; from approximations, the same within what they may move."""
    return alike(found, expected, half) if gpu_texts.APPROXIMATE else bits(found) == bits(expected)


@fused
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("method", COMPILED)
def test_the_cpu_kernels_bits(method: Method, name: str) -> None:
    """The same operations in the same order; on NVIDIA's GPUs approximations, of which the bounds are proven alike."""
    table = table_named(name)
    for seed, sample in enumerate((points.uniform, points.cusp, points.jump, points.exponents)):
        loc, scale = (torch.from_numpy(part).float() for part in sample(1500, seed=seed))
        loc[::2] *= -1
        expected = mode(loc, scale, method=method, table=table, backend="cpu")
        assert the_same(run(loc, scale, method=method, table=table), expected)
    loc, scale = points.hard_queries(table, 2500, seed=3)
    expected = mode(loc, scale, -3.0, 1.5, method=method, table=table, backend="cpu")
    assert the_same(run(loc, scale, -3.0, 1.5, method=method, table=table), expected, 2.25)


@fused
@pytest.mark.parametrize("method", ["refined", "exact"])
def test_reference_rows(method: Method) -> None:
    y = run(torch.tensor(REFERENCE.loc).float(), torch.tensor(REFERENCE.scale).float(), method=method)
    assert np.abs(y.double().numpy() - REFERENCE.mode).max() <= 2.4e-7


@fused
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("method", COMPILED)
def test_edges_and_half_precision(method: Method, dtype: torch.dtype) -> None:
    """Conventions as on the CPU; half types are computed in float32 and rounded once."""
    inf, nan = float("inf"), float("nan")
    loc = torch.tensor([0.0, -0.0, 0.3, inf, -inf, 1.0, 0.0, nan, 1.0, nan, 1.0, 0.0, 1e-7, -6e-8], dtype=dtype)
    scale = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0, inf, inf, 1.0, nan, nan, -1.0, -inf, 0.7, 1.0], dtype=dtype)
    loc, scale = torch.cat([loc, torch.randn(2000).to(dtype)]), torch.cat([scale, (torch.rand(2000) * 2).to(dtype)])
    y, expected = run(loc, scale, method=method), mode(loc, scale, method=method, backend="cpu")
    assert y.dtype == dtype
    assert alike(y, expected)
    number = ~y.isnan()
    assert (y.signbit() == loc.signbit())[number].all()
    table = None if method == "exact" else device_table(method)
    fused = gpu.mode(loc.to(DEVICE), scale.to(DEVICE), method, table).cpu()
    if CUDA or dtype != torch.bfloat16:  # rounded by the kernel itself; the interpreter cuts bfloat16 off instead
        assert alike(fused, expected)


def device_table(method: Method) -> gpu.DeviceTable:
    return gpu.table_on(None, method, DEVICE)


@fused
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_bits_of_the_text(name: str) -> None:
    """float32 against the text in NumPy, edges included; float16 is that rounded once."""
    edges = torch.cartesian_prod(*2 * [torch.tensor([0.0, -0.0, 0.3, -1.0, np.inf, -np.inf, np.nan])]).T
    pairs = zip(test_moments.drawn(8, 1000), test_moments.every_exponent(), edges, strict=True)
    loc, scale = (torch.cat(pair) for pair in zip(*zip(*pairs, strict=True), strict=True))
    half = loc.half(), scale.half()
    for bounds in ((-1.0, 1.0), (-3.0, 1.5)):
        assert bits(on_device(name, loc, scale, *bounds)) == bits(by_the_text(name, loc, scale, *bounds))
        expected = by_the_text(name, half[0].float(), half[1].float(), *bounds).half()
        assert bits(on_device(name, *half, *bounds).float()) == bits(expected.float())


def on_device(name: str, loc: torch.Tensor, scale: torch.Tensor, low: float, high: float) -> torch.Tensor:
    out = torch.empty_like(loc, device=DEVICE)
    with np.errstate(all="ignore"):  # the interpreter is NumPy
        functions.on_gpu(name, loc.to(DEVICE), scale.to(DEVICE), out, low, high, None)
    return known(out.cpu())


def by_the_text(name: str, loc: torch.Tensor, scale: torch.Tensor, low: float, high: float) -> torch.Tensor:
    vector = functions.moments_of(None).vector
    with np.errstate(all="ignore"):
        found = getattr(SINGLE, name)(loc.numpy(), scale.numpy(), vector, np.float32(low), np.float32(high))
    return known(torch.from_numpy(found))


def known(y: torch.Tensor) -> torch.Tensor:
    """With a NaN that is everywhere the same."""
    return torch.where(y.isnan(), torch.nan, y)


@fused
@pytest.mark.parametrize("name", test_moments.QUANTITIES)
def test_moments_are_asked_for_like_modes(name: str) -> None:
    """Shapes, layouts, dtypes, gradients: the compiled CPU kernel's answers on every road."""
    f = test_moments.QUANTITIES[name]
    loc, scale = (x.reshape(20, 10) for x in test_moments.drawn(9, 200))
    there = loc.to(DEVICE), scale.to(DEVICE)
    for a, b in (
        (loc, scale),
        (loc.T, scale.T),
        (loc[::2, ::3], scale[::2, ::3]),
        (loc[3], scale),
        (loc[:0], scale[:0]),
    ):
        for bounds in ((), (-2.0, torch.tensor(3.0))):
            on_gpu = [x.to(DEVICE) if isinstance(x, torch.Tensor) else x for x in bounds]
            expected = f(a, b, *bounds, backend="cpu")
            assert bits(f(a.to(DEVICE), b.to(DEVICE), *on_gpu, backend="gpu").cpu()) == bits(expected)
    low, high = f(*(x.bfloat16() for x in there), backend="gpu"), f(loc.bfloat16(), scale.bfloat16(), backend="cpu")
    assert bits(low.float().cpu()) == bits(high.float())
    leaves = [x.clone().requires_grad_() for x in there]
    slopes = torch.autograd.grad(f(*leaves, backend="gpu").sum(), leaves)
    expected = torch.autograd.grad(f(*leaves, backend="eager").sum(), leaves)
    torch.testing.assert_close(slopes, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="float64"):
        functions.evaluate(name, there[0].double(), there[1].double(), None, "gpu")


@pytest.mark.parametrize("method", COMPILED)
def test_shapes_layout_and_batch_never_matter(method: Method) -> None:
    loc, scale = torch.randn(37, 29) * 2, torch.rand(37, 29) * 2
    whole = run(loc, scale, method=method)
    for a, b, expected in ((loc.T, scale.T, whole.T), (loc[::2, ::3], scale[::2, ::3], whole[::2, ::3])):
        assert bits(run(a, b, method=method)) == bits(expected)
    assert bits(run(loc[3, 4], scale[3, 4], method=method)[None]) == bits(whole[3, 4:5])
    assert run(torch.empty(0, 3), torch.ones(3), method=method).shape == (0, 3)
    out = torch.empty(37, 29, device=DEVICE)
    assert mode(loc.to(DEVICE), scale.to(DEVICE), method=method, backend="gpu", out=out) is out
    assert bits(out.cpu()) == bits(whole)
    alone = gpu.mode(loc.to(DEVICE), scale.to(DEVICE), method, device_table(method), out=out.zero_())
    assert bits(alone.cpu()) == bits(whole)


def test_gradients() -> None:
    loc, scale = (x.to(DEVICE).requires_grad_() for x in (torch.randn(20), torch.rand(20)))
    got = torch.autograd.grad(mode(loc, scale, backend="gpu").sum(), (loc, scale))
    expected = torch.autograd.grad(mode(loc, scale, backend="eager").sum(), (loc, scale))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_what_it_cannot_serve_raises() -> None:
    double = torch.zeros(3, dtype=torch.float64, device=DEVICE)
    with pytest.raises(ValueError, match="float64"):
        mode(double, double, backend="gpu")
    with pytest.raises(ValueError, match=r"serves CPU tensors|cannot"):
        mode(torch.empty(3, device="meta"), torch.empty(3, device="meta"), backend="cpu")


@on_hardware
@pytest.mark.parametrize("method", COMPILED)
def test_cuda_graph(method: Any) -> None:
    loc, scale = torch.randn(4096, device=DEVICE), torch.rand(4096, device=DEVICE)
    expected = mode(loc, scale, method=method)
    graph, out = torch.cuda.CUDAGraph(), torch.empty_like(loc)
    with torch.cuda.graph(graph):
        mode(loc, scale, method=method, out=out)
    out.zero_()
    graph.replay()
    assert bits(out.cpu()) == bits(expected.cpu())


@on_hardware
def test_no_host_sync_and_no_allocation_but_the_result() -> None:
    loc, scale = torch.randn(4096, device=DEVICE), torch.rand(4096, device=DEVICE)
    out = torch.empty_like(loc)
    lookup = ModeLookup().to(DEVICE)
    mode(loc, scale, out=out)
    torch.cuda.set_sync_debug_mode("error")
    try:
        before = torch.cuda.memory_stats()["allocation.all.allocated"]
        mode(loc, scale, out=out)
        assert torch.cuda.memory_stats()["allocation.all.allocated"] == before
        lookup(loc, scale)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns about torch
def test_torch_compile_keeps_the_bits() -> None:
    """An operator that is launched as ever; gradients too. "auto" is traced. What Inductor writes: `launches.py`."""
    loc, scale = torch.randn(500, device=DEVICE), torch.rand(500, device=DEVICE)
    own = table_named("coarse")

    def policy(loc: torch.Tensor, scale: torch.Tensor, table: ModeTable | None, backend: str) -> torch.Tensor:
        return mode(loc * 1.0, scale, table=table, backend=backend) + 0.0  # type: ignore[no-any-return]

    def slope(function: Any) -> torch.Tensor:
        leaf = loc.clone().requires_grad_()
        return torch.autograd.grad(function(leaf, scale, own, "gpu").sum(), leaf)[0]

    compiled = torch.compile(policy, fullgraph=True, backend="inductor" if CUDA else "aot_eager")
    for table in (None, own):
        assert bits(compiled(loc, scale, table, "gpu").cpu()) == bits(policy(loc, scale, table, "gpu").cpu())
    torch.testing.assert_close(slope(compiled), slope(policy))
    torch.testing.assert_close(compiled(loc, scale, None, "auto"), run(loc, scale).to(DEVICE), rtol=0, atol=4e-7)


@on_hardware
def test_auto_is_this_backend_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "evaluate", None)
    assert mode(torch.randn(5, device=DEVICE), torch.rand(5, device=DEVICE)).is_cuda
    assert mode(torch.randn(5, device=DEVICE).bfloat16(), 0.5).dtype == torch.bfloat16
