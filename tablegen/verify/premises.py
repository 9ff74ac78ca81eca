"""What the analysis takes from the program, checked in the program that runs: its numbers, its pieces, its conventions.

The seam, the clamps and the numbers of steps are read from the text. What was measured (relative errors, over every
float32 where they matter: tests/formula/test_parts.py) holds for certain coefficients only: a digest binds them.

The pieces themselves (`pieces`) are run on a sample and compared with independent formulas, each with the allowance
that the analysis gives it: the text in torch operations and in NumPy, and how the kernels' table is laid out. A
compiled kernel must give the bits of the text in NumPy; but NVIDIA's, which is made of the approximate text, and that
one is held against the allowances with approximations as bad as allowed, in either direction.

What a backend makes of arguments that are no query of the proof (NaN, a negative scale, infinities) is asked too: a NaN
must not become a number.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch

from tablegen.verify import exact, halley, pieces
from tablegen.verify.cells import exact_delta
from tablegen.verify.pieces import Floats, Pieces
from tablegen.verify.witness import backends, device_of, some_queries
from tanhlut import mode
from tanhlut.compute import plain
from tanhlut.compute.grid import grid_of
from tanhlut.file.bounds import WHOLE_PLANE
from tanhlut.file.table import ModeTable
from tanhlut.file.words import words_of
from tanhlut.formula import coefficients, excess, layout, plain_approximate, tensors
from tanhlut.formula.coefficients import SINGLE
from tanhlut.formula.plain import SINGLE as PLAIN_TEXT
from tanhlut.methods import EXACT_BOUND, NETWORK_METHODS, Method

# In the order of `_numbers`. After a change of a coefficient: repeat tests/formula/test_parts.py and
# test_coefficients.py, then put the new digest here.
_COEFFICIENTS = "ba42198906c86a83"


def broken(table: ModeTable, method: Method) -> str | None:
    """The first premise that does not hold, in words; None if all do."""
    return next(_broken(table, method), None)


def _broken(table: ModeTable, method: Method) -> Iterator[str]:
    expected: dict[str, tuple[object, object]] = {
        "1/√2 in torch operations": (excess.SQRT_HALF[torch.float32], (0.7071067690849304, 1.210161710447897e-08)),
        "steps to the chart's root": (SINGLE.root_steps, 4),
        "the bound of exact": (EXACT_BOUND, exact.TARGET),
        "the whole plane": (tuple(WHOLE_PLANE), (math.inf, 0.0, math.inf)),
        "digest of the text's coefficients": (_coefficients_digest(), _COEFFICIENTS),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            yield f"{name}: {found} runs here, the proof is for {wanted}"
    yield from _pieces(method in NETWORK_METHODS)
    if method not in NETWORK_METHODS:
        yield from _places(table.interpolated(method))
    for backend in backends(table, method):
        yield from _unconventional(table, method, backend)
        if backend != "eager" and not _approximates(backend):
            yield from _other_bits(table, method, backend)


def _of_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors as one of arrays."""

    def call(*arrays: Floats) -> Any:
        found = function(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
        return tuple(part.numpy() for part in found) if isinstance(found, tuple) else found.numpy()

    return call


_CLAMPS = SINGLE.loc_saturation, SINGLE.scale_saturation
_TORCH = tensors.SINGLE
EAGER = Pieces(
    "the text in torch operations",
    _CLAMPS,
    _of_arrays(_TORCH.fold),
    _of_arrays(_TORCH.tanh_parts),
    _of_arrays(_TORCH.closed_form),
    _of_arrays(_TORCH.rough_step),
    _of_arrays(_TORCH.step),
    _of_arrays(lambda y, loc: _TORCH.signed(y.clamp(0.0, 1.0), loc)),
)
_ONE = np.float32(1.0)


def of_text(name: str, text: Any, exp: Callable[[Any], Any] = lambda c: halley.EXP) -> Pieces:
    """The pieces of a text for NumPy arrays."""
    return Pieces(
        *(name, _CLAMPS, text.fold, text.tanh_parts, text.closed_form, text.rough_step, text.step),
        lambda y, loc: text.finish(y, loc, _ONE, -0.0 * _ONE, -_ONE, _ONE),
        exp,
    )


PLAIN = of_text("the text", PLAIN_TEXT)


@cache
def approximate() -> tuple[Pieces, ...]:
    """The approximate text, its approximations as far off as they may be: up, down, either way."""
    ways = {"up": lambda x: 1.0, "down": lambda x: -1.0, "either way": plain_approximate.either_way}
    return tuple(
        of_text(f"the approximate text ({way})", plain_approximate.text(off, f"_{k}"), halley.exp_units)
        for k, (way, off) in enumerate(ways.items())
    )


@cache
def _pieces(network: bool) -> tuple[str, ...]:
    """What is broken of the pieces that know no table."""
    eager, plain_text = _of_arrays(tensors.SINGLE.chart), np.errstate(all="ignore")(PLAIN_TEXT.chart)
    charts = ((eager, EAGER), (plain_text, PLAIN)) if network else ()
    broken = [said for one in (PLAIN, EAGER, *approximate()) for said in pieces.of_equation(one)]
    return (*broken, *(said for chart, of in charts for said in pieces.charts(chart, of.fold, _CLAMPS)))


def _places(table: ModeTable) -> Iterator[str]:
    """Where queries fall in the table: in torch operations, and by the kernels' index."""
    nodes = {"loc": table.loc, "scale": exact_delta(table.scale)}
    grid, packed = grid_of(table, torch.float32, torch.device("cpu")), table.packed
    yield from pieces.contains(_of_arrays(table.bounds.contain), table.bounds)
    yield from pieces.locates("axis 'loc'", _of_arrays(grid.loc.locate), nodes["loc"])
    yield from pieces.locates("axis 'scale'", _of_arrays(grid.delta.locate), nodes["scale"])
    if ModeTable.default().packed is None:
        yield "the kernels' index does not find the cells of the shipped table"
    if packed is None:
        return

    axes = *packed.ends, packed.loc_index, packed.delta_index

    def on_loc(m: Floats) -> tuple[Any, Any]:
        row, _, u, _ = PLAIN_TEXT.cell(m, np.ones_like(m), *axes)
        return row - 1, u

    def on_scale(delta: Floats) -> tuple[Any, Any]:
        _, column, _, v = PLAIN_TEXT.cell(
            np.ones_like(delta), delta, *packed.ends, packed.loc_index, packed.delta_index
        )
        return column - 1, v

    text, words = plain_approximate.text(plain_approximate.either_way), words_of(packed)

    def by_words(x: Floats, axis: int, last: np.float32) -> tuple[Any, Any]:
        on_axis = np.maximum(np.minimum(x, last), packed.ends[2]) if axis else np.minimum(x, last)
        cell, weight = text.place(on_axis, words[axis], text.key(on_axis, layout.DELTA_KEYS))
        return cell - 1, weight

    yield from pieces.locates("the words' axis 'loc'", lambda x: by_words(x, 0, packed.ends[1]), nodes["loc"])
    yield from pieces.locates("the words' axis 'scale'", lambda x: by_words(x, 1, packed.ends[3]), nodes["scale"])
    yield from pieces.locates("the kernels' axis 'loc'", on_loc, nodes["loc"])
    yield from pieces.locates("the kernels' axis 'scale'", on_scale, nodes["scale"])
    yield from pieces.paired(packed.pairs, table.values)


def _approximates(backend: str) -> bool:
    if backend != "gpu":
        return False
    from tanhlut.compute import gpu_texts

    return gpu_texts.APPROXIMATE


def _other_bits(table: ModeTable, method: Method, backend: str) -> Iterator[str]:
    """Where a compiled kernel does not give the bits of the text in NumPy."""
    loc, scale = (torch.from_numpy(part) for part in some_queries(table, 4096, np.random.default_rng(0)))
    device = device_of(backend)
    found = mode(loc.to(device), scale.to(device), method=method, table=table, backend=backend).cpu().numpy()
    packed = table.interpolated(method).packed
    assert packed is not None
    wanted = plain.mode(loc.numpy(), scale.numpy(), method, packed)
    for i in np.flatnonzero(found.view(np.int32) != wanted.view(np.int32))[:1]:
        yield (
            f"backend {backend!r} answers {found[i]!r} at loc {float(loc[i])!r}, scale {float(scale[i])!r}, the text "
            f"{wanted[i]!r}"
        )


def _coefficients_digest() -> str:
    numbers = [coefficients.SEAM, *SINGLE, coefficients.INVERSE_ROOT, coefficients.INVERSE_CUBE_ROOT]
    numbers += [*coefficients.ROUGH, coefficients.SMALLEST_CUBE]
    return hashlib.sha256(repr(numbers).encode()).hexdigest()[:16]


def _unconventional(table: ModeTable, method: Method, backend: str) -> Iterator[str]:
    nan, inf = math.nan, math.inf
    cases = [
        (nan, 1.0, nan), (0.3, nan, nan), (nan, nan, nan), (nan, inf, nan), (inf, nan, nan), (0.3, -1.0, nan),
        (0.0, -inf, nan), (inf, 1.0, 1.0), (-inf, 0.1, -1.0), (-inf, inf, -1.0), (0.5, inf, 1.0), (-0.0, inf, -1.0),
        (0.0, 0.1, 0.0), (-0.0, 0.1, -0.0),
    ]  # fmt: skip
    loc, scale, wanted = (torch.tensor(part, dtype=torch.float32) for part in zip(*cases, strict=True))
    device = device_of(backend)
    found = mode(loc.to(device), scale.to(device), method=method, table=table, backend=backend).cpu()
    same = (found.isnan() & wanted.isnan()) | ((found == wanted) & (torch.signbit(found) == torch.signbit(wanted)))
    for i in torch.nonzero(~same).flatten().tolist():
        yield (
            f"backend {backend!r} answers {float(found[i])} at loc {float(loc[i])}, scale {float(scale[i])}, not "
            f"{float(wanted[i])}"
        )
