"""The independent oracle: proven values, from ball arithmetic and from the reference file.

`prove` takes a candidate from anywhere and proves it by a sign change of h in 200-bit balls (python-flint), so it
shares nothing with the code under test but the candidate. `REFERENCE` is tests/modes.csv: 360 rows proven likewise.
`moments` are integrals in balls.
"""

import csv
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import flint
import mpmath
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


@cache
def moments(loc: float, scale: float) -> tuple[Any, Any, Any]:
    """(mean, variance, E log cosh) of tanh and log cosh of X ~ Normal(loc, scale²), as mpmath numbers of 30 digits.

    By flint's integrals, whose error is in the ball. Left out: what is beyond 40 deviations, under 1e-340; and beyond
    |x| = 40, where balls meet poles, what tanh x is off ±1 and log cosh x off |x| − log 2, less than 1e-34.
    """
    before, flint.ctx.prec = flint.ctx.prec, 160
    try:
        mu, sigma = flint.arb(loc), flint.arb(scale)
        ends = [mu + k * sigma for k in (-40, -12, -6, -2, 0, 2, 6, 12, 40)]
        ends += [flint.arb(p) for p in (-40, -10, -3, 0, 3, 10, 40) if abs(p - loc) < 40 * scale]
        ends.sort(key=float)

        def expected(near: Callable[[Any, bool], Any], far: Callable[[Any, int], Any]) -> Any:
            total = flint.acb(0)
            for a, b in pairwise(ends):
                side = int(a >= 40) - int(b <= -40)

                def integrand(x: Any, analytic: bool, side: int = side) -> Any:
                    z = (x - mu) / sigma
                    return (far(x, side) if side else near(x, analytic)) * (-z * z / 2).exp()

                if a < b:
                    total += flint.acb.integral(integrand, a, b)
            return total.real / ((2 * flint.arb.pi()).sqrt() * sigma)

        mean = expected(lambda x, _: x.tanh(), lambda x, side: flint.acb(side))
        variance = expected(lambda x, _: (x.tanh() - mean) ** 2, lambda x, side: (side - mean) ** 2)
        two = flint.arb(2).log()
        found = mean, variance, expected(lambda x, a: x.cosh().log(analytic=a), lambda x, side: side * x - two)
        for part, unit in zip(found, (1.0, max(float(found[1]), 1e-15), 1.0 + abs(float(found[2]))), strict=True):
            assert float(part.rad()) <= 1e-28 * unit, part
        with mpmath.workdps(40):
            return tuple(mpmath.mpf(part.mid().str(40, radius=False)) for part in found)
    finally:
        flint.ctx.prec = before
