"""A lookup that is interrupted leaves no thread behind, and a process that ends is not held up by one.

Each script runs in a process of its own: what is tested here would crash this one.
"""

import itertools
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tanhlut
from tanhlut import mode
from tanhlut.compute import launch, threads

# Handlers raise only while `run` is under way, so that a script's own lines are spared.
PREAMBLE = """
import os, random, signal, threading, time
import numpy as np, torch, tanhlut
from tanhlut.compute import threads

class Interrupt(Exception): pass

def handler(number, frame):
    while frame is not None:
        if frame.f_code is threads.run.__code__: raise Interrupt
        frame = frame.f_back

torch.set_num_threads(2)
main = threading.get_ident()
"""

# Whatever memory comes free is taken at once, and watched; so is the buffer that was being written to. More threads
# than processors, so that some lag behind.
MEMORY = """
torch.set_num_threads(8)
signal.signal(signal.SIGALRM, handler)
n = 8_000_000
loc, scale = torch.linspace(-3, 3, n), torch.full((n,), 0.9)
expected = tanhlut.mode(loc, scale)
began = time.perf_counter()
tanhlut.mode(loc, scale)
whole = time.perf_counter() - began
buffer = np.empty(n, np.float32)
random.seed(1)
caught = 0
for i in range(15):
    again = random.choice([0.0, 1e-4, 1e-3])  # one interrupt, or more while it is dealt with
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 0.9 * whole), again)
    try:
        if i % 3: tanhlut.mode(loc + 0.0, scale + 0.0)
        else: tanhlut.mode(loc.numpy(), scale.numpy(), out=buffer)
    except Interrupt:
        caught += 1
    taken, written = [torch.full((n,), 7.0) for _ in range(2)], buffer.copy()
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    time.sleep(0.02)
    assert all(bool((one == 7.0).all()) for one in taken), "memory was written to after it was free"
    assert np.array_equal(written, buffer, equal_nan=True), "out was written to after the call had ended"
    del taken, written
assert caught >= 5, caught
assert torch.equal(tanhlut.mode(loc, scale), expected)
"""

# Twenty signals at once raise one after another, wherever the interpreter looks for signals: no loop outlasts them.
MANY = """
numbers = [signal.SIGUSR1, signal.SIGUSR2, *range(signal.SIGRTMIN, signal.SIGRTMIN + 18)]
for number in numbers: signal.signal(number, handler)
inside, worked = set(), []

def work(begin, end):
    worked.append(begin)
    if threading.get_ident() == main:
        while not inside: time.sleep(0.001)
        time.sleep(0.02)
        return
    inside.add(begin)
    for number in numbers: os.kill(os.getpid(), number)
    time.sleep(0.3)
    inside.discard(begin)

for _ in range(3):
    worked.clear()
    try: threads.run(work, 100 << 20)
    except Interrupt: assert not inside, "left while a thread was working"
    else: raise AssertionError("not interrupted")
    assert len(worked) == 2, f"went on after the interrupt: {worked}"
covered = []
threads.run(lambda begin, end: covered.append((begin, end)), 50 << 20)
covered.sort()
assert covered[0][0] == 0 and covered[-1][1] == 50 << 20
assert all(a[1] == b[0] for a, b in zip(covered, covered[1:]))
"""

# A thread that nobody waits for is in the middle of a lookup for good, and so is one that helps it.
EXIT = """
inside = threading.Semaphore(0)

def work(begin, end):
    inside.release()
    time.sleep(3600)

threading.Thread(target=threads.run, args=(work, 1 << 20), daemon=True).start()
inside.acquire(), inside.acquire()
"""

# Interrupts while threads start must not leave one that the end of the process waits for, nor a lock that is held.
STARTS = """
signal.signal(signal.SIGALRM, handler)
random.seed(2)
for many in range(2, 42):
    torch.set_num_threads(many)
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1e-3), 1e-4)
    try: threads.run(lambda begin, end: None, 1 << 20)
    except Interrupt: pass
    signal.setitimer(signal.ITIMER_REAL, 0.0)
covered = []
threads.run(lambda begin, end: covered.append(end - begin), 1 << 20)
assert sum(covered) == 1 << 20
"""

# What a process looks up when it is about to end.
LAST = """
import atexit

loc, scale = torch.linspace(-3, 3, 100_000), torch.full((100_000,), 0.9)
expected = tanhlut.mode(loc, scale)

@atexit.register
def last():
    os._exit(0 if torch.equal(tanhlut.mode(loc, scale), expected) else 3)
"""


@pytest.mark.parametrize("script", [MEMORY, MANY, EXIT, STARTS, LAST], ids=["memory", "many", "exit", "starts", "last"])
def test_in_a_process(script: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(tanhlut.__file__).parent.parent)}
    # Not under faulthandler: on its small stack twenty signals' frames, with AVX-512 in each, find no room.
    command = [sys.executable, "-c", PREAMBLE + script]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert run.returncode == 0, run.stderr


def cover(n: int, before: Callable[[int], None] = lambda begin: None) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []

    def work(begin: int, end: int) -> None:
        before(begin)
        found.append((begin, end))

    threads.run(work, n)
    return sorted(found)


def test_threads_that_cannot_start_or_never_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who calls does all the work then."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)

    def fail(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    for start in (fail, lambda *_: None):
        monkeypatch.setattr(threads, "_pool", threads._Pool())
        monkeypatch.setattr(threads, "start_new_thread", start)
        found = cover(10_000_000)
        assert (found[0][0], found[-1][1]) == (0, 10_000_000)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("many", [1, 2, 3])
def test_a_failure_on_any_thread_is_raised(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: many)
    for share in threads.shares(1_000_000):

        def fail(begin: int, where: int = share[0]) -> None:
            if begin == where:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            cover(1_000_000, fail)


def test_what_a_thread_works_on_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tensors are kept by what the threads hold, not by the caller alone; and no longer."""
    kept: list[Any] = []
    monkeypatch.setattr(threads, "run", lambda work, n: kept.append(work))
    loc, scale = torch.zeros(100_000), torch.ones(100_000)
    mode(loc, scale, out=torch.empty(100_000))
    references = [weakref.ref(tensor) for tensor in (loc, scale)]
    del loc, scale
    assert vars(launch)["threads"].run is threads.run
    assert all(reference() is not None for reference in references)
    kept.clear()
    assert all(reference() is None for reference in references)


def test_no_interrupt_can_be_lost_where_a_gate_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal's handler raises in a finaliser is ignored, so there must be no Python code to hear it in."""
    freed: list[int] = []
    heard: list[tuple[str, str]] = []
    free = threads._free
    monkeypatch.setattr(threads, "_free", freed.append)
    gate = threads._Gate()
    address = gate._as_parameter_
    sys.setprofile(lambda frame, event, argument: heard.append((event, frame.f_code.co_name)))
    try:
        del gate
    finally:
        sys.setprofile(None)
    assert freed == [address]
    assert [name for event, name in heard if event == "call"] == []
    free(address)
