"""The functions of the text beside the mode on the CPU: each written and compiled when it is first called."""

from functools import cache
from typing import Any

from tanhlut.compute import calls, cpu_patch, machine
from tanhlut.compute.cpu_ops import TEXTS
from tanhlut.compute.memory import Numbers
from tanhlut.compute.strips import Strips
from tanhlut.compute.vectors import FLOAT32, FLOAT64, INT32
from tanhlut.formula import surrogate

REST = "ddq"  # low, high, the surrogates' numbers
# A coefficient is loaded once for so many elements (float32, AVX2: mean and entropy take a fifth longer with half as
# many); patches, which float64 has instead, leave less to be shared.
_LANES = {FLOAT32: 32, FLOAT64: 8}


@cache
def compiled(name: str, double: bool) -> Any:
    """f(loc, scale, out, begin, end, low, high, data): out[i] = function(loc[i], scale[i]) for begin ≤ i < end, of
    arrays at addresses, `out` apart from them; `data`: the address of the numbers that the function wants."""
    return _built(written(name, double), 5, REST)


@cache
def slopes(double: bool) -> Any:
    """f(value, scale, grad, by_loc, by_scale, begin, end): by_loc[i], by_scale[i] = grad[i]·∂y/∂loc, grad[i]·∂y/∂scale
    from the mode's own value y."""
    text, kind = _text(double)
    strips = Strips(kind, 3, 2)
    with strips.arrays() as (value, scale, grad, by_loc, by_scale), strips.each() as i:
        partials = text.partials(value[i], scale[i])
        by_loc[i], by_scale[i] = (grad[i] * partial for partial in partials)
    return _built(strips, 7, "")


def written(name: str, double: bool) -> Strips:
    """The kernel of `compiled` in LLVM's language."""
    text, kind = _text(double)
    strips = Strips(kind, 2, 1, REST, _LANES[kind])
    low, high = (strips.everywhere(bound) for bound in strips.rest[:2])
    data = Numbers(strips.builder, strips.rest[2], kind, strips.lanes)
    place, value = getattr(text, f"{name}_place", None), getattr(text, f"{name}_of", None)
    with strips.arrays() as (loc, scale, out):
        if place is None or value is None:
            with strips.each() as i:
                out[i] = getattr(text, name)(loc[i], scale[i], data, low, high)
        else:
            at, f, h, more = strips.rooms(INT32, kind, kind, kind)
            with strips.each() as i:
                at[i], f[i], h[i], more[i] = place(loc[i], scale[i])
            with strips.each_alone() as i:
                found = cpu_patch.patch(data, at.one(i), f.one(i), h.one(i), surrogate.side(double))
                f.put(i, found)
            with strips.each() as i:
                out[i] = value(f[i], more[i], loc[i], scale[i], low, high)
    return strips


def _text(double: bool) -> tuple[Any, Any]:
    return TEXTS["float64" if double else "float32"]


def _built(strips: Strips, integers: int, rest: str) -> Any:
    name = calls.on_addresses(strips.function, integers, rest)
    return calls.builtin(name, *machine.compiled(strips.module, name))
