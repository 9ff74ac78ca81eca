"""The index word: how the bits of a float32 lead to a cell of a table. `file/packed.py` writes them, `bits` reads them.

A query's sign, exponent and two mantissa bits name one of 2048 quarter octaves; the 21 bits below are the place in it.
Inside a quarter octave a table's cells are equal (that is how tablegen lays them out). An index word holds, for its
quarter, the cell at the lower edge (16 bits), how far into that cell the edge is (4 bits, in sixteenths) and how many
sixteenths of a cell the quarter spans (12 bits, negative for δ < 0).
"""

from collections.abc import Callable
from typing import Any

KEY_SHIFT = 21
PLACE_MASK = (1 << KEY_SHIFT) - 1
KEYS = 1 << (32 - KEY_SHIFT)
LOC_KEYS, DELTA_KEYS = KEYS // 2 - 1, KEYS - 1  # masks of the key: |loc| has no sign
CELL_SHIFT, REST_SHIFT = 16, 12
CELL_MASK, REST_MASK = 0xFFFF, 15
SPAN_SHIFT = 32 - REST_SHIFT  # up and down again, for the sign
UNIT = 1.0 / 16.0

# A table's record, which the cpu kernel reads by its address: eight bytes each, three addresses, the length of a row
# and whether there are bounds as integers, the rest as float64.
(
    LOC_INDEX,
    DELTA_INDEX,
    PAIRS,
    COLUMNS,
    BOUNDED,
    LOC_MAX,
    SCALE_MIN,
    SCALE_MAX,
    FIRST_LOC,
    LAST_LOC,
    FIRST_DELTA,
    LAST_DELTA,
) = range(12)
RECORD = 12


def numbers(real: Callable[[float], Any]) -> dict[str, Any]:
    """The numbers that `bits` names here, for backends that see bits; shifts and masks are left as ints."""
    whole = {
        "KEY_SHIFT": KEY_SHIFT,
        "PLACE_MASK": PLACE_MASK,
        "LOC_KEYS": LOC_KEYS,
        "DELTA_KEYS": DELTA_KEYS,
        "CELL_SHIFT": CELL_SHIFT,
        "REST_SHIFT": REST_SHIFT,
        "CELL_MASK": CELL_MASK,
        "REST_MASK": REST_MASK,
        "SPAN_SHIFT": SPAN_SHIFT,
    }
    return {"UNIT": real(UNIT), "SPAN_UNIT": real(UNIT * 2.0**-KEY_SHIFT)} | whole
