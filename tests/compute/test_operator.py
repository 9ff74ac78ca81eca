"""Under torch.compile a mode on the CPU is a call of the kernel: an operator, and eager code's bits."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import table_named
from tanhlut import ModeLookup, ModeTable, TanhNormal, mode
from tanhlut.compute.launch import kept
from tanhlut.methods import COMPILED, Method
from torch_versions import calls_kernels, compiles

pytestmark = [compiles, calls_kernels, pytest.mark.filterwarnings("ignore")]  # torch's compiler warns about torch


def drawn(shape: tuple[int, ...] = (257,), dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    loc, scale = torch.randn(shape, generator=generator), 2.0 * torch.rand(shape, generator=generator)
    return loc.to(dtype), scale.to(dtype)


def recorded(function: Callable[..., Any], *given: Tensor) -> tuple[Any, set[str]]:
    """What the compiled function gives, and the names of what it calls."""
    names: set[str] = set()

    def keep(graph: torch.fx.GraphModule, _: Any) -> Any:
        names.update(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend=keep)(*given), names


@pytest.mark.parametrize("method", COMPILED)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_bits_of_eager_code(method: Method, dtype: torch.dtype) -> None:
    given = drawn(dtype=dtype)

    def both(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        return mode(loc, scale, method=method), mode(loc, scale, -2.0, 3.0, method=method)

    found, names = recorded(both, *given)
    assert "tanhlut.mode_on_cpu.default" in names
    for got, wanted in zip(found, both(*given), strict=True):
        assert torch.equal(got, wanted)


def test_by_torchs_own_compiler() -> None:
    loc, scale = drawn()
    torch._dynamo.reset()
    compiled = torch.compile(lambda a, b: 2.0 * mode(a + 1.0, b), fullgraph=True)
    assert torch.equal(compiled(loc, scale), 2.0 * mode(loc + 1.0, scale))
    wide = torch.compile(lambda a: mode(a, 0.5), fullgraph=True, dynamic=True)
    for n in (3, 1000):
        assert torch.equal(wide(loc[:n]), mode(loc[:n], 0.5))
    a, b, c, d = (x.clone().requires_grad_() for x in (loc, scale, loc, scale))
    found = torch.autograd.grad(compiled(a, b).sum(), (a, b))
    wanted = torch.autograd.grad((2.0 * mode(c + 1.0, d)).sum(), (c, d))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


def test_other_tables_modules_and_distributions() -> None:
    given, table = drawn(), table_named("narrow")
    for function in (
        lambda a, b: mode(a, b, table=table),
        ModeLookup(table),
        ModeLookup(table, "bilinear"),
        lambda a, b: TanhNormal(a, b, validate_args=False).mode,
    ):
        found, names = recorded(function, *given)
        assert "tanhlut.mode_on_cpu.default" in names
        assert torch.equal(found, function(*given))


def test_shapes_and_transforms() -> None:
    loc, scale = drawn((6, 5))
    for given in ((loc.T, scale.T), (loc[:, :1], scale), (loc[0, 0], scale), (loc[:0], scale[:0])):
        found, _ = recorded(mode, *given)
        assert torch.equal(found, mode(*given))
    for dims in ((0, 0), (1, 1)):
        found, names = recorded(torch.func.vmap(mode, dims), loc, scale)
        assert "tanhlut.mode_on_cpu.default" in names
        assert torch.equal(found, torch.func.vmap(mode, dims)(loc, scale))
    found, _ = recorded(torch.func.vmap(mode, (0, None)), loc, scale[0])
    assert torch.equal(found, mode(loc, scale[0]))


def test_two_dtypes() -> None:
    """Promoted, as in eager code: a kernel reads one."""
    loc, scale = drawn()
    for given in ((loc, scale.double()), (loc.half(), scale)):
        found, _ = recorded(mode, *given)
        assert found.dtype == mode(*given).dtype
        assert torch.equal(found, mode(*given))


def test_a_named_backend() -> None:
    given = drawn()
    found, names = recorded(lambda a, b: mode(a, b, backend="cpu"), *given)
    assert "tanhlut.mode_on_cpu.default" in names
    assert torch.equal(found, mode(*given))
    _, names = recorded(lambda a, b: mode(a, b, backend="eager"), *given)
    assert "tanhlut.mode_on_cpu.default" not in names
    _, names = recorded(lambda a, b: mode(a, b, method="mlp"), *given)
    assert "tanhlut.mode_on_cpu.default" not in names


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_exported_knows_nothing_of_it(strict: bool) -> None:
    graph = torch.export.export(ModeLookup(), drawn(), strict=strict).graph
    assert not [node for node in graph.nodes if "tanhlut" in str(node.target)]


def test_torch_finds_nothing_wrong_with_it() -> None:
    call = torch.ops.tanhlut.mode_on_cpu.default
    digest = kept(None, "refined")
    for given in (drawn(), drawn((3, 4), torch.float64)):
        for name, found in torch.library.opcheck(call, (*given, "refined", digest)).items():
            assert found == "SUCCESS", name
    found = call(drawn()[0].expand(2, -1), drawn()[1].expand(2, -1), "refined", digest)
    assert found.is_contiguous()


def test_a_table_that_is_not_here() -> None:
    with pytest.raises(RuntimeError, match=r"not loaded \(0123\): compile again"):
        torch.ops.tanhlut.mode_on_cpu.default(*drawn(), "refined", "0123")
    copy: ModeTable = pickle.loads(pickle.dumps(table_named("narrow")))
    assert kept(copy.key, "bilinear") == copy.digest
    assert kept(copy.key, "refined") == copy.start.digest
