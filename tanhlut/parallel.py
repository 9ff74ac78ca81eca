"""Sharing one array among threads.

Kernels release the interpreter's lock, so plain Python threads run them side by side; numba's own parallel layer is
not safe when several threads or forked processes enter it. How many threads is torch's setting
(`torch.set_num_threads`), so DataLoader workers, which set it to 1, stay on one. A forked child forgets its parent's
pool, whose threads did not come along.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

# A thread takes some 30 µs to wake, so this one works on HEAD_START elements more than its share. Gains of two threads
# (AMD EPYC, float32): 1.5 at 100 000 elements (1.25 to 1.35 with equal shares, or with small pieces taken in turn),
# 1.8 from 300 000.
THRESHOLD = 1 << 16
HEAD_START = 1 << 13
_GRAIN = 1 << 10  # shares begin at multiples of it, so that no two threads write one cache line


def shares(n: int) -> list[tuple[int, int]]:
    """Begin and end of each thread's part of n elements; the first is for the calling thread."""
    threads = torch.get_num_threads() if n >= THRESHOLD else 1
    size = -(-(n - HEAD_START * (threads > 1)) // (threads * _GRAIN)) * _GRAIN
    first = min(n, size + HEAD_START * (threads > 1))
    return [(0, first), *((begin, min(begin + size, n)) for begin in range(first, n, size))]


def run(work: Callable[[int, int], object], n: int) -> None:
    """work(begin, end) over all of 0 … n."""
    first, *others = shares(n)
    futures = []
    try:
        futures = [_pool(len(others)).submit(work, *share) for share in others]
    except RuntimeError:  # the interpreter is shutting down and takes no new work
        for share in others[len(futures) :]:
            work(*share)
    work(*first)
    for future in futures:
        future.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="tanhlut")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
