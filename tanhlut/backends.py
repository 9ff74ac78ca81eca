"""What can compute here, and compiling it ahead of time."""

import time
from typing import NamedTuple

import torch

from tanhlut import dispatch
from tanhlut.eager import COMPILED
from tanhlut.lookup import mode

_SERVES = {
    "eager": (
        (torch.float32, torch.float64),
        "torch operations, on every device; traced under torch.compile and export",
    ),
    "cpu": ((torch.float32, torch.float64), "CPU tensors, NumPy arrays and Python floats"),
    "gpu": ((torch.float16, torch.bfloat16, torch.float32), "CUDA tensors of float16, bfloat16 and float32"),
}


class Backend(NamedTuple):
    """Whether a backend can run here; for what, or why not."""

    available: bool
    reason: str


def backends() -> dict[str, Backend]:
    """What can run here: a `Backend` for each of "eager", "cpu" and "gpu"."""
    missing = {"eager": None, "cpu": dispatch.cpu_missing(), "gpu": dispatch.gpu_missing()}
    return {name: Backend(why is None, why or _SERVES[name][1]) for name, why in missing.items()}


def warmup() -> dict[str, float]:
    """Compile, or load what was compiled before, and read the default table: no later lookup has to.

    Call it before a control loop starts.

    Returns:
        Seconds spent on each available backend.
    """
    seconds: dict[str, float] = {}
    for name in dispatch.NAMES:
        began = time.perf_counter()
        if not backends()[name].available:
            continue
        for dtype in _SERVES[name][0]:
            sample = torch.ones(1, dtype=dtype, device="cuda" if name == "gpu" and torch.cuda.is_available() else "cpu")
            for method in COMPILED:
                mode(sample, sample, method=method, backend=name)
        if name == "gpu" and torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds[name] = time.perf_counter() - began
    return seconds
