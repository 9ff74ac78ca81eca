"""How a command line ends: with what it had to say written out, or with one plain line and an exit status.

    0    done                      2    wrong use, an unusable file, or nowhere to write to
    130  interrupted               141  whoever read standard output has gone: nothing is said

Standard output that cannot show a character shows its escape.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from tanhlut.errors import LONGEST, plain

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class Parser(argparse.ArgumentParser):
    """Wrong use is one line; help that could not be printed is not lost in silence."""

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        if file is None:
            say(self.format_help(), end="")
        else:
            super().print_help(file)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {plain(message)} (see {self.prog} --help)\n")


def run(name: str, work: Callable[[], int]) -> int:
    """The exit status of `work`, what it raised said on standard error by the program `name`."""
    if sys.stderr is None:  # print would take standard output instead, and the next file opened the descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.stderr = open(2, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _finished(work)
    except KeyboardInterrupt:
        echoed = "\n" if sys.stderr.isatty() else ""  # behind the ^C that a terminal shows
        complain(f"{echoed}{name}: interrupted")
        return 130
    except BrokenPipeError:
        return 141
    except OSError as error:
        words = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
        complain(f"{name}: {plain(words, 2 * LONGEST)}")
        return 2
    except (ValueError, ArithmeticError, ImportError) as error:
        complain(f"{name}: {plain(error, 2 * LONGEST)}")
        return 2
    except MemoryError:
        complain(f"{name}: out of memory")
        return 2
    finally:
        _drop_what_cannot_be_written()


def say(text: str, end: str = "\n") -> None:
    """Print on standard output, now.

    Raises:
        OSError: it is full, or cannot be written for another reason; `filename` says that standard output is meant.
    """
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, f"cannot be written ({error.strerror})", "standard output") from error


def complain(line: str) -> None:
    """Print on standard error; where that cannot be written, the exit status has to do."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _finished(work: Callable[[], int]) -> int:
    if sys.stdout is None:
        raise ValueError("standard output is closed: open it, for example on /dev/null")
    try:
        return work()
    except SystemExit as end:  # argparse has printed help, or what was wrong
        return int(end.code or 0)


def _drop_what_cannot_be_written() -> None:
    """Python writes out its streams once more at exit, and would show a traceback of what failed before."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
