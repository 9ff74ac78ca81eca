"""First use of everything while torch traces, fakes or transforms: each in a process of its own, then ordinary use.

What a process loads and keeps at its first call must not depend on what torch was doing then.
"""

import copy
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from oracle import REFERENCE
from tanhlut import ModeLookup, TanhNormal, mode
from tanhlut.compute import available, choose
from tanhlut.methods import METHODS, Method
from torch_versions import COMPILES, MAPS_DISTRIBUTIONS

LOC, SCALE = (torch.tensor(part, dtype=torch.float32) for part in (REFERENCE.loc, REFERENCE.scale))
TRUTH = torch.tensor(REFERENCE.mode)
FEW = LOC[:7], SCALE[:7]

CASES: dict[str, Callable[[], None]] = {}


def case(function: Callable[[], None]) -> Callable[[], None]:
    CASES[function.__name__] = function
    return function


SLOW = (
    *("export_by_every_method", "strict_export", "export_of_statistics", "deferred_initialisation"),
    *("compile_whole_graph", "compile_again", "jit_trace", "fx", "fx_above_autograd"),
)
KERNELS = (
    "compile_whole_graph",
    "compile_again",
    "jit_trace",
    "fx_above_autograd",
    "transforms",
    "inference_on_another_default_device",
)
COMPILED = ("export", "strict", "compile", "deferred")  # how names begin of cases that do


def check(y: Tensor, method: str = "refined") -> None:
    """Against the proven rows."""
    assert type(y) is Tensor
    limit = {"bilinear": 1e-4, "mlp": 6e-6}.get(method, 4.2e-7)
    assert (y.detach().double() - TRUTH).abs().max() <= limit, method


def check_ordinary_use() -> None:
    """In the same process, as if nothing had been."""
    for method in METHODS:
        loc = LOC.clone().requires_grad_()
        check(mode(LOC, SCALE, method=method), method)
        check(mode(LOC.double(), SCALE.double(), method=method), method)
        check(ModeLookup(method=method)(LOC, SCALE), method)
        y = mode(loc, SCALE, method=method)
        check(y, method)
        (by_loc,) = torch.autograd.grad(y.sum(), loc)
        assert type(by_loc) is Tensor
        assert by_loc.isfinite().all()
    assert choose.choose(LOC, SCALE, "refined", None, "auto") == "cpu"
    check(mode(LOC, SCALE, backend="cpu"))
    check_statistics(statistics(torch.tensor([0.3]), torch.tensor([0.8])))


def statistics(loc: Tensor, scale: Tensor, validate: bool | None = None) -> tuple[Tensor, ...]:
    """Of a distribution with validation as it is by default."""
    d = TanhNormal(loc, scale, -2.0, 3.0, validate)
    return d.mode, d.mean, d.variance, d.stddev, d.entropy(), d.log_prob(d.low + 0.4 * (d.high - d.low))


def check_statistics(values: tuple[Tensor, ...]) -> None:
    """Of loc = 0.3, scale = 0.8 on (−2, 3): Newton's root, Gauss-Hermite with 100 nodes, the density written out."""
    m, s, half = 0.3, 2 * 0.8**2, 2.5
    peak = m + s
    for _ in range(50):
        t = math.tanh(peak)
        peak -= (peak - m - s * t) / (1 - s * (1 - t * t))
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    x, weights = m + 0.8 * nodes, weights / weights.sum()
    mean = weights @ np.tanh(x)
    variance = half**2 * (weights @ (np.tanh(x) - mean) ** 2)
    entropy = 0.5 * math.log(math.pi * math.e * s) + math.log(half) - 2 * (weights @ np.log(np.cosh(x)))
    score = -((math.atanh(-0.2) - m) ** 2) / s - 0.5 * math.log(math.pi * s) - math.log(half * (1 - 0.2**2))
    truth = 0.5 + half * math.tanh(peak), 0.5 + half * mean, variance, math.sqrt(variance), entropy, score
    for value, true in zip(values, truth, strict=True):
        assert type(value) is Tensor
        assert (value.double() - true).abs().max() < 1e-5


