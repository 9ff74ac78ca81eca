"""`import tanhlut` pays only for what is used: names are imported when first asked for, whatever torch does then."""

import subprocess
import sys

import pytest

import tanhlut
from torch_versions import COMPILES, TORCH

HEAVY = "{'torch', 'numpy', 'h5py', 'tqdm', 'llvmlite', 'triton', 'tablegen'}"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_package_itself_loads_nothing() -> None:
    run(f"import sys, tanhlut; loaded = {HEAVY} & set(sys.modules); assert not loaded, loaded")


def test_a_refusal_can_be_caught_without_torch() -> None:
    run("import sys, tanhlut; assert issubclass(tanhlut.TableError, ValueError) and 'torch' not in sys.modules")


def test_every_public_name_has_one_home_and_is_kept() -> None:
    names = [name for homed in tanhlut._HOMES.values() for name in homed]
    assert sorted(names) == sorted(tanhlut.__all__)
    assert set(tanhlut.__all__) <= set(dir(tanhlut))
    for home, homed in tanhlut._HOMES.items():
        for name in homed:
            found = getattr(tanhlut, name)
            assert getattr(sys.modules[f"tanhlut.{home}"], name) is found
            assert vars(tanhlut)[name] is found
            assert found.__module__ == f"tanhlut.{home}"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'tanhlut' has no attribute 'median'"):
        tanhlut.median  # noqa: B018
    assert not hasattr(tanhlut, "median")


@pytest.mark.parametrize(
    "traced",
    [
        "torch.export.export(Policy(), (loc, scale), strict=False).module()(loc, scale)",
        pytest.param(
            "torch.export.export(Policy(), (loc, scale), strict=True).module()(loc, scale)", marks=pytest.mark.slow
        ),
        "torch.compile(Policy(), fullgraph=True, backend='eager')(loc, scale)",
        pytest.param("make_fx(Policy(), tracing_mode='fake')(loc, scale)(loc, scale)", marks=pytest.mark.slow),
        "torch.func.vmap(Policy())(loc, scale)",
    ],
)
def test_a_name_may_be_asked_for_first_inside_a_trace(traced: str) -> None:
    """Export has Python's max and min replaced meanwhile, fake modes make every tensor fake."""
    if traced.startswith(("torch.export", "torch.compile")) and not COMPILES:
        pytest.skip("compile and export want torch 2.7")
    if traced.startswith("torch.compile") and TORCH < (2, 8):
        pytest.skip("torch.compile up to 2.7 cannot make a torch distribution")
    run(
        "import sys, torch, tanhlut\n"
        "from torch.fx.experimental.proxy_tensor import make_fx\n"
        "class Policy(torch.nn.Module):\n"
        "    def forward(self, loc, scale):\n"
        "        return tanhlut.mode(loc, scale) + tanhlut.TanhNormal(loc, scale, validate_args=False).mode\n"
        "loc, scale = torch.tensor([0.2, -0.2]), torch.tensor([1.0, 1.0])\n"
        "truth = torch.tensor([2.0, -2.0]) * 0.9730156866523543\n"
        "assert 'tanhlut.lookup' not in sys.modules\n"
        f"assert ({traced} - truth).abs().max() < 1e-6\n"
        "assert type(Policy()(loc, scale)) is torch.Tensor\n"
        "assert (Policy()(loc, scale) - truth).abs().max() < 1e-6\n"
    )
