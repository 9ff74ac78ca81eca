"""How many threads work on an array, and in what pieces.

They are torch's own: OpenMP's, in the library that torch has loaded (`parallel` gives them work). How many is torch's
setting (`torch.set_num_threads`), so DataLoader workers, which set it to 1, stay on one.

Threads of Python's own were tried. Those of OpenMP that have just served a torch operation go on spinning for more, as
it is set by default, so on two cores there was no processor left for another: 100,000 elements on two threads took 1.4
times as long as on one (0.75 where OMP_WAIT_POLICY is PASSIVE; AMD EPYC, AVX2). In torch's they take 0.45 to 0.6.
"""

import ctypes
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

THRESHOLD = 1 << 15  # from where threads pay; torch's operations have the same
PIECE = 1 << 21  # of one thread, some 5 ms: what a signal's handler waits for

_forked = False
_get_num_threads = torch.get_num_threads


def share(kernel: Any, tensors: tuple[Tensor, ...], *rest: Any) -> None:
    """A kernel (addresses, begin, end, rest, threads) on plain contiguous tensors of one shape and dtype, those that it
    writes to apart from all others; on several threads if that pays."""
    addresses, n = [tensor.data_ptr() for tensor in tensors], tensors[0].numel()
    if n < THRESHOLD:
        kernel(*addresses, 0, n, *rest, 1)
        return
    for begin, end, threads in pieces(n):
        kernel(*addresses, begin, end, *rest, threads)


def pieces(n: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, threads) of what is worked off at a time: an interrupt is heard between two."""
    threads = 1 if n < THRESHOLD or _forked or not parallel() else _get_num_threads()
    size = PIECE * threads
    return ((begin, min(begin + size, n), threads) for begin in range(0, n, size))


@cache
def parallel() -> int:
    """The address of `GOMP_parallel` where torch has it from, or 0: then one thread does all (on Windows, whose OpenMP
    has another way to ask)."""
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            function = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / name)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


def _alone() -> None:
    """In a forked child OpenMP would wait for its parent's threads, which did not come along."""
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alone)
