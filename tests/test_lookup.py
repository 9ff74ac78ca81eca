"""Conventions of the public functions: every method, torch and NumPy alike."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tanhlut
from tanhlut import ModeLookup, ModeTable, is_bimodal, mode, pre_tanh_mode
from tanhlut.methods import METHODS, Method

NAN, INF = float("nan"), float("inf")
PEAK = 0.9575040240772687  # the positive solution of y = tanh(2y), mpmath
TORCH_DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]

any_loc = st.floats(width=32, allow_nan=False)
any_scale = st.floats(min_value=0, width=32, allow_nan=False)
methods = st.sampled_from(METHODS)


def bits(y: torch.Tensor) -> list[int]:
    """The bit patterns: equal bits, NaN and ±0.0 included, is what 'bitwise' means here."""
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    return y.contiguous().view(integers[y.element_size()]).tolist()


@pytest.fixture(params=["default", "narrow"])
def table(request: pytest.FixtureRequest) -> ModeTable:
    return ModeTable.default() if request.param == "default" else request.getfixturevalue("narrow")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_edges(method: Method, dtype: torch.dtype, table: ModeTable) -> None:
    cases = [
        # loc, scale, mode
        (0.0, 0.5, 0.0), (0.0, 0.0, 0.0), (0.3, 0.0, torch.tensor(0.3, dtype=dtype).double().tanh().item()),
        (0.0, 1.0, PEAK), (INF, 1.0, 1.0), (INF, 0.0, 1.0), (1.0, INF, 1.0), (0.0, INF, 1.0), (INF, INF, 1.0),
        (NAN, 1.0, NAN), (1.0, NAN, NAN), (NAN, NAN, NAN), (1.0, -1.0, NAN), (0.0, -INF, NAN),
    ]  # fmt: skip
    loc, scale, expected = (torch.tensor(column, dtype=torch.float64) for column in zip(*cases, strict=True))
    tolerance = {"bilinear": 1e-4, "mlp": 6e-6}.get(method, 2.4e-7) + torch.finfo(dtype).eps / 2
    for sign in (1.0, -1.0):
        y = mode((sign * loc).to(dtype), scale.to(dtype), method=method, table=table)
        assert y.dtype == dtype
        torch.testing.assert_close(y.double(), sign * expected, atol=tolerance, rtol=0, equal_nan=True)
        saturated = (loc == INF) | (scale == INF)
        number = ~expected.isnan()
        assert (y[saturated & number].double() == sign).all()
        assert (y.signbit() == (sign < 0))[number].all()


@pytest.mark.parametrize("method", METHODS)
def test_before_tanh_edges(method: Method) -> None:
    loc = torch.tensor([0.0, -0.0, INF, -INF, 1.0, 0.0, NAN, 1.0, 0.0])
    scale = torch.tensor([0.5, 0.5, 1.0, 0.0, INF, 0.0, 1.0, -1.0, 1.0])
    expected = torch.tensor([0.0, -0.0, INF, -INF, INF, 0.0, NAN, NAN, float(np.arctanh(PEAK))])
    x = pre_tanh_mode(loc, scale, method=method)
    torch.testing.assert_close(x, expected, atol=2e-4, rtol=0, equal_nan=True)
    assert x.signbit()[1]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(any_loc, any_scale), min_size=1, max_size=20), methods, st.sampled_from([1.0, 2.5]))
def test_odd_bitwise_and_in_range(pairs: list[tuple[float, float]], method: Method, bound: float) -> None:
    for dtype in (torch.float32, torch.float64):
        loc, scale = torch.tensor(pairs, dtype=dtype).T
        y = mode(loc, scale, -bound, bound, method=method)
        assert bits(mode(-loc, scale, -bound, bound, method=method)) == bits(-y)
        assert (y.abs() <= bound).all()
        assert (y.signbit() == loc.signbit()).all()


@settings(max_examples=200, deadline=None)
@given(any_loc, any_loc, any_scale, any_scale, methods)
def test_increasing(loc: float, other_loc: float, scale: float, other_scale: float, method: Method) -> None:
    """In loc, and for loc ≥ 0 in scale, up to the method's rounding (neighbouring floats may swap by an ulp or two).

    Nothing makes a network monotone: it is up to twice its error.
    """
    low, high = sorted((loc, other_loc), key=lambda x: (x, np.copysign(1.0, x)))  # −0.0 comes before 0.0: they differ
    narrow, wide = sorted((scale, other_scale))
    slack = 1.2e-5 if method == "mlp" else 3e-7
    a, b, c = mode(
        np.array([low, high, abs(high)], np.float32), np.array([narrow, narrow, wide], np.float32), method=method
    )
    assert b >= a - slack
    assert c >= abs(b) - slack


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_batch_mates_and_layout_never_matter(method: Method, dtype: torch.dtype, table: ModeTable) -> None:
    generator = torch.Generator().manual_seed(1)
    loc = (torch.randn(41, 53, generator=generator) * 2).to(dtype)
    scale = (torch.rand(41, 53, generator=generator) * 2).to(dtype)
    loc[3, 5], scale[4, 6] = NAN, -1.0
    whole = mode(loc, scale, method=method, table=table)
    views = [
        (loc.T, scale.T, whole.T), (loc[::2, ::3], scale[::2, ::3], whole[::2, ::3]),
        (loc.flip(0), scale.flip(0), whole.flip(0)), (loc[7], scale[7], whole[7]),
    ]  # fmt: skip
    for a, b, expected in views:
        assert bits(mode(a, b, method=method, table=table)) == bits(expected)
    for i, j in itertools.product(range(0, 41, 5), range(53)):
        assert bits(mode(loc[i, j], scale[i, j], method=method, table=table)[None]) == bits(whole[i : i + 1, j])
    assert bits(ModeLookup(table, method)(loc, scale)) == bits(whole)
    if dtype in (torch.float32, torch.float64):
        array = mode(loc.numpy(), scale.numpy(), method=method, table=table)
        assert bits(torch.from_numpy(array)) == bits(whole)


def test_kinds_in_and_out() -> None:
    assert isinstance(mode(0.2, 1.0), float)
    assert isinstance(mode(1, 1), float)
    assert isinstance(mode(np.float32(0.2), 1.0), np.float32)
    assert isinstance(mode(np.float64(0.2), np.float64(1.0)), np.float64)
    array = mode(np.array([[0.2], [0.3]], np.float32), np.array([1.0, 0.5], np.float32))
    assert (array.dtype, array.shape) == (np.float32, (2, 2))
    assert mode(np.array(0.2), 1.0).shape == ()
    assert mode(np.array([1, 2]), 1).dtype == np.float64
    tensor = mode(torch.tensor([1, 2]), 1)
    assert tensor.dtype == torch.float32
    assert mode(torch.tensor([0.1], dtype=torch.float16), torch.tensor(0.3, dtype=torch.float64)).dtype == torch.float16
    assert mode(0.1, 1.0, torch.tensor([-1.0, -2.0])).shape == (2,)
    assert mode(torch.empty(0, 3), torch.ones(3)).shape == (0, 3)
    assert isinstance(is_bimodal(0.0, 1.0), bool)
    assert is_bimodal(np.zeros(2), 1.0).dtype == np.bool_


def test_odd_numpy_arrays_are_understood() -> None:
    loc = np.linspace(-1, 1, 12)
    expected = mode(loc, 0.8)
    frozen = loc.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(mode(loc[::-1], 0.8), expected[::-1])
    np.testing.assert_array_equal(mode(loc.astype(">f8"), 0.8), expected)
    np.testing.assert_array_equal(mode(np.asfortranarray(loc.reshape(3, 4)), 0.8), expected.reshape(3, 4))
    np.testing.assert_array_equal(mode(frozen, 0.8), expected)
    assert loc[0] == -1


def test_bounds_are_an_affine_image() -> None:
    loc, scale = torch.linspace(-3, 3, 101), torch.linspace(0, 1.5, 101)
    y = mode(loc, scale)
    for low, high in [(-2.0, 2.0), (0.0, 1.0), (-3.0, 7.5), (1e30, 2e30), (-3e38, 3e38), (5.0, 5.000001)]:
        z = mode(loc, scale, low, high)
        assert ((z >= np.float32(low)) & (z <= np.float32(high))).all()
        exact = low + (high - low) * (y.double() + 1) / 2
        torch.testing.assert_close(z.double(), exact, atol=4e-7 * max(abs(low), abs(high)), rtol=0)
        tensors = mode(loc, scale, torch.full((101,), low), torch.tensor(high))
        assert bits(tensors) == bits(z)
    assert mode(30.0, 1.0, 0.1, 0.7) == 0.7
    assert mode(-30.0, 1.0, 0.1, 0.7) == 0.1
    assert mode(torch.tensor(0.2), 1.0, torch.tensor(1.0), torch.tensor(-1.0)).isnan()
    assert np.isnan(mode(np.array(0.2), 1.0, np.array(1.0), np.array(1.0)))
    assert np.isnan(mode(np.float64(0.2), np.float64(-1.0)))
    assert mode(torch.tensor(-0.0), 0.5, -2.0, 2.0).signbit()


def test_out_is_written_and_returned() -> None:
    loc, scale = torch.randn(7), torch.rand(7)
    out = torch.empty(7)
    assert mode(loc, scale, out=out) is out
    assert bits(out) == bits(mode(loc, scale))
    array = np.empty(7, np.float32)
    assert mode(loc.numpy(), scale.numpy(), out=array) is array
    np.testing.assert_array_equal(array, out.numpy())


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0.2, -1.0), {}, ValueError, "scale = -1.0 is negative"),
        ((0.2, 1.0, 1.0, -1.0), {}, ValueError, "low = 1.0, high = -1.0.*low < high"),
        ((0.2, 1.0, 1.0, NAN), {}, ValueError, "low < high"),
        ((0.2, 1.0), {"method": "best"}, ValueError, "'best'.*'bilinear', 'refined', 'exact'"),
        ((0.2, 1.0), {"backend": "tpu"}, ValueError, "'tpu'.*'auto', 'eager', 'cpu', 'gpu'"),
        ((torch.zeros(3), torch.ones(2)), {}, ValueError, r"\(3,\), \(2,\) do not broadcast"),
        ((np.zeros(3), np.ones(2)), {}, ValueError, r"\(3,\), \(2,\) do not broadcast"),
        ((torch.zeros(3), np.ones(3)), {}, TypeError, "mixed.*from_numpy"),
        ((torch.zeros(3, dtype=torch.complex64), 1.0), {}, TypeError, "complex64.*float32"),
        ((np.zeros(3, np.complex64), 1.0), {}, TypeError, "complex64.*float32"),
        ((np.array(["a"]), 1.0), {}, TypeError, "<U1.*float32"),
        (([0.1, 0.2], 1.0), {}, TypeError, "list.*torch.tensor"),
        (("0.1", 1.0), {}, TypeError, "str.*numbers"),
        ((torch.zeros(3), 1.0), {"out": torch.empty(2)}, ValueError, "shape"),
        ((torch.zeros(3), 1.0), {"out": np.empty(3)}, TypeError, "matching buffer"),
        ((torch.zeros(3, requires_grad=True), 1.0), {"out": torch.empty(3)}, ValueError, "no_grad"),
    ],
)
def test_errors_say_what_is_allowed(
    arguments: tuple[object, ...], options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mode(*arguments, **options)  # type: ignore[arg-type]


def test_lookup_module_keeps_its_precision_and_its_table_out_of_checkpoints() -> None:
    lookup = ModeLookup()
    loc, scale = torch.randn(50), torch.rand(50)
    expected = bits(lookup(loc, scale))
    for convert in (lambda module: module.half(), lambda module: module.double(), lambda module: module.bfloat16()):
        assert bits(convert(lookup)(loc, scale)) == expected
    assert lookup.state_dict() == {}
    assert lookup(loc.half(), scale.half()).dtype == torch.float16
    assert "refined" in repr(lookup)
    moved = lookup.to("meta")
    assert {buffer.device.type for buffer in moved.buffers()} == {"meta"}


def test_exported_names() -> None:
    names = {name for name in dir(tanhlut) if not name.startswith("_")}
    assert set(tanhlut.__all__) <= names
    assert sorted(tanhlut.__all__) == tanhlut.__all__
