"""Numbers of the text as LLVM's: a `Vector` stands for what an instruction will give, and its operators write the next.

The text runs on them once, and what it did is the kernel: straight code on whole vectors, which LLVM need not find in a
loop, nor improve (fifty milliseconds a kernel; from Python's own code by a compiler with all its passes it was four
seconds). No instruction has a fast-math flag, so every operation rounds as IEEE 754 says, alone or in a vector.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from llvmlite import ir

INT16, INT32, INT64 = (ir.IntType(bits) for bits in (16, 32, 64))
FLOAT16, FLOAT32, FLOAT64 = ir.HalfType(), ir.FloatType(), ir.DoubleType()
_FLOATS = (FLOAT32, FLOAT64)
_WORD = {FLOAT32: INT32, FLOAT64: INT64}


class Vector:
    """A vector of numbers, or a lone one: float32, float64, int32, int64 or conditions.

    Attributes:
        builder: writes instructions, where it stands, or at the function's entry where all that they are given
            is the same everywhere.
        value: LLVM's.
        everywhere: whether it is the same in every lane, and from the function's entry on.
    """

    __slots__ = ("builder", "everywhere", "value")

    def __init__(self, builder: Any, value: Any, everywhere: bool = False) -> None:
        self.builder, self.value, self.everywhere = builder, value, everywhere

    @property
    def kind(self) -> Any:
        """LLVM's type of an element."""
        return _element(self.value.type)

    def lift(self, other: Any) -> Any:
        """LLVM's value of a number or another vector, in this one's type."""
        return other.value if isinstance(other, Vector) else constant(other, self.value.type)

    def as_kind(self, kind: Any) -> Any:
        """The type of so many elements of another kind."""
        given = self.value.type
        return ir.VectorType(kind, given.count) if isinstance(given, ir.VectorType) else kind

    def _joined(self, of_floats: str, of_words: str, other: Any, turned: bool = False) -> "Vector":
        sides = (self.lift(other), self.value) if turned else (self.value, self.lift(other))
        join = getattr(self.builder, of_floats if self.kind in _FLOATS else of_words)
        return written(lambda: join(*sides), self, other)

    def _compared(self, sign: str, other: Any) -> "Vector":
        if self.kind not in _FLOATS:
            compare = self.builder.icmp_signed
        else:
            compare = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return written(lambda: compare(sign, self.value, self.lift(other)), self, other)

    def __bool__(self) -> bool:
        raise TypeError("the text branches on data: write select")

    def __add__(self, other: Any) -> "Vector":
        return self._joined("fadd", "add", other)

    def __radd__(self, other: Any) -> "Vector":
        return self._joined("fadd", "add", other, turned=True)

    def __sub__(self, other: Any) -> "Vector":
        return self._joined("fsub", "sub", other)

    def __rsub__(self, other: Any) -> "Vector":
        return self._joined("fsub", "sub", other, turned=True)

    def __mul__(self, other: Any) -> "Vector":
        return self._joined("fmul", "mul", other)

    def __rmul__(self, other: Any) -> "Vector":
        return self._joined("fmul", "mul", other, turned=True)

    def __truediv__(self, other: Any) -> "Vector":
        return written(lambda: self.builder.fdiv(self.value, self.lift(other)), self, other)

    def __rtruediv__(self, other: Any) -> "Vector":
        return written(lambda: self.builder.fdiv(self.lift(other), self.value), self, other)

    def __neg__(self) -> "Vector":
        return written(lambda: self.builder.fneg(self.value), self)

    def __lt__(self, other: Any) -> "Vector":
        return self._compared("<", other)

    def __le__(self, other: Any) -> "Vector":
        return self._compared("<=", other)

    def __gt__(self, other: Any) -> "Vector":
        return self._compared(">", other)

    def __ge__(self, other: Any) -> "Vector":
        return self._compared(">=", other)

    def __eq__(self, other: Any) -> "Vector":  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: Any) -> "Vector":  # type: ignore[override]
        return self._compared("!=", other)

    __hash__ = object.__hash__

    def __and__(self, other: Any) -> "Vector":
        return written(lambda: self.builder.and_(self.value, self.lift(other)), self, other)

    def __or__(self, other: Any) -> "Vector":
        return written(lambda: self.builder.or_(self.value, self.lift(other)), self, other)

    def __rshift__(self, places: Any) -> "Vector":
        return written(lambda: self.builder.ashr(self.value, self.lift(places)), self, places)

    def __lshift__(self, places: Any) -> "Vector":
        return written(lambda: self.builder.shl(self.value, self.lift(places)), self, places)


def written(make: Callable[[], Any], *given: Any) -> Vector:
    """What `make` writes of vectors and numbers; at the function's entry, if they are the same everywhere."""
    vectors = [part for part in given if isinstance(part, Vector)]
    builder, everywhere = vectors[0].builder, all(vector.everywhere for vector in vectors)
    with builder.goto_entry_block() if everywhere else nullcontext():
        return Vector(builder, make(), everywhere)


def constant(number: float, kind: Any) -> Any:
    """A number in LLVM, in every lane of a vector's type."""
    element = _element(kind)
    one = ir.Constant(element, float(number) if element in _FLOATS else int(number))
    return ir.Constant(kind, [one] * kind.count) if isinstance(kind, ir.VectorType) else one


