"""A loop over one function of the text that is kept in patches: run as a module for each (`cpu_functions`), by numba.

Given by whoever runs it: `place` and `value`, the function's two halves; `patch`; `real`, the precision; `kernels`.
"""

from typing import TYPE_CHECKING

from numba import int32

from tanhlut.compute.intrinsics import load_constant, scratch, store

STRIP = 256

if TYPE_CHECKING:
    from tanhlut.compute.cpu_functions import kernels, patch, place, real, value


@kernels.compiled("void(int64, int64, int64, int64, int64, float64, float64, int64)")
def loop(loc, scale, out, begin, end, low, high, data):
    """As `cpu_loop`. The first and the last pass run on vectors of elements, the patches on vectors within one."""
    low, high = real(low), real(high)
    at, f, h = scratch(STRIP, int32), scratch(STRIP, real), scratch(STRIP, real)
    more, found = scratch(STRIP, real), scratch(STRIP, real)
    while begin < end:
        n = min(STRIP, end - begin)
        for i in range(n):
            mu, sigma = load_constant(loc, begin + i, real), load_constant(scale, begin + i, real)
            at[i], f[i], h[i], more[i] = place(mu, sigma)
        for i in range(n):
            found[i] = patch(data, at[i], f[i], h[i])
        for i in range(n):
            mu, sigma = load_constant(loc, begin + i, real), load_constant(scale, begin + i, real)
            found[i] = value(found[i], more[i], mu, sigma, low, high)
        for i in range(n):
            store(out, begin + i, found[i])
        begin += n
