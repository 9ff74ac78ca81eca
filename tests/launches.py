"""How the gpu backend launches, without a GPU: see `fake_gpu`. `test_gpu_launch.py` runs it in a process of its own."""

import copy
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import triton

import fake_gpu
import tanhlut
from conftest import table_named
from tanhlut import ModeTable, backends, mode, warmup
from tanhlut.compute import available, functions, gpu
from tanhlut.formula.functions import FUNCTIONS
from tanhlut.methods import COMPILED

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
QUANTITIES = tanhlut.mean, tanhlut.variance, tanhlut.stddev, tanhlut.entropy
FLUSHES = tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7)  # 3.3 divides and takes roots so: docs/speed.md
_devices = itertools.count()


@pytest.fixture
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_gpu.Driver]:
    """Its current device is one that nothing has seen before; of sm_90, or what the test is parametrised with."""
    driver = fake_gpu.Driver(next(_devices), getattr(request, "param", 90))
    fake_gpu.install(driver, monkeypatch)
    monkeypatch.setattr(gpu, "_compiled", {})  # by another driver
    available.gpu_missing.cache_clear()
    with fake_gpu.Cuda(driver):
        yield driver


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["launched", "compiled"])
def warm(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """For tests that call `warmup`: 108 kernels, whose machine code nobody reads; it takes a minute to make."""
    if not request.param:
        fake_gpu.translate_nothing(monkeypatch, tmp_path_factory.getbasetemp() / "untranslated")


def arguments(
    n: int = 5, dtype: torch.dtype = torch.float32, shifts: tuple[int, ...] = (0, 0), device: str = "cuda"
) -> list[torch.Tensor]:
    """loc, scale, …, each so many elements behind an aligned address."""
    return [torch.rand(n + shift, device=device).to(dtype)[shift:] for shift in shifts]


def test_a_call_on_another_device_leaves_the_cpu_kernels_alone(driver: fake_gpu.Driver) -> None:
    assert "tanhlut.compute.cpu" not in sys.modules
    loc, scale = arguments()
    assert torch.equal(mode(loc, scale), loc + 2 * scale)
    mode(loc.double(), scale.double())
    mode(torch.empty(3, device="meta"), torch.empty(3, device="meta"))
    for backend in ("auto", "gpu"):
        mode(loc, 0.5, backend=backend)
    assert len([launch for launch in driver.launches if launch.grid == (1, 1, 1)]) == 4  # one of them to try it out
    assert "tanhlut.compute.cpu" not in sys.modules


@pytest.mark.parametrize("method", COMPILED)
@pytest.mark.usefixtures("warm")
def test_after_warmup_nothing_compiles_and_nothing_is_copied(method: Any, driver: fake_gpu.Driver) -> None:
    """Whatever the length, the alignment, the dtype, the table; also while a graph is being captured."""
    warmup()
    bounded = table_named("narrow")
    mode(*arguments(), method=method, table=bounded)
    loaded, copies = driver.loaded, driver.copies
    driver.launches.clear()
    driver.capturing = True
    calls = 0
    lengths = (1, 16, 1000, gpu.FEW + 1, gpu.FEW + 16)
    for dtype, n, table in itertools.product(DTYPES, lengths, (None, bounded)):
        for shifts in ((0, 0, 0), (1, 0, 0), (0, 3, 0), (0, 0, 1), (1, 1, 1), (8, 8, 8)):
            loc, scale, out = arguments(n, dtype, shifts)
            mode(loc, scale, method=method, table=table, out=out)
            assert torch.equal(out, loc + 2 * scale)
            calls += 1
    mode(*arguments(dtype=torch.float64), method=method)  # the eager backend's
    assert (len(driver.launches), driver.loaded, driver.copies) == (calls, loaded, copies)
    for launch in driver.launches:
        assert not launch.metadata.enable_fp_fusion
        assert launch.arguments["METHOD"] == COMPILED.index(method)
        assert launch.arguments["pairs"].place.index == driver.current


@pytest.mark.usefixtures("warm")
def test_triton_is_asked_once(driver: fake_gpu.Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """After warmup what it compiled is called, whatever length, layout and bounds: its own road costs 65 µs."""
    warmup()
    driver.launches.clear()

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("Triton was asked again")

    monkeypatch.setattr(triton.runtime.jit.JITFunction, "run", refuse)
    calls = 0
    for method, n, bounds in itertools.product(
        COMPILED, (1, 1000, gpu.FEW + 16), ((-1.0, 1.0), (-2.0, 3.0), (0.0, 1.0))
    ):
        loc, scale, out = arguments(n, shifts=(0, 0, 0))
        assert torch.equal(mode(loc, scale, *bounds, method=method, out=out), loc + 2 * scale)
        launch = driver.launches[-1]
        block = gpu.BLOCK if n > gpu.FEW else gpu.FEW_BLOCK
        assert launch.arguments["BLOCK"] == block
        assert launch.grid == (-(-n // block), 1, 1)
        assert launch.arguments["UNIT"] == (bounds == (-1.0, 1.0))
        assert (launch.arguments["low"], launch.arguments["high"]) == bounds
        calls += 1
    for f in QUANTITIES:
        f(*arguments())
        calls += 1
    assert len(driver.launches) == calls


@pytest.mark.parametrize(
    ("method", "driver"), [*((method, 90) for method in COMPILED), ("refined", 80)], indirect=["driver"]
)
def test_a_mode_needs_no_subroutine(method: Any, driver: fake_gpu.Driver) -> None:
    """Approximations, nothing fused that the text does not fuse, nothing flushed to zero but by the approximations."""
    for bounds in ((-1.0, 1.0), (-2.0, 3.0)):
        loc, scale = arguments(64)
        mode(loc, scale, *bounds, method=method)
        launch = driver.launches[-1]
        assert not launch.metadata.enable_fp_fusion
        lines = launch.assembly("ptx").splitlines()
        assert ("rcp.approx" in "".join(lines)) == (method != "bilinear")
        assert not any(re.search(r"\b(call|div|sqrt)\b", line) for line in lines)
        assert all("approx" in line for line in lines if ".ftz" in line)


@pytest.mark.parametrize(
    ("dtype", "name", "driver"),
    [
        *((torch.float32, name, 90) for name in FUNCTIONS),
        *(pytest.param(torch.bfloat16, name, 90, marks=pytest.mark.slow) for name in FUNCTIONS if name != "mean"),
        (torch.bfloat16, "mean", 90),
        (torch.float32, "stddev", 80),
    ],
    indirect=["driver"],
)
def test_every_function_compiles_and_launches(dtype: torch.dtype, name: str, driver: fake_gpu.Driver) -> None:
    """Aligned and not; every operation rounds to nearest, nothing is flushed to zero but by floor, nothing is fused."""
    many = gpu.FEW + 64
    for n, shifts in itertools.product((many, many - 1), ((0, 0, 0), (1, 0, 0), (0, 0, 3))):
        loc, scale, out = arguments(n, dtype, shifts)
        functions.on_gpu(name, loc, scale, out, -2.0, 3.0, None)
        assert torch.equal(out, loc + 2 * scale)
        launch = driver.launches[-1]
        assert launch.metadata.target.arch == driver.capability
        assert not launch.metadata.enable_fp_fusion
        assert (launch.arguments["low"], launch.arguments["high"]) == (-2.0, 3.0)
        assert torch.equal(launch.arguments["data"].cpu(), torch.from_numpy(functions.moments_of(None).vector.copy()))
        assert ("tt.divisibility = 16" in launch.assembly("ttir")) == (n == many and not any(shifts))
        lines = launch.assembly("ptx").splitlines()
        assert any("fma.rn.f32" in line for line in lines)
        assert not any("approx" in line or "div.full" in line for line in lines)
        assert FLUSHES or all("cvt.rmi" in line for line in lines if ".ftz" in line)
    assert driver.loaded == 2


@pytest.mark.usefixtures("warm")
def test_after_warmup_moments_neither_compile_nor_copy(driver: fake_gpu.Driver) -> None:
    """On both roads: bounds that are tensors take the general one, which is float32's."""
    warmup()
    low, high = torch.tensor(-2.0, device="cuda"), torch.tensor(3.0, device="cuda")
    loaded, copies = driver.loaded, driver.copies
    driver.launches.clear()
    driver.capturing = True
    calls = 0
    for f, dtype, n, shifts in itertools.product(QUANTITIES, DTYPES, (1, 16, 17, 1000), ((0, 0, 0), (1, 0, 3))):
        loc, scale, out = arguments(n, dtype, shifts)
        assert f(loc, scale, -2.0, 3.0, out=out) is out
        assert torch.equal(out, loc + 2 * scale)
        assert f(loc, scale, low, high).dtype == dtype
        assert driver.launches[-1].signature["loc_pointer"] == "*fp32"
        calls += 2
    assert (len(driver.launches), driver.loaded, driver.copies) == (calls, loaded, copies)
    own = copy.deepcopy(ModeTable.default())
    with pytest.raises(RuntimeError, match="a table of your own"):
        tanhlut.mean(*arguments(), table=own)
    driver.capturing = False
    tanhlut.mean(*arguments(), table=own)
    driver.capturing = True
    tanhlut.stddev(*arguments(), table=own)


def test_moments_go_where_the_mode_goes(driver: fake_gpu.Driver) -> None:
    """The tensors' device; "auto" and "gpu"; not while a graph is captured too early; float64 elsewhere."""
    here, there = driver.current, next(_devices)
    for f, backend in itertools.product(QUANTITIES, ("auto", "gpu")):
        loc, scale = arguments(device=f"cuda:{there}")
        assert torch.equal(f(loc, scale, backend=backend), loc + 2 * scale)
        assert torch.equal(f(loc, 0.5, backend=backend), loc + 1.0)
        assert {launch.device for launch in driver.launches} == {there}
        assert driver.launches[-1].arguments["data"].place.index == there
        assert driver.current == here
    loc, scale = arguments()
    driver.capturing = True
    for f in QUANTITIES:
        with pytest.raises(RuntimeError, match=r"^the gpu backend is not ready on cuda:\d+, .*tanhlut\.warmup\(\)"):
            f(loc, scale)
    driver.capturing = False
    driver.launches.clear()
    torch.testing.assert_close(
        tanhlut.mean(loc, scale, backend="eager").cpu(), tanhlut.mean(loc.cpu(), scale.cpu(), backend="eager")
    )
    tanhlut.mean(loc.double(), scale.double())
    assert not driver.launches


def test_zeros_that_have_no_memory_are_given_some(driver: fake_gpu.Driver) -> None:
    loc, scale = torch._efficientzerotensor(5, device="cuda"), arguments()[1]
    for pair in ((loc, scale), (scale, loc)):
        mode(*pair)
        for name in ("loc_pointer", "scale_pointer"):
            assert driver.launches[-1].arguments[name].data_ptr()


def test_what_is_aligned_is_read_sixteen_bytes_at_once(driver: fake_gpu.Driver) -> None:
    def wide(loc: torch.Tensor, scale: torch.Tensor) -> bool:
        mode(loc, scale)
        return "tt.divisibility = 16" in driver.launches[-1].assembly("ttir")

    many = gpu.FEW + 64
    assert wide(*arguments(many))
    assert not wide(*arguments(many - 1))
    assert not wide(*arguments(many, shifts=(1, 0)))
    assert not wide(*arguments(64))  # an element a thread


@pytest.mark.usefixtures("warm")
def test_more_than_two_to_the_31_elements(driver: fake_gpu.Driver, tmp_path: Path) -> None:
    """No kernel of their own, and no index that overflows. The tensors are holes in files."""
    warmup()
    here = torch.device("cuda", driver.current)
    assert available.gpu_failure(here, torch.float16) is None  # else torch operations would want the memory
    loaded, n = driver.loaded, (1 << 31) + 16
    tensors = []
    for name in ("loc", "scale", "out"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(2 * n)
        tensors.append(torch.from_file(str(tmp_path / name), shared=True, size=n, dtype=torch.float16))
        tensors[-1].place = here  # type: ignore[attr-defined]
    mode(*tensors[:2], out=tensors[2])
    launch = driver.launches[-1]
    assert launch.arguments["n"] == n
    assert launch.grid == ((1 << 31) // gpu.BLOCK + 1, 1, 1)
    assert launch.signature["n"] == "i64"
    assert f"tensor<{gpu.BLOCK}x!tt.ptr<f16>>, tensor<{gpu.BLOCK}xi64>" in launch.assembly("ttir")
    assert driver.loaded == loaded


@pytest.mark.usefixtures("warm")
def test_the_tensors_device_becomes_the_current_one(driver: fake_gpu.Driver) -> None:
    here, there = driver.current, next(_devices)
    for road in (
        lambda a, b: mode(a, b),
        lambda a, b: mode(a, b, -2.0, torch.tensor(3.0)),
        lambda a, b: mode(a.bfloat16(), b),
    ):
        driver.launches.clear()
        result = road(*arguments(device=f"cuda:{there}"))
        assert result.device == torch.device("cuda", there)
        assert {launch.device for launch in driver.launches} == {there}
        assert driver.launches[-1].arguments["pairs"].place.index == there
        assert driver.current == here
    driver.launches.clear()
    assert "gpu" in warmup(device=next(_devices))
    assert {launch.device for launch in driver.launches} == {there + 1}
    assert driver.current == here
    with pytest.raises(ValueError, match="'cpu' is not a CUDA device"):
        warmup(device="cpu")


def test_a_capture_that_comes_too_early_is_told_so(driver: fake_gpu.Driver) -> None:
    """Whatever is missing: Triton's trial, the table, a kernel. Nothing of it is remembered as a failure."""

    def too_early(*arguments: torch.Tensor, **options: Any) -> None:
        driver.capturing = True
        for backend in ("auto", "gpu"):
            with pytest.raises(RuntimeError, match=r"^the gpu backend is not ready on cuda:\d+, .*tanhlut\.warmup\(\)"):
                mode(*arguments, backend=backend, **options)
        driver.capturing = False

    loc, scale = arguments()
    too_early(loc, scale)
    too_early(loc.bfloat16(), scale.bfloat16())
    mode(loc, scale, method="exact")
    too_early(loc, scale)
    mode(loc, scale)
    too_early(loc, scale, method="bilinear")
    too_early(loc, scale, table=table_named("coarse"))
    too_early(*arguments(gpu.FEW + 16))
    driver.capturing = True
    assert torch.equal(mode(loc, scale), loc + 2 * scale)


FAULTS = [
    RuntimeError("Failed to find C compiler. Please specify via CC environment variable."),
    subprocess.CalledProcessError(1, ["gcc", "launcher.c"]),
    NotImplementedError("PTX\nof an architecture\nthat is too old"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.usefixtures("warm")
def test_auto_falls_back_where_the_kernel_cannot_be_launched(fault: Exception, driver: fake_gpu.Driver) -> None:
    tries = []

    def fail(source: Any) -> None:
        tries.append(source)
        raise fault

    driver.fault = fail
    loc, scale = arguments(1000)
    for _ in range(3):
        result = mode(loc, scale)
        assert result.device == loc.device
        assert torch.equal(result.cpu(), mode(loc.cpu(), scale.cpu(), backend="eager"))
        for f in QUANTITIES:
            assert torch.equal(f(loc, scale).cpu(), f(loc.cpu(), scale.cpu(), backend="eager"))
    assert len(tries) == 1
    said = " ".join(str(fault).split())
    with pytest.raises(ImportError, match=r"^backend 'gpu' cannot run here: .*supports$") as raised:
        mode(loc, scale, backend="gpu")
    found = backends()["gpu"]
    assert not found.available
    assert said in found.reason
    assert said in str(raised.value)
    with pytest.raises(ImportError, match="cannot run here"):
        warmup(device="cuda")
    assert "gpu" not in warmup()
    driver.fault = lambda source: None
    driver.current = next(_devices)  # another GPU in the same machine
    assert torch.equal(mode(*(twin := arguments())), twin[0] + 2 * twin[1])
    assert backends()["gpu"].available
    assert f"cuda:{loc.device.index}" in backends()["gpu"].reason


def test_a_fault_that_is_not_tritons_is_raised_and_forgotten(
    driver: fake_gpu.Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory left, an interrupt, an error of an earlier kernel: nothing that speaks against the device."""
    loc, scale = arguments()

    def raising(fault: BaseException) -> Any:
        def fail(*source: Any) -> None:
            raise fault

        return fail

    for fault in (
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        MemoryError(),
        KeyboardInterrupt(),
    ):
        driver.fault = raising(fault)
        for backend in ("auto", "gpu"):
            with pytest.raises(type(fault)):
                mode(loc, scale, backend=backend)
    earlier = RuntimeError("CUDA error: device-side assert triggered")
    driver.fault = raising(RuntimeError("Triton Error [CUDA]: device-side assert triggered"))
    monkeypatch.setattr(torch.cuda, "synchronize", raising(earlier))
    with pytest.raises(RuntimeError, match="CUDA error: device-side assert"):
        mode(loc, scale)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    driver.fault = lambda source: None
    assert torch.equal(mode(loc, scale), loc + 2 * scale)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's forward mode warns about torch
def test_a_first_call_inside_a_transform_is_no_failure(driver: fake_gpu.Driver) -> None:
    """What is tried out and kept then is a plain tensor."""
    loc, scale = arguments()
    value, tangent = torch.func.jvp(lambda x: mode(x, scale), (loc,), (torch.ones_like(loc),))[:2]
    assert torch.equal(value, loc + 2 * scale)
    assert tangent.shape == loc.shape
    assert backends()["gpu"].available
    with torch.inference_mode():
        assert torch.equal(mode(loc, scale, method="exact"), loc + 2 * scale)


@pytest.mark.usefixtures("warm")
def test_a_device_without_bfloat16_computes_it_in_float32(driver: fake_gpu.Driver) -> None:
    def fault(source: Any) -> None:
        if "*bf16" in source.signature.values():
            raise RuntimeError("Feature '.bf16' requires .target sm_80 or higher")

    driver.fault = fault
    assert "gpu" in warmup()
    loc, scale = arguments(20, torch.bfloat16)
    for backend in ("auto", "gpu"):
        driver.launches.clear()
        result = mode(loc, scale, backend=backend)
        assert torch.equal(result, (loc.float() + 2 * scale.float()).bfloat16())
        assert driver.launches[-1].signature["loc_pointer"] == "*fp32"
    assert backends()["gpu"].available
    assert "sm_80" in backends()["gpu"].reason


def test_a_triton_that_cannot_be_imported(driver: fake_gpu.Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    loc, scale = arguments()
    monkeypatch.setitem(sys.modules, "tanhlut.compute.gpu", None)
    monkeypatch.delattr(sys.modules["tanhlut.compute"], "gpu")
    available.gpu_missing.cache_clear()
    assert torch.equal(mode(loc, scale).cpu(), mode(loc.cpu(), scale.cpu(), backend="eager"))
    with pytest.raises(ImportError, match=r"pip install 'tanhlut\[gpu\]'"):
        mode(loc, scale, backend="gpu")
    assert "Triton cannot be imported" in backends()["gpu"].reason


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns about torch
def test_the_module_that_inductor_writes_launches_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CPU tensors, which the driver does not mind, so that Inductor's own code runs too."""
    from torch._inductor.utils import run_and_get_code

    driver = fake_gpu.Driver(next(_devices))
    triton.runtime.driver.set_active(driver)
    monkeypatch.setattr(gpu, "_compiled", {})
    packed = ModeTable.default().packed
    assert packed is not None
    table = gpu.device_table(packed, torch.device("cpu"))

    def policy(loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return gpu.mode(loc * 3.0, scale, "refined", table) - 1.0

    loc, scale = torch.randn(1000), torch.rand(1000)
    no_graph_kept = (  # what was compiled before is no evidence
        torch._inductor.config.patch(fx_graph_cache=False),
        torch._functorch.config.patch(enable_autograd_cache=False),
    )
    with no_graph_kept[0], no_graph_kept[1]:
        result, code = run_and_get_code(torch.compile(policy, fullgraph=True), loc, scale)
    torch.testing.assert_close(result, loc * 3.0 + 2 * scale - 1.0)
    assert "torch.ops.tanhlut.mode.default(" in "".join(code)
    (launch,) = driver.launches
    assert not launch.metadata.enable_fp_fusion
    assert launch.metadata.num_warps == gpu.WARPS
