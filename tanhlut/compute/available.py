"""What can compute here: whether each backend is installed and works, asked once."""

import os
from functools import cache
from typing import Any, Literal

import torch

Name = Literal["eager", "cpu", "gpu"]
NAMES: tuple[Name, ...] = ("eager", "cpu", "gpu")
BACKENDS = ("auto", *NAMES)


def cpu_kernels() -> Any:
    """The module of kernels, or None. The first call compiles one, to see."""
    return _load_cpu()[0]


def cpu_missing() -> str | None:
    """Why the cpu backend cannot run here, or None."""
    return _load_cpu()[1]


cpu_missing._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see `general`


@cache
def gpu_missing() -> str | None:
    """Why the gpu backend cannot run here, or None. With TRITON_INTERPRET=1 it runs on CPU tensors, slowly."""
    if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
        return "torch sees no CUDA device"
    try:
        from tanhlut.compute import gpu  # noqa: F401
    except Exception as error:  # a Triton of another age than torch fails in ways of its own
        return f"Triton cannot be imported ({type(error).__name__}: {error}): pip install 'tanhlut[gpu]'"
    return None


gpu_tried: dict[tuple[torch.device, torch.dtype], str | None] = {}


def gpu_failure(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the gpu backend cannot run here, or on this CUDA device, or None. The first question launches it once."""
    missing = gpu_missing()
    if missing is not None or device.type != "cuda":
        return missing
    key = device, dtype
    if key not in gpu_tried:
        from tanhlut.compute import gpu

        gpu_tried[key] = gpu.trial(device, dtype)
    return gpu_tried[key]


gpu_failure._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see `general`


@cache
def _load_cpu() -> tuple[Any, str | None]:
    try:
        from tanhlut.compute import cpu

        cpu.tried()
    except ImportError as error:
        return None, f"llvmlite cannot be imported ({error}): install tanhlut with its dependencies"
    except Exception as error:
        return None, f"its kernels cannot be compiled ({type(error).__name__}: {' '.join(str(error).split())})"
    return cpu, None
