"""The independent oracle: proven values, from ball arithmetic and from the reference file.

`prove` takes a candidate from anywhere and proves it by a sign change of h in 200-bit balls (python-flint), so it
shares nothing with the code under test but the candidate. `REFERENCE` is tests/modes.csv: 360 rows proven likewise.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import flint
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BITS = 200
WIDTH = 4e-15  # relative half-width of the proven bracket in x; |Δy|/y is at most that


class Reference(NamedTuple):
    kind: NDArray[np.str_]
    loc: Floats
    scale: Floats
    mode: Floats
    pre_tanh: Floats


def _read() -> Reference:
    lines = Path(__file__).with_name("modes.csv").read_text().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    numbers = (np.array([float(row[name]) for row in rows]) for name in ("loc", "scale", "mode", "pre_tanh"))
    return Reference(np.array([row["kind"] for row in rows]), *numbers)


REFERENCE = _read()


def prove(loc: Floats, scale: Floats, candidate: Floats) -> Floats:
    """The mode for loc ≥ 0, correct to 5e-15 relative, proven; AssertionError where a candidate is not near it.

    `candidate` approximates y; x = m + s·y is bracketed. For m > 0, or m = 0 and s > 1, h has one positive root and
    is negative left of it; for m = 0 and s ≤ 1 the mode is 0.
    """
    flint.ctx.prec = BITS
    below, above = flint.arb(1) - flint.arb(WIDTH), flint.arb(1) + flint.arb(WIDTH)
    truth = np.empty(len(loc))
    for i, (m, sigma, y) in enumerate(zip(loc.tolist(), scale.tolist(), candidate.tolist(), strict=True)):
        s = 2 * flint.arb(sigma) ** 2
        if m == 0 and s < 1:
            truth[i] = 0.0
            continue
        x = m + s * flint.arb(y)
        low, high = x * below, x * above
        assert low - m - s * low.tanh() < 0 < high - m - s * high.tanh(), (m, sigma, y)
        truth[i] = float(x.tanh().mid())
    return truth
