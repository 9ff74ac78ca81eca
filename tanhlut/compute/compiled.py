"""Compiling kernels by numba, once a machine.

numba's own cache watches the file of a function, not those whose functions it inlines, and would run yesterday's kernel
after a change in one of them; it believes every file it finds; and two kinds of processor that share it overwrite each
other's entries. So it works in a folder of `tanhlut.compute.cache`, which bears a digest of all of that and is whole.

Whatever is wrong with the cache, kernels are compiled without it.
"""

import hashlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import llvmlite
import numba
from numba.core import caching, config, registry

from tanhlut.compute import cache

_HERE = Path(__file__).parent.parent
_SOURCES = (
    *(_HERE / f"{name}.py" for name in ("methods", "compute/compiled", "compute/intrinsics", "compute/threads")),
    *sorted((_HERE / "compute").glob("cpu*.py")),
    *sorted((_HERE / "formula").glob("*.py")),
)
_log = logging.getLogger("tanhlut")


class Kernels:
    """The functions of a module that are compiled together.

    Attributes:
        name: of the group, which is kept by itself.
        uncached: why each process has to compile them anew, or None.
    """

    def __init__(self, name: str = "mode") -> None:
        if config.DISABLE_JIT:
            raise RuntimeError("NUMBA_DISABLE_JIT is set: unset it")
        self.name = name
        self.uncached: str | None = None
        self._unsaid = False
        self._functions: list[tuple[Any, tuple[str, ...]]] = []

    def compiled(self, *signatures: str) -> Any:
        """A decorator: to be compiled for these signatures by `build`. No call compiles anything."""

        def decorate(function: Any) -> Any:
            dispatcher = numba.njit(error_model="numpy", nogil=True)(function)
            self._functions.append((dispatcher, signatures))
            return dispatcher

        return decorate

    def build(self) -> None:
        """Compile all functions, in the order of their definition, or load what was compiled before. Ctrl-C waits."""
        with _interrupts_afterwards():
            self._build()

    def _build(self) -> None:
        kept = cache.Cache(_digest(self.name), _places())
        folder = kept.find()
        if folder is not None:
            if (problem := self._fill(folder)) is not None:
                _log.warning("%s does not serve (%s): the cpu kernels were compiled anew", folder, problem)
                cache.remove(folder)
            return
        _log.info("compiling the cpu kernels (%s), which takes a second or more: see tanhlut.warmup", self.name)
        folder = kept.begin()
        try:
            problem = self._fill(folder)
            if problem is not None:
                kept.problems.append(f"{folder}: {problem}")
            elif folder is not None:
                kept.publish(folder)
        finally:
            if folder is not None:
                cache.remove(folder)
        if folder is None or problem is not None or kept.find() is None:
            self.uncached, self._unsaid = "; ".join(kept.problems), True

    def warn(self) -> None:
        """Warn, once, where every process has to compile: not in `build`, which a warning made an error would undo."""
        unsaid, self._unsaid = self._unsaid, False
        if unsaid:
            text = (
                "tanhlut's cpu kernels cannot be kept, so every process takes seconds to compile them "
                f"({self.uncached}): set NUMBA_CACHE_DIR to a folder that you own and can write to"
            )
            warnings.warn(text, RuntimeWarning, stacklevel=3)

    def _fill(self, folder: Path | None) -> str | None:
        """Load from a folder what is there, compile and save there what is not. Why it did not serve, if so."""
        problem = None
        for dispatcher, signatures in self._functions:
            if folder is not None and problem is None:
                try:
                    _keep(dispatcher, folder)
                    for signature in signatures:
                        dispatcher.compile(signature)
                except Exception as error:  # of the cache; one of compiling comes again
                    problem = f"{type(error).__name__}: {error}"
                    dispatcher._cache = caching.NullCache()  # numba has no word for it
            for signature in signatures:
                dispatcher.compile(signature)
            dispatcher.disable_compile()
        return problem


def entries(function: Any) -> tuple[Any, ...]:
    """The compiled functions themselves, by signature: without numba's check of the arguments, 80 ns a call."""
    return tuple(overload.entry_point for overload in function.overloads.values())


def addresses(function: Any) -> tuple[int, ...]:
    """Where they are, as C calls them."""
    return tuple(
        overload.library.get_pointer_to_function(overload.fndesc.llvm_cfunc_wrapper_name)
        for overload in function.overloads.values()
    )


@contextmanager
def _interrupts_afterwards() -> Iterator[None]:
    """SIGINT is heeded at the end: LLVM calls back into Python, where a KeyboardInterrupt would be lost."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    heard: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *signalled: heard.append(signalled))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if heard:
            usual(*heard[0])


def _keep(dispatcher: Any, folder: Path) -> None:
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        dispatcher.enable_caching()
    finally:
        config.CACHE_DIR = before


def _digest(name: str) -> str:
    """Of what a compiled kernel depends on: sources, compiler and processor. Each place and user has one of its own."""
    sources = b"".join(source.read_bytes() for source in _SOURCES)
    target = registry.cpu_target.target_context.codegen().magic_tuple()
    versions = (sys.implementation.cache_tag, numba.__version__, llvmlite.__version__)
    whose = (name, str(_HERE), os.geteuid() if hasattr(os, "geteuid") else 0)
    return hashlib.sha256(sources + repr((target, versions, whose)).encode()).hexdigest()


def _places() -> Iterator[Path]:
    """NUMBA_CACHE_DIR, or beside the sources and the user's cache."""
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
        return
    yield _HERE / "__pycache__"
    user = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if user.is_absolute():
        yield user
