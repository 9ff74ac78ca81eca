"""A kernel over arrays, as LLVM: what every loop of the CPU backend has in common.

Arrays are worked off in strips of STRIP elements that stay in the first-level cache, each in passes of one loop over
vectors. What limits a vector of moderate width is how long a chain of operations is, and how few of them fit into the
registers that wait for it: the same operations in two loops take half as long as in one, until it is their number that
counts (measured, AVX2, float32 "exact", of a torch.tanh: in two passes 0.99, in four 0.79).

There is no branch on data, so the time does not depend on it (`scripts/instructions` counts). What is left of a strip
takes the vectors' road too: it is copied to room of its own, filled up with ones, and its answers are copied back. So a
value is the same bits alone, in a vector, in any strip and on any thread.

A strip's first pass asks for the inputs and outputs that lie AHEAD bytes on: among loads from all over a table the
processor does not see by itself that they are read in order (3,000,000 elements, AVX2, of a torch.tanh: bilinear 1.57
without, 1.24 with; exact 1.01 and 0.84). And a strip is short, so that its rooms leave the first-level cache to the
table (of 128 elements instead of 256: bilinear 1.13, refined 1.24 instead of 1.28, exact 0.78).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from tanhlut.compute.halves import Halves
from tanhlut.compute.memory import BYTES, Array
from tanhlut.compute.vectors import FLOAT64, INT64, Vector, as_real, constant, spread

STRIP = 128
AHEAD = 2048
LANES = 16  # of a vector: two registers of AVX2, one of AVX-512, four of NEON, whose operations overlap
NAME = "kernel"
_ALIGN = 64


class Strips:
    """A function of LLVM under construction: kernel(inputs …, outputs …, begin, end, rest …).

    Inputs and outputs are addresses of arrays of one kind, which no output shares with another; it works off their
    elements begin … end − 1. The rest are "d" (a float64) or "q" (an address).

    Attributes:
        builder: writes instructions: before `arrays` is entered, those that are done once.
        kind: LLVM's type of the elements as they are computed with.
        stored: as they lie in memory: of float32, perhaps a half (`halves`).
        lanes: elements of a vector.
        rest: LLVM's values.
    """

    def __init__(
        self, kind: Any, inputs: int, outputs: int, rest: str = "", lanes: int = LANES, stored: Any = None
    ) -> None:
        self.kind, self.stored, self.lanes, self._inputs = kind, stored or kind, lanes, inputs
        parameters = [INT64] * (inputs + outputs + 2) + [FLOAT64 if letter == "d" else INT64 for letter in rest]
        self.module = ir.Module("tanhlut")
        self.function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), parameters), NAME)
        self.builder: Any = ir.IRBuilder(self.function.append_basic_block("entry"))
        *self._given, self._begin, self._end = self.function.args[: inputs + outputs + 2]
        self.rest: Sequence[Any] = self.function.args[inputs + outputs + 2 :]
        self._count: Any = None
        self._filled: Any = None
        self._ahead: list[Array] = []

    def everywhere(self, real: Any, kind: Any = None) -> Vector:
        """LLVM's value of a float, as one of a kind, by default the elements', in every lane."""
        value = as_real(Vector(self.builder, real), kind or self.kind).value
        return spread(self.builder, value, self.lanes, everywhere=True)

    def rooms(self, *kinds: Any) -> list[Array]:
        """Arrays of STRIP numbers of each kind, for what one pass leaves to another."""
        return [Array(self.builder, self._room(kind), kind, self.lanes, _ALIGN) for kind in kinds]

    def _room(self, kind: Any) -> Any:
        with self.builder.goto_entry_block():
            room = self.builder.alloca(ir.ArrayType(kind, STRIP))
            room.align = _ALIGN
            return self.builder.ptrtoint(room, INT64)

    def _given_at(self, address: Any) -> Array:
        """Elements as they lie in memory."""
        return (Array if self.stored == self.kind else Halves)(self.builder, address, self.stored, self.lanes)

    @contextmanager
    def arrays(self) -> Iterator[list[Array]]:
        """What is written inside is done for each strip: its inputs and outputs, then passes."""
        builder = self.builder
        rooms = [self._given_at(self._room(self.stored)) for _ in self._given]
        whole = [self._given_at(address) for address in self._given]
        head, strip, done = (self.function.append_basic_block(name) for name in ("head", "strip", "done"))
        before = builder.block
        builder.branch(head)
        builder.position_at_end(head)
        first = builder.phi(INT64)
        first.add_incoming(self._begin, before)
        builder.cbranch(builder.icmp_signed("<", first, self._end), strip, done)
        builder.position_at_end(strip)
        left = builder.sub(self._end, first)
        left = builder.select(builder.icmp_signed("<", left, _int(STRIP)), left, _int(STRIP))
        here = [array.after(first) for array in whole]
        few = builder.icmp_signed("<", left, _int(self.lanes))
        vectors = builder.and_(left, _int(-self.lanes))
        with builder.if_then(few):
            for own, room in zip(here[: self._inputs], rooms, strict=False):
                room[_int(0)] = Vector(builder, constant(1.0, ir.VectorType(self.kind, self.lanes)))
                self._copy(own, room, left)
        self._count = builder.select(few, left, vectors)
        self._filled = builder.select(few, _int(self.lanes), vectors)
        self._ahead = here
        yield [
            self._given_at(builder.select(few, room.address, own.address))
            for own, room in zip(here, rooms, strict=True)
        ]
        with builder.if_then(few):
            for own, room in zip(here[self._inputs :], rooms[self._inputs :], strict=True):
                self._copy(room, own, left)
        first.add_incoming(builder.add(first, self._count), builder.block)
        builder.branch(head)
        builder.position_at_end(done)
        builder.ret_void()

    @contextmanager
    def each(self, lanes: int = 0) -> Iterator[Any]:
        """A pass: what is written inside is done for each vector, or for so many elements, from place i on."""
        with self._loop(self._filled, lanes or self.lanes) as i:
            for number, array in enumerate(self._ahead):
                array.fetch(self.builder.add(i, _int(AHEAD // BYTES[self.stored])), number >= self._inputs)
            self._ahead = []
            yield i

    @contextmanager
    def _loop(self, count: Any, step: int) -> Iterator[Any]:
        """i = 0, step, … below a count above 0."""
        builder, before = self.builder, self.builder.block
        body, after = self.function.append_basic_block("pass"), self.function.append_basic_block("after")
        builder.branch(body)
        builder.position_at_end(body)
        i = builder.phi(INT64)
        i.add_incoming(_int(0), before)
        yield i
        following = builder.add(i, _int(step))
        i.add_incoming(following, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, count), body, after)
        builder.position_at_end(after)

    def _copy(self, source: Array, target: Array, count: Any) -> None:
        with self._loop(count, 1) as i:
            target.put(i, source.one(i))


def _int(number: int) -> Any:
    return constant(number, INT64)
