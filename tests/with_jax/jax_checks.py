"""What the tests of tanhlut.jax share."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def edges() -> tuple[Any, Any]:
    sizes = [0.0, 1e-45, 3e-39, 1e-30, 0.3, 0.70710677, 0.7071068, 1.5, 16.0, 1e19, 3.4e38, math.inf]
    signed = np.concatenate([sizes, np.negative(sizes), [math.nan]]).astype(np.float32)
    loc, scale = np.meshgrid(signed, signed, indexing="ij")
    return loc.ravel(), scale.ravel()


def check_against_differences(function: Callable[[Any], Any], at: list[tuple[float, float]], orders: int = 3) -> None:
    """Derivatives in float64 against central differences of those one order lower."""
    with jax.enable_x64(True):
        below = jax.jit(function)
        for order in range(orders):
            derivative = jax.jit((jax.jacrev, jax.jacfwd, jax.jacfwd)[order](below))
            for point in map(np.array, at):
                steps = 1e-5 * np.eye(2)
                found = [(below(point + step) - below(point - step)) / 2e-5 for step in steps]
                wanted = np.stack([np.asarray(part) for part in found], -1)
                np.testing.assert_allclose(derivative(point), wanted, rtol=2e-6, atol=2e-8)
            below = derivative
