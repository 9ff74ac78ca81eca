"""The pages of the integrations: every Python block runs, in order, and prints what its comments say."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.filterwarnings("ignore")  # of other libraries
@pytest.mark.parametrize(
    ("page", "needs", "prints"),
    [
        ("torchrl", ["torchrl"], 5),
        ("sb3", ["stable_baselines3", "onnxscript"], 5),
        ("rsl_rl", ["rsl_rl"], 3),
        ("distributions", ["pyro"], 7),
        ("deploy", ["onnxruntime", "onnxscript"], 1),
        ("jax", ["jax"], 3),
        ("jax_libraries", ["brax", "distrax", "sbx"], 3),
        ("torch_libraries", ["lerobot", "ray.rllib", "tianshou"], 3),
        ("cleanrl", [], 1),
    ],
)
def test_a_page(page: str, needs: list[str], prints: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in needs:
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    # Libraries and pages set it for all: TorchRL, whose own support cannot be asked for, to False when it is imported.
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", "torchrl" not in needs)
    text = (DOCS / f"{page}.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    said = [line for block in blocks for line in re.findall(r"^ *print\(.*\)  # (.*)$", block, re.M)]
    assert len(said) == prints
    names, heard = {"__name__": "docs"}, []
    for block in blocks:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(block, names)
        heard += output.getvalue().splitlines() if "print(" in block else []
    assert heard == said


LIBRARIES = {  # module: what it needs, its extra
    "integrations.torchrl": ("torchrl", "torchrl"),
    "integrations.sb3": ("stable_baselines3", "sb3"),
    "integrations.rsl_rl": ("rsl_rl", "rsl_rl"),
    "integrations.pyro": ("pyro", "pyro"),
    "jax": ("jax", "jax"),
    "integrations.brax": ("brax", "brax"),
    "integrations.distrax": ("distrax", "distrax"),
    "integrations.sbx": ("sbx", "sbx"),
    "integrations.rllib": ("ray", "rllib"),
    "integrations.tianshou": ("tianshou", "tianshou"),
}


def test_a_missing_library_names_its_extra() -> None:
    """One process for all: each is missing while its own module is imported."""
    code = (
        "import importlib, sys\n"
        "from tanhlut.errors import MissingExtraError\n"
        f"for module, (library, _) in {LIBRARIES}.items():\n"
        "    sys.modules[library] = None\n"
        "    try: importlib.import_module('tanhlut.' + module)\n"
        "    except MissingExtraError as error: print(str(error).replace('\\n', ' '))\n"
        "    else: print('imported')\n"
        "    del sys.modules[library]\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for said, (_, extra) in zip(run.stdout.splitlines(), LIBRARIES.values(), strict=True):
        assert f"tanhlut[{extra}]" in said
