"""The axes that a table is laid out over: |loc| and δ = 2·scale² − 1."""

import numpy as np
import torch
from numpy.typing import NDArray

from tanhlut.formula.excess import excess
from tanhlut.tracing import apart


def delta_nodes(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """δ of a table's scale axis, to about two ulp: the axis that is interpolated on."""
    return apart(lambda: excess(torch.from_numpy(scale.copy())).numpy())  # files are read while torch traces
