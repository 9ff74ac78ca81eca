"""A patch's polynomial for numba: its rows of coefficients as vectors of four, so that a lone element fills them.

Coefficients of many elements' patches lie apart, and gathering them costs more than all arithmetic (measured, float32,
AVX2 and AVX-512: twice as much): so the vector runs along f, within one element. Every operation is an fma rounded as
IEEE 754 says, in the order of `surrogate.patches`.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tanhlut.compute.intrinsics import output_scope, pointer

LANES = 4


@intrinsic(prefer_literal=True)
def patch(_context: Any, data: Any, at: Any, f: Any, h: Any, side: Any) -> Any:
    """The polynomial of side² (a literal) coefficients from place `at` of the array at address `data`, in f's type."""
    length = side.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = _Rows(builder, args[0], args[1], args[2].type, length)
        square = rows.spread(builder.fmul(args[3], args[3]))
        odd, even = rows.row(length - 1), rows.row(length - 2)
        for k in range(length - 3, 0, -2):
            odd, even = rows.fma(odd, square, rows.row(k)), rows.fma(even, square, rows.row(k - 1))
        return rows.along(rows.fma(odd, rows.spread(args[3]), even), args[2])

    return f(data, at, f, h, side), generate


@intrinsic(prefer_literal=True)
def patch_slopes(_context: Any, data: Any, at: Any, f: Any, h: Any, side: Any) -> Any:
    """With its derivatives by f and h."""
    length = side.literal_value
    three = types.UniTuple(f, 3)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = _Rows(builder, args[0], args[1], args[2].type, length)
        h_ = rows.spread(args[3])
        slope = rows.row(length - 1)
        total = rows.fma(slope, h_, rows.row(length - 2))
        for k in range(length - 3, -1, -1):
            slope = rows.fma(slope, h_, total)
            total = rows.fma(total, h_, rows.row(k))
        terms = rows.lanes(total)
        by_f, value = terms[-1], builder.fma(terms[-1], args[2], terms[-2])
        for term in terms[-3::-1]:
            by_f = builder.fma(by_f, args[2], value)
            value = builder.fma(value, args[2], term)
        return context.make_tuple(builder, three, (rows.along(total, args[2]), by_f, rows.along(slope, args[2])))

    return three(data, at, f, h, side), generate


class _Rows:
    """The rows of a patch as lists of vectors, and arithmetic on them."""

    def __init__(self, builder: Any, data: Any, at: Any, element: Any, length: int) -> None:
        self.builder, self.length = builder, length
        self.vector = ir.VectorType(element, LANES)
        self.first = pointer(builder, element, (data, at))
        name = f"llvm.fma.v{LANES}f{32 if element == ir.FloatType() else 64}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)

    def row(self, k: int) -> list[Any]:
        """The coefficients of h^k."""
        found = []
        for begin in range(k * self.length, (k + 1) * self.length, LANES):
            place = self.builder.gep(self.first, [ir.Constant(ir.IntType(64), begin)])
            value = self.builder.load(self.builder.bitcast(place, self.vector.as_pointer()))
            value.align = 4
            value.set_metadata("noalias", output_scope(self.builder.module))
            found.append(value)
        return found

    def spread(self, number: Any) -> Any:
        """A number in every lane."""
        whole = ir.Constant(self.vector, ir.Undefined)
        for lane in range(LANES):
            whole = self.builder.insert_element(whole, number, ir.Constant(ir.IntType(32), lane))
        return whole

    def fma(self, a: list[Any], b: Any, c: list[Any]) -> list[Any]:
        """a·b + c, lane by lane."""
        return [self.builder.call(self._fma, (x, b, y)) for x, y in zip(a, c, strict=True)]

    def along(self, row: list[Any], f: Any) -> Any:
        """The polynomial in f with a row's coefficients: of the vectors by Horner's rule in f⁴, of the lanes in f."""
        total = row[-1:]
        if len(row) > 1:
            square = self.builder.fmul(f, f)
            fourth = self.spread(self.builder.fmul(square, square))
            for vector in row[-2::-1]:
                total = self.fma(total, fourth, [vector])
        *rest, value = self.lanes(total)
        for term in reversed(rest):
            value = self.builder.fma(value, f, term)
        return value

    def lanes(self, row: list[Any]) -> list[Any]:
        """The numbers of a row."""
        places = [ir.Constant(ir.IntType(32), lane) for lane in range(LANES)]
        return [self.builder.extract_element(vector, place) for vector in row for place in places]
