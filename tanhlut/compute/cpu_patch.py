"""A patch's polynomial on the CPU: its rows of coefficients as vectors of four, so that a lone element fills them.

Coefficients of many elements' patches lie apart, and gathering them costs more than all arithmetic (measured, float32,
AVX2 and AVX-512: twice as much): so the vector runs along f, within one element. Every operation is an fma rounded as
IEEE 754 says, in the order of `surrogate.patches`.
"""

from typing import Any

from llvmlite import ir

from tanhlut.compute.memory import Array
from tanhlut.compute.vectors import INT64, Vector, apart, constant, intrinsic, spread, together, turned

LANES = 4


def patches(data: Array, at: Array, f: Array, h: Array, i: Any, side: int) -> Vector:
    """The polynomials of four elements, from place i on: their side² coefficients lie from place `at` of `data` on."""
    rows = [_along_h(data, at.one(k), f.one(k), h.one(k), side) for k in _four(at.builder, i)]
    value, *rest = reversed(turned(rows))
    for term in rest:
        value = intrinsic("fma", value, f.run(i, LANES), term)
    return value


def patch(data: Array, at: Vector, f: Vector, h: Vector, side: int) -> Vector:
    """The same of one element, or of each of a vector."""
    if _many(f):
        return together([patch(data, *lane, side) for lane in _lanes(at, f, h)])
    return _along(_along_h(data, at, f, h, side), f)


def patch_slopes(data: Array, at: Vector, f: Vector, h: Vector, side: int) -> tuple[Vector, ...]:
    """With its derivatives by f and h."""
    if _many(f):
        lanes = [patch_slopes(data, *lane, side) for lane in _lanes(at, f, h)]
        return tuple(together([*part]) for part in zip(*lanes, strict=True))
    rows, along = _Rows(data, at, side), _spread(h)
    slope = rows[side - 1]
    total = _fma(slope, along, rows[side - 2])
    for k in range(side - 3, -1, -1):
        slope = _fma(slope, along, total)
        total = _fma(total, along, rows[k])
    terms = [term for part in total for term in apart(part)]
    by_f, value = terms[-1], intrinsic("fma", terms[-1], f, terms[-2])
    for term in terms[-3::-1]:
        by_f = intrinsic("fma", by_f, f, value)
        value = intrinsic("fma", value, f, term)
    return _along(_along_fourths(total, f), f), by_f, _along(_along_fourths(slope, f), f)


def _along_h(data: Array, at: Vector, f: Vector, h: Vector, side: int) -> Vector:
    """What is left of a patch's polynomial: one of degree 3 in f."""
    rows, along = _Rows(data, at, side), _spread(h)
    square = along * along
    odd, even = rows[side - 1], rows[side - 2]
    for k in range(side - 3, 0, -2):
        odd, even = _fma(odd, square, rows[k]), _fma(even, square, rows[k - 1])
    return _along_fourths(_fma(odd, along, even), f)


class _Rows:
    """Of a patch: `rows[k]` are the coefficients of h^k, in vectors of four."""

    def __init__(self, data: Array, at: Vector, side: int) -> None:
        self._first, self._side = data.after(at.builder.sext(at.value, INT64)), side

    def __getitem__(self, k: int) -> list[Vector]:
        begins = range(k * self._side, (k + 1) * self._side, LANES)
        return [self._first.run(constant(begin, INT64), LANES) for begin in begins]


def _lanes(at: Vector, f: Vector, h: Vector) -> list[tuple[Vector, Vector, Vector]]:
    return list(zip(apart(at), apart(f), apart(h), strict=True))


def _many(f: Vector) -> bool:
    return isinstance(f.value.type, ir.VectorType)


def _spread(number: Vector) -> Vector:
    return spread(number.builder, number.value, LANES)


def _fma(a: list[Vector], b: Vector, c: list[Vector]) -> list[Vector]:
    return [intrinsic("fma", x, b, y) for x, y in zip(a, c, strict=True)]


def _along_fourths(row: list[Vector], f: Vector) -> Vector:
    """The polynomial in f with a row's coefficients as one of degree 3: by Horner's rule in f⁴."""
    total = row[-1:]
    if len(row) > 1:
        square = f * f
        fourth = _spread(square * square)
        for vector in row[-2::-1]:
            total = _fma(total, fourth, [vector])
    return total[0]


def _along(row: Vector, f: Vector) -> Vector:
    """The polynomial of degree 3 in f."""
    *rest, value = apart(row)
    for term in reversed(rest):
        value = intrinsic("fma", value, f, term)
    return value


def _four(builder: Any, i: Any) -> list[Any]:
    return [builder.add(i, constant(lane, INT64)) for lane in range(LANES)]
