"""The functions of the text beside the mode on the CPU: each compiled, by numba, when it is first called."""

from functools import cache
from pathlib import Path
from typing import Any

from numba import float32, float64

from tanhlut.compute.compiled import Kernels, entries
from tanhlut.compute.cpu_ops import DOUBLE, SINGLE
from tanhlut.formula.instantiate import instantiate

# What the loops are given; here for those who read them.
function: Any = None
place: Any = None
value: Any = None
patch: Any = None
real: Any = None
kernels: Any = None
partials: Any = None


@cache
def compiled(name: str, double: bool) -> Any:
    """`cpu_loop` or `cpu_patch_loop` over the function of that name, without numba's check of the arguments."""
    text, kind = (DOUBLE, float64) if double else (SINGLE, float32)
    own = Kernels(f"{name}{kind.bitwidth}")
    given = {"kernels": own, "real": kind}
    if hasattr(text, f"{name}_place"):
        halves = {"place": getattr(text, f"{name}_place"), "value": getattr(text, f"{name}_of"), "patch": text.patch}
        loop = instantiate(own.name, given | halves, "cpu_patch_loop", folder=Path(__file__).parent).loop
    else:
        alone = {"function": getattr(text, name)}
        loop = instantiate(own.name, given | alone, "cpu_loop", folder=Path(__file__).parent).loop
    return _built(own, loop)


@cache
def slopes(double: bool) -> Any:
    """`cpu_slopes_loop`."""
    text, kind = (DOUBLE, float64) if double else (SINGLE, float32)
    own = Kernels(f"slopes{kind.bitwidth}")
    names = {name: value for name, value in vars(text).items() if not name.startswith("__")}
    partials = instantiate(own.name, names | {"FOUR": text.TWO + text.TWO}, "derived").partials
    given = {"kernels": own, "real": kind, "partials": partials}
    return _built(own, instantiate(own.name, given, "cpu_slopes_loop", folder=Path(__file__).parent).loop)


def _built(own: Kernels, loop: Any) -> Any:
    own.build()
    own.warn()
    (entry,) = entries(loop)
    return entry
