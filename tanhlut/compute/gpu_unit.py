"""What NVIDIA's GPUs do in one instruction and IEEE 754 does not say, and the text made with it: `APPROXIMATE`.

Errors that are assumed, NVIDIA's description of PTX not being at hand to check them: 1/x within 1 ulp, 2^x within 2
ulp, 1/√x within 2^-22.4 and log₂ x within 2^-22, absolute, or relative beyond [1/2, 2]. Subnormals are flushed to zero.
Minimum and maximum keep or drop a NaN in one instruction too.
"""

import triton
import triton.language as tl

from tanhlut.compute import gpu_ops
from tanhlut.formula.instantiate import instantiate

_TWO_23 = tl.constexpr(2.0**23)
CELLS_FROM = 0x4B000000  # the bits of 2^23


@triton.jit
def about_inverse(x):
    return tl.inline_asm_elementwise("rcp.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1)


@triton.jit
def about_inverse_root(x):
    return tl.inline_asm_elementwise("rsqrt.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1)


@triton.jit
def about_power_of_two(x):
    return tl.inline_asm_elementwise("ex2.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1)


@triton.jit
def about_log_2(x):
    return tl.inline_asm_elementwise("lg2.approx.ftz.f32 $0, $1;", "=f,f", [x], tl.float32, is_pure=True, pack=1)


@triton.jit
def fma_down(a, b, c):
    return tl.inline_asm_elementwise(
        "fma.rm.f32 $0, $1, $2, $3;", "=f,f,f,f", [a, b, c], tl.float32, is_pure=True, pack=1
    )


@triton.jit
def whole_part(x):
    """Adding 2^23, rounded down, leaves the whole number in the low bits; the integer begins at CELLS_FROM."""
    moved = tl.inline_asm_elementwise("add.rm.f32 $0, $1, 0f4B000000;", "=f,f", [x], tl.float32, is_pure=True, pack=1)
    return moved.to(tl.int32, bitcast=True), moved - _TWO_23


@triton.jit
def smaller_number(a, b):
    return tl.minimum(a, b)


@triton.jit
def larger_number(a, b):
    return tl.maximum(a, b)


@triton.jit
def at_most(x, most):
    return tl.minimum(x, most, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def at_least(x, least):
    return tl.maximum(x, least, propagate_nan=tl.PropagateNan.ALL)


_OPERATIONS = {
    **gpu_ops.OPERATIONS,
    **{
        function.__name__: function
        for function in (
            *(about_inverse, about_inverse_root, about_power_of_two, about_log_2, fma_down, whole_part),
            *(smaller_number, larger_number, at_most, at_least),
        )
    },
}

APPROXIMATE = instantiate("triton_approximate", _OPERATIONS, "bits", "approximate", "element")
