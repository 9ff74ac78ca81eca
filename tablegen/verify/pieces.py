"""The pieces of the program, each held against a formula of its own with the allowance that the analysis gives it.

The bounds were derived piece by piece: x − tanh x is within g of the truth, δ within EXCESS·U of itself, a query's
place on an axis within NODE·U. A lookup hides much of what a piece does wrong, so a proof about other pieces might
never meet a query that contradicts it. Here each is asked at a few thousand fixed numbers where it matters (seams, the
cusp, ends, nodes) and compared with float64 formulas that share nothing with it. A sample proves nothing; it notices
that a piece is another than the one that was analysed.

Every check takes the functions that it holds, float32 arrays in and out, so that each implementation of the same
pieces can be held against the same allowances. It yields a sentence for what is broken.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tablegen.verify import exact, halley
from tablegen.verify.boxes import Array, Boxes, corners, slope_minimum
from tablegen.verify.chart import Squares
from tablegen.verify.forward import chart_rounding
from tablegen.verify.halley import Start, rough_error, step_error
from tablegen.verify.rounding import EXCESS, NODE, SMALLEST, WEIGHT, U
from tanhlut.formula.coefficients import SEAM

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_REACHED = 2.0**-70  # the smaller m decide nothing: tablegen.verify.exact
_LEAST_DELTA = 2.0**-26  # nearer to 0 no δ of a float32 scale comes
_FLOATS = np.finfo(np.float32)


class Pieces(NamedTuple):
    """One implementation of what `tanhlut.formula.equation` says, for float32 arrays.

    Attributes:
        name: in sentences.
        clamps: where loc and scale are clamped.
        fold: (loc, scale) → (m, s, δ).
        tanh_parts: x → (whether x is near, tanh x, 1 − tanh² x, x − tanh x).
        closed_form: (m, δ) → a start.
        rough_step: (x, m, s, δ) → a better x.
        step: (x, m, s, δ) → a better y.
        unfold: (y ≥ 0, loc) → the answer on loc's side.
        exp: 1 − tanh x → how many units exp(−2x) may be off by.
    """

    name: str
    clamps: tuple[float, float]
    fold: Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]
    tanh_parts: Callable[[Floats], tuple[Any, Floats, Floats, Floats]]
    closed_form: Callable[[Floats, Floats], Floats]
    rough_step: Callable[[Floats, Floats, Floats, Floats], Floats]
    step: Callable[[Floats, Floats, Floats, Floats], Floats]
    unfold: Callable[[Floats, Floats], Floats]
    exp: Callable[[Array], Array | float] = lambda c: halley.EXP


def of_equation(pieces: Pieces) -> Iterator[str]:
    """What is broken of the pieces that know no table."""
    for check in (_fold, _tanh_parts, _closed_form, _rough_step, _step, _unfold):
        with np.errstate(all="ignore"):
            found = list(check(pieces))
        yield from (f"{pieces.name}: {what}" for what in found)


def _fold(pieces: Pieces) -> Iterator[str]:
    loc, scale = (part.ravel() for part in np.meshgrid(_locs(), _scales()))
    m, s, delta = pieces.fold(loc, scale)
    most_loc, most_scale = (np.float32(clamp) for clamp in pieces.clamps)
    sigma = np.minimum(np.where(scale >= 0, scale, np.nan), most_scale).astype(np.float64)  # NaN stays
    yield from _unlike("|loc|, clamped, is exact", m, np.minimum(np.abs(loc), most_loc), 0.0, loc, scale)
    square = 2.0 * sigma * sigma  # exact
    yield from _unlike("s is within U of 2·scale²", s, square, U * square + SMALLEST, loc, scale)
    allowed = EXCESS * U * np.abs(square - 1.0)
    yield from _unlike(f"δ is within {EXCESS}·U of 2·scale² − 1", delta, square - 1.0, allowed, loc, scale)


def _tanh_parts(pieces: Pieces) -> Iterator[str]:
    x32 = _abscissae(pieces.clamps[0] + 2.0 * pieces.clamps[1] ** 2)
    near, t, slope, gap = pieces.tanh_parts(x32)
    x = x32.astype(np.float64)
    below = x <= SEAM
    yield from _unlike("x is near up to the seam", near, below, np.where(x == SEAM, 1.0, 0.0), x)
    true_gap, true = _gap(x), np.tanh(x)
    rest = 2.0 / (np.exp(2.0 * x) + 1.0)  # 1 − tanh x
    ratio = np.where(x > 0, true_gap / np.where(x > 0, true, 1.0), 0.0)  # x·coth x − 1
    g, tau_near, e_near = halley.near_parts(true, ratio, true_gap)
    tau_far, e_far = halley.far_parts(rest, pieces.exp(rest))
    tiny = 8.0 * SMALLEST
    true_gap = np.where(below, true_gap, x - true)
    yield from _unlike("x − tanh x", gap, true_gap, np.where(below, g, tau_far + U * true_gap) + tiny, x)
    yield from _unlike("tanh x", t, true, np.where(below, g + tau_near, tau_far) + tiny, x)
    true_slope = rest * (1.0 + true)
    yield from _unlike("1 − tanh² x", slope, true_slope, np.where(below, e_near, e_far) * true_slope + tiny, x)


def _closed_form(pieces: Pieces) -> Iterator[str]:
    m, _, delta = _arguments(pieces)
    exact_m, exact_delta = m.astype(np.float64), delta.astype(np.float64)
    low, high = exact.starts(Boxes(exact_m, exact_m, exact_delta, exact_delta))
    middle, reach = 0.5 * (low + high), 0.5 * (high - low)
    yield from _unlike("the closed form", pieces.closed_form(m, delta), middle, reach, m, delta)


def _beside(m: Floats, delta: Floats, low: Array, high: Array, off: float) -> tuple[Floats, Array]:
    """A float32 x that far, relative, beside the mode's, and how far."""
    x = [m + (1.0 + delta.astype(np.float64)) * np.asarray(y, np.float64) for y in (low, high)]
    start = (x[1] * (1.0 + off)).astype(np.float32)
    return start, np.maximum(np.abs(start - x[0]), np.abs(start - x[1])) + 1e-7 * x[1]


