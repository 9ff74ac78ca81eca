"""All backends against the truth and each other, on every road; threads and processes; named backends that refuse."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import points
import tanhlut
from conftest import table_named
from oracle import REFERENCE
from tanhlut import ModeLookup, ModeTable, mode, pre_tanh_mode
from tanhlut.arrays import FLOATS
from tanhlut.compute import available, cpu, eager, quick, threads
from tanhlut.methods import COMPILED, Method, name_of
from test_lookup import bits

TABLES = ["default", "narrow", "coarse"]
SAMPLES = [points.uniform, points.cusp, points.jump, points.exponents]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_backends_agree(sample: Any, name: str) -> None:
    """Here 3.1e-7 and 6 ulp apart at most, nearly all within 2. Each was seen up to 2.4e-7 from the mode."""
    table = table_named(name)
    loc, scale = (part.astype(np.float32) for part in sample(200_000, seed=11))
    for method in COMPILED:
        eager, cpu = (mode(loc, scale, method=method, table=table, backend=b) for b in ("eager", "cpu"))
        difference = np.abs(eager.astype(np.float64) - cpu)
        assert difference.max() <= (4e-7 if method == "bilinear" else 3.1e-7)
        if method != "bilinear":
            normal = np.abs(eager) >= 1e-30
            ulps = difference[normal] / np.spacing(np.abs(eager[normal]))
            assert ulps.max() <= 6
            assert (ulps <= 2).mean() >= 0.99


def test_float64_agrees() -> None:
    for sample in (*SAMPLES, points.cusp_float64):
        loc, scale = sample(100_000, seed=12)
        for method in ("refined", "exact"):
            eager, cpu = (mode(loc, scale, method=method, backend=b) for b in ("eager", "cpu"))
            np.testing.assert_allclose(cpu, eager, rtol=5e-14, atol=1e-30)
        eager, cpu = (mode(loc, scale, method="bilinear", backend=b) for b in ("eager", "cpu"))
        assert np.abs(eager - cpu).max() <= 4e-7


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_reference_rows(backend: str) -> None:
    for method in ("refined", "exact"):
        for dtype, allowed in ((np.float32, 2.4e-7), (np.float64, 1e-14)):
            y = mode(REFERENCE.loc.astype(dtype), REFERENCE.scale.astype(dtype), method=method, backend=backend)
            assert np.abs(y - REFERENCE.mode).max() <= allowed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", COMPILED)
def test_every_road_gives_the_same_bits(method: Method, dtype: torch.dtype) -> None:
    """Long and short, tensors and arrays, strided, with out=, with gradients, bounds as numbers and as tensors."""
    generator = torch.Generator().manual_seed(3)
    n = threads.THRESHOLD + 12_345
    loc = torch.randn(n, generator=generator, dtype=dtype) * 3
    scale = torch.rand(n, generator=generator, dtype=dtype) * 2
    whole = mode(loc, scale, -2.0, 3.0, method=method, backend="cpu")
    some = slice(n - 40_011, n - 11)
    a, b = loc[some], scale[some]
    options: dict[str, Any] = {"method": method, "backend": "cpu"}
    roads = {
        "short": mode(a, b, -2.0, 3.0, **options),
        "elements": torch.stack([mode(x, y, -2.0, 3.0, **options) for x, y in zip(a[:200], b[:200], strict=True)]),
        "arrays": torch.from_numpy(mode(a.numpy(), b.numpy(), -2.0, 3.0, **options)),
        "long arrays": torch.from_numpy(mode(loc.numpy(), scale.numpy(), -2.0, 3.0, **options))[some],
        "matrix": torch.from_numpy(
            mode(a.reshape(200, 200).numpy(), b.reshape(200, 200).numpy(), -2.0, 3.0, **options)
        ),
        "strided": mode(torch.stack([a, b], 1)[:, 0], torch.stack([b, a], 1)[:, 0], -2.0, 3.0, **options),
        "out": mode(a, b, -2.0, 3.0, out=torch.empty_like(a), **options),
        "in place": mode(twin := a.clone(), b, -2.0, 3.0, out=twin, **options),
        "gradients": mode(a.clone().requires_grad_(), b, -2.0, 3.0, **options).detach(),
        "tensor bounds": mode(a, b, torch.tensor(-2.0, dtype=dtype), torch.full_like(a, 3.0), **options),
        "module": ModeLookup(method=method)(a, b, -2.0, 3.0),
        "vmap": torch.func.vmap(lambda x, y: mode(x, y, -2.0, 3.0, **options))(a, b),
    }
    for name, road in roads.items():
        assert bits(road.flatten()) == bits(whole[some][: road.numel()]), name
    if dtype == torch.float64:
        numbers = [mode(x, y, -2.0, 3.0, **options) for x, y in zip(a[:500].tolist(), b[:500].tolist(), strict=True)]
        assert bits(torch.tensor(numbers, dtype=dtype)) == bits(whole[some][:500])


def test_odd_memory_is_understood() -> None:
    expected = mode(np.linspace(-1, 1, 50), np.full(50, 0.8), backend="cpu")
    raw = np.zeros(50 * 8 + 1, np.uint8)[1:].view(np.float64)  # not aligned
    raw[:] = np.linspace(-1, 1, 50)
    np.testing.assert_array_equal(mode(raw, np.full(50, 0.8)), expected)
    out = np.empty(100)[::2]
    assert mode(np.linspace(-1, 1, 50), np.full(50, 0.8), out=out) is out
    np.testing.assert_array_equal(out, expected)
    buffer = torch.from_numpy(np.linspace(-1, 1, 50)).repeat(2)
    moved = mode(buffer[:50], torch.full((50,), 0.8, dtype=torch.float64), out=buffer[10:60])  # overlapping
    np.testing.assert_array_equal(moved.numpy(), expected)
    negated = torch.complex(torch.zeros(50), -torch.linspace(-1, 1, 50)).conj().imag
    assert negated.is_neg()
    assert bits(mode(negated, torch.full((50,), 0.8))) == bits(mode(negated.resolve_neg(), torch.full((50,), 0.8)))
    frozen = np.empty(50)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        mode(np.linspace(-1, 1, 50), np.full(50, 0.8), out=frozen)
    nothing = torch._efficientzerotensor(3)  # has no memory
    for pair in ((nothing, torch.ones(3)), (torch.ones(3), nothing)):
        assert bits(mode(*pair)) == bits(mode(*(x.clone() for x in pair)))
    for shape in ((0,), (3, 0), ()):
        assert mode(torch.zeros(shape), torch.ones(shape)).shape == shape
        assert mode(np.zeros(shape), np.ones(shape)).shape == shape
    with pytest.raises(ValueError, match="do not broadcast"):
        mode(np.zeros(3), np.ones(4))


def test_a_kernel_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "auto" on the CPU is the compiled backend, unless torch is tracing."""
    mode(0.1, 1.0)
    used = []
    monkeypatch.setattr(eager, "evaluate", lambda *a: used.append("eager") or torch.zeros(3))  # type: ignore[func-returns-value]
    loc, scale = torch.randn(3), torch.rand(3)
    for call in (
        lambda: mode(loc, scale), lambda: mode(loc.numpy(), scale.numpy()), lambda: mode(0.1, 1.0),
        lambda: mode(loc.requires_grad_(), scale), lambda: mode(loc.bfloat16(), scale.bfloat16()),
        lambda: mode(loc, 0.5), lambda: torch.func.vmap(mode)(loc, scale),
        lambda: ModeLookup()(loc, scale), lambda: pre_tanh_mode(loc, scale),
    ):  # fmt: skip
        call()
    assert used == []
    mode(loc, scale, backend="eager")
    assert used == ["eager"]
    with torch.device("meta"):
        mode(torch.empty(3), torch.empty(3))
    assert used == ["eager"] * 2


