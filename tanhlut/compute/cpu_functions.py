"""The functions of the text beside the mode on the CPU: each compiled, by numba, when it is first called."""

from functools import cache
from pathlib import Path
from typing import Any

from tanhlut.compute.compiled import Kernels, entries
from tanhlut.compute.cpu_ops import SINGLE
from tanhlut.formula.instantiate import instantiate

# What `cpu_loop` is given; here for those who read it.
function: Any = None
kernels: Any = None


@cache
def compiled(name: str) -> Any:
    """`cpu_loop.loop` over the function of that name, of float32: without numba's check of the arguments."""
    own = Kernels(name)
    given = {"function": getattr(SINGLE, name), "kernels": own}
    module = instantiate(name, given, "cpu_loop", folder=Path(__file__).parent)
    own.build()
    own.warn()
    (entry,) = entries(module.loop)
    return entry