def _rough_step(pieces: Pieces) -> Iterator[str]:
    """As `_step`, and from starts as far off as the closed form."""
    m, s, delta = _arguments(pieces)
    exact_m, exact_delta = m.astype(np.float64), _exact_delta(pieces)
    boxes = Boxes(exact_m, exact_m, exact_delta, exact_delta)
    y = corners(boxes)
    low, high, least = y.y00[0], y.y11[1], slope_minimum(boxes, y)
    truth = exact_m + (1.0 + exact_delta) * high
    for off in (0.0, 0.02, -0.02, -0.15):
        start, far = _beside(m, delta, low, high, off)
        bound = rough_error(boxes, Start(low, high, least, far))
        found = pieces.rough_step(start, m, s, delta)
        yield from _unlike(f"a rough step from {off:g} beside the mode", found, truth, bound, m, delta)


def _step(pieces: Pieces) -> Iterator[str]:
    """From starts that are nearly right, and from some as far off as a table's."""
    m, s, delta = _arguments(pieces)
    exact_m, exact_delta = m.astype(np.float64), _exact_delta(pieces)
    boxes = Boxes(exact_m, exact_m, exact_delta, exact_delta)
    y = corners(boxes)
    low, high, least = y.y00[0], y.y11[1], slope_minimum(boxes, y)
    for off in (0.0, 1e-6, -1e-4, 0.02, -0.02):
        start, far = _beside(m, delta, low, high, off)
        bound = step_error(boxes, Start(low, high, least, far))
        found = pieces.step(start, m, s, delta)
        yield from _unlike(f"a Halley step from {off:g} beside the mode", found, high, bound + (high - low), m, delta)
        yield from _unlike("a step ends in [0, 1]", found, np.clip(found, 0.0, 1.0), 0.0, m, delta)


