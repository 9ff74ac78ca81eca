"""The command lines of tanhlut and tablegen, as a person runs them: one plain line and a status, whatever happens."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from edits import edit
from tablegen import store
from tablegen.__main__ import main as tablegen
from tablegen.make.build import Found
from tanhlut import ModeTable, TableError
from tanhlut.__main__ import main
from tanhlut.errors import LONGEST, plain

DEFAULT = str(Path(__file__).parent.parent / "data" / "default.h5")
HOSTILE = "\x1b[2J\r\n\x07\x9b31m\u202e\u2028"  # clears a screen, starts a line, rings, colours, reverses


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


class End(NamedTuple):
    status: int
    out: str
    err: str


def side_by_side(roads: dict[str, tuple[list[str], dict[str, Any]]]) -> dict[str, End]:
    """How `python WORDS` ends in a fresh process, each with options of Popen; at once, as starting takes seconds."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONUNBUFFERED", "PYTHONIOENCODING")}
    processes = {}
    for name, (words, options) in roads.items():
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options, "env": clean | options.get("env", {})}
        processes[name] = subprocess.Popen([sys.executable, *words], **pipes)
    ends = {}
    for name, process in processes.items():
        out, err = ((data or b"").decode("latin-1") for data in process.communicate(timeout=100))
        ends[name] = End(process.returncode, out, err)
    return ends


@pytest.mark.filterwarnings("ignore:os.fork")  # jax warns, where a test before this one ran it
def test_streams_that_are_full_closed_or_read_by_nobody() -> None:
    info, one = ["-m", "tablegen", "info", DEFAULT], ["-m", "tanhlut", "0.2", "1.0"]
    reading, deaf = os.pipe()
    os.close(reading)  # as behind `… | true`
    with open("/dev/full", "w") as full, open(deaf, "w") as deaf_file:
        roads: dict[str, tuple[list[str], dict[str, Any]]] = {
            "info full": (info, {"stdout": full}),
            "mode full": (one, {"stdout": full}),
            "info deaf": (info, {"stdout": deaf_file}),
            "help deaf": (["-m", "tablegen", "--help"], {"stdout": deaf_file, "env": {"PYTHONUNBUFFERED": "1"}}),
            "no error": (["-m", "tablegen", "info", "none.h5"], {"preexec_fn": lambda: os.close(2)}),
        }
        ends = side_by_side(roads)
    cannot = "standard output: cannot be written (No space left on device)\n"
    assert ends["info full"] == End(2, "", f"tablegen: {cannot}")
    assert ends["mode full"] == End(2, "", f"python -m tanhlut: {cannot}")
    assert ends["info deaf"] == ends["help deaf"] == End(141, "", "")
    assert ends["no error"] == End(2, "", "")  # nor does the message go to standard output instead


@pytest.mark.parametrize("stream", ["stdout", "stdin"])
def test_a_closed_stream_is_one_line(
    stream: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, stream, None)  # what Python makes of `>&-` and `<&-`
    assert main([]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"python -m tanhlut: standard {stream[3:]}put is closed: ")
    assert message.count("\n") == 1


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"\xd7 "), ("latin-1", "× "), ("utf-8", "× ")])
def test_a_terminal_without_unicode(encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding, errors="strict"))
    assert tablegen(["info", DEFAULT]) == 0
    text = written.getvalue().decode(encoding)
    assert shown in text
    assert ("≤ " if encoding == "utf-8" else r"\u2264 ") + "4.39e-05 proven" in text


INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
class Ctrl_C:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Ctrl_C())
from tablegen.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def test_ctrl_c_while_modules_are_imported(tmp_path: Path) -> None:
    export = ["export", DEFAULT, "-o", str(tmp_path / "x.onnx")]
    roads = {  # where a KeyboardInterrupt is, in turn: raised; lost in a recursion; turned into an error of torch's
        "torch": ["info", DEFAULT],
        "numpy.linalg": ["info", DEFAULT],
        "torch._dynamo.symbolic_convert": export,
    }
    ends = side_by_side({name: (["-c", INTERRUPTED, name, *words], {}) for name, words in roads.items()})
    assert ends == dict.fromkeys(roads, End(130, "", "tablegen: interrupted\n"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:os.fork")  # jax warns, where a test before this one ran it
def test_ctrl_c_while_pairs_are_typed() -> None:
    def heed() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-m", "tanhlut"], text=True, preexec_fn=heed, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        print("0.2 1.0", file=process.stdin, flush=True)
        assert process.stdout.readline().startswith("0.97301568")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "python -m tanhlut: interrupted\n"
        assert process.wait() == 130


def check_plain(text: str, most: int = 2 * LONGEST) -> None:
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text) <= most, len(text)


def test_plain_text() -> None:
    assert plain("mode ≤ 1 × ρ − 2") == "mode ≤ 1 × ρ − 2"
    assert plain(HOSTILE) == r"\x1b[2J\r\n\x07\x9b31m\u202e\u2028"
    assert plain("a\udcff") == r"a\udcff"  # a byte of a file's name that is no character
    assert plain("x" * LONGEST) == "x" * LONGEST
    cut = plain("begin" + "x" * 1_000_000 + "end", 80)
    assert cut.startswith("beginxxx")
    assert cut.endswith("xxxend")
    assert " … 1,000,008 characters … " in cut
    for text in (cut, plain(HOSTILE * 1000), plain(HOSTILE * 70)):
        check_plain(text, LONGEST)
        assert plain(text) == text


def test_strings_of_a_file_cannot_steer_or_flood_a_terminal(
    coarse: ModeTable, coarse_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flood = HOSTILE + "y" * 60_000 + HOSTILE
    names = ("solver", "solver_settings", "versions", "command")
    metadata = {**coarse.metadata, **dict.fromkeys(names, flood), "versions": '{"a": "%s"}' % ("y" * 60_000)}
    hostile = ModeTable(coarse.loc.copy(), coarse.scale.copy(), coarse.values.copy(), metadata)
    coarse_file.write_bytes(store.image(hostile))
    assert tablegen(["info", str(coarse_file)]) == 0
    text = capsys.readouterr().out
    check_plain(text, 8000)
    lines = dict(line.split(maxsplit=1) for line in text.splitlines())
    assert lines["command"].startswith(plain(HOSTILE))
    assert "characters …" in lines["command"]
    assert lines["versions"].startswith("a yyy")


def test_errors_of_a_hostile_file_are_one_plain_line(coarse_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flood = HOSTILE + "y" * 60_000
    compound = np.dtype([(HOSTILE + "z" * 1000, "<f4")])
    whole = coarse_file.read_bytes()

    def retype(file: Any) -> None:
        del file["mode/value"]
        file["mode"].create_dataset("value", data=np.zeros((2, 2), compound))

    def certify(file: Any) -> None:
        file.attrs["certificates"] = flood
        file.attrs["certificates_digest"] = ""

    changes: list[tuple[Callable[[Any], None], str]] = [
        (lambda file: file.attrs.__setitem__("schema", flood), "not a table file"),
        (lambda file: file.attrs.__setitem__("digest", flood), "tablegen build"),
        (retype, "tablegen build"), (certify, "tablegen build"),
    ]  # fmt: skip
    for change, remedy in changes:
        coarse_file.write_bytes(whole)
        edit(coarse_file, change)
        with pytest.raises(TableError) as caught:
            ModeTable.load(coarse_file)
        message = str(caught.value)
        check_plain(message)
        assert "\n" not in message
        assert message.startswith(f"{coarse_file}: ")
        assert remedy in message[-60:]
        assert message.count("characters …") <= 1
        assert tablegen(["info", str(coarse_file)]) == 2
        assert capsys.readouterr().err == f"tablegen: {message}\n"


def test_names_of_files_are_printed_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = HOSTILE + os.fsdecode(b"\xff")
    for words in (["info", name], ["build", "-o", f"{name}/t.h5"], ["info", name, name], ["build", name]):
        assert tablegen(words) == 2
        message = capsys.readouterr().err
        check_plain(message)
        assert message.count("\n") == 1
    assert main([name, "1"]) == 2
    check_plain(capsys.readouterr().err)
    monkeypatch.setattr("tablegen.export.onnx_graph.model", lambda *_: b"graph")
    assert tablegen(["export", DEFAULT, "-o", name]) == 0
    check_plain(capsys.readouterr().out)
    assert Path(name).read_bytes() == b"graph"


def test_a_table_of_a_name_that_is_no_unicode_can_be_written(
    coarse: ModeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(*request: Any) -> tuple[ModeTable, Found]:
        metadata = {**coarse.metadata, "command": request[3]}
        return ModeTable(coarse.loc.copy(), coarse.scale.copy(), coarse.values.copy(), metadata), Found(0.0, 0.0, 0.0)

    monkeypatch.setattr("tablegen.commands.build", build)
    monkeypatch.setattr("tablegen.claims.certified", lambda table: table)
    name = str(tmp_path / os.fsdecode(b"\xff.h5"))
    assert tablegen(["build", "-o", name]) == 0
    assert tablegen(["info", name]) == 0
    assert f"tablegen build -o '{tmp_path}/\\udcff.h5'" in capsys.readouterr().out


def test_a_file_that_is_no_regular_file_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe, loop = tmp_path / "pipe", tmp_path / "loop"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    commands = (["info"], ["verify"], ["distill", "-o", "x"], ["plot", "-o", "x"], ["export", "-o", "x"])
    monkeypatch.chdir(tmp_path)
    for words in commands:
        for path, word in ((pipe, "is not a regular file"), (tmp_path, "is not a regular file"), (loop, "symbolic")):
            assert tablegen([*words, str(path)]) == 2
            message = capsys.readouterr().err
            assert message.startswith(f"tablegen: {path}: ")
            assert word in message
            assert "not a path" not in message
            assert message.count("\n") == 1


def test_a_file_that_becomes_a_fifo_between_look_and_open_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, before = tmp_path / "pipe", os.stat(DEFAULT)
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # ends the wait of a reader that opens it after all
    threading.Timer(3.0, os.close, [held]).start()
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda *_, **__: before)
        with pytest.raises(TableError, match="is not a regular file"):
            ModeTable.load(pipe)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("build", ["build", "-o", "out.h5"]),
        pytest.param("distill.distill", ["distill", DEFAULT, "-o", "out.h5"], marks=pytest.mark.slow),
        pytest.param("claims.run", ["verify", DEFAULT, "--json", "out.h5"], marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_in_a_finaliser_ends_the_work(name: str, arguments: list[str], tmp_path: Path) -> None:
    """Where Python ignores what its handler raises: each command that computes ends at once, and writes nothing."""
    code = (
        "import signal, sys\n"
        "from tablegen import commands\n"
        "class Finalised:\n"
        "    def __del__(self): signal.raise_signal(signal.SIGINT)\n"
        "def work(*_): Finalised(); print('went on')\n"
        "def later(*_): yield work()\n"
        "name, *arguments = sys.argv[1:]\n"
        "owner, _, attribute = name.rpartition('.')\n"
        "setattr(getattr(commands, owner) if owner else commands, attribute, later if owner == 'claims' else work)\n"
        "from tablegen.__main__ import main\n"
        "sys.exit(main(arguments))\n"
    )
    arguments[-1] = str(tmp_path / arguments[-1])
    done = subprocess.run([sys.executable, "-c", code, name, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert done.stderr == "tablegen: interrupted\n"
    assert list(tmp_path.iterdir()) == []
