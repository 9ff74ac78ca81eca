"""The numbers of the text `quadrature`: nodes and weights of its two rules, for float32 and float64, and constants."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

SEAM = 1.0  # of scale, where the rules meet

# Nodes of either rule, reach of the narrow one in standard deviations, end of the wide one's half-line.
_NODES = {"float32": 32, "float64": 96}
_REACH = {"float32": 7.2, "float64": 11.0}
_END = {"float32": 10.0, "float64": 20.0}


def rule(kind: str, narrow: bool) -> tuple[list[float], list[float]]:
    """(nodes, weights) of the dtype of that name, on either side of `SEAM`."""
    count = _NODES[kind]
    if narrow:
        z = np.linspace(-_REACH[kind], _REACH[kind], count)
        density = np.exp(-0.5 * z * z)
        return z.tolist(), (density / density.sum()).tolist()
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = 0.5 * _END[kind]
    return (half * (nodes + 1.0)).tolist(), (half * weights).tolist()


# Tracing takes them as constants; not `cache`, through which it would look.
rule._dynamo_marked_constant = True  # type: ignore[attr-defined]


def numbers(real: Callable[[float], Any]) -> dict[str, Any]:
    """The numbers that `quadrature` names."""
    reals = {
        "RULES_MEET": SEAM,
        "ROOT_2": math.sqrt(2.0),
        "ROOT_2_PI": math.sqrt(2.0 * math.pi),
        "ROOT_2_OVER_PI": math.sqrt(2.0 / math.pi),
        "ENTROPY_OF_NORMAL": 0.5 * math.log(2.0 * math.pi * math.e),
        "INFINITY": math.inf,
        "FOUR": 4.0,
    }
    return {name: real(value) for name, value in reals.items()}