def _unfold(pieces: Pieces) -> Iterator[str]:
    values = np.array([0.0, 1e-45, 0.25, 1.0 - U, 1.0, 1.0 + 2 * U, 1.5, np.nan], np.float32)
    y, loc = (part.ravel() for part in np.meshgrid(values, _locs()))
    found, wanted = pieces.unfold(y, loc), np.copysign(np.minimum(np.maximum(y, np.float32(0.0)), np.float32(1.0)), loc)
    sure = ~np.isnan(loc)
    yield from _unlike(
        "an answer is clipped to [0, 1] on loc's side", found[sure], wanted[sure], 0.0, y[sure], loc[sure]
    )
    turned = sure & ~np.isnan(y) & (np.signbit(found) != np.signbit(wanted))
    yield from _unlike("an answer bears loc's sign", turned[sure], np.zeros(sure.sum()), 0.0, y[sure], loc[sure])


def contains(contain: Callable[[Floats, Floats], Flags], bounds: tuple[float, float, float]) -> Iterator[str]:
    """Whether the queries inside `bounds` (loc_max, scale_min, scale_max) are those that the float32 numbers nearest
    to the bounds let in."""
    with np.errstate(over="ignore"):
        loc_max, scale_min, scale_max = (np.float32(bound) for bound in bounds)
    some = np.array([0.0, 0.3, 1.0, 2.0, np.inf, np.nan, -1.0], np.float32)
    loc = np.concatenate([_around(loc_max), -_around(loc_max), some])
    scale = np.concatenate([_around(scale_min), _around(scale_max), some])
    loc, scale = (part.ravel() for part in np.meshgrid(loc, scale))
    inside = (np.abs(loc) <= loc_max) & (scale_min <= scale) & (scale <= scale_max)
    yield from _unlike("what lies within the bounds", contain(loc, scale), inside, 0.0, loc, scale)


def locates(name: str, position: Callable[[Floats], tuple[Any, Any]], nodes: Array) -> Iterator[str]:
    """Whether `position`, x → (cell, weight of its upper node), finds each x on the axis of `nodes`, clamped to it."""
    x32 = _on_axis(nodes)
    with np.errstate(all="ignore"):
        cell, weight = (np.asarray(part, np.float64) for part in position(x32))
    x, last = np.clip(x32.astype(np.float64), nodes[0], nodes[-1]), len(nodes) - 2
    # A spare cell at either end has the width of its neighbour and a weight of nothing, or all.
    known = np.isfinite(cell) & (cell >= -1) & (cell <= last + 1)
    k = np.where(known, np.clip(cell, 0, last), 0).astype(np.intp)
    width = nodes[k + 1] - nodes[k]
    place = np.where(known, nodes[k] + (cell - k + weight) * width, np.nan)
    larger = np.maximum(np.abs(nodes[k]), np.abs(nodes[k + 1]))
    allowed = NODE * U * larger + U / 4.0 * np.abs(x) + WEIGHT * U * np.abs(weight) * width + SMALLEST
    yield from _unlike(f"{name}: a query's cell and weight", place, x, allowed, x32)
    within = np.abs(weight - np.clip(weight, 0.0, 1.0)) * width
    yield from _unlike(f"{name}: a weight lies in [0, 1]", within, np.zeros(len(x)), allowed, x32)


def paired(found: Floats, values: Floats) -> Iterator[str]:
    """Whether the kernels' values are the table's with the edges repeated, since a rounding may lead one cell out: each
    and the next row's.
    """
    rows, columns = (np.clip(np.arange(-1, n + 1), 0, n - 1) for n in values.shape)
    padded = values[rows][:, columns]
    if not np.array_equal(found, np.stack([padded[:-1], padded[1:]], axis=2)):
        yield "the kernels' values are not the table's with its edges repeated"


