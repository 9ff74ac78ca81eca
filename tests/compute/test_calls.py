"""How Python calls kernels: wrong types raise, arrays that do not fit are refused, the lock is released."""

import gc
import sys
import threading
import time

import numpy as np
import pytest
import torch

from tanhlut.compute import calls, cpu, threads
from tanhlut.file.packed import NO_TABLE

TABLE = NO_TABLE.address
KERNEL = cpu.kernel("float64", cpu.EXACT, False)
MODE = 0.9730156866523543  # of loc = 0.2, scale = 1, to 16 digits
NEAR = pytest.approx(MODE, abs=1e-15)


def test_arguments_of_wrong_types_raise() -> None:
    for wrong in ("0.2", None, [1.0]):
        with pytest.raises(TypeError):
            KERNEL.floats(wrong, 1.0, -1.0, 1.0, TABLE)
        with pytest.raises(TypeError):
            KERNEL.call(0, 0, 0, 0, wrong, -1.0, 1.0, TABLE, 1)
    with pytest.raises(OverflowError):
        KERNEL.call(0, 0, 0, 0, 1 << 64, -1.0, 1.0, TABLE, 1)
    assert KERNEL.floats(0.2, 1.0, -1.0, 1.0, TABLE) == NEAR


def test_nothing_to_do_touches_nothing() -> None:
    assert KERNEL.call(0, 0, 0, 0, 0, -1.0, 1.0, TABLE, 1) is None


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 255, 256, 257, 300])
def test_only_the_elements_asked_for_are_written(count: int) -> None:
    loc, scale = np.full(400, 0.2), np.full(400, 1.0)
    out = np.full(400, 7.0)
    KERNEL.call(loc.ctypes.data, scale.ctypes.data, out.ctypes.data, 50, 50 + count, -1.0, 1.0, TABLE, 1)
    assert np.abs(out[50 : 50 + count] - MODE).max() <= 1e-15
    assert (out[:50] == 7.0).all()
    assert (out[50 + count :] == 7.0).all()


def test_arrays() -> None:
    room = np.zeros(100)
    loc, scale = np.full(10, 0.2), np.full(10, 1.0)

    def serves(out: np.ndarray, loc: np.ndarray = loc, scale: np.ndarray = scale) -> bool:
        return bool(KERNEL.arrays(loc, scale, out, -1.0, 1.0, TABLE))

    assert serves(room[:10])
    assert np.abs(room[:10] - MODE).max() <= 1e-15
    assert not room[10:].any()
    assert serves(room[:0], loc[:0], scale[:0])
    assert serves(room[20:21], loc[::10], scale[:1])  # one number is contiguous, however far the next
    assert not serves(room[:9])
    assert not serves(room[:20:2])
    assert not serves(room[:10], loc[::-1])
    assert not serves(room[:10], loc, np.frombuffer(b"\0" + scale.tobytes(), np.float64, offset=1))  # not aligned
    assert not serves(room[5:15], room[:10])
    assert not serves(room[:10], scale=room[9:19])
    assert serves(room[:10], room[10:20], room[20:30] + 1.0)
    many = np.ones(threads.THRESHOLD)
    assert not serves(np.empty_like(many), many, many)


def test_numpys_arrays_lie_where_they_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls.arrays_lie_as_expected()
    monkeypatch.setattr(calls, "_FLAGS", calls._DIMENSIONS - 4)
    assert not calls.arrays_lie_as_expected()


def test_nothing_is_lost_or_kept() -> None:
    """References and memory after many calls."""
    loc, scale, out = (np.full(3, value) for value in (0.2, 1.0, 0.0))
    objects = (loc, scale, out, calls, 0.25)
    before = [sys.getrefcount(one) for one in objects]
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(10_000):
        KERNEL.arrays(loc, scale, out, -1.0, 1.0, TABLE)
        KERNEL.arrays(loc, scale, out[:2], -1.0, 1.0, TABLE)
        KERNEL.floats(0.2, 1.0, -1.0, 1.0, TABLE)
        KERNEL.call(loc.ctypes.data, scale.ctypes.data, out.ctypes.data, 0, 3, -1.0, 1.0, TABLE, 1)
    gc.collect()
    assert [sys.getrefcount(one) for one in objects] == before
    assert sys.getallocatedblocks() - blocks < 1000


def test_other_threads_run_meanwhile() -> None:
    """A second of work, during which the interpreter's lock is free."""
    n = 20_000_000
    loc, scale = torch.zeros(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64)
    out = torch.empty_like(loc)
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        KERNEL.call(loc.data_ptr(), scale.data_ptr(), out.data_ptr(), 0, n, -1.0, 1.0, TABLE, 1)
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    looked = 0
    while not ended.is_set():
        time.sleep(0.001)
        looked += 1
    thread.join()
    assert looked > 5
