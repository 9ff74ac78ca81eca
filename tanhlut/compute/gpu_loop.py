"""A kernel over one function of the text: run as a module for each (`gpu_functions`), by Triton.

Given by whoever runs it: `function`, of one element.
"""

from typing import TYPE_CHECKING

import triton
import triton.language as tl

if TYPE_CHECKING:
    from tanhlut.compute.gpu_functions import function


def _kernel(
    loc_pointer,
    scale_pointer,
    out_pointer,
    n: tl.int64,
    data,
    low,
    high,
    BLOCK: tl.constexpr,  # noqa: N803, Triton's custom for what a kernel is specialised by
):
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = element < n
    loc = tl.load(loc_pointer + element, mask=mask, other=0.0).to(tl.float32)
    scale = tl.load(scale_pointer + element, mask=mask, other=1.0).to(tl.float32)
    value = function(loc, scale, data, low, high)
    tl.store(out_pointer + element, value.to(out_pointer.dtype.element_ty), mask=mask)


# Two kernels serve every call: see `gpu_kernel`.
wide_kernel = triton.jit(_kernel, do_not_specialize=["data"])
any_kernel = triton.jit(_kernel, do_not_specialize=["loc_pointer", "scale_pointer", "out_pointer", "n", "data"])
