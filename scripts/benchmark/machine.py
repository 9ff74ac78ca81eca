"""What a result must carry: machine, versions, commit, date; and what is measured once a run: cold start, bytes."""

import datetime
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
import torch

from tanhlut import ModeTable, mode
from tanhlut.methods import COMPILED

ROOT = Path(__file__).parent.parent.parent


def describe() -> dict[str, Any]:
    """Machine, versions, commit and date."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*:\s*(.*)", info)
    flags = re.search(r"flags\s*:\s*(.*)", info)
    wanted = ("avx2", "fma", "avx512f")
    return {
        "date": datetime.date.today().isoformat(),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+changes" if _git("status", "--porcelain") else ""),
        "cpu": model.group(1).strip() if model else platform.processor(),
        "cores": os.cpu_count(),
        "flags": [flag for flag in wanted if flags and f" {flag} " in f" {flags.group(1)} "],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "llvmlite": llvmlite.__version__,
    }


def width(machine: dict[str, Any]) -> str:
    """How wide its vectors are, which decides the ratios: a word for every table."""
    flags = machine["flags"]
    if "avx512f" in flags:
        return "AVX-512"
    return "AVX2 without AVX-512" if "avx2" in flags else platform.machine()


def slug(machine: dict[str, Any]) -> str:
    """A name for files."""
    name = machine["gpu"] if machine["gpu"] != "none" else f"{machine['cpu']}-{'-'.join(machine['flags'])}"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def sizes() -> dict[str, int]:
    """Bytes of the default table: as stored, and as the kernels read it."""
    table = ModeTable.default()
    return {"table": table.nbytes, "packed": table.packed.nbytes if table.packed else 0}


def traffic(seconds_each: float = 1.0) -> dict[str, float]:
    """GB/s of large float32 batches: 12 bytes an element read and written, table not counted."""
    n = 10_000_000
    loc, scale, out = torch.randn(n), torch.rand(n), torch.empty(n)
    calls: dict[str, Callable[[], object]] = {
        "torch.add(out=)": lambda: torch.add(loc, scale, out=out),
        **{f"ours {m}": partial(mode, loc, scale, method=m, out=out) for m in COMPILED},
    }
    found = {}
    for name, call in calls.items():
        call()
        best, until = float("inf"), time.perf_counter() + seconds_each
        while time.perf_counter() < until:
            began = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - began)
        found[name] = 12 * n / best / 1e9
    return found


_START = """
import time; t0 = time.perf_counter()
import torch; t1 = time.perf_counter()
import tanhlut; t2 = time.perf_counter()
x = torch.ones(1); tanhlut.mode(x, x, backend="cpu"); t3 = time.perf_counter()
tanhlut.mean(x, x); t4 = time.perf_counter()
tanhlut.warmup(); t5 = time.perf_counter()
tanhlut.mode(0.2, 1.0); t6 = time.perf_counter()
print(t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t4, t6 - t5)
"""


def cold_start() -> dict[str, float]:
    """Seconds of a fresh process, which is not the first that runs this: Python's bytecode is at hand."""
    names = ("import torch", "import tanhlut", "first lookup", "first mean", "warmup()", "next lookup")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for _ in range(2):
        call = [sys.executable, "-c", _START]
        run = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    return dict(zip(names, map(float, run.stdout.split()), strict=True))


def _git(*arguments: str) -> str:
    run = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return run.stdout.strip()
