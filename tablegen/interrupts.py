"""Ctrl-C where a KeyboardInterrupt will not do: a library loses it, makes another error of it, or aborts in C++.

Python ignores what is raised in a finaliser or in a callback of C, and long work is full of both: of 60 builds that
were interrupted two went on to the end. So whatever only computes runs inside `ending_the_process`.

Imports nothing heavy: it is there before torch is.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def ending_the_process() -> Iterator[None]:
    """Inside, Ctrl-C ends the process at once, with one line and status 130. For work that leaves nothing behind."""
    usual = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def each(results: Iterator[T]) -> Iterator[T]:
    """The results, each made inside `ending_the_process` and taken outside."""
    while True:
        with ending_the_process():
            try:
                result = next(results)
            except StopIteration:
                return
        yield result


def _end(*_: object) -> None:
    with suppress(OSError):
        if sys.stderr is not None:
            os.write(2, b"\n" * sys.stderr.isatty() + b"tablegen: interrupted\n")
    os._exit(130)
