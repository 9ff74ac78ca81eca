"""What the analysis takes from the program, checked in the program that runs: its constants, its conventions.

The bounds were derived for certain numbers: the seam of tanh, the clamps, how many steps are taken, the coefficients.
Were one changed, the proof would describe another program. Here they stand as the analysis has them, and are held
against those that run. The kernels' coefficients are bound by a digest, since the relative errors that the proof takes
from measurement (tests/test_cpu.py, over every float32 where they matter) hold for these numbers only.

The pieces themselves (`pieces`) are run on a sample and compared with independent formulas, each with the allowance
that the analysis gives it: those of torch operations, and how the kernels' table is laid out.

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
from tablegen.verify.witness import backends, device_of
from tanhlut import coefficients, eager, equation, grid, mlp, mode, packed
from tanhlut.eager import NETWORK_METHODS, Method
from tanhlut.table import ModeTable

# In the order of `_numbers`. After a change of a coefficient: repeat tests/test_cpu.py and test_coefficients.py, then
# put the new digest here.
_COEFFICIENTS = "b03e2a997ef967a1"


def broken(table: ModeTable, method: Method) -> str | None:
    """The first premise that does not hold, in words; None if all do."""
    return next(_broken(table, method), None)


def _broken(table: ModeTable, method: Method) -> Iterator[str]:
    single, real = coefficients.SINGLE, torch.float32
    expected: dict[str, tuple[object, object]] = {
        "equation.SEAM": (equation.SEAM, halley.SEAM),
        "tanh at the seam": (math.isclose(math.tanh(halley.SEAM), halley.TANH_SEAM, rel_tol=1e-15), True),
        "equation.DENOMINATORS": (equation.DENOMINATORS[real], (11.0, 9.0, 7.0, 5.0, 3.0)),
        "equation's clamps": ((equation.LOC_SATURATION, equation.SCALE_SATURATION), (exact.LOC_CLAMP, 4.0)),
        "the kernels' clamps": ((single.loc_saturation, single.scale_saturation), (16.0, 3.0)),
        "equation's 1/√2": (equation._SQRT_HALF[real], (0.7071067690849304, 1.210161710447897e-08)),
        "steps after a start": (eager.STEPS_AFTER_START[real], 1),
        "steps after the closed form": (eager.STEPS_AFTER_CLOSED_FORM[real], 2),
        "steps to the chart's root": (mlp.ROOT_STEPS[real], 4),
        "methods of the kernels": (eager.COMPILED, ("bilinear", "refined", "exact")),
        "the bound of exact": (eager.EXACT_BOUND, exact.TARGET),
        "the kernels' index": (
            (packed.KEY_SHIFT, packed.CELL_SHIFT, packed.REST_SHIFT, packed.UNIT),
            (21, 16, 12, 1 / 16),
        ),
        "the whole plane": (tuple(grid.WHOLE_PLANE), (math.inf, 0.0, math.inf)),
        "digest of the kernels' coefficients": (_coefficients_digest(), _COEFFICIENTS),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            yield f"{name}: {found} runs here, the proof is for {wanted}"
    yield from _pieces(method in NETWORK_METHODS)
    if method not in NETWORK_METHODS:
        yield from _places(table)
    for backend in backends(table, method):
        yield from _unconventional(table, method, backend)


def _of_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors as one of arrays."""

    def call(*arrays: Floats) -> Any:
        found = function(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
        return tuple(part.numpy() for part in found) if isinstance(found, tuple) else found.numpy()

    return call


EAGER = Pieces(
    "torch operations",
    (equation.LOC_SATURATION, equation.SCALE_SATURATION),
    _of_arrays(equation.fold),
    lambda x: (x <= equation.SEAM, *_of_arrays(equation.tanh_parts)(x)),
    _of_arrays(equation.closed_form_start),
    _of_arrays(equation.halley_step),
    _of_arrays(equation.unfold),
)


@cache
def _pieces(network: bool) -> tuple[str, ...]:
    """What is broken of the pieces that know no table."""
    chart = pieces.charts(_of_arrays(mlp.chart), EAGER.fold) if network else ()
    return (*pieces.of_equation(EAGER), *chart)


def _places(table: ModeTable) -> Iterator[str]:
    """Where queries fall in the table: in torch operations, and by the kernels' index."""
    nodes = {"loc": table.loc, "scale": exact_delta(table.scale)}
    grid, packed_ = table.grid(torch.float32, torch.device("cpu")), table.packed
    yield from pieces.contains(_of_arrays(table.bounds.contain), table.bounds)
    yield from pieces.locates("axis 'loc'", _of_arrays(grid.loc.locate), nodes["loc"])
    yield from pieces.locates("axis 'scale'", _of_arrays(grid.delta.locate), nodes["scale"])
    if packed_ is None:
        return
    first, last, *ends = packed_.ends

    def on_loc(x: Floats) -> tuple[Any, Any]:
        cell, weight = np.divmod(packed.positions(np.minimum(x, last), packed_.loc_index), 1.0)
        return cell, np.where(x < first, weight + x / first, weight)  # below the first node the index gives no weight

    def on_scale(x: Floats) -> tuple[Any, Any]:
        return np.divmod(packed.positions(np.clip(x, *ends), packed_.delta_index), 1.0)

    yield from pieces.locates("the kernels' axis 'loc'", on_loc, nodes["loc"])
    yield from pieces.locates("the kernels' axis 'scale'", on_scale, nodes["scale"])
    yield from pieces.padded(packed_.values, table.values)


def _coefficients_digest() -> str:
    numbers = [*coefficients.SINGLE, coefficients.INVERSE_ROOT, coefficients.INVERSE_CUBE_ROOT]
    return hashlib.sha256(repr([*numbers, coefficients.SMALLEST_CUBE]).encode()).hexdigest()[:16]


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
