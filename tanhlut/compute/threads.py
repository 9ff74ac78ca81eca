"""Sharing one array among threads.

Kernels release the interpreter's lock, so plain Python threads run them side by side. How many threads is torch's
setting (`torch.set_num_threads`), so DataLoader workers, which set it to 1, stay on one. A forked child forgets its
parent's threads, which did not come along.

Arrays are worked off in pieces. A signal handler that raises (Ctrl-C, a timeout) is heard between two of them, and
takes the pieces that are left away from the other threads. No thread is waited for that has not begun: whoever calls
takes over what nobody has taken, so calls also end where threads cannot start, or no longer run at exit. Threads that
wait here for work are no reason to go on for a process that ends.
"""

import ctypes
import os
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat
from operator import attrgetter
from queue import SimpleQueue

import torch

# A thread takes some 30 µs to wake, so this one works on HEAD_START elements more than its share. Gains of two threads
# (AMD EPYC, float32): 1.5 at 100 000 elements (1.25 to 1.35 with equal shares, or with small pieces taken in turn),
# 1.8 from 300 000.
THRESHOLD = 1 << 16
HEAD_START = 1 << 13
PIECE = 1 << 21  # some 5 ms: what an interrupt waits for, and no less, since each piece waits for the lock anew
_GRAIN = 1 << 10  # shares begin at multiples of it, so that no two threads write one cache line

Work = Callable[[int, int], object]
Pieces = deque[tuple[int, int]]


def shares(n: int) -> list[tuple[int, int]]:
    """Begin and end of each thread's part of n elements; the first is for the calling thread."""
    threads = torch.get_num_threads() if n >= THRESHOLD else 1
    size = -(-(n - HEAD_START * (threads > 1)) // (threads * _GRAIN)) * _GRAIN
    first = min(n, size + HEAD_START * (threads > 1))
    return [(0, first), *((begin, min(begin + size, n)) for begin in range(first, n, size))]


def run(work: Work, n: int) -> None:
    """work(begin, end) over all of 0 … n. However it ends, no thread is in `work` any more."""
    parts = [deque(_pieces(*share)) for share in shares(n)]
    begun: list[_Gate] = []
    failures: list[BaseException] = []
    others: list[Callable[[], None]] = [partial(_help, work, part, begun, failures) for part in parts[1:]]
    jobs = [partial(_pool.ask, others), *[partial(_work_off, work, part) for part in parts]]
    # One call into C, which alone holds what settles: that is done when the call lets go of it, however it ends, and
    # before anyone hears of that.
    any(map(partial.__call__, chain(jobs, _settling(parts, begun))))
    if failures:
        raise failures[0]


class _Settling(tuple[()]):
    """Empty. Its end takes all pieces away, then waits for the threads that have begun.

    From C alone, like all that must be done whatever comes: signals wait for the end of a call into C, but in a line of
    Python's, be it `finally` or the end of `with`, there is always a place where one more breaks out.
    """

    settle: Callable[[], object] = list  # nothing, until there is something
    __del__ = property(attrgetter("settle"))


def _settling(parts: list[Pieces], begun: list["_Gate"]) -> _Settling:
    found = _Settling()
    found.settle = partial(any, chain(map(deque.clear, parts), map(_acquire, begun, repeat(1))))
    return found


def _pieces(begin: int, end: int) -> Iterator[tuple[int, int]]:
    return ((first, min(first + PIECE, end)) for first in range(begin, end, PIECE))


def _work_off(work: Work, pieces: Pieces) -> None:
    while pieces:
        try:
            piece = pieces.popleft()
        except IndexError:  # another thread took the last
            return
        work(*piece)


def _help(work: Work, pieces: Pieces, begun: list["_Gate"], failures: list[BaseException]) -> None:
    """A thread's part. It says that it has begun before it takes a piece, so whoever takes the pieces away knows."""
    gate = _Gate()
    begun.append(gate)
    try:
        _work_off(work, pieces)
    except BaseException as error:
        failures.append(error)
    finally:
        _release(gate)


_make = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThread_allocate_lock", ctypes.pythonapi))
_free = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyThread_free_lock", ctypes.pythonapi))
_release = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyThread_release_lock", ctypes.pythonapi))
_acquire = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)(("PyThread_acquire_lock", ctypes.pythonapi))


class _Gate:
    """A lock, held at first, that one waits for deaf to signals.

    It is the interpreter's own, from C: waiting for one of Python's is interrupted, and torch's futures abort a process
    that ends while a thread is in them.
    """

    def __init__(self) -> None:
        self._as_parameter_ = _make()
        if not self._as_parameter_:
            raise MemoryError
        self._end = partial(_free, self._as_parameter_)
        _acquire(self, 1)

    __del__ = property(attrgetter("_end"))  # C alone: a Ctrl-C that is heard in a finaliser's Python code is lost


class _Pool:
    """Threads that take tasks in turn. They are Python's barest, whose start no signal can leave half done."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.threads = 0

    def ask(self, tasks: list[Callable[[], None]]) -> None:
        """Have tasks done soon, or never where there are no threads."""
        try:
            while self.threads < len(tasks):
                start_new_thread(_serve, (self.tasks,))
                self.threads += 1  # if a signal comes before, there is one too many, never one too few
        except RuntimeError:  # no room for a thread, or the interpreter is shutting down
            if not self.threads:
                return
        for task in tasks:
            self.tasks.put(task)


def _serve(tasks: "SimpleQueue[Callable[[], None]]") -> None:
    while True:
        tasks.get()()


_pool = _Pool()


def _forget() -> None:
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
