"""A lookup that is interrupted leaves no thread behind, and a process that ends is not held up by one.

Each script runs in a process of its own: what is tested here would crash this one.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import tanhlut
from tanhlut.compute import threads
from tanhlut.formula import equation

# Handlers raise only while kernels are under way, so that a script's own lines are spared.
PREAMBLE = """
import random, signal, threading, time
import numpy as np, torch, tanhlut
from tanhlut.compute import threads

class Interrupt(Exception): pass

def handler(number, frame):
    while frame is not None:
        if frame.f_code is threads.share.__code__: raise Interrupt
        frame = frame.f_back
"""

# Whatever memory comes free is taken at once, and watched; so is the buffer that was being written to. More threads
# than processors, so that some lag behind.
MEMORY = """
torch.set_num_threads(4)
signal.signal(signal.SIGALRM, handler)
n = 20_000_000
loc, scale = torch.linspace(-3, 3, n), torch.full((n,), 0.9)
expected = tanhlut.mode(loc, scale)
began = time.perf_counter()
tanhlut.mode(loc, scale)
whole = time.perf_counter() - began
buffer = np.empty(n, np.float32)
random.seed(1)
caught = 0
for i in range(10):
    again = random.choice([0.0, 1e-4, 1e-3])  # one interrupt, or more while it is dealt with
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 0.7 * whole), again)
    try:
        if i % 3: tanhlut.mode(loc + 0.0, scale + 0.0)
        else: tanhlut.mode(loc.numpy(), scale.numpy(), out=buffer)
    except Interrupt:
        caught += 1
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    taken, written = torch.full((n,), 7.0), buffer.copy()
    time.sleep(0.02)
    assert bool((taken == 7.0).all()), "memory was written to after it was free"
    assert np.array_equal(written, buffer, equal_nan=True), "out was written to after the call had ended"
    del taken, written
assert caught >= 3, caught
assert torch.equal(tanhlut.mode(loc, scale), expected)
"""

# A thread that nobody waits for is in the middle of a kernel when the process ends. (In one of torch's operations, or
# methods, it may abort the process.)
EXIT = """
from tanhlut.compute import cpu
from tanhlut.file.packed import NO_TABLE

torch.set_num_threads(2)
tensors = torch.ones(3, 3_000_000).unbind()
kernel, begun = cpu.kernel("float32", cpu.EXACT, False).call, threading.Event()

def work():
    while True:
        threads.share(kernel, tensors, -1.0, 1.0, NO_TABLE.address)
        begun.set()

threading.Thread(target=work, daemon=True).start()
begun.wait()
"""

# What a process looks up when it is about to end.
LAST = """
import atexit, os

loc, scale = torch.linspace(-3, 3, 100_000), torch.full((100_000,), 0.9)
expected = tanhlut.mode(loc, scale)

@atexit.register
def last():
    os._exit(0 if torch.equal(tanhlut.mode(loc, scale), expected) else 3)
"""


@pytest.mark.parametrize("script", [MEMORY, EXIT, LAST], ids=["memory", "exit", "last"])
def test_in_a_process(script: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(tanhlut.__file__).parent.parent)}
    command = [sys.executable, "-c", PREAMBLE + script]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert run.returncode == 0, run.stderr


class StoppedError(Exception):
    """What a signal's handler raises."""


def test_an_interrupt_is_heard_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after it is not worked off."""
    monkeypatch.setattr(threads, "PIECE", 1 << 16)
    tensors = torch.zeros(1 << 20), torch.zeros(1 << 20)
    worked: list[Any] = []

    def kernel(*given: Any) -> None:
        worked.append(given)
        if len(worked) == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        threads.share(kernel, tensors, 0.5)
    (first, *_), (second, *_) = (given[2:4] for given in worked)
    assert first == 0
    assert second == (1 << 16) * worked[0][-1]
    assert all(given[:2] == tuple(x.data_ptr() for x in tensors) and given[4] == 0.5 for given in worked)


@pytest.mark.parametrize("many", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [threads.THRESHOLD, 100_003, 3_000_001])
def test_every_element_is_written_once_by_any_number_of_threads(n: int, many: int) -> None:
    """And none beside them: lengths that no chunk divides, more threads than processors."""
    before = torch.get_num_threads()
    loc, scale = torch.linspace(-3.0, 3.0, n), torch.full((n,), 0.9)
    room = torch.full((n + 64,), 7.0)
    out = room[32:-32]
    try:
        torch.set_num_threads(many)
        tanhlut.mode(loc, scale, method="exact", out=out)
    finally:
        torch.set_num_threads(before)
    assert bool((room[:32] == 7.0).all() and (room[-32:] == 7.0).all())
    wide = out.double()
    x = equation.pre_tanh(wide, loc.double(), scale.double())
    assert float((wide - torch.tanh(x)).abs().max()) <= 1e-6
    assert all(float(b) >= float(a) for a, b in itertools.pairwise(out[:: n // 50]))
