"""Writing files: the old one or the new one, whole, at every moment, whoever else writes; what is planted is let be."""

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tablegen import store
from tablegen.__main__ import main

DEFAULT = Path(__file__).parent.parent / "data" / "default.h5"
ROOT = os.geteuid() == 0
WRITER = """
import sys
from pathlib import Path
from tablegen import store
store.write(Path(sys.argv[1]), b"a" * 300_000)
print(flush=True)
for _ in range(50):
    store.write(Path(sys.argv[1]), b"a" * 300_000)
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "table.h5"
    path.write_bytes(b"old")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_two_writers_never_show_a_broken_file(out: Path) -> None:
    seen: set[bytes] = set()

    def look() -> None:
        while other.poll() is None:
            data = out.read_bytes()
            seen.add(data if data == data[:1] * 300_000 else b"broken")

    command = [sys.executable, "-c", WRITER, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other, ThreadPoolExecutor() as pool:
        assert other.stdout is not None
        other.stdout.readline()  # it begins
        looks = [pool.submit(look) for _ in range(2)]
        while other.poll() is None:
            store.write(out, b"b" * 300_000)
        for done in looks:
            done.result()
    assert other.returncode == 0
    assert {data[:6] for data in seen} == {b"aaaaaa", b"bbbbbb"}
    assert names(out.parent) == ["table.h5"]


def test_what_stands_at_a_foreseeable_name_is_left_alone(out: Path) -> None:
    victim = out.with_name("victim")
    victim.write_bytes(b"precious")
    planted = out.with_name(".table.h5.partial")
    planted.symlink_to(victim)
    store.write(out, b"new")
    planted.unlink()
    os.mkfifo(planted)
    store.write(out, b"newer")
    assert (out.read_bytes(), victim.read_bytes()) == (b"newer", b"precious")
    assert names(out.parent) == [".table.h5.partial", "table.h5", "victim"]


def test_partial_names_are_new_each_time_and_created_exclusively(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, int]] = []
    real = os.open

    def spy(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT:
            opened.append((os.fspath(path), flags))
        return real(path, flags, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", spy)
        for _ in range(20):
            store.write(out, b"new")
    wanted = os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    assert all(flags & wanted == wanted for _, flags in opened)
    assert len({path for path, _ in opened}) == 20
    with monkeypatch.context() as patch:  # a name that is taken, however unlikely, is another's file
        patch.setattr("tablegen.store.secrets.token_hex", lambda _: "0")
        taken = out.with_name(".tablegen-0.partial")
        taken.write_bytes(b"another's")
        with pytest.raises(FileExistsError):
            store.write(out, b"newer")
    assert (out.read_bytes(), taken.read_bytes()) == (b"new", b"another's")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_permissions_are_kept(mode: int, out: Path) -> None:
    out.chmod(mode)
    store.write(out, b"new")
    assert permissions(out) == mode


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    for umask in (0o022, 0o027, 0o077):
        before = os.umask(umask)
        try:
            store.write(tmp_path / str(umask), b"new")
        finally:
            os.umask(before)
        assert permissions(tmp_path / str(umask)) == 0o666 & ~umask


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_owner_and_group_are_kept_or_the_group_shut_out(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(out, 12345, 54321)
    out.chmod(0o640)
    store.write(out, b"new")
    status = out.stat()
    assert (status.st_uid, status.st_gid, permissions(out)) == (12345, 54321, 0o640)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    store.write(out, b"newer")  # to another group, which was never allowed to read it
    assert permissions(out) == 0o600


def test_a_link_stays_and_its_file_is_replaced(out: Path) -> None:
    link, chain, twin = (out.with_name(name) for name in ("link", "chain", "twin"))
    link.symlink_to(out.name)
    chain.symlink_to(link)
    twin.hardlink_to(out)
    store.write(store.check_target(chain), b"new")
    assert link.is_symlink()
    assert chain.is_symlink()
    assert (out.read_bytes(), twin.read_bytes()) == (b"new", b"old")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)  # a whole path may be too long for it


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("nothing")


def _to_a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize(
    ("plant", "word"),
    [
        (_fifo, "not a regular file"), (_socket, "not a regular file"), (_to_a_device, "not a regular file"),
        (Path.mkdir, "is a directory"), (_loop, "symbolic links"), (_dangling, "link to nothing"),
    ],
)  # fmt: skip
def test_what_is_no_regular_file_is_refused_before_the_work(
    plant: Callable[[Path], None],
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "it"
    plant(path)
    before = path.lstat()
    monkeypatch.setattr("tablegen.commands.build", lambda *_: pytest.fail("the work began"))
    assert main(["build", "-o", str(path)]) == 2
    message = capsys.readouterr().err
    assert word in message
    assert message.count("\n") == 1
    with pytest.raises(ValueError, match=r"not a regular file|is a directory"):
        store.write(path, b"new")  # it may have come there since the check
    assert path.lstat() == before
    assert names(tmp_path) == ["it"]


@pytest.mark.parametrize(
    "target", ["/dev/null", "/dev/full", "/dev/stdout", "/dev/fd/2", "loop/t.h5", "file/t.h5", "no/t.h5", "x" * 300]
)
def test_targets_that_cannot_be(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("file").touch()
    with pytest.raises(ValueError, match=r"regular file|standard output|cannot be written|does not exist"):
        store.check_target(Path(target))


def test_a_long_name_is_written(tmp_path: Path) -> None:
    store.write(tmp_path / ("x" * 255), b"new")
    assert names(tmp_path) == ["x" * 255]


def test_a_target_that_becomes_a_fifo_meanwhile_is_left_alone(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swap(_: int) -> None:
        out.unlink()
        os.mkfifo(out)

    monkeypatch.setattr(os, "fsync", swap)
    with pytest.raises(ValueError, match=r"not a regular file"):
        store.write(out, b"new")
    assert out.is_fifo()
    assert names(out.parent) == ["table.h5"]


@pytest.mark.parametrize("step", ["open", "fstat", "fchmod", "fsync", "replace"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_whatever_fails_the_file_is_whole_and_nothing_is_left(
    step: str, kind: type[BaseException], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, step)

    def fail_afterwards(*arguments: Any, **more: Any) -> None:
        real(*arguments, **more)
        raise kind("failed")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail_afterwards)
        with pytest.raises(kind, match="failed" if kind is OSError else None):
            store.write(out, b"new")
    assert out.read_bytes() == (b"new" if step == "replace" else b"old")
    assert names(out.parent) == ["table.h5"]


def test_a_full_disk_is_one_line_that_names_the_file(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tablegen.export.onnx_graph.model", lambda *_: b"new" * 9999)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert main(["export", str(DEFAULT), "-o", str(out)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"{out}: cannot be written (File too large)" in message
    assert out.read_bytes() == b"old"
    assert names(out.parent) == ["table.h5"]


def test_a_folder_that_may_not_be_written(out: Path) -> None:
    out.parent.chmod(0o555)
    if ROOT:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError) as caught:
            store.write(out, b"new")
        assert caught.value.filename == str(out)
    finally:
        if ROOT:
            os.seteuid(0)
        out.parent.chmod(0o755)
    assert out.read_bytes() == b"old"


def test_what_a_killed_writer_left_is_removed_after_a_day(out: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from tablegen import store;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL); store.write(Path(sys.argv[1]), b'new')"
    )
    run = subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    assert run.returncode == -signal.SIGKILL
    assert out.read_bytes() == b"old"
    (left,) = (path for path in out.parent.iterdir() if path != out)
    os.utime(left, (0, 0), follow_symlinks=False)
    recent, linked, folder, other = (out.with_name(f".tablegen-{k}.partial") for k in range(4))
    recent.touch()
    linked.symlink_to(out)
    folder.mkdir()
    other.with_name("mine.partial").touch()
    for path in (linked, folder, other.with_name("mine.partial")):
        os.utime(path, (0, 0), follow_symlinks=False)
    if ROOT:
        other.touch()
        os.chown(other, 12345, -1)
        os.utime(other, (0, 0))
    before = names(out.parent)
    store.write(out, b"new")
    assert set(before) - set(names(out.parent)) == {left.name}