def charts(
    chart: Callable[[Floats, Floats], tuple[Floats, Floats, Floats]],
    fold: Callable[[Floats, Floats], tuple[Floats, Floats, Floats]],
    clamps: tuple[float, float],
) -> Iterator[str]:
    """Whether (m, δ) → (u, ρ, b) is the chart of the network, within what its roundings may move."""
    v, rho = (part.ravel() for part in np.meshgrid(np.linspace(0.0, 0.98, 50)[1:], np.linspace(0.0, 1.0, 41)))
    u = v * v
    root = np.sqrt(3.0 * u / (1.0 - u))
    loc, scale = (rho * root).astype(np.float32), np.sqrt((1.0 - rho) / (1.0 - u) / 2.0).astype(np.float32)
    inside = (loc < clamps[0]) & (scale < clamps[1])  # beyond, the answer is 1
    loc, scale, root = loc[inside], scale[inside], root[inside]
    m, _, delta = fold(loc, scale)
    # The float32 query is beside the point of the chart that it was made from.
    root = _root(loc.astype(np.float64), 2.0 * scale.astype(np.float64) ** 2 - 1.0, root)
    rho = np.clip(loc / root, 0.0, 1.0)
    u = root * root / (3.0 + root * root)
    moved, of_base = chart_rounding(Squares(np.sqrt(u), np.sqrt(u), rho, rho))
    found = chart(m, delta)
    truth = (u, rho, root / np.sqrt(1.0 + root * root))
    for name, part, true, allowed in zip("uρb", found, truth, (*moved, of_base * truth[2]), strict=True):
        yield from _unlike(f"the network's chart, {name}", part, true, allowed, loc, scale)
    for name, part in zip("uρ", found, strict=False):
        yield from _unlike(f"the network's chart: {name} in [0, 1]", part, np.clip(part, 0.0, 1.0), 0.0, loc, scale)


def _root(m: Array, delta: Array, x: Array) -> Array:
    """The largest root of X³ − m·X² − 3·δ·X − 3·m from beside it: Newton in float64."""
    for _ in range(6):
        x = x - (x * (x * (x - m) - 3.0 * delta) - 3.0 * m) / (x * (3.0 * x - 2.0 * m) - 3.0 * delta)
    return x


def _unlike(what: str, found: Any, wanted: Any, allowed: Any, *at: Any) -> Iterator[str]:
    """A sentence for the worst of `found` that are further from `wanted` than allowed, or NaN where that is not."""
    found, wanted = (np.asarray(part, np.float64) for part in (found, wanted))
    same = (np.isnan(found) & np.isnan(wanted)) | (np.abs(found - wanted) <= allowed)
    if not same.all():
        k = int(np.argmax(np.where(same, -1.0, np.nan_to_num(np.abs(found - wanted), nan=np.inf))))
        where = ", ".join(repr(float(part[k])) for part in at)
        yield f"{what}: {float(found[k])!r} at ({where}), not {float(wanted[k])!r} within the proof's allowance"


def _gap(x: Array) -> Array:
    """x − tanh x = (x·cosh x − sinh x)/cosh x as a series of positive terms, for x ≤ 2; any number beyond."""
    z = np.minimum(x, 2.0) ** 2
    total, term = np.zeros_like(x), np.minimum(x, 2.0) * z / 6.0
    for k in range(1, 16):
        total = total + 2 * k * term
        term = term * z / ((2 * k + 2) * (2 * k + 3))
    return np.asarray(total / np.cosh(np.minimum(x, 2.0)))


def _around(x: np.float32, floats: int = 2) -> Floats:
    """x and the float32 numbers next to it, if it is finite."""
    if not np.isfinite(x):
        return np.array([_FLOATS.max, np.inf], np.float32)
    bits = np.abs(x).view(np.int32) + np.arange(-floats, floats + 1, dtype=np.int32)
    return np.asarray(np.copysign(np.maximum(bits, 0).view(np.float32), x))


def _locs() -> Floats:
    sizes = [0.0, _FLOATS.smallest_subnormal, _FLOATS.tiny, 1e-20, 1e-3, 0.3, 2.5, 15.9, 17.0, 39.9, 41.0, 1e30, np.inf]
    both = np.array([*sizes, 16.0, 40.0], np.float32)
    return np.concatenate([both, -both, np.array([np.nan], np.float32)])


