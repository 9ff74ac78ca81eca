"""The mode's kernels, over the text with the CPU kernel's bits or over the one with approximations (`gpu_unit`).

NVIDIA's GPUs have the approximations, and run them. AMD's do not, and Triton's interpreter knows no assembly.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch

from tanhlut.compute import gpu_ops, gpu_unit
from tanhlut.formula.instantiate import instantiate

APPROXIMATE = not gpu_ops.INTERPRETED and torch.version.hip is None  # what runs here

# What `gpu_kernel` is given; here for those who read it.
text: Any = None
CELLS_FROM: Any = None


@cache
def kernels(approximate: bool) -> Any:
    """`gpu_kernel` over one of the texts."""
    first = gpu_unit.CELLS_FROM if approximate else 0
    given = {"text": gpu_unit.APPROXIMATE if approximate else gpu_ops.SINGLE, **gpu_ops.known({"CELLS_FROM": first})}
    name = f"triton_mode_{'approximate' if approximate else 'exact'}"
    return instantiate(name, given, "gpu_kernel", folder=Path(__file__).parent)
