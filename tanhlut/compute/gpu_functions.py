"""The functions of the text beside the mode on the GPU: a kernel for each, launched as `gpu` launches the mode's.

Import this module only where `available.gpu_missing` gives None.
"""

from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from tanhlut.compute import gpu
from tanhlut.compute.gpu_ops import SINGLE
from tanhlut.file.moments import Moments
from tanhlut.formula.functions import FUNCTIONS
from tanhlut.formula.instantiate import instantiate

# What `gpu_loop` is given; here for those who read it.
function: Any = None


@cache
def kernels(name: str) -> Any:
    """`gpu_loop` over the function of that name."""
    given = {"function": getattr(SINGLE, name)}
    return instantiate(f"triton_{name}", given, "gpu_loop", folder=Path(__file__).parent)


def numbers_on(moments: Moments, device: torch.device) -> Tensor:
    """The surrogates' numbers on a device; copied once.

    Raises:
        RuntimeError: a CUDA graph is being captured there.
    """

    def copy() -> Tensor:
        with gpu.current(device):
            gpu.refuse_capture(device)
            return torch.from_numpy(moments.vector.copy()).to(device)

    return cast(Tensor, moments.forms(("gpu", device), copy))


def evaluate(name: str, loc: Tensor, scale: Tensor, data: Tensor, low: float, high: float, out: Tensor) -> Tensor:
    """The function of contiguous tensors of one shape, dtype (float32, bfloat16, float16) and device, on [low, high].

    `out`, contiguous and apart from them, is written. The arithmetic is float32's, rounded once. No host sync.

    Args:
        data: `numbers_on` their device.

    Raises:
        RuntimeError: a CUDA graph is being captured, and nothing has compiled this before.
    """
    gpu.launch(kernels(name), name, out, loc, scale, data, low, high)
    return out


def warm(device: torch.device, dtype: torch.dtype, data: Tensor) -> None:
    """Compile and load every kernel, as `gpu.warm`."""
    for n in (gpu.FEW + gpu.ALIGNMENT, 1):
        sample = torch.ones(n, dtype=dtype, device=device)
        for name in FUNCTIONS:
            evaluate(name, sample, sample, data, -1.0, 1.0, torch.empty_like(sample))