class Policy(torch.nn.Module):
    """What answers with the mode, by a function or by a module."""

    def __init__(self, method: Method, module: bool = False) -> None:
        super().__init__()
        self.method = method
        self.lookup = ModeLookup(method=method) if module else None

    def forward(self, loc: Tensor, scale: Tensor) -> Tensor:
        if self.lookup is not None:
            return self.lookup(loc, scale)  # type: ignore[no-any-return]
        return mode(loc, scale, method=self.method)  # type: ignore[no-any-return]


class Statistics(torch.nn.Module):
    def forward(self, loc: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
        return statistics(loc, scale)


def exported(module: torch.nn.Module, strict: bool) -> torch.nn.Module:
    batch = ({0: torch.export.Dim("batch", max=1000)},) * 2
    return torch.export.export(module, FEW, dynamic_shapes=batch, strict=strict).module()


def check_exports(strict: bool, *methods: Method) -> None:
    for method in methods:
        check(exported(Policy(method), strict)(LOC, SCALE), method)


@case
def export() -> None:
    check_exports(False, "refined")
    check(exported(Policy("mlp", True), False)(LOC, SCALE), "mlp")


@case
def export_by_every_method() -> None:
    check_exports(False, *METHODS)
    check(exported(Policy("refined", True), False)(LOC, SCALE))


@case
def strict_export() -> None:
    check_exports(True, "refined", "mlp")
    check(exported(Policy("refined", True), True)(LOC, SCALE))


@case
def export_of_statistics() -> None:
    for strict in (False, True):
        function = exported(Statistics(), strict)
        check_statistics(function(torch.full((3,), 0.3), torch.full((3,), 0.8)))


@case
def jit_trace() -> None:
    for method in METHODS:
        for module in (False, True):
            loc = FEW[0].clone().requires_grad_()
            check(torch.jit.trace(Policy(method, module), (loc, FEW[1]))(LOC, SCALE), method)
    traced = torch.jit.trace(Statistics(), FEW)
    check_statistics(traced(torch.full((7,), 0.3), torch.full((7,), 0.8)))


@case
def fx() -> None:
    for options in ({"pre_dispatch": True}, {"tracing_mode": "fake"}, {"tracing_mode": "symbolic"}, {}):
        for method in METHODS if options.get("tracing_mode") == "fake" else ("refined",):
            function = make_fx(Policy(method), **options)
            check(function(LOC * 0.5, SCALE * 0.5)(LOC, SCALE), method)
    module = make_fx(Policy("refined", True), tracing_mode="fake")
    check(module(LOC * 0.5, SCALE * 0.5)(LOC, SCALE))


@case
def fx_above_autograd() -> None:
    """The recorder is then not where torch's others are."""
    check(make_fx(Policy("refined"), pre_dispatch=True)(LOC * 0.5, SCALE * 0.5)(LOC, SCALE))
    available.cpu_kernels()
    mode(LOC, SCALE)
    check(make_fx(Policy("refined"), pre_dispatch=True)(LOC * 0.5, SCALE * 0.5)(LOC, SCALE))


@case
def fake_tensors() -> None:
    real = ModeLookup(), ModeLookup(method="mlp")
    for allow in (False, True):
        with FakeTensorMode(allow_non_fake_inputs=allow):
            functions = [*(Policy(method) for method in METHODS), *real, ModeLookup(), ModeLookup(method="mlp")]
            loc, scale = torch.empty(7, requires_grad=True), torch.empty(7)
            for function in functions:
                y = function(loc, scale)
                assert (y.shape, y.dtype, y.device.type) == ((7,), torch.float32, "cpu")
                assert torch.autograd.grad(y.sum(), loc)[0].shape == (7,)
            assert [part.shape for part in statistics(loc, scale)] == [(7,)] * 6
    with FakeTensorMode():
        loc, scale = torch.empty(7, 3, device="cuda"), torch.empty(3, device="cuda")
        for function in (*(Policy(method) for method in METHODS), ModeLookup().to("cuda:0")):
            y = function(loc.half(), scale)
            assert (y.shape, y.dtype, y.device.type) == (
                (7, 3),
                torch.float32,
                "cuda",
            )
        assert [part.device.type for part in statistics(loc, scale)] == ["cuda"] * 6


@case
def compile_whole_graph() -> None:
    check_compiled("refined", torch.float64)
    both = torch.compile(Policy("refined"), fullgraph=True, backend="eager")
    for dtype in (torch.float32, torch.float64):
        check(both(LOC.to(dtype), SCALE.to(dtype)))
    check_statistics(torch.compile(statistics, backend="eager")(torch.full((3,), 0.3), torch.full((3,), 0.8)))


def check_compiled(method: Method, dtype: torch.dtype) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(Policy(method), fullgraph=True, backend="aot_eager")
    loc = LOC.to(dtype).requires_grad_()
    y = compiled(loc, SCALE.to(dtype))
    check(y, method)
    assert torch.autograd.grad(y.sum(), loc)[0].isfinite().all()


@case
def compile_again() -> None:
    for method, dtype in (("mlp", torch.float32), ("refined", torch.float32)):
        check_compiled(method, dtype)  # type: ignore[arg-type]


@case
def transforms() -> None:
    for method in METHODS:
        by_loc = torch.func.vmap(torch.func.grad(Policy(method)))(LOC, SCALE)
        assert by_loc.isfinite().all()
        check(torch.func.vmap(Policy(method))(LOC, SCALE), method)
        check(torch.func.jvp(Policy(method), (LOC, SCALE), (LOC, SCALE))[0], method)
    validate = None if MAPS_DISTRIBUTIONS else False
    each = torch.func.vmap(torch.func.jacrev(lambda loc, scale: torch.stack(statistics(loc, scale, validate))))
    assert each(torch.full((3,), 0.3), torch.full((3,), 0.8)).isfinite().all()


@case
def inference_on_another_default_device() -> None:
    with torch.inference_mode(), torch.device("meta"):
        for method in METHODS:
            check(mode(LOC, SCALE, method=method), method)
        check_statistics(statistics(torch.full((3,), 0.3, device="cpu"), torch.full((3,), 0.8, device="cpu")))


@case
def deferred_initialisation() -> None:
    """An exported module reads its buffers: whatever brought them here, they hold the table."""

    def on_meta(method: Method) -> Policy:
        with torch.device("meta"):
            return Policy(method, True)

    roads: list[Callable[[Method], torch.nn.Module]] = [
        lambda method: Policy(method, True).to("meta").to_empty(device="cpu"),
        lambda method: Policy(method, True).to_empty(device="cpu"),
        lambda method: on_meta(method).to_empty(device="cpu"),
        lambda method: copy.deepcopy(on_meta(method)).half().to_empty(device="cpu").double(),
        lambda method: pickle.loads(pickle.dumps(on_meta(method))).to_empty(device="cpu"),
        on_meta,  # a constant of the graph instead
    ]
    for method in ("refined", "mlp"):
        for road in roads:
            torch._dynamo.reset()
            module = road(method)
            check(exported(module, strict=False)(LOC, SCALE), method)
        spoilt = Policy(method, True)
        for buffer in spoilt.buffers():
            buffer.fill_(math.nan)
        assert spoilt.lookup is not None
        spoilt.lookup.reset_parameters()
        check(exported(spoilt, strict=False)(LOC, SCALE), method)
    assert {str(buffer.device) for buffer in on_meta("refined").buffers()} == {"meta"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in CASES]
)
def test_first_use(name: str) -> None:
    """Most that trace load no kernel; a graph of torch.compile's calls one."""
    if name.startswith(COMPILED) and not COMPILES:
        pytest.skip("compile and export want torch 2.7")
    here = Path(__file__).parent
    places = (here.parents[1], here.parent, here)
    path = os.pathsep.join([*map(str, places), os.environ.get("PYTHONPATH", "")])
    kernels = name in KERNELS
    code = (
        f"import sys, test_first_use as t; t.CASES[{name!r}](); "
        f"assert {kernels} or 'llvmlite' not in sys.modules; t.check_ordinary_use()"
    )
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
