"""float16 and bfloat16 in memory, float32 in a kernel: exact when read, rounded once, to nearest even, when written."""

from typing import Any

from tanhlut.compute import vectors
from tanhlut.compute.memory import Array
from tanhlut.compute.vectors import FLOAT16, FLOAT32, INT16, INT32, Vector

BFLOAT16 = INT16  # the upper half of a float32; LLVM's own type of that name is younger than the LLVM we are used with
_NAN = 0x7FC0


class Halves(Array):
    """An `Array` of FLOAT16 or BFLOAT16 whose vectors are of float32; what is copied one by one stays as it is."""

    def __getitem__(self, i: Any) -> Vector:
        word = super().__getitem__(i)
        if self.kind == FLOAT16:
            return vectors.as_real(word, FLOAT32)
        return vectors.as_float(vectors.as_int32(word) << 16, FLOAT32)

    def __setitem__(self, i: Any, vector: Vector) -> None:
        super().__setitem__(i, vectors.as_real(vector, FLOAT16) if self.kind == FLOAT16 else _upper(vector))


def _upper(x: Vector) -> Vector:
    """The upper halves of float32, rounded: half of what is cut off is added, less if what stays is even."""
    word = vectors.as_word(x)
    rounded = (word + 0x7FFF + ((word >> 16) & 1)) >> 16
    return vectors.as_int16(vectors.select(x != x, _NAN, rounded, INT32))
