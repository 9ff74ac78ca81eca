"""Memory as kernels see it: an `Array` at an address, read and written a vector, or one number, at a time."""

from typing import Any

from llvmlite import ir

from tanhlut.compute.vectors import FLOAT16, FLOAT32, FLOAT64, INT16, INT32, INT64, Vector, constant, spread

LINE = 64  # bytes of a cache's line
BYTES = {FLOAT16: 2, FLOAT32: 4, FLOAT64: 8, INT16: 2, INT32: 4, INT64: 8}


class Array:
    """Numbers of one kind in memory; `array[i]` is the vector that begins at place i, a value of LLVM's.

    Attributes:
        builder: writes the instructions.
        address: of the first, LLVM's value.
        kind: LLVM's type of a number.
        lanes: numbers in a vector.
        align: bytes that every vector's address is a multiple of.
    """

    def __init__(self, builder: Any, address: Any, kind: Any, lanes: int, align: int = 0) -> None:
        self.builder, self.address, self.kind, self.lanes = builder, address, kind, lanes
        self.align = align or BYTES[kind]

    def __getitem__(self, i: Any) -> Vector:
        return self._load(self.place(i), ir.VectorType(self.kind, self.lanes), self.align)

    def __setitem__(self, i: Any, vector: Vector) -> None:
        self._store(self.place(i), vector, self.align)

    def one(self, i: Any) -> Vector:
        """The number at place i."""
        return self._load(self.place(i), self.kind, BYTES[self.kind])

    def put(self, i: Any, number: Vector) -> None:
        """Write one number, or a vector of any length, from place i on."""
        self._store(self.place(i), number, BYTES[self.kind])

    def run(self, i: Any, count: int) -> Vector:
        """So many numbers from place i on."""
        return self._load(self.place(i), ir.VectorType(self.kind, count), BYTES[self.kind])

    def fetch(self, i: Any, to_write: bool) -> None:
        """Ask for the memory of the vector at place i, which need not exist."""
        pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        prefetch = self.builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        hints = [constant(hint, word) for hint in (to_write, 3, 1)]  # into all caches, data
        for line in range(0, self.lanes * BYTES[self.kind], LINE):
            address = self.builder.add(self.place(i), constant(line, INT64))
            self.builder.call(prefetch, [self.builder.inttoptr(address, pointer), *hints])

    def place(self, i: Any) -> Any:
        """The address of a number."""
        return self.builder.add(self.address, self.builder.mul(i, ir.Constant(INT64, BYTES[self.kind])))

    def after(self, i: Any) -> "Array":
        """The same numbers from place i on."""
        return type(self)(self.builder, self.place(i), self.kind, self.lanes, self.align)

    def of(self, kind: Any) -> "Array":
        """The same memory as numbers of another kind."""
        return Array(self.builder, self.address, kind, self.lanes)

    def _load(self, address: Any, kind: Any, align: int) -> Vector:
        value = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        value.align = align
        return Vector(self.builder, value)

    def _store(self, address: Any, vector: Vector, align: int) -> None:
        pointer = self.builder.inttoptr(address, vector.value.type.as_pointer())
        self.builder.store(vector.value, pointer).align = align


class Numbers(Array):
    """Constants in memory: `numbers[k]`, k of Python's, is the k-th in every lane."""

    def __getitem__(self, k: int) -> Vector:
        return spread(self.builder, self.one(constant(k, INT64)).value, self.lanes)


class Record(Array):
    """Eight-byte fields at an address, by their number."""

    def __init__(self, builder: Any, address: Any) -> None:
        super().__init__(builder, address, INT64, 1)

    def whole(self, field: int) -> Any:
        """An address or a number, LLVM's value."""
        return self.one(constant(field, INT64)).value

    def real(self, field: int) -> Any:
        """A float64, LLVM's value."""
        return self.of(FLOAT64).one(constant(field, INT64)).value
