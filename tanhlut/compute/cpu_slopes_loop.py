"""A loop over the derivatives of a mode, times what comes from above: run as a module by `cpu_functions`, by numba.

Given by whoever runs it: `partials` of the text; `real` and `kernels`.
"""

from typing import TYPE_CHECKING

from tanhlut.compute.intrinsics import load_constant, scratch, store

STRIP = 256

if TYPE_CHECKING:
    from tanhlut.compute.cpu_functions import kernels, partials, real


@kernels.compiled("void(int64, int64, int64, int64, int64, int64, int64)")
def loop(value, scale, grad, begin, end, by_loc, by_scale):
    """by_loc[i], by_scale[i] = grad[i]·∂y/∂loc, grad[i]·∂y/∂scale for begin ≤ i < end, from the mode's own value y."""
    first, second = scratch(STRIP, real), scratch(STRIP, real)
    while begin < end:
        n = min(STRIP, end - begin)
        for i in range(n):
            above = load_constant(grad, begin + i, real)
            a, b = partials(load_constant(value, begin + i, real), load_constant(scale, begin + i, real))
            first[i], second[i] = above * a, above * b
        for i in range(n):
            store(by_loc, begin + i, first[i])
            store(by_scale, begin + i, second[i])
        begin += n
