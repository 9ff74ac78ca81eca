"""Ctrl-C where a library cannot bear a KeyboardInterrupt: it loses it, makes another error of it, or aborts in C++.

Imports nothing heavy: it is there before torch is.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


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


def _end(*_: object) -> None:
    with suppress(OSError):
        if sys.stderr is not None:
            os.write(2, b"\n" * sys.stderr.isatty() + b"tablegen: interrupted\n")
    os._exit(130)
