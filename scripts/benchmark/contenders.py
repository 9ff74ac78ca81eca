"""Who takes part: our methods on every road, and what people use today. Each is called as its users call it."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tanhlut import ModeLookup, ModeTable, backends, mode, solve_mode
from tanhlut.methods import COMPILED, Method

YARDSTICK = {"tensor": "torch.tanh", "out": "torch.tanh(out=)", "array": "np.tanh", "float": "math.tanh"}
COMPILED_UP_TO = 100_000


class Sample(NamedTuple):
    """One batch of arguments, in every kind."""

    loc: Tensor
    scale: Tensor
    out: Tensor

    @classmethod
    def drawn(cls, size: int, dtype: torch.dtype) -> "Sample":
        """loc ~ N(0, 1), scale ~ U(0.01, 2.01): the distribution of the project's figures."""
        rng = np.random.default_rng(size)
        loc, scale = rng.normal(size=size), rng.uniform(0.01, 2.01, size)
        return cls(torch.from_numpy(loc).to(dtype), torch.from_numpy(scale).to(dtype), torch.empty(size, dtype=dtype))


class Contender(NamedTuple):
    """Something to time; `call` is None where it cannot run, and `note` says why. `kind` names its yardstick."""

    name: str
    kind: str
    call: Callable[[], Any] | None
    answers: str = "mode"  # what the result is meant to be, "" for something else
    note: str = ""


def contenders(sample: Sample) -> Iterator[Contender]:
    """All of them for one batch; the yardsticks first."""
    loc, scale, out = sample
    a = loc.numpy()
    yield Contender("torch.tanh", "tensor", lambda: torch.tanh(loc), "")
    yield Contender("torch.tanh(out=)", "out", lambda: torch.tanh(loc, out=out), "")
    yield Contender("torch.add(out=)", "out", lambda: torch.add(loc, scale, out=out), "", "the memory limit")
    yield Contender("np.tanh", "array", lambda: np.tanh(a), "")
    if len(loc) == 1:
        x, s = float(loc), float(scale)
        yield Contender("math.tanh", "float", lambda: math.tanh(x), "")
        for method in COMPILED:
            yield Contender(f"ours {method} cpu", "float", _of_numbers(x, s, method))
    for method in COMPILED:
        yield from _ours(sample, method)
    gpu = backends()["gpu"]
    if not gpu.available:
        yield Contender("ours gpu", "tensor", None, note=f"missing: {gpu.reason}; see --gpu")
    yield _compiled("ours refined compiled", ModeLookup(), sample)
    yield Contender("Newton, eager torch", "tensor", lambda: newton(loc, scale))
    yield _compiled("Newton compiled", newton, sample)
    yield from _torchrl(sample)
    yield from _scipy(sample)
    yield _grid_sample(sample)


def _of_numbers(loc: float, scale: float, method: Method) -> Callable[[], Any]:
    return lambda: mode(loc, scale, method=method)


def _ours(sample: Sample, method: Method) -> Iterator[Contender]:
    loc, scale, out = sample
    a, b, _ = (part.numpy() for part in sample)
    yield Contender(f"ours {method} cpu", "tensor", lambda: mode(loc, scale, method=method))
    yield Contender(f"ours {method} cpu", "out", lambda: mode(loc, scale, method=method, out=out))
    yield Contender(f"ours {method} cpu", "array", lambda: mode(a, b, method=method))
    yield Contender(f"ours {method} eager", "tensor", lambda: mode(loc, scale, method=method, backend="eager"))


def newton(loc: Tensor, scale: Tensor, steps: int = 8) -> Tensor:
    """What a careful user would write: Newton on x = m + s·tanh x from the right, a fixed number of steps."""
    m, s = loc.abs(), 2.0 * scale * scale
    x = m + s
    for _ in range(steps):
        t = torch.tanh(x)
        x = x - (x - m - s * t) / (1.0 - s * (1.0 - t * t)).clamp(min=1e-6)
    return torch.copysign(torch.tanh(x), loc)


