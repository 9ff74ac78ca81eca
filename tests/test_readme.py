"""The README's Python runs and prints what its comments say."""

import contextlib
import io
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NETWORK = (ROOT / "docs" / "network.md").read_text()


def test_the_example_prints_what_it_says() -> None:
    block = re.search(r"```python\n(import torch.*?)```", README, re.S)
    assert block is not None
    said = re.findall(r"# (tensor.*)", block[1])
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(block[1], {})
    assert output.getvalue().splitlines() == said
    assert len(said) == 2


def test_the_networks_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    first, second = re.findall(r"```python\n(.*?)```", NETWORK, re.S)
    said = re.findall(r"print\(.*  # (.*)", first)
    output, names = io.StringIO(), {"__name__": "docs"}
    with contextlib.redirect_stdout(output):
        exec(first, names)
    assert output.getvalue().splitlines() == said
    assert len(said) == 4
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about torch
        exec(second, names)
    assert (tmp_path / "policy.onnx").exists()


def test_the_shell_example() -> None:
    import tanhlut

    assert f"prints `{tanhlut.mode(0.2, 1.0)!r}`" in README


def test_the_data_are_those_described() -> None:
    import tanhlut

    table = tanhlut.ModeTable.default()
    digest = table.digest
    assert table.network is not None
    assert table.network.digest in (ROOT / "data" / "README.md").read_text()
    data = ROOT / "data"
    assert digest in (data / "README.md").read_text()
    assert digest in (data / "exhaustive" / "bfloat16-refined.json").read_text()
