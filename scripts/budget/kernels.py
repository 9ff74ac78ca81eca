"""The kernels that are launched, compiled for a target that need not be here: with the types and divisibilities that
Triton gives the arguments of a launch, and the launch's own options."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tanhlut.compute import gpu, gpu_functions, gpu_texts
from tanhlut.methods import COMPILED

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
    "gfx1100": GPUTarget("hip", "gfx1100", 32),
}


class Variant(NamedTuple):
    """One compiled kernel: a method, or a function beside the mode."""

    name: str
    dtype: str = "fp32"  # as Triton calls it
    bounded: bool = False
    unit: bool = True
    wide: bool = True


def compile_for(target: str, variant: Variant) -> Any:
    """Triton's compiled kernel, with its machine code in `asm`."""
    approximate = TARGETS[target].backend == "cuda"
    if variant.name in COMPILED:
        kernels = gpu_texts.kernels(approximate)
        constants = {"METHOD": COMPILED.index(variant.name), "BOUNDED": variant.bounded, "UNIT": variant.unit}
    else:
        kernels, constants = gpu_functions.kernels(variant.name), {}
    kernel = kernels.wide_kernel if variant.wide else kernels.any_kernel
    names = kernel.arg_names
    constants = {**constants, "BLOCK": gpu.BLOCK if variant.wide else gpu.FEW_BLOCK}
    signature = {name: "constexpr" if name in constants else _type(name, variant.dtype, approximate) for name in names}
    places = {(names.index(name),): value for name, value in constants.items()}
    divisible = ("loc_pointer", "scale_pointer", "out_pointer", "n") if variant.wide else ()
    attributes = {(names.index(name),): [["tt.divisibility", gpu.ALIGNMENT]] for name in divisible}
    source = ASTSource(fn=kernel, signature=signature, constexprs=places, attrs=attributes)
    return triton.compile(source, target=TARGETS[target], options=dict(_OPTIONS))


ELEMENTS_A_THREAD = gpu.BLOCK // (32 * gpu.WARPS)
_OPTIONS: Mapping[str, Any] = {"num_warps": gpu.WARPS, "enable_fp_fusion": False}
_TYPES = {"n": "i64", "row": "i32", "pairs": "*i64", "data": "*fp32"}


def _type(name: str, dtype: str, approximate: bool) -> str:
    if name.endswith("_index"):
        return "*i64" if approximate else "*i32"
    return f"*{dtype}" if name.endswith("_pointer") else _TYPES.get(name, "fp32")
