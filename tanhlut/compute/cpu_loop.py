"""A loop over one function of the text, for whole arrays: run as a module for each (`cpu_functions`), by numba.

Given by whoever runs it: `function`, of one element; `real`, the precision; `kernels`, which compiles.
"""

from typing import TYPE_CHECKING

from tanhlut.compute.intrinsics import load_constant, scratch, store

STRIP = 256

if TYPE_CHECKING:
    from tanhlut.compute.cpu_functions import function, kernels, real


@kernels.compiled("void(int64, int64, int64, int64, int64, float64, float64, int64)")
def loop(loc, scale, out, begin, end, low, high, data):
    """out[i] = function(loc[i], scale[i]) for begin ≤ i < end, of arrays at addresses, `out` apart from them.

    data: the address of the numbers that the function wants.
    """
    low, high = real(low), real(high)
    found = scratch(STRIP, real)  # where no load can be: else LLVM would not gather in vectors
    while begin < end:
        n = min(STRIP, end - begin)
        for i in range(n):
            mu, sigma = load_constant(loc, begin + i, real), load_constant(scale, begin + i, real)
            found[i] = function(mu, sigma, data, low, high)
        for i in range(n):
            store(out, begin + i, found[i])
        begin += n
