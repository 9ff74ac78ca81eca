"""The text in float64 with one operation's result moved a little: what each rounding moves the answer by."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tanhlut.formula import surrogate
from tanhlut.formula.instantiate import instantiate

NUDGE = 2.0**-26
EXP = 4.0  # of these units exp is off by, where others are by 1 at most
Array = NDArray[np.float64]


class Nudged:
    """Numbers whose operations are counted: a result is moved if its number is `Nudged.chosen`."""

    chosen = -1
    units: list[Array]  # of each operation's results: the half unit in the last place, in parts of 2^-24

    def __init__(self, value: Any, whole: bool = False) -> None:
        self.value, self.whole = value, whole

    @classmethod
    def rounded(cls, value: Any, times: float = 1.0) -> "Nudged":
        with np.errstate(divide="ignore", invalid="ignore"):
            cls.units.append(times * np.nan_to_num(2.0 ** np.floor(np.log2(np.abs(value))) / np.abs(value)))
        return cls(value * (1.0 + NUDGE) if len(cls.units) - 1 == cls.chosen else value)

    def __add__(self, other: Any) -> "Nudged":
        return self.rounded(self.value + of(other))

    def __sub__(self, other: Any) -> "Nudged":
        exact = isinstance(other, Nudged) and other.whole  # what is left of a number without its whole part
        return (Nudged if exact else self.rounded)(self.value - of(other))

    def __rsub__(self, other: Any) -> "Nudged":
        return self.rounded(other - self.value)

    def __mul__(self, other: Any) -> "Nudged":
        exact = any(bool((np.abs(np.frexp(part)[0]) == 0.5).all()) for part in (self.value, of(other)))
        return (Nudged if exact else self.rounded)(self.value * of(other))  # exact by a power of two

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Nudged":
        return Nudged(-self.value)

    def __lt__(self, other: Any) -> Any:
        return self.value < of(other)

    def __gt__(self, other: Any) -> Any:
        return self.value > of(other)

    def __eq__(self, other: Any) -> Any:
        return self.value == of(other)

    def __ne__(self, other: Any) -> Any:
        return self.value != of(other)

    __hash__ = None  # type: ignore[assignment]


def of(x: Any) -> Any:
    return x.value if isinstance(x, Nudged) else x


def _exact(function: Callable[..., Any]) -> Callable[..., Nudged]:
    return lambda *given: Nudged(function(*map(of, given)))


def _least(function: Callable[..., Any]) -> Callable[..., Nudged]:
    return lambda a, b: Nudged(function(of(a), of(b)), whole=isinstance(a, Nudged) and a.whole)


def _rounded(function: Callable[..., Any], times: float = 1.0) -> Callable[..., Nudged]:
    return lambda *given: Nudged.rounded(function(*map(of, given)), times)


def text(fused: bool) -> Any:
    """The functions of `half_plane`, whose fma rounds once, or its product too."""

    def fma(a: Any, b: Any, c: Any) -> Any:
        if isinstance(a, list):
            return [fma(x, b, y) for x, y in zip(a, c, strict=True)]
        if fused:
            return Nudged.rounded(of(a) * of(b) + of(c))
        return Nudged(of(a)) * b + c

    operations = {
        **surrogate.numbers(float),
        "ZERO": 0.0,
        "ONE": 1.0,
        "TWO": 2.0,
        "HALF": 0.5,
        "SMALLEST_NORMAL": 2.0**-126,
        "element": lambda function: function,
        "fma": fma,
        "divide": _rounded(np.divide),
        "square_root": _rounded(np.sqrt),
        "exp_minus_twice": _rounded(lambda x: np.exp(-2.0 * x), EXP),
        "select": _exact(np.where),
        "absolute": _exact(np.abs),
        "without_sign": _exact(np.abs),
        "at_most": _least(np.minimum),
        "at_least": _least(np.maximum),
        "invalid_if": lambda condition, x: x,
        "floor": lambda x: Nudged(np.floor(of(x)), whole=True),
        "integer": lambda x: np.asarray(of(x)).astype(np.int64),
        **surrogate.patches(fma, 4, lambda data, at, k: [data[at + (4 * k + i)] for i in range(4)], list, lambda x: x),
    }
    return instantiate(f"nudged_{fused}", operations, "element", "half_plane")


def moved(function: Callable[..., Nudged], loc: Array, scale: Array, *rest: Any) -> Array:
    """What roundings may move ln of a function by, to first order, in units of 2^-24: at each point the sum of what
    each operation's does."""

    def run(chosen: int) -> Array:
        Nudged.chosen, Nudged.units = chosen, []
        return np.asarray(np.log(function(Nudged(loc), Nudged(scale), *rest).value))

    still = run(-1)
    total = np.zeros_like(still)
    for k, unit in enumerate(Nudged.units):
        total += np.abs(run(k) - still) / NUDGE * unit
    return total
