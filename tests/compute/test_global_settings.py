"""torch's global settings (default dtype and device, grad modes, autocast) change no answer."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from odd_things import truth
from tanhlut import ModeLookup, TanhNormal, certify, is_bimodal, mode, pre_tanh_mode, solve_mode
from tanhlut.methods import METHODS

TENSOR = torch.tensor([0.2, 0.3])


class Answers(NamedTuple):
    """Of every public function, for numbers, arrays and tensors that already are where they are."""

    values: list[Any]

    @classmethod
    def now(cls) -> "Answers":
        array, scale = np.array([0.2, -1.0, 3.0]), np.array([1.0, 0.4, 0.7])
        arrays = [(array, scale), (array.astype(np.float32), scale.astype(np.float32)), (array[::-1], scale[::-1])]
        kinds: list[tuple[Any, Any]] = [(1, 2), (0.2, 1.0), (np.float32(0.2), 1.0), (array, 1.0), *arrays]
        kinds += [(torch.from_numpy(m), torch.from_numpy(s)) for m, s in arrays[:2]] + [(torch.from_numpy(array), 0.3)]
        values: list[Any] = []
        for m, s in kinds:
            for method in METHODS:
                for backend in ("auto", "eager"):
                    values += [mode(m, s, -2, 3.0, method=method, backend=backend), mode(m, s, method=method)]
                values.append(pre_tanh_mode(m, s, method=method))
            values += [is_bimodal(m, s), certify(m, s, 0.5), solve_mode(m, s), solve_mode(m, s, solver="newton")]
        m, s = (part.float() for part in kinds[-3])
        for method in METHODS:
            values.append(ModeLookup(method=method)(m, s))
            values.append(ModeLookup(method=method)(m.half(), s.half()))
        return cls([value.detach() if isinstance(value, torch.Tensor) else value for value in values])

    def assert_bitwise(self, others: "Answers") -> None:
        for one, other in zip(self.values, others.values, strict=True):
            assert type(one) is type(other)
            if isinstance(one, torch.Tensor):
                assert (one.dtype, one.device) == (other.dtype, other.device)
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def gradient() -> torch.Tensor:
    with torch.enable_grad():
        loc = torch.linspace(-2.0, 2.0, 41, dtype=torch.float32, device="cpu").requires_grad_()
        scale = torch.linspace(0.01, 1.5, 41, dtype=torch.float32, device="cpu")
        (slope,) = torch.autograd.grad(mode(loc, scale, backend="eager").sum(), loc)
        return slope


@cache
def usual() -> tuple[Answers, torch.Tensor]:
    return Answers.now(), gradient()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "with torch.device": lambda: torch.device("meta"),
    "set_default_device": lambda: default_device("meta"),
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_global_settings_change_no_answer(setting: str) -> None:
    expected, slope = usual()
    with SETTINGS[setting]():
        found = Answers.now()
        found_slope = slope if setting == "inference_mode" else gradient()
    expected.assert_bitwise(found)
    assert torch.equal(slope, found_slope)
    assert slope.dtype == found_slope.dtype
    with torch.device("meta") if setting == "with torch.device" else nullcontext():
        assert TanhNormal(TENSOR, TENSOR).mode.device.type == "cpu"


_FIRST = """
import numpy as np, torch
loc, scale = np.array({loc}), np.array({scale})
tensors = torch.from_numpy(loc), torch.from_numpy(scale)
with torch.device("meta"):
    import tanhlut
    from tanhlut.methods import METHODS
    found = [tanhlut.mode(0.2, 1.0), tanhlut.mode(1, 2), tanhlut.certify(0.2, 1.0, 0.9), tanhlut.solve_mode(0.2, 1.0)]
    arrays = [tanhlut.mode(loc, scale, method=method) for method in METHODS]
    arrays += [tanhlut.mode(*tensors, method=method, backend="eager") for method in METHODS]
    arrays += [tanhlut.ModeLookup(method=method)(*tensors) for method in METHODS]
    arrays += [tanhlut.solve_mode(loc, scale), tanhlut.TanhNormal(*tensors).mode]
print([float(x) for x in found] + [float(x) for array in arrays for x in array])
"""


def test_the_first_call_of_a_process_under_a_default_device() -> None:
    """Table, network and kernels are loaded there, and kept."""
    loc, scale = [0.2, 0.5, 3.0], [1.0, 0.4, 0.7]
    run = subprocess.run(
        [sys.executable, "-c", _FIRST.format(loc=loc, scale=scale)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = np.array(json.loads(run.stdout))
    near, far = truth(0.2, 1.0), truth(1.0, 2.0)
    np.testing.assert_allclose(found[:4], [near, far, near - 0.9, near], rtol=1e-13)
    modes = np.array([truth(m, s) for m, s in zip(loc, scale, strict=True)])
    np.testing.assert_allclose(found[4:].reshape(-1, 3), np.broadcast_to(modes, (17, 3)), rtol=0, atol=5e-5)
