"""Mean, variance and entropy where the search for errors does not go: huge numbers, infinities, no numbers; the range.

For scale ≥ 2^40 tanh x is the sign of x but for a part of 2^-40, so with r = loc/scale

    mean = erf(r/√2),   variance = 1 − mean²,
    entropy = ½·log(2πe) + log scale − 2·(scale·√(2/π)·e^(−r²/2) + loc·mean − log 2).
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from tablegen.verify.boxes import Array
from tanhlut.compute import functions
from tanhlut.file.table import ModeTable

NAMES = ("mean", "variance", "entropy")
_INF, _NAN = math.inf, math.nan
_CONVENTIONS = {  # of (loc, scale): mean, variance, entropy
    (_INF, 1.0): (1.0, 0.0, -_INF),
    (-_INF, 1.0): (-1.0, 0.0, -_INF),
    (0.0, 1.0): (0.0, None, None),
    (0.5, 0.0): (None, 0.0, -_INF),
    (3e38, 1e-30): (1.0, 0.0, None),
    **dict.fromkeys([(_NAN, 1.0), (1.0, _NAN), (1.0, -1.0), (0.0, -1e-30)], (_NAN, _NAN, _NAN)),
}


def wrong(table: ModeTable, backend: str, allowed: Mapping[str, float]) -> str | None:
    """The first answer of a backend that is not what it must be, in words.

    Args:
        allowed: the errors of mean, variance and entropy that are proven, by `moments.MEASURE`.
    """
    return next(_wrong(table, backend, allowed), None)


def _wrong(table: ModeTable, backend: str, allowed: Mapping[str, float]) -> Iterator[str]:
    def answers(name: str, loc: Array, scale: Array) -> Array:
        pair = torch.from_numpy(loc).float(), torch.from_numpy(scale).float()
        return np.asarray(functions.evaluate(name, *pair, table, backend).double().numpy())

    def words(name: str, loc: float, scale: float, found: float, value: float) -> str:
        return f"the {name} at loc {loc:g}, scale {scale:g} is {found} on backend {backend!r}, not {value}"

    for (at, spread), wanted in _CONVENTIONS.items():
        for name, value in zip(NAMES, wanted, strict=True):
            (found,) = answers(name, np.array([at]), np.array([spread]))
            if value is not None and found != value and not (math.isnan(found) and math.isnan(value)):
                yield words(name, at, spread, found, value)
    loc, scale, exact, unit = _huge()
    for name in NAMES:
        given = answers(name, loc, scale)
        off = np.nan_to_num(np.abs(given - exact[name]) / unit[name], nan=math.inf)
        k = int(np.argmax(off))
        if not off[k] <= allowed[name]:
            yield words(name, loc[k], scale[k], given[k], exact[name][k])
    far = np.exp2(np.random.default_rng(2).uniform(-3.0, 20.0, (2, 20_000)))
    for name in ("mean", "variance"):
        given = answers(name, *far)
        if not ((given >= 0.0) & (given <= 1.0)).all():
            yield f"the {name} leaves [0, 1] on backend {backend!r}"


def _huge() -> tuple[Array, Array, dict[str, Array], dict[str, Array]]:
    """(loc, scale, the truth by quantity, what an error is measured in)."""
    sizes = 2.0 ** np.array([40.0, 62.0, 65.0, 90.0, 99.0, 120.0])
    scale, r = (part.ravel() for part in np.meshgrid(sizes, [0.0, 0.01, 0.3, 1.0, 2.5, 6.0], indexing="ij"))
    loc = (scale * r).astype(np.float32).astype(np.float64)
    r = loc / scale
    mean = np.array([math.erf(x / math.sqrt(2.0)) for x in r])
    size = scale * math.sqrt(2.0 / math.pi) * np.exp(-r * r / 2.0) + loc * mean
    entropy = 0.5 * math.log(2.0 * math.pi * math.e) + np.log(scale) - 2.0 * (size - math.log(2.0))
    exact = dict(zip(NAMES, (mean, 1.0 - mean * mean, entropy), strict=True))
    units = np.ones_like(mean), np.maximum(exact["variance"], 1e-3), 1.0 + np.abs(entropy)
    return loc, scale, exact, dict(zip(NAMES, units, strict=True))
