"""Whatever stands in an argument's place: the right answer, or one line that says what is wrong and the remedy."""

import decimal
import fractions
import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import Floats, prove
from tanhlut import ModeLookup, ModeTable, TanhNormal, certify, is_bimodal, mode, pre_tanh_mode, solve_mode
from tanhlut.methods import METHODS

SCALE = 0.9
LOC = 0.2
TWO_PEAKS_BELOW = 0.2793  # s·v − artanh v, s = 2·0.81, v = √(1 − 1/s)


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
            "long doubles": (np.ones(2, np.longdouble), None), "masked array": (np.ma.array(array, mask=[1, 0]), None),
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


# Where a number is expected, and what the answer must be for the numbers there.
PLACES: dict[str, tuple[Callable[[Any], Any], Callable[[float], float]]] = {
    "mode(x, s)": (lambda x: mode(x, SCALE), lambda x: truth(x, SCALE)),
    "mode(m, x)": (lambda x: mode(LOC, x), lambda x: truth(LOC, x)),
    "mode(x, s, eager)": (lambda x: mode(x, SCALE, backend="eager"), lambda x: truth(x, SCALE)),
    "mode(x, s, mlp)": (lambda x: mode(x, SCALE, method="mlp", refine=True), lambda x: truth(x, SCALE)),
    "mode(x, x)": (lambda x: mode(x, x), lambda x: truth(x, x)),
    "pre_tanh_mode": (lambda x: pre_tanh_mode(x, SCALE), lambda x: x + 2 * SCALE * SCALE * truth(x, SCALE)),
    "pre_tanh_mode, scale": (lambda x: pre_tanh_mode(LOC, x), lambda x: LOC + 2 * x * x * truth(LOC, x)),
    "is_bimodal": (lambda x: is_bimodal(x, SCALE), lambda x: x < TWO_PEAKS_BELOW),
    "certify": (lambda x: certify(x, SCALE, 0.5), lambda x: abs(truth(x, SCALE) - 0.5)),
    "certify, value": (lambda x: certify(LOC, SCALE, x), lambda x: abs(truth(LOC, SCALE) - x)),
    "solve_mode": (lambda x: solve_mode(x, SCALE), lambda x: truth(x, SCALE)),
    "solve_mode, scale": (lambda x: solve_mode(LOC, x), lambda x: truth(LOC, x)),
    "low": (lambda x: mode(LOC, SCALE, x, 5.0), lambda x: x + (5.0 - x) * (truth(LOC, SCALE) + 1) / 2),
    "module": (lambda x: ModeLookup()(x, SCALE), lambda x: truth(x, SCALE)),
    "module, both": (lambda x: ModeLookup(method="exact")(x, x), lambda x: truth(x, x)),
}
TENSOR, ARRAY = torch.tensor([0.2, 0.3]), np.array([0.2, 0.3])
BESIDE: dict[str, Callable[[Any], Any]] = {
    "mode(tensor, x)": lambda x: mode(TENSOR, x),
    "mode(x, array)": lambda x: mode(x, ARRAY),
    "mode(tensor, tensor, x)": lambda x: mode(TENSOR, TENSOR, x, 5.0),
    "mode(array, array, x, x)": lambda x: mode(ARRAY, ARRAY, x, x),
    "certify(tensor, x, x)": lambda x: certify(TENSOR, x, x),
    "solve_mode(array, x)": lambda x: solve_mode(ARRAY, x),
    "module(tensor, x)": lambda x: ModeLookup(method="exact")(TENSOR, x),
}
OPTIONS: dict[str, Callable[[Any], Any]] = {
    "method": lambda x: mode(TENSOR, TENSOR, method=x),
    "method of numbers": lambda x: mode(0.2, 0.3, method=x, refine=True),
    "method of pre_tanh_mode": lambda x: pre_tanh_mode(0.2, 0.3, method=x),
    "method of ModeLookup": lambda x: ModeLookup(method=x),
    "backend": lambda x: mode(TENSOR, TENSOR, backend=x),
    "backend of arrays": lambda x: mode(ARRAY, ARRAY, backend=x),
    "table": lambda x: mode(TENSOR, TENSOR, table=x),
    "table of exact": lambda x: mode(0.2, 0.3, table=x, method="exact"),
    "table of pre_tanh_mode": lambda x: pre_tanh_mode(0.2, 0.3, table=x),
    "table of ModeLookup": lambda x: ModeLookup(x),
    "out": lambda x: mode(TENSOR, TENSOR, out=x),
    "out of an array": lambda x: mode(ARRAY, ARRAY, out=x),
    "out of a number": lambda x: mode(0.2, 0.3, out=x),
    "out of a NumPy scalar": lambda x: mode(np.float16(0.2), 0.3, out=x),
    "refine": lambda x: mode(TENSOR, TENSOR, method="bilinear", refine=x),
    "solver": lambda x: solve_mode(0.2, 0.3, solver=x),
}


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


