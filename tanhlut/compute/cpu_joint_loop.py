"""A loop over mean, variance, standard deviation and entropy of float32 at once, which share their chart: run as a
module by `cpu_functions`, by numba.

Given by whoever runs it: `mean` and `entropy`; `stddev_place`, `patch` and `stddev_of`, as in `cpu_patch_loop`; `real`
and `kernels`. Three passes in the place of one, over a chart kept in between, took as long (AVX2).
"""

from typing import TYPE_CHECKING

from numba import int32

from tanhlut.compute.intrinsics import load_constant, scratch, store

STRIP = 256

if TYPE_CHECKING:
    from tanhlut.compute.cpu_functions import entropy, kernels, mean, patch, real, stddev_of, stddev_place


@kernels.compiled("void(int64, int64, int64, int64, int64, float64, float64, int64, int64)")
def loop(loc, scale, out, begin, end, low, high, data, apart):
    """As `cpu_loop`, of four arrays `apart` elements apart: mean, variance, standard deviation, entropy."""
    low, high = real(low), real(high)
    at, f, h = scratch(STRIP, int32), scratch(STRIP, real), scratch(STRIP, real)
    more, roots = scratch(STRIP, real), scratch(STRIP, real)
    means, entropies = scratch(STRIP, real), scratch(STRIP, real)
    while begin < end:
        n = min(STRIP, end - begin)
        for i in range(n):
            mu, sigma = load_constant(loc, begin + i, real), load_constant(scale, begin + i, real)
            means[i] = mean(mu, sigma, data, low, high)
            entropies[i] = entropy(mu, sigma, data, low, high)
            at[i], f[i], h[i], more[i] = stddev_place(mu, sigma)
        for i in range(n):
            roots[i] = patch(data, at[i], f[i], h[i])
        for i in range(n):
            mu, sigma = load_constant(loc, begin + i, real), load_constant(scale, begin + i, real)
            roots[i] = stddev_of(roots[i], more[i], mu, sigma, low, high)
        for i in range(n):
            store(out, begin + i, means[i])
            store(out, apart + begin + i, roots[i] * roots[i])
            store(out, 2 * apart + begin + i, roots[i])
            store(out, 3 * apart + begin + i, entropies[i])
        begin += n
