"""Where the nodes go: a rectilinear grid on which bilinear interpolation meets a tolerance in few bytes.

Octaves of m = |loc| (2^-85 … 2^4) and of ±δ, δ = 2·scale² − 1 (2^-52 … 2^4), each cut into equal cells, or its four
quarters each into equal cells where that is fewer. Interpolating a cell of width w along one axis costs at most
w²/8·max|y''|; y is self-similar at the cusp, so w/m may grow like m^(-1/6) and w/|δ| like |δ|^(-1/4): the grid is
dense where the mode bends and sparse toward the cusp, but never sparser than the Halley step behind it can mend.

Why these ends:
- Top 2^4: there y rounds to 1 in float32 (x* > 9.02), so clamping beyond it is exact.
- δ's bottom 2^-52: the two float64 neighbours of 1/√2. No float64 scale lies inside the gap cell between them, so
  the cusp itself is never interpolated across for any input, and every table value has bounded *relative* error.
- m's bottom 2^-85 ≤ |δ|^1.5/2^5 at the gap: below it y is linear in m (or constant, for δ > 0), so one cell reaches 0.
- Each axis ends where a quarter octave does, since the compiled kernels divide quarters evenly (`tanhlut.file.packed`).
  The octave in which a bound lies is cut by quarters, so that the axis need not go on to the octave's end.
- float32 inputs have |δ| > 2^-24.8, so only float64, which takes two Halley steps, reaches the deep octaves: one cell
  each is enough there (start within 0.13), three above, where one step must do (with two cells an octave it left
  3.5e-7 in float32, with three 1.6e-7, which is rounding: no table is too coarse for the method refined).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tanhlut.file.bounds import Bounds
from tanhlut.formula import tensors
from tanhlut.formula.excess import excess

TOP = 4  # exponent where both axes end
LOC_BOTTOM, LOC_DEEP = -85, -44
DELTA_BOTTOM, DELTA_DEEP = -52, -26
LARGEST_SCALE = 3.0  # δ = 17: beyond the top

# How a tolerance is shared. Along m, ŷ is below y; along δ it is below for δ > 0 and above for δ < 0, so errors add
# only for δ > 0, and even there their largest values do not meet. Shares tried for the fewest bytes at equal error.
SHARE_LOC, SHARE_ABOVE, SHARE_BELOW = 0.75, 0.45, 1.0

_SAMPLES = 4  # intervals per quarter octave, in the search for the largest curvature
_BLOCK = 256  # points at a time
_PER_OCTAVE = 9  # samples of the other axis


class Layout(NamedTuple):
    """Nodes of both axes, float64, increasing: loc (exact float32 numbers, first 0) and scale."""

    loc: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def nodes(self) -> int:
        """How many values the table holds."""
        return len(self.loc) * len(self.scale)

    def equals(self, other: "Layout") -> bool:
        """Whether the nodes are the same."""
        return np.array_equal(self.loc, other.loc) and np.array_equal(self.scale, other.scale)


class Octave(NamedTuple):
    """[2^exponent, 2^(exponent + 1)) of one half-axis: its largest curvature · width², whole and by quarters."""

    exponent: int
    whole: float
    quarters: tuple[float, float, float, float]
    fewest: int  # cells it must have
    cut: bool  # whether a bound lies in it: then by quarters, so that the axis may end at the next of them

    def nodes(self, tolerance: float) -> list[float]:
        """Lower nodes of its cells, in magnitude: equal cells throughout or by quarters, whichever are fewer."""

        def cells(bend: float) -> int:
            return max(1, math.ceil(math.sqrt(bend / 8.0 / tolerance)))

        low = 2.0**self.exponent
        whole = max(self.fewest, cells(self.whole))
        quarters = [cells(bend) for bend in self.quarters]
        if self.fewest <= sum(quarters) and (sum(quarters) < whole or self.cut):
            return [low * (1.0 + (k + j / n) / 4.0) for k, n in enumerate(quarters) for j in range(n)]
        return [low * (1.0 + j / whole) for j in range(whole)]


class Design(NamedTuple):
    """The curvature of the mode over the bounds, octave by octave: all that a layout for any tolerance needs."""

    bounds: Bounds
    loc: list[Octave]
    above: list[Octave]  # δ > 0
    below: list[Octave]  # δ < 0

    def layout(self, tolerance: float) -> Layout:
        """Nodes enclosing the bounds whose bilinear error is designed (not proven) to be about `tolerance`."""
        rows = [node for octave in self.loc for node in octave.nodes(SHARE_LOC * tolerance)]
        above = [node for octave in self.above for node in octave.nodes(SHARE_ABOVE * tolerance)]
        below = [-node for octave in self.below for node in octave.nodes(SHARE_BELOW * tolerance)]
        m = np.array([0.0, *rows, 2.0**TOP])
        delta = np.array([-1.0, *below, *above, 2.0**TOP])
        loc = m.astype(np.float32).astype(np.float64)
        scale, first = np.unique(np.sqrt((1.0 + delta) / 2.0), return_index=True)
        reach = self.bounds.reach
        return Layout(
            _enclosing(loc, _ends_a_quarter(m), 0.0, reach.loc_max),
            _enclosing(scale, _ends_a_quarter(delta[first]), reach.scale_min, reach.scale_max),
        )


def design(bounds: Bounds) -> Design:
    """Sample the curvature that the bounds contain."""
    reach = bounds.reach
    low, high = (float(d) for d in excess(_column([min(end, LARGEST_SCALE) for end in reach[1:]])))
    delta = _delta_samples(low, high)
    loc = _loc_samples(min(reach.loc_max, 2.0**TOP))

    def along_loc(m: Tensor) -> Tensor:
        return _curvature(m[:, None], delta[None])[0].amax(1)

    def along_delta(d: Tensor) -> Tensor:
        return _curvature(loc[None], d[:, None])[1].amax(1)

    return Design(
        bounds,
        _octaves(along_loc, 1, range(LOC_BOTTOM, TOP), LOC_DEEP, (0.0, reach.loc_max)),
        _octaves(along_delta, 1, range(DELTA_BOTTOM, TOP), DELTA_DEEP, (low, high)),
        _octaves(along_delta, -1, range(DELTA_BOTTOM, 0), DELTA_DEEP, (low, high)),
    )


def _octaves(
    along: Callable[[Tensor], Tensor], sign: int, exponents: range, deep: int, bounds: tuple[float, float]
) -> list[Octave]:
    """The octaves of one half-axis; `along` gives the largest curvature across the other axis at each of its points.

    Octaves outside the bounds are not looked at: the axis will not go there.
    """
    low = 2.0 ** torch.tensor(exponents, dtype=torch.float64)[:, None]
    points = sign * low * torch.linspace(1.0, 2.0, 4 * _SAMPLES + 1, dtype=torch.float64)
    within = (points.amax(1) >= bounds[0]) & (points.amin(1) <= bounds[1])
    cut = ((points.amin(1, True) < _column([*bounds])) & (points.amax(1, True) > _column([*bounds]))).any(1)
    peaks = torch.zeros_like(points)
    looked_at = points[within]
    peaks[within] = torch.cat([along(block) for block in looked_at.flatten().split(_BLOCK)]).reshape(looked_at.shape)
    bends = peaks * low * low
    quarters = [bends[:, k * _SAMPLES : (k + 1) * _SAMPLES + 1].amax(1) / 16.0 for k in range(4)]
    columns = (part.tolist() for part in (bends.amax(1), *quarters, cut))
    return [
        Octave(e, whole, (first, second, third, fourth), 1 if e < deep else 3, ends)
        for e, whole, first, second, third, fourth, ends in zip(exponents, *columns, strict=True)
    ]


def _curvature(m: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """(|∂²y/∂m²|, |∂²y/∂s²|) = (2yq/D³, |2yq(qD − y²)/D³|), q = 1 − y²: section 7 of the design notes."""
    m, delta = torch.broadcast_tensors(m, delta)
    s = 1.0 + delta
    text = tensors.of(m)
    y = text.closed_form(m, delta)
    for _ in range(2):
        y = text.step(m + s * y, m, s, delta)
    _, _, q, _ = text.tanh_parts(m + s * y)
    d = y * y - delta * q
    by_loc = 2.0 * y * q / d**3
    return by_loc, (by_loc * (q * d - y * y)).abs()


def _loc_samples(top: float) -> Tensor:
    magnitudes = torch.logspace(LOC_BOTTOM, TOP, _PER_OCTAVE * (TOP - LOC_BOTTOM), base=2.0, dtype=torch.float64)
    return torch.cat([magnitudes[magnitudes < top], _column([top])])


def _delta_samples(low: float, high: float) -> Tensor:
    magnitudes = torch.logspace(DELTA_BOTTOM, TOP, _PER_OCTAVE * (TOP - DELTA_BOTTOM), base=2.0, dtype=torch.float64)
    samples = torch.cat([-magnitudes, magnitudes])
    return torch.cat([samples[(samples > low) & (samples < high)], _column([low, high])])


def _ends_a_quarter(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether |x| is 0, or 1, 1.25, 1.5 or 1.75 times a power of two."""
    return np.asarray(np.frexp(x)[0] * 8.0 % 1.0 == 0.0)


def _enclosing(nodes: NDArray[np.float64], may_end: NDArray[np.bool_], low: float, high: float) -> NDArray[np.float64]:
    """The shortest run of nodes from one ≤ low to one ≥ high, as far as there are any, at which an axis may end."""
    places = np.flatnonzero(may_end)
    ends = nodes[places]
    first = int(np.clip(np.searchsorted(ends, low, side="right") - 1, 0, len(ends) - 2))
    last = int(np.clip(np.searchsorted(ends, high, side="left"), first + 1, len(ends) - 1))
    return nodes[places[first] : places[last] + 1]


def _column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