def _compiled(name: str, function: Callable[..., Tensor], sample: Sample) -> Contender:
    loc, scale, _ = sample
    if len(loc) > COMPILED_UP_TO:
        return Contender(name, "tensor", None, note=f"not run above {COMPILED_UP_TO} elements")
    try:
        compiled = torch.compile(function, fullgraph=True, dynamic=True)
        compiled(loc, scale)
    except Exception as error:  # no C++ compiler, for one
        return Contender(name, "tensor", None, note=f"missing: torch.compile failed ({type(error).__name__})")
    return Contender(name, "tensor", lambda: compiled(loc, scale))


def _torchrl(sample: Sample) -> Iterator[Contender]:
    names = ("TorchRL get_mode", "TorchRL deterministic_sample")
    try:
        from torchrl.modules import TanhNormal
    except ImportError as error:
        for name in names:
            yield Contender(name, "tensor", None, note=f"missing: {error}; pip install 'tanhlut[bench]'")
        return
    loc, scale, _ = sample

    def distribution() -> Any:
        """As TorchRL leaves torch's default; other libraries that were imported may have set it otherwise."""
        torch.distributions.Distribution.set_default_validate_args(False)
        return TanhNormal(loc[:, None], scale[:, None])

    yield Contender(names[0], "tensor", lambda: distribution().get_mode())
    yield Contender(names[1], "tensor", lambda: distribution().deterministic_sample)


def _scipy(sample: Sample) -> Iterator[Contender]:
    names = ("SciPy brentq", "SciPy RegularGridInterpolator", "SciPy map_coordinates")
    try:
        from scipy.interpolate import RegularGridInterpolator
        from scipy.ndimage import map_coordinates
        from scipy.optimize import brentq
    except ImportError as error:
        for name in names:
            yield Contender(name, "array", None, note=f"missing: {error}; pip install 'tanhlut[bench]'")
        return
    a, b, _ = (part.numpy() for part in sample)
    table = ModeTable.default()
    interpolate = RegularGridInterpolator(
        (table.loc, table.scale), table.values.astype(np.float64), bounds_error=False, fill_value=1.0
    )
    uniform = _uniform()
    rows, columns = uniform.shape

    def solved() -> Any:
        found = np.empty(len(a))
        for i, (loc, scale) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
            m, s = abs(loc), 2.0 * scale * scale
            root = brentq(lambda x, m=m, s=s: x - m - s * math.tanh(x), 1e-300 + m, m + s, xtol=1e-14) if m else 0.0
            found[i] = math.copysign(math.tanh(root), loc)
        return found

    def mapped() -> Any:
        places = np.stack([np.abs(a) * ((rows - 1) / TOP_LOC), b * ((columns - 1) / TOP_SCALE)])
        return np.copysign(map_coordinates(uniform, places, order=1, mode="nearest"), a)

    yield Contender(names[0], "array", solved)
    yield Contender(names[1], "array", lambda: np.copysign(interpolate((np.abs(a), b)), a))
    yield Contender(names[2], "array", mapped, note="uniform grid of our table's size")


TOP_LOC, TOP_SCALE = 9.02, 2.13


def _uniform() -> Any:
    """A uniform (loc, scale) grid with as many nodes as our table, its values exact."""
    rows, columns = ModeTable.default().values.shape
    loc, scale = np.linspace(0, TOP_LOC, rows), np.linspace(0, TOP_SCALE, columns)
    return solve_mode(loc[:, None], scale[None], solver="newton").astype(np.float32)


def _grid_sample(sample: Sample) -> Contender:
    loc, scale, _ = sample
    image = torch.from_numpy(_uniform()).to(loc.dtype)[None, None]

    def sampled() -> Tensor:
        places = torch.stack([scale * (2.0 / TOP_SCALE) - 1.0, loc.abs() * (2.0 / TOP_LOC) - 1.0], -1)
        found = torch.nn.functional.grid_sample(
            image, places[None, None], mode="bilinear", padding_mode="border", align_corners=True
        )
        return torch.copysign(found.reshape(-1), loc)

    return Contender("torch grid_sample", "tensor", sampled, note="uniform grid of our table's size")
