"""How long a kernel takes at least: each unit's share at its rate, the slowest decides. A model, not a measurement.

Rates of an SM, per clock: four schedulers issue one instruction of a warp each; of a scheduler's lanes 32 add and
multiply, 16 do integer work or a 32-bit integer product, 4 a special function; the first-level cache looks four lines
up. Memory: what torch.add moves, 12 bytes an element, at the share of the peak that such kernels reach.
"""

from typing import NamedTuple

import numpy as np

from budget.sass import Counts
from tanhlut import ModeTable
from tanhlut.formula.plain import SINGLE

ELEMENTS = 1 << 26
_BYTES = 12.0
_REACHED = 0.85  # of the issue rate, by a kernel of straight code; the others are reached to 0.9 or so


class Card(NamedTuple):
    """A device."""

    name: str
    bandwidth: float  # bytes a second, that streaming kernels reach
    clock: float
    processors: int

    def clocks(self, per_element: float) -> float:
        """Seconds for so many clocks of a scheduler for each warp-wide element."""
        return per_element * ELEMENTS / 32 / (self.processors * 4 * self.clock)


H100 = Card("H100 SXM", 0.91 * 3.35e12, 1.755e9, 132)


class Prediction(NamedTuple):
    """Seconds at 2^26 elements."""

    add: float  # what torch.add takes: the floor of memory
    units: dict[str, float]
    likely: float

    @property
    def bound(self) -> str:
        return max(self.units, key=lambda unit: self.units[unit])


def predict(counts: Counts, per_thread: float, requests: tuple[float, ...], card: Card = H100) -> Prediction:
    """For a kernel whose threads do `per_thread` elements and make such `requests` for table entries (`lines`)."""
    of = {unit: number / per_thread for unit, number in counts.units.items()}
    add = _BYTES * ELEMENTS / card.bandwidth
    units = {
        "memory": add,
        "issue": card.clocks(counts.instructions / per_thread),
        "fma": card.clocks(of.get("fma", 0.0) + 2.0 * of.get("imad", 0.0)),
        "alu": card.clocks(2.0 * of.get("alu", 0.0)),
        "xu": card.clocks(8.0 * of.get("xu", 0.0)),
        "lines": 4.0 * card.clocks(sum(lines / 4.0 for lines in requests)),
    }
    slower = {unit: time / (_REACHED if unit == "issue" else 0.9) for unit, time in units.items() if unit != "memory"}
    return Prediction(add, units, max(1.05 * add, *slower.values()))


def gathers(method: str) -> tuple[float, ...]:
    """For each load of a table entry: the cache lines of 128 bytes that a warp touches, on the benchmark's queries.

    loc ~ N(0, 1), scale ~ U(0.01, 2.01) in the shipped table; a thread has four elements in a row, so a load's lanes
    are four elements apart.
    """
    if method == "exact":
        return ()
    packed = ModeTable.default().interpolated(method).packed
    assert packed is not None
    rng = np.random.default_rng(0)
    loc, scale = rng.standard_normal(1 << 18).astype(np.float32), rng.uniform(0.01, 2.01, 1 << 18).astype(np.float32)
    m, _, delta = SINGLE.fold(loc, scale)
    keys = SINGLE.cell_keys(m, delta, *packed.ends[1:])
    row, column, _, _ = SINGLE.cell(m, delta, *packed.ends, packed.loc_index, packed.delta_index)
    corner = row * packed.pairs.shape[1] + column
    return tuple(_lines(8 * np.asarray(word, np.int64)) for word in (*keys, corner, corner + 1))  # of eight bytes


def _lines(addresses: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    warps = np.sort(addresses.reshape(-1, 32, 4).transpose(0, 2, 1).reshape(-1, 32) // 128, axis=1)
    return float(1.0 + (np.diff(warps, axis=1) != 0).sum(axis=1).mean())
