"""Compiling a kernel by numba, once a machine.

numba's cache watches the file of a function, not those whose functions it inlines, and would run yesterday's kernel
after a change in one of them. So the cache lies in a folder that bears a digest of all of them.
"""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config

_HERE = Path(__file__).parent
_SOURCES = ("cpu", "cpu_formulas", "intrinsics", "coefficients", "packed", "equation", "parallel", "compiled")


def compiled(*signatures: str) -> Any:
    """A decorator: compile for these signatures now, or load what was compiled before. No call compiles anything."""

    def decorate(function: Any) -> Any:
        folder, before = cache_folder(), config.CACHE_DIR
        config.CACHE_DIR = folder or before
        try:
            options = {"error_model": "numpy", "nogil": True, "cache": folder is not None}
            return numba.njit(list(signatures), **options)(function)
        finally:
            config.CACHE_DIR = before

    return decorate


def entries(function: Any) -> tuple[Any, ...]:
    """The compiled functions themselves, by signature: without numba's check of the arguments, 80 ns a call."""
    return tuple(overload.entry_point for overload in function.overloads.values())


@cache
def cache_folder() -> str | None:
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, beside the sources, or the user's cache; None if nowhere."""
    sources = b"".join((_HERE / f"{name}.py").read_bytes() for name in _SOURCES)
    name = f"tanhlut-{hashlib.sha256(sources).hexdigest()[:16]}"
    for folder in _candidates():
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder / name, os.W_OK):
            return str(folder / name)
    return None


def _candidates() -> Iterator[Path]:
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
        return
    yield _HERE / "__pycache__"
    yield Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
