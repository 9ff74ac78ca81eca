"""The mode's kernel: the three methods for float32, bfloat16 and float16, in one launch: run as a module for each text
(`gpu_texts`), by Triton.

Given by whoever runs it: `text`, and the number that it calls cell 0. No branch on data, and nothing is fused behind
our back (`gpu` launches with `enable_fp_fusion=False`). The table (2.2 MB, its index 32 KB) stays in the second-level
cache; index loads hit the first.
"""

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from tanhlut.methods import COMPILED

if TYPE_CHECKING:
    from tanhlut.compute.gpu_texts import CELLS_FROM, text

_fold, _cell, _corners, _rough_start, _step, _image, _finish, _signed, _load_pair = (
    getattr(text, name)
    for name in ("fold", "cell", "corners", "rough_start", "step", "image", "finish", "signed", "load_pair")
)
_BILINEAR, _EXACT = (tl.constexpr(COMPILED.index(method)) for method in ("bilinear", "exact"))


def _kernel(
    loc_pointer,
    scale_pointer,
    out_pointer,
    n: tl.int64,
    loc_index,
    delta_index,
    pairs,
    row,
    first_loc,
    last_loc,
    first_delta,
    last_delta,
    loc_max,
    scale_min,
    scale_max,
    low,
    high,
    METHOD: tl.constexpr,  # noqa: N803, Triton's custom for what a kernel is specialised by
    BOUNDED: tl.constexpr,  # noqa: N803
    UNIT: tl.constexpr,  # noqa: N803, whether low and high are −1 and 1
    BLOCK: tl.constexpr,  # noqa: N803
):
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = element < n
    # What lies beyond the mask may be anything: no number of any bits leads out of the table.
    loc = tl.load(loc_pointer + element, mask=mask).to(tl.float32)
    scale = tl.load(scale_pointer + element, mask=mask).to(tl.float32)
    m, s, delta = _fold(loc, scale)
    if METHOD == _EXACT:
        x = _rough_start(m, s, delta)
    else:
        line, column, u, v = _cell(m, delta, first_loc, last_loc, first_delta, last_delta, loc_index, delta_index)
        corner = line * row + column - CELLS_FROM * (row + 1)
        (y00, y10), (y01, y11) = _load_pair(pairs, corner), _load_pair(pairs, corner + 1)
        y = _corners(y00, y01, y10, y11, u, v)
        if METHOD == _BILINEAR:
            y = tl.fma(m * delta, 0.0, y)  # a NaN stays one
        x = tl.fma(s, y, m)
    if BOUNDED:
        inside = (tl.abs(loc) <= loc_max) & (scale >= scale_min) & (scale <= scale_max)
        x = tl.where(inside, x, _rough_start(m, s, delta))
    if METHOD != _BILINEAR:
        y = _step(x, m, s, delta)
    elif BOUNDED:
        y = tl.where(inside, y, _step(x, m, s, delta))
    if UNIT:
        y = _signed(tl.minimum(y, 1.0, propagate_nan=tl.PropagateNan.ALL) if METHOD == _BILINEAR else y, loc)
    else:
        half, middle = _image(low, high)
        y = _finish(y, loc, half, middle, low, high)
    tl.store(out_pointer + element, y.to(out_pointer.dtype.element_ty), mask=mask)


# Triton compiles anew for a length of 1, for one divisible by 16, and for each pointer that is: here for all of them or
# for none, so that two kernels serve every call: one of accesses 16 bytes wide, and one of an element a thread.
_TABLE = ["loc_index", "delta_index", "pairs", "row"]
wide_kernel = triton.jit(_kernel, do_not_specialize=_TABLE)
any_kernel = triton.jit(_kernel, do_not_specialize=["loc_pointer", "scale_pointer", "out_pointer", "n", *_TABLE])
