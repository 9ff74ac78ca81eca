"""The true mode of a tanh-squashed Gaussian, in constant time.

    >>> import tanhlut
    >>> tanhlut.mode(0.2, 1.0)
    0.9730156866523543

`mode`, `pre_tanh_mode` and `is_bimodal` take torch tensors, NumPy arrays or Python floats; `ModeLookup` is a module,
`TanhNormal` a distribution, `ModeTable` the table behind them, `solve_mode` the exact solver behind the table, and
`certify` a proven bound of any answer's error. `mode_of` reads other people's distributions; `tanhlut.integrations` has
TorchRL, Stable-Baselines3, rsl_rl and Pyro.
"""

from tanhlut.distributions.recognise import mode_of
from tanhlut.distributions.tanh_normal import TanhNormal
from tanhlut.errors import MissingExtraError, TableError
from tanhlut.file.table import ModeTable
from tanhlut.lookup import is_bimodal, mode, pre_tanh_mode
from tanhlut.module import ModeLookup
from tanhlut.moments import describe, entropy, mean, stddev, variance
from tanhlut.proof import certify
from tanhlut.solver import solve_mode
from tanhlut.status import backends, warmup

__version__ = "0.1.0"

__all__ = [
    "MissingExtraError",
    "ModeLookup",
    "ModeTable",
    "TableError",
    "TanhNormal",
    "backends",
    "certify",
    "describe",
    "entropy",
    "is_bimodal",
    "mean",
    "mode",
    "mode_of",
    "pre_tanh_mode",
    "solve_mode",
    "stddev",
    "variance",
    "warmup",
]
