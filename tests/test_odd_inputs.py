"""Whatever stands in an argument's place: the right answer, or one line that says what is wrong and the remedy."""

import decimal
import fractions
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from odd_things import odd, truth
from oracle import Floats
from tanhlut import ModeLookup, ModeTable, certify, is_bimodal, mode, pre_tanh_mode, solve_mode

SCALE = 0.9
LOC = 0.2
TWO_PEAKS_BELOW = 0.2793  # s·v − artanh v, s = 2·0.81, v = √(1 − 1/s)

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
        if isinstance(value, (bool, np.bool_, int)) and option == "refine":
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
        (lambda: ModeLookup("t.h5"), TypeError, "tanhlut.ModeTable.load"),
        (lambda: mode(10**400, 1.0), ValueError, "int beyond float64: give math.inf"),
        (lambda: mode(np.ma.array([0.1, 0.2], mask=[1, 0]), 1.0), TypeError, r"filled\(numpy.nan\)"),
        (lambda: mode(TENSOR.to_sparse(), 1.0), TypeError, r"sparse_coo.*to_dense"),
        (lambda: mode(TENSOR, TENSOR.to_sparse()), TypeError, r"sparse_coo.*to_dense"),
        (lambda: solve_mode(1j, 1.0), TypeError, "complex.*numbers"),
        (lambda: solve_mode(np.datetime64(3, "s"), 1.0), TypeError, r"datetime64\[s\].*float64"),
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

        tensors = pytest.importorskip("torch.distributed.tensor")
        if not hasattr(tensors, "Replicate"):
            pytest.skip("torch shows them from 2.5 on")
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


def test_a_table_in_its_place_is_taken() -> None:
    table = ModeTable.default()
    assert mode(LOC, SCALE, table=table) == ModeLookup(table)(LOC, SCALE) == mode(LOC, SCALE)
