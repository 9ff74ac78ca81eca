"""The text in torch operations, on any device, traceable and exportable: `of(x)` for tensors of x's dtype.

Torch has no fma, and its graphs know no bits: what `bits` makes of them are plain operations here. None is used whose
CPU result depends on the position in a batch (`pow`, `sigmoid` and `exp2` do).
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tanhlut.formula import coefficients, nodes, surrogate
from tanhlut.formula.coefficients import Coefficients, numbers
from tanhlut.formula.excess import excess
from tanhlut.formula.functions import DOUBLE_FILES, FILES
from tanhlut.formula.instantiate import instantiate


def signed(y: Tensor, loc: Tensor) -> Tensor:
    """y ≥ 0 with loc's sign bit, so that mode(−loc) = −mode(loc) bitwise, ±0.0 included.

    Without copysign, which ONNX lacks; by a product, since some runtimes' Where loses the sign of zero.
    """
    negative = (loc < 0.0) | (1.0 / loc < 0.0)  # the second is for −0.0
    return y * torch.where(negative, -1.0, 1.0).to(y.dtype)  # torch.where makes default floats


def of(x: Tensor) -> Any:
    """The text for tensors of x's dtype, float32 or float64."""
    return DOUBLE if x.dtype == torch.float64 else SINGLE


def _select(dtype: torch.dtype) -> Any:
    """torch.where, which makes default floats of two numbers: float64's have not their range."""

    def select(condition: Tensor, yes: Any, no: Any) -> Tensor:
        if not isinstance(yes, Tensor) and not isinstance(no, Tensor):
            yes = torch.full((), yes, dtype=dtype, device=condition.device)
        return torch.where(condition, yes, no)

    return select


def _at_most(x: Tensor, most: Any) -> Tensor:
    return torch.minimum(x, most) if isinstance(most, Tensor) else x.clamp(max=most)


def _at_least(x: Tensor, least: Any) -> Tensor:
    return torch.maximum(x, least) if isinstance(least, Tensor) else x.clamp(min=least)


def _fma(a: Any, b: Any, c: Any) -> Any:
    return a * b + c


def _divide(a: Any, b: Any) -> Any:
    return a / b


def _invalid_if(condition: Tensor, x: Tensor) -> Tensor:
    return torch.where(condition, torch.nan, x)


def _exp_minus_twice(x: Tensor) -> Tensor:
    return torch.exp(-2.0 * x)


def _inverse_root(x: Tensor) -> Tensor:
    return 1.0 / torch.sqrt(x)


def _inverse_cube_root(x: Tensor) -> Tensor:
    return torch.exp(torch.log(x) * (-1.0 / 3.0))


class Numbers(NamedTuple):
    """The vector of `surrogate` as torch's graphs want it: the polynomials as numbers, all as a tensor for gathers."""

    numbers: tuple[float, ...]
    vector: Tensor


def _logarithm(x: Any) -> Any:
    return torch.log(x) if isinstance(x, Tensor) else math.log(x)  # bounds are numbers


def _integer(x: Tensor) -> Tensor:
    return x.long()


def _row(side: int) -> Any:
    def row(data: "Numbers", at: Tensor, k: int) -> Tensor:
        places = at.unsqueeze(-1) + torch.arange(k * side, (k + 1) * side, device=at.device)
        return data.vector.index_select(0, places.reshape(-1)).reshape(places.shape)

    return row


def _polynomial(coefficients: tuple[float, ...]) -> Any:
    first, *rest = coefficients

    def horner(x: Tensor) -> Tensor:
        total: Any = first
        for coefficient in rest:
            total = total * x + coefficient
        return total  # type: ignore[no-any-return]

    return horner


def _operations(given: Coefficients, double: bool) -> dict[str, Any]:
    side = surrogate.side(double)
    return {
        **numbers(float, given),
        **nodes.numbers(float),
        "FARTHEST": 1e100,
        "element": lambda function: function,
        "fma": _fma,
        "divide": _divide,
        "divide_roughly": _divide,
        "select": _select(torch.float64 if double else torch.float32),
        "absolute": torch.abs,
        "at_most": _at_most,
        "at_least": _at_least,
        "invalid_if": _invalid_if,
        "numerator": _polynomial(given.numerator),
        "denominator": _polynomial(given.denominator),
        "excess": excess,
        "exp_minus_twice": _exp_minus_twice,
        "inverse_root": _inverse_root,
        "inverse_cube_root": _inverse_cube_root,
        "signed": signed,
        "square_root": torch.sqrt,
        "without_sign": lambda x: signed(x, x),
        "logarithm": _logarithm,
        "floor": torch.floor,
        "integer": _integer,
        "total": lambda x: x.sum(-1),
        "alone": lambda x: x.squeeze(-1),
        **{name: getattr(torch, name) for name in ("exp", "expm1", "log1p", "tanh", "sinh", "erf", "erfc")},
        **surrogate.numbers(float, double),
        **surrogate.patches(_fma, side, _row(side), lambda x: x.unbind(-1)),
        **surrogate.polynomials(_fma, lambda data, k: data.numbers[k]),
    }


SINGLE = instantiate("torch_float32", _operations(coefficients.SINGLE, False), *FILES, "derived", "quadrature")
DOUBLE = instantiate("torch_float64", _operations(coefficients.DOUBLE, True), *DOUBLE_FILES, "derived", "quadrature")
