"""The approximate text in NumPy: what NVIDIA's GPUs may answer, as far off as their description allows.

PTX ISA, on instructions for single precision: rcp.approx within 1 ulp, ex2.approx within 2 ulp, rsqrt.approx within
2^-22.4 relative, lg2.approx within 2^-22 absolute in [1/2, 2], relative elsewhere; `.ftz` flushes subnormals to zero.
No GPU has those bits: a formula that is good with any answers within the limits is good with theirs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tanhlut.formula import coefficients, plain
from tanhlut.formula.instantiate import instantiate

Off = Callable[[Any], Any]  # an argument → how far off the answer is, from −1 to 1 of what is allowed


def either_way(x: Any) -> Any:
    """As if drawn, from an argument's bits."""
    word = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (word >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0


def text(off: Off, name: str = "") -> Any:
    """The text, for arrays, whose approximations are off by so much."""
    return instantiate(f"numpy_approximate{name}", _operations(off), "bits", "approximate", "element")


def _operations(off: Off) -> dict[str, Any]:
    def ulps(exact: Any, allowed: float) -> Any:
        """A function within so many ulp, of which rounding takes a half."""

        def about(x: Any) -> Any:
            true = np.asarray(exact(_flushed(x).astype(np.float64)))
            unit = np.spacing(np.abs(true).astype(np.float32)).astype(np.float64)
            moved = true + (allowed - 0.5) * off(x) * np.where(np.isfinite(unit), unit, 0.0)
            return _flushed(np.where(np.isfinite(true), moved, true).astype(np.float32))

        return about

    def relative(exact: Any, allowed: float, least: float) -> Any:
        """A function within so much of itself, or of `least`."""

        def about(x: Any) -> Any:
            true = np.asarray(exact(_flushed(x).astype(np.float64)))
            return _flushed((true + (allowed - 2.0**-24) * off(x) * np.maximum(np.abs(true), least)).astype(np.float32))

        return about

    return {
        **plain.operations(np.float32, coefficients.SINGLE),
        "about_inverse": ulps(lambda x: 1.0 / x, 1.0),
        "about_power_of_two": ulps(np.exp2, 2.0),
        "about_inverse_root": relative(lambda x: 1.0 / np.sqrt(x), 2.0**-22.4, 0.0),
        "about_log_2": relative(np.log2, 2.0**-22, 1.0),
        "fma_down": _fma_down,
        "whole_part": lambda x: (np.floor(x).astype(np.int32), np.floor(x)),
        "load_pair": lambda words, number: (words[number, 0], words[number, 1]),
        "smaller_number": np.fmin,
        "larger_number": np.fmax,
    }


def _flushed(x: Any) -> Any:
    x = np.asarray(x, np.float32)
    return np.where(np.abs(x) < np.finfo(np.float32).smallest_normal, np.copysign(np.float32(0.0), x), x)


def _fma_down(a: Any, b: Any, c: Any) -> Any:
    """By the sum's sign of what rounding to nearest took."""
    nearest = np.asarray(plain.fma(a, b, c))
    product, last = np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64)  # exact
    # c is 0 or at least 1/16 of a cell, nearest − c and its difference from the product are exact or of the right sign
    above = (nearest.astype(np.float64) - last) - product > 0.0
    return np.where(above, np.nextafter(nearest, np.float32(-np.inf)), nearest)
