"""Exact solvers of x = loc + s·tanh(x) in float64: the truth that tables are built from.

Both end the same way: every root is *proven* by a sign change of h across x·(1 ± 4e-13), or the call raises.

newton   Start from the closed form, step once to the right of the root (h is convex), then Newton descends
         monotonically. About 6 iterations, 25 at the cusp. The one to use.
adam     Gradient descent with Adam moments on the objective (x − loc)²/(2s) − log cosh x, as other libraries do,
         but in x instead of y, from a deterministic start, with a step size relative to x and per-element stopping.
         Adam alone reaches about three digits; the bracket check and a Newton polish make it exact. A million roots
         take 22 s where newton takes 1 to 2 s (2 cores): an independent road to the table, not a faster one.
"""

from collections.abc import Callable
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tanhlut.arrays import ArrayLike, check_choice, unify_for_proof
from tanhlut.formula import equation, tensors

Solver = Literal["adam", "newton"]
Numbers = NDArray[Any] | np.generic | float

BRACKET = 4e-13  # relative half-width of the final sign-change proof; float64 rounding of h is below 1e-15·x·D
ADAM = {"rate": 0.05, "decay": 0.9, "beta1": 0.9, "beta2": 0.999, "steps": 100, "stop": 1e-3}
_NEWTON_STEPS = 100


@overload
def solve_mode(loc: Tensor, scale: ArrayLike, *, solver: Solver = "adam") -> Tensor: ...
@overload
def solve_mode(loc: ArrayLike, scale: Tensor, *, solver: Solver = "adam") -> Tensor: ...
@overload
def solve_mode(loc: Numbers, scale: Numbers, *, solver: Solver = "adam") -> NDArray[np.float64]: ...
def solve_mode(loc: ArrayLike, scale: ArrayLike, *, solver: Solver = "adam") -> Tensor | NDArray[np.float64]:
    """The mode of tanh(Normal(loc, scale²)) in float64, each root proven by a sign change.

    Args:
        loc, scale: as for `tanhlut.mode`: torch tensors, NumPy arrays or numbers, broadcast; computed in float64.
        solver: ``"adam"`` or ``"newton"``; they agree to 1e-12 and differ in cost (see the module).

    Returns:
        float64 of the broadcast shape, a tensor if loc or scale is one, else a NumPy array (a scalar if 0-d).
        ±0.0 in loc picks the side; NaN or scale < 0 gives NaN. Not differentiable: use `tanhlut.mode` for gradients.
        Each element's value is independent of its batch.

    Raises:
        TypeError, ValueError: as `tanhlut.mode` does for kinds, dtypes, shapes and devices; ValueError for tensors on
            device meta and for an unknown solver.
        ArithmeticError: a root failed its proof (never seen; a wrong value is never returned instead).
    """
    solvers: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"adam": _adam, "newton": _newton}
    check_choice("solver", solver, tuple(solvers))
    with torch.no_grad():
        is_torch = isinstance(loc, Tensor) or isinstance(scale, Tensor)
        (wide_loc, wide_scale), _ = unify_for_proof(loc, scale)
        m, s, delta = tensors.DOUBLE.fold(wide_loc, wide_scale)
        x = solvers[solver](m, s, delta)
        _prove(x, m, delta)
        y: Tensor = tensors.DOUBLE.signed(tensors.DOUBLE.tanh_parts(x)[1].clamp(0.0, 1.0), wide_loc)
    return y if is_torch else y.numpy()[()]


def _newton(m: Tensor, s: Tensor, delta: Tensor) -> Tensor:
    x = m + s * tensors.DOUBLE.closed_form(m, delta)
    return _descend(_right_of_root(x, m, s, delta), m, delta)


def _right_of_root(x: Tensor, m: Tensor, s: Tensor, delta: Tensor) -> Tensor:
    """One Newton step: from anywhere with h' > 0 a convex h puts it at or right of the root; never beyond m + s."""
    h, slope = equation.residual(x, m, delta)
    limit = m + s
    return torch.where(slope > 0, torch.minimum(x - h / slope, limit), limit)


def _descend(x: Tensor, m: Tensor, delta: Tensor) -> Tensor:
    """Newton from the right decreases to the root; an element stops, alone, at its first step that does not."""
    for _ in range(_NEWTON_STEPS):
        h, slope = equation.residual(x, m, delta)
        lower = torch.where(slope > 0, x - h / slope, x)
        moving = lower < x
        if not moving.any():
            break
        x = torch.where(moving, lower.clamp(min=0.0), x)
    return x


def _adam(m: Tensor, s: Tensor, delta: Tensor) -> Tensor:
    x: Tensor = m + s * tensors.DOUBLE.closed_form(m, delta)
    size = x.clone()
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    rate, beta1, beta2 = ADAM["rate"], ADAM["beta1"], ADAM["beta2"]
    for step in range(1, int(ADAM["steps"]) + 1):
        moving = ~_brackets(x, ADAM["stop"], m, delta)
        if not moving.any():
            break
        gradient, _ = equation.residual(x, m, delta)  # s times the objective's; Adam is invariant to that factor
        first = beta1 * first + (1.0 - beta1) * gradient
        second = beta2 * second + (1.0 - beta2) * gradient * gradient
        unit = (first / (1.0 - beta1**step)) / (torch.sqrt(second / (1.0 - beta2**step)) + 1e-300)
        x = torch.where(moving, (x - rate * size * unit).clamp(min=0.0), x)
        rate *= ADAM["decay"]
    return _descend(_right_of_root(x, m, s, delta), m, delta)


def _brackets(x: Tensor, width: float, m: Tensor, delta: Tensor) -> Tensor:
    """Whether h changes sign across x·(1 ± width); x = 0 is its own proof where m = 0 and δ ≤ 0; NaN passes as NaN."""
    below, _ = equation.residual(x * (1.0 - width), m, delta)
    above, _ = equation.residual(x * (1.0 + width), m, delta)
    single_peak = (x == 0) & (m == 0) & (delta <= 0)
    return ((below < 0) & (above > 0)) | single_peak | torch.isnan(m + delta)


def _prove(x: Tensor, m: Tensor, delta: Tensor) -> None:
    # Below 1e-290 the bracket is narrower than the spacing of subnormal numbers; there h is linear to 1e-300.
    proven = _brackets(x, BRACKET, m, delta) | ((x < 1e-290) & (delta < 0))
    if not proven.all():
        i = int((~proven).flatten().nonzero()[0])
        raise ArithmeticError(
            f"{int((~proven).sum())} roots failed the sign-change proof, the first at |loc| = {m.flatten()[i]:.17g}, "
            f"2·scale² − 1 = {delta.flatten()[i]:.17g}: please report it"
        )