def spread(builder: Any, value: Any, lanes: int, everywhere: bool = False) -> Vector:
    """A value of LLVM's in every lane; whether it is known from the entry on."""
    kind = ir.VectorType(value.type, lanes)
    alone = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(INT32, 0))
    first = ir.Constant(ir.VectorType(INT32, lanes), [ir.Constant(INT32, 0)] * lanes)
    return Vector(builder, builder.shuffle_vector(alone, ir.Constant(kind, ir.Undefined), first), everywhere)


def apart(vector: Vector) -> list[Vector]:
    """The elements, each alone."""
    places = range(vector.value.type.count)
    return [Vector(vector.builder, vector.builder.extract_element(vector.value, ir.Constant(INT32, k))) for k in places]


def together(elements: list[Vector]) -> Vector:
    """Of lone elements a vector."""
    first = elements[0]
    whole = ir.Constant(ir.VectorType(first.value.type, len(elements)), ir.Undefined)
    for k, element in enumerate(elements):
        whole = first.builder.insert_element(whole, element.value, ir.Constant(INT32, k))
    return Vector(first.builder, whole)


def turned(rows: list[Vector]) -> list[Vector]:
    """Of four vectors the columns, in each four of their elements: eight instructions."""
    count = rows[0].value.type.count

    def fours(*places: int) -> list[int]:
        """The same places in each four; from 4 on, of the second vector."""
        return [first + place % 4 + place // 4 * count for first in range(0, count, 4) for place in places]

    low, high = (fours(0, 4, 1, 5), fours(2, 6, 3, 7)), (fours(0, 1, 4, 5), fours(2, 3, 6, 7))
    first, second, third, fourth = (_shuffled(rows[k], rows[k + 1], places) for k in (0, 2) for places in low)
    return [_shuffled(a, b, places) for a, b in ((first, third), (second, fourth)) for places in high]


def beside(vectors: list[Vector]) -> Vector:
    """One behind the other, as one vector; a power of two of them."""
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [_shuffled(a, b, [*range(2 * a.value.type.count)]) for a, b in pairs]
    return vectors[0]


def intrinsic(name: str, *given: Any) -> Vector:
    """LLVM's function of floats by that name, such as llvm.fma, of numbers and at least one vector."""
    first = next(part for part in given if isinstance(part, Vector))
    kind = first.value.type
    many = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    full = f"llvm.{name}.{many}f{32 if first.kind == FLOAT32 else 64}"
    module = first.builder.module
    function = module.globals.get(full) or ir.Function(module, ir.FunctionType(kind, [kind] * len(given)), full)
    return written(lambda: first.builder.call(function, [first.lift(part) for part in given]), *given)


def as_word(x: Vector) -> Vector:
    """The bits of floats as signed integers of their size."""
    return written(lambda: x.builder.bitcast(x.value, x.as_kind(_WORD[x.kind])), x)


def as_float(word: Vector, kind: Any) -> Vector:
    """The floats of a kind with these bits."""
    return written(lambda: word.builder.bitcast(word.value, word.as_kind(kind)), word)


def as_int32(x: Vector) -> Vector:
    """Integers of 32 bits: of floats towards 0, of conditions 0 and 1, of narrower ones the same bits behind zeros, of
    wider ones the lower half."""
    if x.kind == INT32:
        return x
    convert = x.builder.fptosi if x.kind in _FLOATS else x.builder.trunc if x.kind == INT64 else x.builder.zext
    return written(lambda: convert(x.value, x.as_kind(INT32)), x)


def as_int16(x: Vector) -> Vector:
    """The lower halves of integers of 32 bits."""
    return written(lambda: x.builder.trunc(x.value, x.as_kind(INT16)), x)


def as_real(x: Vector, kind: Any) -> Vector:
    """Floats of a kind, of others or of integers of 32 bits; narrower ones rounded to nearest."""
    if x.kind == kind:
        return x
    wider = x.kind == FLOAT16 or kind == FLOAT64
    convert = x.builder.sitofp if x.kind == INT32 else x.builder.fpext if wider else x.builder.fptrunc
    return written(lambda: convert(x.value, x.as_kind(kind)), x)


def select(condition: Vector, yes: Any, no: Any, kind: Any) -> Vector:
    """`yes` where the condition holds, else `no`, without a branch; of two numbers, floats of a kind."""
    given = [part for part in (yes, no) if isinstance(part, Vector)]
    result = given[0].value.type if given else condition.as_kind(kind)
    sides = [part.value if isinstance(part, Vector) else constant(part, result) for part in (yes, no)]
    return written(lambda: condition.builder.select(condition.value, *sides), condition, *given)


def _shuffled(a: Vector, b: Vector, places: list[int]) -> Vector:
    """Of the elements of two vectors, one behind the other, those at some places."""
    chosen = ir.Constant(ir.VectorType(INT32, len(places)), [ir.Constant(INT32, place) for place in places])
    return Vector(a.builder, a.builder.shuffle_vector(a.value, b.value, chosen))


def _element(kind: Any) -> Any:
    return kind.element if isinstance(kind, ir.VectorType) else kind
