"""The README's Python runs and prints what its comments say."""

import contextlib
import io
import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_example_prints_what_it_says() -> None:
    block = re.search(r"```python\n(import torch.*?)```", README, re.S)
    assert block is not None
    said = re.findall(r"# (tensor.*)", block[1])
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(block[1], {})
    assert output.getvalue().splitlines() == said
    assert len(said) == 2


def test_the_shell_example() -> None:
    import tanhlut

    assert f"prints `{tanhlut.mode(0.2, 1.0)!r}`" in README


def test_the_data_are_those_described() -> None:
    import tanhlut

    digest = tanhlut.ModeTable.default().digest
    data = Path(__file__).parent.parent / "data"
    assert digest in (data / "README.md").read_text()
    assert digest in (data / "exhaustive" / "bfloat16-refined.json").read_text()