def test_tracing_records_plain_torch() -> None:
    loc, scale = torch.randn(5), torch.rand(5)
    graph = make_fx(lambda a, b: mode(a, b))(loc, scale)
    targets = {str(node.target) for node in graph.graph.nodes}
    assert "aten.bucketize.Tensor" in targets
    fresh = torch.randn(5), torch.rand(5)
    torch.testing.assert_close(graph(*fresh), mode(*fresh), rtol=0, atol=2.4e-7)
    with pytest.raises(ValueError, match="cannot be traced"):
        make_fx(lambda a, b: mode(a, b, backend="cpu"))(loc, scale)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's forward mode warns about torch
def test_forward_mode() -> None:
    loc, scale = torch.randn(6, dtype=torch.float64), torch.rand(6, dtype=torch.float64) + 0.1
    tangents = torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    value, tangent = torch.func.jvp(mode, (loc, scale), tangents)[:2]
    a, b = loc.clone().requires_grad_(), scale.clone().requires_grad_()
    by_loc, by_scale = torch.autograd.grad(mode(a, b).sum(), (a, b))
    torch.testing.assert_close(tangent, by_loc * tangents[0] + by_scale * tangents[1])
    assert bits(value) == bits(mode(loc, scale))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(loc, tangents[0])
        found = torch.autograd.forward_ad.unpack_dual(mode(dual, scale)).tangent
    torch.testing.assert_close(found, by_loc * tangents[0])
    hessian = torch.func.hessian(lambda x: mode(x, scale).sum())(loc)
    (second,) = torch.autograd.grad(torch.autograd.grad(mode(a, b).sum(), a, create_graph=True)[0].sum(), a)
    torch.testing.assert_close(hessian.diagonal(), second)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: mode(torch.zeros(3), torch.ones(3), backend="gpu"), (ValueError, ImportError), "gpu"),
        (lambda t: mode(0.1, 1.0, backend="gpu"), (ValueError, ImportError), "gpu"),
        (lambda t: mode(torch.empty(3, device="meta"), 1.0, backend="cpu"), ValueError, "serves CPU tensors.*meta"),
        (lambda t: mode(0.1, 1.0, table=t, backend="cpu"), ValueError, "quarter octaves.*rebuild"),
        (lambda t: mode(torch.zeros(3), torch.ones(3), backend="best"), ValueError, "'best' is unknown.*'cpu'"),
    ],
)
def test_a_named_backend_that_cannot_serve_raises(
    call: Any, error: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    available.gpu_missing.cache_clear()
    with pytest.raises(error, match=message):
        call(irregular())


def irregular() -> ModeTable:
    """A table that eager can read and the kernels cannot: its nodes divide no octave evenly."""
    loc, scale = np.linspace(0, 4, 300), np.linspace(0, 3, 200)
    values = tanhlut.solve_mode(loc[:, None], scale[None], solver="newton").astype(np.float32)
    bounds = {"loc_max": 4.0, "scale_min": 0.0, "scale_max": 3.0, "tolerance": 1.0}
    return ModeTable(loc, scale, values, bounds)


def test_auto_falls_back_where_the_kernel_cannot_read_the_table() -> None:
    table = irregular()
    assert (table.packed, table.address) == (None, 0)
    for loc, scale in ((0.3, 0.4), (torch.tensor([0.3]), torch.tensor([0.4])), (np.array([0.3]), np.array([0.4]))):
        y = mode(loc, scale, method="bilinear", table=table)
        assert y == mode(loc, scale, method="bilinear", table=table, backend="eager")


def test_without_llvmlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where llvmlite cannot be imported: auto falls back, "cpu" raises, backends() says why."""
    monkeypatch.setattr(available, "_load_cpu", lambda: (None, "llvmlite cannot be imported (no such module)"))
    monkeypatch.setattr(quick, "_addresses", {})
    y = mode(torch.tensor([0.2]), torch.tensor([1.0]))
    assert bits(y) == bits(mode(torch.tensor([0.2]), torch.tensor([1.0]), backend="eager"))
    with pytest.raises(ImportError, match="backend 'cpu' cannot run here: llvmlite cannot be imported"):
        mode(0.2, 1.0, backend="cpu")
    assert tanhlut.backends()["cpu"] == (False, "llvmlite cannot be imported (no such module)")


def test_backends_and_warmup() -> None:
    found = tanhlut.backends()
    assert list(found) == ["eager", "cpu", "gpu"]
    assert found["eager"].available
    assert found["cpu"].available
    assert found["gpu"].available or "CUDA" in found["gpu"].reason or "Triton" in found["gpu"].reason
    seconds = tanhlut.warmup()
    for method in COMPILED:
        ready = {dtype for dtype in FLOATS if cpu.served(name_of(dtype))}
        assert ready <= quick._whole[method].keys()
    assert set(seconds) == {name for name, backend in found.items() if backend.available}
    assert all(0 <= value < 300 for value in seconds.values())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shift", [1, 200, 299, 300])
def test_an_array_that_overlaps_with_its_answer(dtype: Any, shift: int) -> None:
    """What a strip has written is not what a later one was to read."""
    memory = np.linspace(-2.0, 2.0, 600).astype(dtype)
    loc, out, scale = memory[:300], memory[shift : shift + 300], np.full(300, 0.6, dtype)
    expected = mode(loc.copy(), scale)
    assert np.array_equal(mode(loc, scale, out=out), expected)
    assert np.array_equal(out, expected)


def test_threads_may_call_at_once() -> None:
    """Eight threads, each with arrays long enough to be shared among threads themselves."""
    generator = torch.Generator().manual_seed(5)
    loc, scale = (torch.randn(8, 100_000, generator=generator).abs() for _ in range(2))
    expected = mode(loc, scale)
    found = torch.empty_like(expected)
    failures: list[BaseException] = []

    def work(i: int) -> None:
        try:
            for _ in range(20):
                mode(loc[i], scale[i], out=found[i])
                mode(0.1 * i, 1.0)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)
    assert bits(found.flatten()) == bits(expected.flatten())


def test_forked_processes_and_data_loaders() -> None:
    """A fork after threads have started: the child has none of them and must not wait for them.

    In a process of its own, since other tests start threads (JAX's) that a fork must not meet.
    """
    code = (
        "import os, sys, numpy as np, torch, tanhlut\n"
        "loc, scale = torch.linspace(-3, 3, 200_000), torch.full((200_000,), 0.9)\n"
        "torch.set_num_threads(2)\n"
        "whole = tanhlut.mode(loc, scale).numpy()\n"
        "child = os.fork()\n"
        "same = np.array_equal(tanhlut.mode(loc, scale).numpy(), whole)\n"  # torch's own threads do not survive a fork
        "if child == 0: os._exit(0 if same else 3)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        "assert same\n"
        "class Modes(torch.utils.data.Dataset):\n"
        "    def __len__(self): return 6\n"
        "    def __getitem__(self, i): return tanhlut.mode(torch.linspace(-i, i, 70_000), torch.ones(70_000))\n"
        "here = [Modes()[i] for i in range(6)]\n"
        "there = torch.utils.data.DataLoader(Modes(), batch_size=None, num_workers=2, multiprocessing_context='fork')\n"
        "assert all(torch.equal(a, b) for a, b in zip(there, here, strict=True))\n"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(Path(tanhlut.__file__).parent.parent)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=environment)


def test_pieces_cover_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for many in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "_get_num_threads", lambda many=many: many)
        for n in (0, 1, threads.THRESHOLD - 1, threads.THRESHOLD, threads.THRESHOLD + 1, 50_000_003):
            found = [*threads.pieces(n)]
            assert [begin for begin, _, _ in found] == [0, *(end for _, end, _ in found)][: len(found)]
            assert (found[-1][1] if found else 0) == n
            team = many if n >= threads.THRESHOLD and threads.parallel() else 1
            assert all(end - begin <= threads.PIECE * team and of == team for begin, end, of in found)


def test_torchs_threads_are_found_where_there_are_some() -> None:
    assert threads.parallel() or not (sys.platform == "linux" and torch.backends.openmp.is_available())