def refused(call: Callable[[Any], Any], value: Any) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(value)
    message = str(caught.value)
    assert type(caught.value) in (TypeError, ValueError), caught.value
    assert "\n" not in message
    assert len(message) < 250
    assert ": " in message  # what is wrong: what is right
    return message


def numbers(result: Any) -> Floats:
    result = result.detach().double().numpy() if isinstance(result, torch.Tensor) else result
    return np.asarray(result, dtype=np.float64).ravel()


@pytest.mark.parametrize("place", PLACES)
def test_in_place_of_a_number(place: str) -> None:
    call, expected = PLACES[place]
    for name, (value, meaning) in odd().items():
        if meaning is None:
            refused(call, value)
            continue
        with np.errstate(over="ignore"):
            answer = np.array([expected(x) for x in meaning])
        if place == "low" and not all(x < 5.0 for x in meaning):
            assert name == "beyond float32"
            refused(call, value)
            continue
        found = numbers(call(value))
        tolerance = 2e-3 if isinstance(value, np.float16) or name == "half" else 4e-7
        if place.startswith("certify"):
            tolerance = 1e-14
        np.testing.assert_allclose(found, answer, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("place", BESIDE)
def test_beside_a_tensor_or_an_array(place: str) -> None:
    for value, meaning in odd().values():
        if meaning is None:
            refused(BESIDE[place], value)
        else:
            _answers_or_refuses(BESIDE[place], value)


@pytest.mark.parametrize("option", OPTIONS)
def test_in_place_of_an_option(option: str) -> None:
    for name, (value, _) in odd().items():
        if name == "None" and option.startswith(("table", "out")):
            continue  # the default
        if isinstance(value, bool | np.bool_ | int) and option == "refine":
            continue
        if name == "backwards" and option == "out of an array":
            continue  # a good buffer
        refused(OPTIONS[option], value)


def _answers_or_refuses(call: Callable[..., Any], *values: Any) -> None:
    try:
        call(*values)
    except (TypeError, ValueError) as error:
        caught = error
    else:
        return
    assert type(caught) in (TypeError, ValueError)
    assert "\n" not in str(caught)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_two_at_once(data: st.DataObject) -> None:
    """No other exception and no second line, whatever comes together."""
    one, other = (data.draw(st.sampled_from(sorted(odd()))) for _ in range(2))
    call = data.draw(
        st.sampled_from(
            [
                mode,
                pre_tanh_mode,
                is_bimodal,
                solve_mode,
                lambda x, y: certify(x, y, 0.1),
                lambda x, y: certify(0.1, x, y),
                lambda x, y: mode(0.1, 0.9, x, y),
                lambda x, y: mode(x, 0.9, y, 5.0),
                lambda x, y: mode(x, 0.9, table=y),
                lambda x, y: mode(x, 0.9, method=y),
                ModeLookup(),
            ]
        )
    )
    _answers_or_refuses(call, odd()[one][0], odd()[other][0])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mode(0.2, 1.0, table="t.h5"), TypeError, r"'t.h5' is a str: give tanhlut.ModeTable.load"),
        (lambda: mode(0.2, 1.0, table=Path("t.h5")), TypeError, "tanhlut.ModeTable.load"),
        (lambda: ModeLookup("t.h5"), TypeError, "tanhlut.ModeTable.load"),  # type: ignore[arg-type]
        (lambda: mode(10**400, 1.0), ValueError, "int beyond float64: give math.inf"),
        (lambda: mode(np.ma.array([0.1, 0.2], mask=[1, 0]), 1.0), TypeError, r"filled\(numpy.nan\)"),
        (lambda: mode(TENSOR.to_sparse(), 1.0), TypeError, r"sparse_coo.*to_dense"),
        (lambda: mode(TENSOR, TENSOR.to_sparse()), TypeError, r"sparse_coo.*to_dense"),
        (lambda: solve_mode(1j, 1.0), TypeError, "complex.*numbers"),  # type: ignore[type-var]
        (lambda: solve_mode(np.datetime64(3, "s"), 1.0), TypeError, r"datetime64\[s\].*float64"),  # type: ignore[type-var]
        (lambda: mode(0.2, 1.0, method=["exact"]), TypeError, "list.*'exact'"),
        (lambda: mode(0.2, fractions.Fraction(-1, 2)), ValueError, "negative"),
        (lambda: mode(TENSOR, 1.0, decimal.Decimal("NaN"), 1.0), ValueError, "low < high"),
        (lambda: mode(TENSOR, torch.tensor(1.0, device="meta")), ValueError, "cpu and meta"),
        (lambda: mode(TENSOR, TENSOR, out=TENSOR.to("meta")), ValueError, "meta.*matching buffer"),
        (lambda: mode(TENSOR, TENSOR, out=torch.empty(1).expand(2)), ValueError, "out cannot be written"),
        (lambda: certify(TENSOR.to("meta"), 1.0, 0.5), ValueError, "meta hold no numbers"),
        (lambda: solve_mode(TENSOR.to("meta"), torch.ones(2, device="meta")), ValueError, "meta hold no numbers"),
    ],
)
def test_the_remedy_is_named(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_mask_that_was_filled_comes_out_as_nan() -> None:
    masked = np.ma.array([0.25, 0.5], mask=[True, False])
    y = mode(masked.filled(np.nan), SCALE)
    assert np.isnan(y[0])
    assert y[1] == pytest.approx(truth(0.5, SCALE), abs=1e-15)


def test_distributed_tensors_are_named() -> None:
    distributed = pytest.importorskip("torch.distributed")
    if not distributed.is_available():
        pytest.skip("torch was built without it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import Replicate, distribute_tensor

        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
        try:
            spread = distribute_tensor(TENSOR, init_device_mesh("cpu", (1,)), [Replicate()])
            for call in (mode, is_bimodal, solve_mode, lambda x, s: certify(x, s, 0.1), ModeLookup()):
                with pytest.raises(TypeError, match=r"DTensor.*to_local"):
                    call(spread, 1.0)
            assert torch.equal(mode(spread.to_local(), 1.0), mode(TENSOR, 1.0))
        finally:
            distributed.destroy_process_group()


def test_numbers_beyond_the_dtype_are_its_infinity_on_every_road() -> None:
    for backend in ("auto", "eager", "cpu"):
        assert mode(TENSOR, 1e300, backend=backend).tolist() == [1.0, 1.0]
        assert mode(TENSOR.numpy(), 1e300, backend=backend).tolist() == [1.0, 1.0]
        assert mode(TENSOR, TENSOR, 0.0, 1e300, backend=backend).tolist() == [math.inf, math.inf]
        assert (
            mode(TENSOR, TENSOR, 0.0, 3.4028235e38, backend=backend).isfinite().all()
        )  # float32's largest, as printed
        assert mode(TENSOR, TENSOR, -1e300, 1e300, backend=backend).isnan().all()
    compiled = torch.compile(lambda m, s: mode(m, s, 0.0, 1e300), fullgraph=True, backend="eager")
    assert compiled(TENSOR, TENSOR).tolist() == [math.inf, math.inf]


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


def test_a_table_in_its_place_is_taken() -> None:
    table = ModeTable.default()
    assert mode(LOC, SCALE, table=table) == ModeLookup(table)(LOC, SCALE) == mode(LOC, SCALE)  # type: ignore[arg-type]
