"""The true mode of a tanh-squashed Gaussian, in constant time, with a proven error.

    >>> import tanhlut
    >>> tanhlut.mode(0.2, 1.0)
    0.9730156866523543

`mode`, `pre_tanh_mode` and `is_bimodal` take torch tensors, NumPy arrays or Python floats; `ModeLookup` is a module,
`TanhNormal` a distribution, `ModeTable` the table behind them, `solve_mode` the exact solver behind the table, and
`certify` a proven bound of any answer's error. `mode_of` reads other people's distributions; `tanhlut.integrations` has
TorchRL, Stable-Baselines3, rsl_rl and Pyro.

Each name is imported when it is first asked for (PEP 562), and torch with it: `import tanhlut` loads neither.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

# Where each name is; what a type checker reads above, as data.
_HOMES = {
    "distributions.recognise": ("mode_of",),
    "distributions.tanh_normal": ("TanhNormal",),
    "errors": ("MissingExtraError", "TableError"),
    "file.table": ("ModeTable",),
    "lookup": ("is_bimodal", "mode", "pre_tanh_mode"),
    "module": ("ModeLookup",),
    "moments": ("describe", "entropy", "mean", "stddev", "variance"),
    "proof": ("certify",),
    "solver": ("solve_mode",),
    "status": ("backends", "warmup"),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
