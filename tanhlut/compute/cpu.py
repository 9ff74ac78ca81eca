"""The CPU kernels: the three methods, float32 and float64, into a caller's buffer, by LLVM.

`strips` says how a kernel goes through memory, and why in passes. Each method is a function of its own, compiled when
it is first asked for: in a common one the numbers that a loop needs do not stay in registers.

float64 is float32 and one more step with float64's coefficients: the rounding of what it begins with is far below that
step's reach; so `bilinear` of float64 has float32's rounding.

The kernels take addresses and numbers and know nothing of tables: `packed` says what the arrays are. What is done to
one element is in `formula/element.py` and `bits.py`.
"""

from functools import cache
from typing import Any, NamedTuple

from tanhlut.compute import calls, machine
from tanhlut.compute.cpu_ops import SINGLE, TEXTS, absolute, fma
from tanhlut.compute.memory import Array, Record
from tanhlut.compute.strips import LANES, Strips
from tanhlut.compute.threads import THRESHOLD
from tanhlut.compute.vectors import (
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    Vector,
    as_int32,
    as_real,
    beside,
    constant,
    select,
    spread,
    together,
    turned,
)
from tanhlut.formula import layout
from tanhlut.methods import COMPILED

BILINEAR, REFINED, EXACT = (COMPILED.index(method) for method in ("bilinear", "refined", "exact"))
REST = "ddq"  # low, high, the table's record


class Kernel(NamedTuple):
    """A compiled kernel, out[i] = mode for begin ≤ i < end of arrays at addresses, `out` apart from the others, as
    Python calls it."""

    call: Any  # (loc, scale, out, begin, end, low, high, table)
    arrays: Any  # (loc, scale, out, low, high, table), of NumPy: whether it served
    floats: Any  # (loc, scale, low, high, table), of float64 alone


def served(real: str) -> bool:
    """Whether there are kernels of such arrays on this processor."""
    return real != "float16" or machine.converts_float16()


@cache
def kernel(real: str, method: int, bounded: bool) -> Kernel:
    """The kernel of arrays of one of `TEXTS`, a method's number, and tables of narrower bounds or all others."""
    strips = written(real, method, bounded)
    names = [calls.on_addresses(strips.function, 5, REST), calls.on_arrays(strips.function, strips.stored, THRESHOLD)]
    if real == "float64":
        names.append(calls.on_floats(strips.function))
    addresses = machine.compiled(strips.module, *names)
    found = [calls.builtin(name, address) for name, address in zip(names, addresses, strict=True)]
    return Kernel(*found, *[None] * (3 - len(found)))


def written(real: str, method: int, bounded: bool) -> Strips:
    """The same in LLVM's language."""
    text, kind, stored = TEXTS[real]
    tabled, stepping = method != EXACT, method != BILINEAR or bounded
    strips = Strips(kind, 2, 1, REST, stored=stored)
    record = Record(strips.builder, strips.rest[2])
    low, high = (strips.everywhere(bound) for bound in strips.rest[:2])
    half, middle = text.image(low, high)
    table = _Table(strips, record) if tabled else None
    bounds = (layout.LOC_MAX, layout.SCALE_MIN, layout.SCALE_MAX)
    limits = [strips.everywhere(record.real(field)) for field in bounds]
    m, s, delta, x, y, t, h = strips.rooms(*[FLOAT32] * 7)
    key, other, kept = strips.rooms(INT32, INT32, INT32)
    wide_t, wide_h = strips.rooms(FLOAT64, FLOAT64)

    with strips.arrays() as (loc, scale, out):
        with strips.each() as i:
            m[i], s[i], delta[i] = _single(SINGLE.fold(loc[i], scale[i]))
            if table is not None:
                key[i], other[i] = table.keys(m[i], delta[i])
        if table is not None:
            with strips.each() as i:
                row, column, t[i], h[i] = table.cell(m[i], delta[i], key, other, i)
                key[i] = row * table.row + column
            with strips.each() as i:
                y[i] = table.between(key, i, t[i], h[i])
        if not tabled or bounded:
            with strips.each() as i:
                x[i] = fma(s[i], SINGLE.closed_form(m[i], delta[i]), m[i])
            with strips.each() as i:
                x[i] = SINGLE.rough_step(x[i], m[i], s[i], delta[i])
        if bounded:
            with strips.each() as i:
                mu, sigma = loc[i], scale[i]
                inside = (absolute(mu) <= limits[0]) & (sigma >= limits[1]) & (sigma <= limits[2])
                x[i] = select(inside, fma(s[i], y[i], m[i]), x[i], FLOAT32)
                kept[i] = as_int32(inside)
        elif tabled and stepping:
            with strips.each() as i:
                x[i] = fma(s[i], y[i], m[i])

        def chosen(i: Any, stepped: Vector) -> Vector:
            """Inside narrower bounds "bilinear" takes no step."""
            if not bounded or method != BILINEAR:
                return stepped
            return select(kept[i] != 0, as_real(y[i], stepped.kind), stepped, stepped.kind)

        if stepping:
            with strips.each() as i:
                t[i], h[i] = SINGLE.residual(x[i], m[i], delta[i])
            with strips.each() as i:
                y[i] = chosen(i, SINGLE.corrected(t[i], h[i], s[i], delta[i]))
        if stepping and kind is FLOAT64:
            with strips.each() as i:
                wide_m, wide_s, wide_delta = text.fold(loc[i], scale[i])
                start = fma(wide_s, as_real(y[i], FLOAT64), wide_m)
                wide_t[i], wide_h[i] = text.residual(start, wide_m, wide_delta)
            with strips.each() as i:
                _, wide_s, wide_delta = text.fold(loc[i], scale[i])
                value = chosen(i, text.corrected(wide_t[i], wide_h[i], wide_s, wide_delta))
                out[i] = text.finish(value, loc[i], half, middle, low, high)
        else:
            with strips.each() as i:
                out[i] = text.finish(as_real(y[i], kind), loc[i], half, middle, low, high)
    return strips


