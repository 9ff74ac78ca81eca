"""Sharing one array among threads.

Kernels release the interpreter's lock, so plain Python threads run them side by side; numba's own parallel layer is
not safe when several threads or forked processes enter it. How many threads is torch's setting
(`torch.set_num_threads`), so that DataLoader workers, which set it to 1, stay on one. A forked child forgets its
parent's pool, whose threads did not come along.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

# Handing work to a thread costs some 30 µs; two threads win from about here (measured, float32, AMD EPYC).
THRESHOLD = 1 << 16
_GRAIN = 1 << 12  # elements; shares begin at multiples of it, so that no two threads write one cache line


def shares(n: int) -> list[tuple[int, int]]:
    """Begin and end of each thread's part of n elements."""
    threads = torch.get_num_threads() if n >= THRESHOLD else 1
    size = -(-n // (threads * _GRAIN)) * _GRAIN
    return [(begin, min(begin + size, n)) for begin in range(0, n, size)]


def run(work: Callable[[int, int], object], n: int) -> None:
    """work(begin, end) over all of 0 … n, the first share on this thread."""
    first, *others = shares(n)
    futures = []
    if others:
        try:
            pool = _pool(len(others))
            futures = [pool.submit(work, *share) for share in others]
        except RuntimeError:  # the interpreter is shutting down and takes no new work
            others = others[len(futures) :]
            for share in others:
                work(*share)
    work(*first)
    for future in futures:
        future.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="tanhlut")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
