"""python -m tanhlut, as a person runs it."""

import io
import subprocess
import sys

import pytest

from tanhlut.__main__ import main


def test_one_pair_in_a_fresh_process() -> None:
    run = subprocess.run([sys.executable, "-m", "tanhlut", "0.2", "1.0"], capture_output=True, text=True, check=True)
    assert run.stdout.strip()[:9] == "0.9730156"


def test_pairs_as_arguments_and_on_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["0.2", "1.0", "-0.2", "1.0", "--low", "-2", "--high", "2"]) == 0
    numbers = [float(line) for line in capsys.readouterr().out.splitlines()]
    assert numbers == pytest.approx([1.9460313733, -1.9460313733], abs=1e-9)
    monkeypatch.setattr(sys, "stdin", io.StringIO("0.2 1.0\n\n0 0.5 inf 1\n"))
    assert main(["--method", "exact"]) == 0
    assert [float(line) for line in capsys.readouterr().out.splitlines()] == pytest.approx([0.97301568665, 0, 1])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["0.2"], "no SCALE"), (["a", "1"], "'a' is not a number"), (["0.2", "-1"], "negative"),
        (["0.2", "1", "--low", "3"], "low < high"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert word in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
