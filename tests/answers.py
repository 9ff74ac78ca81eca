"""What the kernels answered on a million points, kept as checksums, so that a change that means to change no bit can
show it: `python tests/answers.py` writes the file anew, when bits change by decision.

The kernels use nothing but IEEE 754 operations, so the answers are those of every machine.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut import ModeTable, mode
from tanhlut.methods import COMPILED

FILE = Path(__file__).with_name("answers.npz")
BLOCK, BLOCKS = 1000, 1000  # a checksum for every thousand points


def power(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """About 2^x, by exact operations: NumPy's exp2 has other last bits on other processors."""
    whole = np.floor(x)
    return np.ldexp(1.0 + (x - whole), whole.astype(np.int32))


def points(blocks: int = BLOCKS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(loc, scale) of which every float32 and float64 kind of place sees its share; exact in float32 for every other
    block, so that both precisions are asked there."""
    raw = np.random.PCG64(2026).random_raw(4 * BLOCK * BLOCKS)[: 4 * BLOCK * blocks].reshape(blocks, BLOCK, 4)
    a, b, c, d = (np.ascontiguousarray(part) / 2.0**64 for part in np.moveaxis(raw, 2, 0))
    kind = np.arange(blocks)[:, None] % 4
    loc = np.select([kind == 0, kind == 1, kind == 2], [8 * a - 4, power(150 * a - 130), power(40 * a - 36)], 3 * a)
    cusp = np.sqrt(0.5) * (1 + power(-24 * b) * np.where(c < 0.5, -1.0, 1.0) * 0.5)
    scale = np.select([kind == 0, kind == 1, kind == 2], [2.5 * b, power(30 * b - 25), cusp], 1.5 * b)
    loc = np.where(d < 0.5, loc, -loc).ravel()
    scale = scale.ravel()
    loc[:12] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 1.0, 1.0, 1e-45, 16.0, 40.0, 1.25]
    scale[:12] = [1.0, 1.0, 1.0, 1.0, 1.0, np.nan, -1.0, np.inf, 0.7, 3.0, 4.0, 0.0]
    return loc, scale


def checksums(dtype: type[np.floating], backend: str, blocks: int = BLOCKS) -> dict[str, NDArray[np.uint32]]:
    """Of each block's answers, by dtype, method, and whether the table is the shipped one or has narrower bounds."""
    whole = ModeTable.default()
    narrow = {**whole.metadata, "loc_max": 1.9, "scale_min": 0.2, "scale_max": 1.2}
    tables = {"": whole, " narrow": ModeTable(whole.loc.copy(), whole.scale.copy(), whole.values.copy(), narrow)}
    loc, scale = (part.astype(dtype) for part in points(blocks))
    found = {}
    for name, table in tables.items():
        for method in COMPILED:
            y = np.asarray(mode(loc, scale, method=method, table=table, backend=backend))
            y = np.where(np.isnan(y), dtype(np.nan), y)  # of the many NaNs, one
            sums = [zlib.crc32(part.tobytes()) for part in y.reshape(blocks, BLOCK)]
            found[f"{dtype.__name__} {method}{name}"] = np.array(sums, np.uint32)
    return found


def main() -> None:
    kept: dict[str, Any] = {**checksums(np.float32, "cpu"), **checksums(np.float64, "cpu")}
    np.savez_compressed(FILE, **kept)


if __name__ == "__main__":
    main()
