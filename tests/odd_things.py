"""Things that may stand in an argument's place, what they stand for, and the proven mode of single pairs."""

import decimal
import fractions
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import torch

from oracle import prove


class Wrapped(torch.Tensor):
    """A subclass that adds nothing."""


class OwnArithmetic(np.ndarray):
    """As libraries of units make them."""

    def __array_ufunc__(self, *arguments: Any, **options: Any) -> Any:
        return NotImplemented


class Raising:
    """A number whose conversion fails, and whose repr has two lines."""

    def __float__(self) -> float:
        raise RuntimeError("never")

    def __repr__(self) -> str:
        return "two\nlines"


class Unhashable:
    __hash__ = None  # type: ignore[assignment]


class FrameLike:
    """As pandas writes its columns."""

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        return np.array([0.3])

    def __float__(self) -> float:
        return 0.3


@cache
def odd() -> dict[str, tuple[Any, list[float] | None]]:
    """Each thing, and the numbers that it stands for, or None where it stands for none."""
    tensor, array = torch.tensor([0.25, 0.5]), np.array([0.25, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about prototypes
        return {
            "complex": (1j, None), "complex scalar": (np.complex64(1), None), "complex array": (np.array([1j]), None),
            "complex tensor": (torch.tensor([1j]), None), "None": (None, None), "text": ("0.1", None),
            "path": (Path("t.h5"), None), "bytes": (b"1", None), "a text scalar": (np.str_("exact?"), None),
            "date": (np.datetime64(3, "s"), None), "dates": (np.array([3, 4], "M8[s]"), None),
            "duration": (np.timedelta64(3, "s"), None), "durations": (np.array([3, 4], "m8[s]"), None),
            "objects": (np.array([0.1, None]), None), "records": (np.zeros(2, [("a", "f4")]), None),
            "texts": (np.array(["1", "2"]), None), "long double": (np.longdouble(1), None),
            "long doubles": (np.ones(2, np.longdouble), None),
            "masked array": (np.ma.array(array, mask=[True, False]), None),
            "masked": (np.ma.masked, None), "own arithmetic": (array.view(OwnArithmetic), None),
            "float8": (tensor.to(torch.float8_e4m3fn), None), "bits": (torch.empty(2, dtype=torch.bits8), None),
            "quantised": (torch.quantize_per_tensor(tensor, 0.1, 0, torch.quint8), None),
            "COO": (tensor.to_sparse(), None), "CSR": (tensor[None].to_sparse_csr(), None),
            "nested": (torch.nested.nested_tensor([tensor, tensor]), None),
            "jagged": (torch.nested.nested_tensor([tensor, tensor], layout=torch.jagged), None),
            "mkldnn": (tensor.to_mkldnn(), None),
            "masked tensor": (torch.masked.masked_tensor(tensor, torch.tensor([True, False])), None),
            "uninitialised": (torch.nn.UninitializedParameter(), None),
            "huge": (10**400, None), "unprintable": (10**5000, None), "signalling": (decimal.Decimal("sNaN"), None),
            "raising": (Raising(), None), "unhashable": (Unhashable(), None), "frame": (FrameLike(), None),
            "list": ([0.1, 0.2], None), "nothing": ((), None), "dict": ({}, None), "class": (float, None),
            "function": (len, None), "ellipsis": (..., None), "mpmath's complex": (mpmath.mpc(0.3), None),
            "fraction": (fractions.Fraction(1, 4), [0.25]), "decimal": (decimal.Decimal("0.25"), [0.25]),
            "mpmath's": (mpmath.mpf("0.25"), [0.25]), "float16": (np.float16(0.25), [0.25]),
            "true": (True, [1.0]), "numpy's true": (np.True_, [1.0]), "true tensor": (torch.tensor([True]), [1.0]),
            "integer": (3, [3.0]), "unsigned": (torch.tensor([1, 2], dtype=torch.uint16), [1.0, 2.0]),
            "matrix": (np.matrix([[0.25, 0.5]]), [0.25, 0.5]), "big-endian": (array.astype(">f4"), [0.25, 0.5]),
            "0-d": (np.array(0.25), [0.25]), "0-dim": (torch.tensor(0.25), [0.25]),
            "backwards": (array[::-1], [0.5, 0.25]), "parameter": (torch.nn.Parameter(tensor), [0.25, 0.5]),
            "subclass": (tensor.as_subclass(Wrapped), [0.25, 0.5]),
            "expanded": (torch.tensor(0.25).expand(2), [0.25, 0.25]), "half": (tensor.half(), [0.25, 0.5]),
            "beyond float32": (1e300, [1e300]), "empty": (torch.empty(0), []),
        }  # fmt: skip


@cache
def truth(loc: float, scale: float) -> float:
    """Proven by balls; where the answer is 1 to the last bit, that."""
    if scale > 4 or loc > 40:
        return 1.0
    return float(prove(*(np.array([part]) for part in (loc, scale, float(mpmath.tanh(_root(loc, scale)))))).item())


def _root(loc: float, scale: float) -> Any:
    s = 2 * mpmath.mpf(scale) ** 2
    x = mpmath.mpf(loc) + s
    for _ in range(100):  # Newton from the right of a convex function's root
        x -= (x - loc - s * mpmath.tanh(x)) / (1 - s * (1 - mpmath.tanh(x) ** 2))
    return x
