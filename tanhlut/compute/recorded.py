"""Under torch.compile a mode on the CPU is an operator (`launch`), which torch calls and does not look into.

Of all that a function looks at while torch traces it, the graph asks at each call whether it is still the same. So
`recorded` looks at little, and what it decides by is decided in `_served`, which tracing takes for a constant.
"""

from typing import Any

import torch
from torch import Tensor

from tanhlut.affine import to_bounds
from tanhlut.compute.launch import kept, operator
from tanhlut.file.table import ModeTable
from tanhlut.methods import Method
from tanhlut.tracing import exporting


def recorded(loc: Any, scale: Any, low: Any, high: Any, method: Method, table: ModeTable | None) -> Tensor | None:
    """The operator, for tensors of one shape that want nothing else; None where the general road must decide."""
    if not (type(loc) is Tensor and type(scale) is Tensor and type(low) is float and type(high) is float):
        return None
    if not (loc.is_cpu and scale.is_cpu and loc.shape == scale.shape and -float("inf") < low < high < float("inf")):
        return None  # decided here, since bounds and shapes may be symbols
    wanted = loc.requires_grad or scale.requires_grad
    digest = _served(loc.dtype, scale.dtype, wanted, method, None if table is None else table.key)
    if digest is None:
        return None
    y: Tensor = operator(loc, scale, method, digest)
    return y if (low, high) == (-1.0, 1.0) else to_bounds(y, low, high)


def _served(dtype: torch.dtype, other: torch.dtype, wanted: bool, method: Method, key: str | None) -> str | None:
    """The digest of the table that the operator reads, or None where it does not serve."""
    if dtype is not other or dtype not in (torch.float32, torch.float64) or exporting():
        return None
    return None if wanted and torch.is_grad_enabled() else kept(key, method)


_served._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see `general`
