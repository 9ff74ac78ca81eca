"""The methods: their names, how they are numbered in kernels, how often they step, what is proven of them.

    bilinear      the table's four corners, interpolated                 error: the table's tolerance
    refined       bilinear, then Halley                                  as good as exact
    exact         closed form, a rough step, then Halley; no table       as good as exact, for any (loc, scale)
    mlp           the distilled network (tanhlut.compute.mlp); no gather         error: the network's tolerance
    mlp_refined   mlp, then Halley                                       as good as exact

Steps are fixed in number, so the cost is the same everywhere. Worst start, over the plane, in relative error:
a table cell 0.14 (deep octaves, which only float64 inputs reach; 0.021 elsewhere), the closed form and its rough step
1e-3, the network 2e-3. A step cubes it: float32 needs 1, float64 one more. Largest errors seen in docs/accuracy.md.
"""

from typing import Literal

import torch

Method = Literal["bilinear", "refined", "exact", "mlp", "mlp_refined"]
COMPILED: tuple[Method, ...] = ("bilinear", "refined", "exact")  # those that have kernels, in the kernels' numbering
NETWORK_METHODS: tuple[Method, ...] = ("mlp", "mlp_refined")
METHODS: tuple[Method, ...] = (*COMPILED, *NETWORK_METHODS)
REFINED: dict[Method, Method] = {"bilinear": "refined", "mlp": "mlp_refined"}  # with a Halley step behind it

STEPPED: tuple[Method, ...] = tuple(REFINED.values())

# No float32 answer of the method "exact", for any loc and any scale > 0, is further than this from the mode:
# proven by tablegen.verify.exact over the whole half-plane, which tests/verify/test_verify.py repeats.
EXACT_BOUND = 4.2e-7


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of the arithmetic: float64 for itself, float32 for the rest."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def name_of(dtype: torch.dtype) -> str:
    """A dtype's name as the cpu kernels have it: "float16", "bfloat16", "float32" or "float64"."""
    return str(dtype).removeprefix("torch.")
