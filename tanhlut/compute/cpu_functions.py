"""The functions of the text beside the mode on the CPU: each written and compiled when it is first called.

In float32 mean and entropy are rationals of many coefficients, each worked off in passes of its own: numerator,
quotient, the rest. In one pass there were not registers enough (measured, AVX2: mean and entropy took a fifth longer).
What is kept in patches takes three passes: where its patch is; the patches, four elements at a time; the rest.
"""

import math
from functools import cache
from typing import Any, NamedTuple

from tanhlut.compute import calls, cpu_patch, machine
from tanhlut.compute.cpu_ops import DOUBLE, SINGLE, TEXTS, divide
from tanhlut.compute.memory import Array, Numbers
from tanhlut.compute.strips import LANES, Strips
from tanhlut.compute.vectors import FLOAT32, FLOAT64, INT32, Vector, select
from tanhlut.formula import surrogate

REST = "ddq"  # low, high, the surrogates' numbers
_LANES = {FLOAT32: LANES, FLOAT64: LANES // 2}


@cache
def compiled(name: str, real: str) -> Any:
    """f(loc, scale, out, begin, end, low, high, data): out[i] = function(loc[i], scale[i]) for begin ≤ i < end, of
    arrays at addresses (of one of `TEXTS`), `out` apart from them; `data`: the address of the numbers that it wants."""
    return _built(written(name, real), 5, REST)


@cache
def described() -> Any:
    """f(loc, scale, mean, variance, stddev, entropy, begin, end, low, high, data), of float32: all find the chart once.

    Of float64, whose patches take most of the time, that would gain nothing.
    """
    strips = Strips(FLOAT32, 2, 4, REST, _LANES[FLOAT32])
    given = _given(strips)
    text = given.text
    with strips.arrays() as (loc, scale, mean, variance, stddev, entropy):
        chart, patched = _chart(strips), _patched(strips)
        with strips.each() as i:
            mu, sigma = loc[i], scale[i]
            on_chart, on_patches = (
                text.centred_square_of(mu, sigma),
                text.stddev_place(mu, sigma),
            )  # share what they can
            _keep(chart, i, on_chart)
            _keep(patched, i, on_patches)
        _mean(strips, given, chart, loc, scale, mean)
        _entropy(strips, given, chart, loc, scale, entropy)
        _patches(strips, given, patched)
        with strips.each() as i:
            root = text.stddev_of(patched.f[i], patched.more[i], loc[i], scale[i], given.low, given.high)
            stddev[i], variance[i] = root, root * root
    return _built(strips, 8, REST)


@cache
def slopes(real: str) -> Any:
    """f(value, scale, grad, by_loc, by_scale, begin, end): by_loc[i], by_scale[i] = grad[i]·∂y/∂loc, grad[i]·∂y/∂scale
    from the mode's own value y."""
    text, kind, stored = TEXTS[real]
    strips = Strips(kind, 3, 2, stored=stored)
    with strips.arrays() as (value, scale, grad, by_loc, by_scale), strips.each() as i:
        partials = text.partials(value[i], scale[i])
        by_loc[i], by_scale[i] = (grad[i] * partial for partial in partials)
    return _built(strips, 7, "")


@cache
def image(real: str) -> Any:
    """f(y, out, begin, end, low, high): out[i] = the image of y[i] ∈ [−1, 1] in [low, high], low < high."""
    text, kind, stored = TEXTS[real]
    strips = Strips(kind, 1, 1, "dd", stored=stored)
    low, high = (strips.everywhere(bound) for bound in strips.rest)
    half, middle = text.image(low, high)
    with strips.arrays() as (y, out), strips.each() as i:
        out[i] = text.finish(y[i], y[i], half, middle, low, high)
    return _built(strips, 4, "dd")


@cache
def image_between(real: str) -> Any:
    """f(y, low, high, out, begin, end): the same between bounds of each element's own; NaN unless low < high."""
    text, kind, stored = TEXTS[real]
    strips = Strips(kind, 3, 1, stored=stored)
    with strips.arrays() as (values, lows, highs, out), strips.each() as i:
        y, low, high = values[i], lows[i], highs[i]
        value = text.finish(y, y, *text.image(low, high), low, high)
        out[i] = select(low < high, value, math.nan, kind)
    return _built(strips, 6, "")


def written(name: str, real: str) -> Strips:
    """The kernel of `compiled` in LLVM's language."""
    _, kind, stored = TEXTS[real]
    strips = Strips(kind, 2, 1, REST, _LANES[kind], stored)
    given = _given(strips)
    text, data, low, high = given
    place, value = getattr(text, f"{name}_place", None), getattr(text, f"{name}_of", None)
    with strips.arrays() as (loc, scale, out):
        if place is not None and value is not None:
            patched = _patched(strips)
            with strips.each() as i:
                _keep(patched, i, place(loc[i], scale[i]))
            _patches(strips, given, patched)
            with strips.each() as i:
                out[i] = value(patched.f[i], patched.more[i], loc[i], scale[i], low, high)
        elif name in _RATIONALS:
            chart = _chart(strips)
            with strips.each() as i:
                _keep(chart, i, text.centred_square_of(loc[i], scale[i]))
            _RATIONALS[name](strips, given, chart, loc, scale, out)
        else:
            with strips.each() as i:
                out[i] = getattr(text, name)(loc[i], scale[i], data, low, high)
    return strips


class _Given(NamedTuple):
    text: Any
    data: Numbers
    low: Vector
    high: Vector


class _Chart(NamedTuple):
    """Rooms for what `half_plane.centred_square_of` gives."""

    b: Array
    y: Array
    u: Array
    rho: Array


class _Patched(NamedTuple):
    """Rooms for where patches are, for f and then the patch's value, h, and one number more."""

    at: Array
    f: Array
    h: Array
    more: Array


def _mean(strips: Strips, given: _Given, chart: _Chart, loc: Array, scale: Array, out: Array) -> None:
    text, data, low, high = given
    (ratio,) = strips.rooms(strips.kind)
    with strips.each() as i:
        ratio[i] = text.mean_numerator(data, chart.y[i], chart.u[i])
    with strips.each() as i:
        g = divide(ratio[i], text.mean_denominator(data, chart.y[i], chart.u[i]))
        out[i] = text.mean_of(chart.b[i], g, loc[i], scale[i], low, high)


def _entropy(strips: Strips, given: _Given, chart: _Chart, loc: Array, scale: Array, out: Array) -> None:
    text, data, low, high = given
    (ratio,) = strips.rooms(strips.kind)
    with strips.each() as i:
        ratio[i] = text.log_cosh_numerator(data, chart.y[i], chart.u[i])
    with strips.each() as i:
        ratio[i] = divide(ratio[i], text.log_cosh_denominator(data, chart.y[i], chart.u[i]))
    with strips.each() as i:
        b, u, rho = chart.b[i], chart.u[i], chart.rho[i]
        out[i] = text.entropy_of(b, u, rho, ratio[i], loc[i], scale[i], data, low, high)


_RATIONALS = {"mean": _mean, "entropy": _entropy}


def _patches(strips: Strips, given: _Given, patched: _Patched) -> None:
    """A pass that puts each element's patch at (f, h) in the place of f."""
    at, f, h, _ = patched
    side = surrogate.side(strips.kind is FLOAT64)
    with strips.each(cpu_patch.LANES) as i:
        f.put(i, cpu_patch.patches(given.data, at, f, h, i, side))


def _given(strips: Strips) -> _Given:
    text = DOUBLE if strips.kind is FLOAT64 else SINGLE
    low, high = (strips.everywhere(bound) for bound in strips.rest[:2])
    return _Given(text, Numbers(strips.builder, strips.rest[2], strips.kind, strips.lanes), low, high)


def _chart(strips: Strips) -> _Chart:
    return _Chart(*strips.rooms(*[strips.kind] * 4))


def _patched(strips: Strips) -> _Patched:
    return _Patched(*strips.rooms(INT32, *[strips.kind] * 3))


def _keep(rooms: tuple[Array, ...], i: Any, values: tuple[Vector, ...]) -> None:
    for room, value in zip(rooms, values, strict=True):
        room[i] = value


def _built(strips: Strips, integers: int, rest: str) -> Any:
    name = calls.on_addresses(strips.function, integers, rest)
    return calls.builtin(name, *machine.compiled(strips.module, name))