class _Table:
    """A table's record (`layout`), and what is done with it.

    Attributes:
        row: the length of a row, in every lane.
    """

    def __init__(self, strips: Strips, record: Record) -> None:
        self._builder: Any = strips.builder
        fields = (layout.LOC_INDEX, layout.DELTA_INDEX, layout.PAIRS, layout.COLUMNS)
        loc_index, delta_index, pairs, columns = (record.whole(field) for field in fields)
        self._indexes = [Array(self._builder, index, INT32, LANES) for index in (loc_index, delta_index)]
        self._pairs = Array(self._builder, pairs, INT64, 1)
        ends = (layout.FIRST_LOC, layout.LAST_LOC, layout.FIRST_DELTA, layout.LAST_DELTA)
        self._ends = [strips.everywhere(record.real(field), FLOAT32) for field in ends]
        self.row = spread(self._builder, self._builder.trunc(columns, INT32), LANES)

    def keys(self, m: Vector, delta: Vector) -> tuple[Vector, Vector]:
        """Where the indexes have the words that `cell` wants."""
        found: tuple[Vector, Vector] = SINGLE.cell_keys(m, delta, *self._ends[1:])
        return found

    def cell(self, m: Vector, delta: Vector, key: Array, other: Array, i: Any) -> tuple[Vector, ...]:
        """(row, column, u, v) of the cells that (m, δ) at place i lie in."""
        words = [
            together([index.one(place) for place in self._places(keys, i)])
            for index, keys in zip(self._indexes, (key, other), strict=True)
        ]
        found: tuple[Vector, ...] = SINGLE.cell_of(m, delta, *self._ends, *words)
        return found

    def between(self, key: Array, i: Any, u: Vector, v: Vector) -> Vector:
        """Between the corners of each one's cell, which one load brings."""
        cells = [self._pairs.after(place).of(FLOAT32).run(constant(0, INT64), 4) for place in self._places(key, i)]
        # Every fourth in one vector: so the corners come out in their elements' order.
        y00, y10, y01, y11 = turned([beside(cells[k::4]) for k in range(4)])
        found: Vector = SINGLE.corners(y00, y01, y10, y11, u, v)
        return found

    def _places(self, keys: Array, i: Any) -> list[Any]:
        """Of so many lanes, read from memory: a vector's lanes would have to be taken apart."""
        begins = [self._builder.add(i, constant(lane, INT64)) for lane in range(LANES)]
        return [self._builder.zext(keys.one(begin).value, INT64) for begin in begins]


def _single(numbers: tuple[Vector, ...]) -> list[Vector]:
    return [as_real(number, FLOAT32) for number in numbers]


def tried() -> None:
    """Compile a kernel of no use, and call it: what fails here would fail with every other.

    Raises:
        RuntimeError: it does not add what it is given.
    """
    strips = Strips(FLOAT64, 2, 1, REST)
    with strips.arrays() as (loc, scale, out), strips.each() as i:
        out[i] = loc[i] + scale[i]
    (address,) = machine.compiled(strips.module, calls.on_floats(strips.function), effort=0)  # 15 ms less
    if calls.builtin("tried", address)(1.5, 2.25, -1.0, 1.0, 0) != 3.75 or not calls.arrays_lie_as_expected():
        raise RuntimeError("what LLVM compiled does not do what it should, or Python's objects lie otherwise")