def _scales() -> Floats:
    """Every float32 next to 1/√2 (where δ cancels) and some further off, the clamps, the ends."""
    near = _around(np.float32(0.5**0.5), 100)
    others = [
        *np.linspace(0.01, 4.5, 150),
        *(2.0 ** np.arange(-40.0, 6.0)),
        3.0,
        4.0,
        1e30,
        np.inf,
        np.nan,
        -1.0,
        -np.inf,
    ]
    others += [*(0.5**0.5 * (1.0 + 2.0 ** np.arange(-17.0, 0.0))), *(0.5**0.5 * (1.0 - 2.0 ** np.arange(-17.0, -1.0)))]
    return np.concatenate([near, np.array([0.0, _FLOATS.smallest_subnormal, *others], np.float32)])


def _abscissae(most: float) -> Floats:
    """Up to `most`, or where 1 − tanh x leaves the normal numbers; the seam and its neighbours."""
    parts = [
        np.geomspace(1e-12, SEAM, 4000),
        np.linspace(0.4, 3.0, 4000),
        np.linspace(3.0, min(most, 43.0), 2000),
    ]
    some = np.concatenate([*parts, np.array([0.0, most])]).astype(np.float32)
    return np.concatenate([some, _around(np.float32(SEAM), 20)])


def _queries(pieces: Pieces) -> tuple[Floats, Floats]:
    """Over the half-plane, on the cusp's own scale m ~ |δ|^1.5, and at the seam of the step."""
    rng = np.random.default_rng(0)
    n = 1000
    delta = rng.choice([-1.0, 1.0], 2 * n) * np.exp(rng.uniform(-15, -0.01, 2 * n))
    m = np.abs(delta[n:]) ** 1.5 * np.exp(rng.uniform(-9, 9, n))
    scale = np.concatenate([rng.uniform(0, 2.5, n), np.sqrt((1.0 + delta) / 2.0), rng.uniform(0.0, 0.85, n)])
    seam = SEAM - 2.0 * scale[-n:] ** 2 * np.tanh(SEAM)
    loc = np.concatenate([rng.uniform(0, 9, n), np.exp(rng.uniform(np.log(_REACHED), 1, n)), m, np.maximum(seam, 1e-3)])
    return np.minimum(loc, pieces.clamps[0]).astype(np.float32), np.maximum(scale, 1e-3).astype(np.float32)


def _arguments(pieces: Pieces) -> tuple[Floats, Floats, Floats]:
    """(m, s, δ) as the pieces fold the queries."""
    return pieces.fold(*_queries(pieces))


def _exact_delta(pieces: Pieces) -> Array:
    return 2.0 * _queries(pieces)[1].astype(np.float64) ** 2 - 1.0


def _on_axis(nodes: Array) -> Floats:
    """Nodes and their neighbours, places between them, beyond the ends: all if they are few, else some."""
    rng = np.random.default_rng(0)
    k = np.unique(np.concatenate([np.arange(len(nodes) - 1)[:40], np.arange(len(nodes) - 1)[-40:],
                                  rng.integers(0, len(nodes) - 1, 400)]))  # fmt: skip
    between = (nodes[k] + (nodes[k + 1] - nodes[k]) * rng.random((4, len(k)))).ravel()
    steps = np.arange(-2, 3, dtype=np.int32)
    at_nodes = (np.abs(nodes[k]).astype(np.float32).view(np.int32)[:, None] + steps).clip(0).view(np.float32).ravel()
    at_nodes = np.copysign(at_nodes, np.repeat(nodes[k], len(steps)).astype(np.float32))
    ends = np.array([nodes[0] - abs(nodes[0]) * 1e-3, nodes[-1], 1.001 * nodes[-1], nodes[-1] + 1.0, 1e3])
    x = np.concatenate([between.astype(np.float32), at_nodes, ends.astype(np.float32)])
    return x if nodes[0] >= 0 else x[np.abs(x) >= _LEAST_DELTA]
