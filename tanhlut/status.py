"""What can compute here, and compiling it ahead of time."""

import time
from typing import NamedTuple

import torch

from tanhlut.arrays import FLOATS
from tanhlut.compute import available, functions
from tanhlut.lookup import mode
from tanhlut.methods import COMPILED

_SERVES = {
    "eager": (
        (torch.float32, torch.float64),
        "torch operations, on every device; traced under torch.compile and export",
    ),
    "cpu": (FLOATS, "CPU tensors, NumPy arrays and Python floats"),
    "gpu": ((torch.float16, torch.bfloat16, torch.float32), "CUDA tensors of float16, bfloat16 and float32"),
}


class Backend(NamedTuple):
    """Whether a backend can run here; for what, or why not."""

    available: bool
    reason: str


def backends() -> dict[str, Backend]:
    """What can run here: a `Backend` for each of "eager", "cpu" and "gpu".

    The gpu backend is tried out on the current CUDA device, once: that compiles a kernel.
    """
    missing = {name: _missing(name, _gpu_device()) for name in available.NAMES}
    found: dict[str, Backend] = {name: Backend(why is None, why or _SERVES[name][1]) for name, why in missing.items()}
    if found["gpu"].available:
        failures = [why for why in available.gpu_tried.values() if why is not None]
        found["gpu"] = Backend(True, "; but ".join([found["gpu"].reason, *failures]))
    return found


def warmup(device: torch.device | str | int | None = None) -> dict[str, float]:
    """Compile, and read the default table: no later lookup has to.

    Call it before a control loop starts, and before a CUDA graph is captured: while one is, nothing can be compiled.
    The first call on a machine with a GPU takes the longest: what Triton compiled is kept on disk. The kernels of mean,
    variance, stddev and entropy are made ready on the GPU; on the CPU each compiles when it is first called, and so
    does that of many modes' derivatives.

    Args:
        device: the CUDA device to make ready, by default the current one (`torch.cuda.current_device`). A process that
            uses several calls this once for each.

    Returns:
        Seconds spent on each available backend.

    Raises:
        ValueError: `device` is not a CUDA device.
        ImportError: the gpu backend cannot run on the device that was named.
    """
    there, here = _gpu_device(device), torch.device("cpu")
    if device is not None and (missing := _missing("gpu", there)) is not None:
        raise ImportError(f"backend 'gpu' cannot run here: {missing}")
    seconds: dict[str, float] = {}
    for name in available.NAMES:
        began = time.perf_counter()
        if _missing(name, there) is not None:
            continue
        if name == "gpu" and there.type == "cuda":
            _warm_gpu(there)
        for place in {"eager": {here, there}, "cpu": {here}, "gpu": {there}}[name]:
            for dtype in _SERVES[name][0]:
                sample = torch.ones(1, dtype=dtype, device=place)
                for method in COMPILED:
                    mode(sample, sample, method=method, backend=name)
        if there.type == "cuda":
            torch.cuda.synchronize(there)
        seconds[name] = time.perf_counter() - began
    return seconds


def _warm_gpu(there: torch.device) -> None:
    from tanhlut.compute import gpu

    for dtype in _SERVES["gpu"][0]:
        if available.gpu_failure(there, dtype) is None:
            gpu.warm(there, dtype)
            functions.warm_gpu(there, dtype)


def _missing(name: str, there: torch.device) -> str | None:
    if name == "gpu":
        return available.gpu_failure(there, torch.float32)
    return available.cpu_missing() if name == "cpu" else None


def _gpu_device(device: torch.device | str | int | None = None) -> torch.device:
    """The CUDA device that is meant; where torch sees none, the CPU, for Triton's interpreter."""
    current = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    if device is None:
        return current
    found = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    if found.type != "cuda":
        raise ValueError(f"device {str(found)!r} is not a CUDA device: give 'cuda', 'cuda:1' or an index, or nothing")
    return current if found == torch.device("cuda") else found
