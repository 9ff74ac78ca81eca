"""CUDA devices without a GPU: Triton's own compiler and launcher over a driver that does nothing, and CPU tensors that
say they are elsewhere. For a process of its own (`launches.py`): Triton must not have been imported as an interpreter.
"""

import inspect
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import triton
from torch.overrides import TorchFunctionMode
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend
from triton.compiler.compiler import CompiledKernel


class Launch(NamedTuple):
    """What reached the driver."""

    device: int  # the current one
    grid: tuple[int, int, int]
    arguments: dict[str, Any]
    metadata: Any
    source: Any

    @property
    def signature(self) -> dict[str, str]:
        """The types of the arguments."""
        return self.source.signature  # type: ignore[no-any-return]

    def assembly(self, language: str) -> str:
        """The kernel in one of Triton's languages, such as "ttir", its own."""
        kernels = self.source.fn.device_caches[self.device][0].values()
        return next(str(kernel.asm[language]) for kernel in kernels if kernel.metadata is self.metadata)


class Driver:
    """What Triton asks of a driver. A kernel that is launched gives loc + 2·scale, so that one can see who was read."""

    def __init__(self, current: int, capability: int = 90) -> None:
        self.current, self.capability, self.capturing = current, capability, False
        self.launches: list[Launch] = []
        self.loaded = self.copies = 0  # kernels; tensors from the host
        self.fault: Callable[[Any], None] = lambda source: None  # raises what loading a kernel shall raise
        self.utils, self.launcher_cls = self, self._launcher

    def get_current_device(self) -> int:
        return self.current

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_device_capability(self, device: int) -> tuple[int, int]:
        return divmod(self.capability, 10)

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {"max_shared_mem": 232_448}

    def load_binary(self, *binary: Any) -> tuple[int, ...]:
        assert not self.capturing, "a module is loaded while a graph is captured"
        self.loaded += 1
        module = 1, 2, 40, 0, 1024
        return module if "n_max_threads" in inspect.getsource(CompiledKernel._init_handles) else module[:4]

    def unload_module(self, module: int) -> None:
        pass

    def _launcher(self, source: Any, metadata: Any) -> Callable[..., None]:
        self.fault(source)

        def launch(x: int, y: int, z: int, stream: int, function: int, packed: Any, *rest: Any) -> None:
            arguments = dict(zip(source.fn.arg_names, rest[3:], strict=True))
            self.launches.append(Launch(self.current, (x, y, z), arguments, metadata, source))
            loc, scale, out = (arguments[f"{name}_pointer"] for name in ("loc", "scale", "out"))
            if out.numel() < 1 << 24:
                out.copy_(loc + 2 * scale)

        return launch


class Cuda(TorchFunctionMode):
    """CPU tensors that claim a CUDA device, which their results inherit. Copies from the host are counted."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self.driver = driver

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _GETTERS:
            place = getattr(args[0], "place", None)
            return func(*args) if place is None else _GETTERS[func](place)
        before = place = next((t.place for t in (*args, *kwargs.values()) if hasattr(t, "place")), None)
        if func is torch.Tensor.to and args[1:] and isinstance(args[1], torch.device):
            args, kwargs["device"] = (args[0], *args[2:]), args[1]
        if func is torch.Tensor.cpu:
            func, kwargs["device"] = torch.Tensor.to, "cpu"
        if kwargs.get("device") is not None:
            place = self._place(torch.device(kwargs["device"]))
            kwargs["device"] = "cpu" if place is not None else kwargs["device"]
        result = func(*args, **kwargs)
        if func is torch.Tensor.to and place != before:
            result = result.clone()
            self.driver.copies += before is None
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor) and place is not None:
                tensor.place = place  # type: ignore[attr-defined]
        return result

    def _place(self, device: torch.device) -> torch.device | None:
        if device.type != "cuda":
            return None
        return torch.device("cuda", self.driver.current) if device == torch.device("cuda") else device


_GETTERS: dict[Any, Callable[[torch.device], Any]] = {
    torch.Tensor.is_cuda.__get__: lambda place: True,  # type: ignore[attr-defined]
    torch.Tensor.is_cpu.__get__: lambda place: False,  # type: ignore[attr-defined]
    torch.Tensor.device.__get__: lambda place: place,
    torch.Tensor.get_device: lambda place: place.index,
}


def translate_nothing(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Stop Triton's compiler after its own language: what is only launched and counted needs no machine code.

    Args:
        cache: for kernels made so, which must not be taken for whole ones.
    """

    def stages(backend: Any, stages: dict[str, Callable[..., Any]], options: Any, *rest: Any) -> None:
        add(backend, stages, options, *rest)

        def finish(source: Any, metadata: dict[str, Any]) -> bytes:
            name = re.search(r"tt\.func public @(\w+)", str(source))
            assert name is not None
            metadata.update(dict.fromkeys(_SIZES, 0), name=name[1], shared=0, tmem_size=0)
            return b"nothing"

        for stage in ("ttgir", "llir", "ptx"):
            del stages[stage]
        stages["cubin"] = finish

    add = CUDABackend.add_stages
    monkeypatch.setattr(CUDABackend, "add_stages", stages)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(cache))


_SIZES = [f"{kind}_scratch_{what}" for kind in ("global", "profile") for what in ("size", "align")]


def install(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it what Triton and torch.cuda speak to."""
    triton.runtime.driver.set_active(driver)
    submit = ThreadPoolExecutor.submit

    def enter(pool: Any, function: Any, *arguments: Any) -> Any:
        """Modes belong to a thread: a new one needs ours."""

        def work() -> Any:
            with Cuda(driver):
                return function(*arguments)

        return submit(pool, work)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", enter)

    def exchange(device: int) -> int:
        before = driver.current
        driver.current = device if device >= 0 else before
        return before

    for name, value in {
        "is_available": lambda: True,
        "current_device": lambda: driver.current,
        "_exchange_device": exchange,
        "_maybe_exchange_device": exchange,
        "synchronize": lambda device=None: None,
        "is_current_stream_capturing": lambda: driver.capturing,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
