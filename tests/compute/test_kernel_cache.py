"""Compiled kernels on disk: whatever is wrong with them, a lookup answers, and the next process finds them mended."""

import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from numba.core import config

import tanhlut
from tanhlut.compute import available, cache, compiled
from tanhlut.compute.cache import Cache

HERE = Path(__file__)
ANSWER = pytest.approx(0.9730156866523543, abs=1e-15)
LOOKUP = (
    "import logging, tanhlut\n"
    "logging.basicConfig(level=logging.INFO)\n"
    "print(tanhlut.mode(0.2, 1.0))\n"
    "print(tanhlut.backends()['cpu'].reason)\n"
)


def lookup(folder: Path | None, code: str = LOOKUP, **environment: str) -> tuple[float, str, str]:
    """In a process of its own: the answer, the cpu backend's reason, what was said; kernels where they usually lie, or
    in a folder."""
    root = str(Path(tanhlut.__file__).parent.parent)
    place = {} if folder is None else {"NUMBA_CACHE_DIR": str(folder)}
    variables = {**os.environ, "PYTHONPATH": root, **place, **environment}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300, env=variables
    )
    assert run.returncode == 0, run.stderr
    answer, reason = run.stdout.splitlines()
    return float(answer), reason, run.stderr


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that one process has filled."""
    folder = tmp_path_factory.mktemp("cache")
    answer, _, said = lookup(folder)
    assert answer == ANSWER
    assert "compiling the cpu kernels" in said
    return folder


def empty(file: Path) -> None:
    file.write_bytes(b"")


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garble(file: Path) -> None:
    file.write_bytes(b"\xff\x00garbage" * 50)


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def make_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def lose(file: Path) -> None:
    file.unlink()


DAMAGES = [empty, truncate, garble, flip_a_bit, make_a_folder, lose]


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*.nb?") if file.is_file())


@pytest.mark.slow
def test_damaged_files_are_mended(filled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder)
    for file, damage in zip(files(folder), [*DAMAGES, truncate, garble], strict=False):
        damage(file)
    answer, _, said = lookup(folder)
    assert answer == ANSWER
    assert "compiling" in said
    answer, _, said = lookup(folder)
    assert answer == ANSWER
    assert said == ""
    assert [path.name for path in folder.iterdir()] == [path.name for path in filled.iterdir()]


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))\n"
    answer, reason, said = lookup(tmp_path, limit + LOOKUP + "tanhlut.warmup()\n")
    assert answer == ANSWER
    assert "compiling the cpu kernels" in said
    assert "compiled anew by every process" in reason
    assert "File too large" in reason
    assert said.count("RuntimeWarning") == 1
    assert "set NUMBA_CACHE_DIR" in said
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_is_switched_off(tmp_path: Path) -> None:
    code = LOOKUP + "try: tanhlut.mode(0.2, 1.0, backend='cpu')\nexcept ImportError as error: logging.info(error)\n"
    answer, reason, said = lookup(tmp_path, code, NUMBA_DISABLE_JIT="1")
    assert answer == pytest.approx(0.9730156866523543, abs=1e-15)
    assert "NUMBA_DISABLE_JIT is set: unset it" in reason
    assert "backend 'cpu' cannot run here: its kernels cannot be compiled" in said


def test_an_interrupted_first_call() -> None:
    """Nothing half loaded is left: the next call answers."""
    available.cpu_kernels()  # compiled, and kept
    code = (
        "import tanhlut, tanhlut.compute.cache\n"
        "def interrupted(*_): raise KeyboardInterrupt\n"
        "find, tanhlut.compute.cache.Cache.find = tanhlut.compute.cache.Cache.find, interrupted\n"
        "try: print('not interrupted', tanhlut.mode(0.2, 1.0))\n"
        "except KeyboardInterrupt: pass\n"
        "tanhlut.compute.cache.Cache.find = find\n"
    )
    answer, _, said = lookup(None, code + LOOKUP)
    assert answer == ANSWER
    assert said == ""


def test_kernels_that_cannot_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise ValueError("no such\n  instruction")

    available.cpu_kernels()
    monkeypatch.setattr(compiled.Kernels, "build", fail)
    monkeypatch.delitem(sys.modules, "tanhlut.compute.cpu")
    monkeypatch.delattr(sys.modules["tanhlut.compute"], "cpu")
    kernels, why = available._load_cpu.__wrapped__()
    assert (kernels, why) == (None, "its kernels cannot be compiled (ValueError: no such instruction)")


# From here on, kernels that compile in no time.


def build() -> tuple[compiled.Kernels, bool]:
    """Kernels as a fresh process would have them, and whether they had to be compiled."""
    kernels = compiled.Kernels()

    @kernels.compiled("float64(float64)", "float32(float32)")
    def twice(x: Any) -> Any:
        return x + x

    @kernels.compiled("float64(float64)")
    def four_times(x: Any) -> Any:
        return 4.0 * x

    kernels.build()
    assert compiled.entries(four_times)[0](2.5) == 10.0
    assert [entry(1.0) for entry in compiled.entries(twice)] == [2.0, 2.0]
    return kernels, bool(four_times.stats.cache_misses) or not four_times.stats.cache_hits


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    yield tmp_path
    assert str(tmp_path) == config.CACHE_DIR


def test_compiled_once(place: Path) -> None:
    kernels, anew = build()
    assert anew
    assert kernels.uncached is None
    assert not build()[1]
    assert len(list(place.iterdir())) == 1


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["*four_times*.nbi", "*twice*.2.nbc", "seal"])
def test_any_damage_is_noticed(place: Path, name: str, damage: Callable[[Path], None]) -> None:
    build()
    (file,) = place.rglob(name)
    damage(file)
    kernels, anew = build()
    assert anew
    assert kernels.uncached is None
    assert not build()[1]


def test_files_that_are_whole_and_still_do_not_serve(place: Path) -> None:
    """As those of a compiler changed under one version number might be."""
    build()
    (folder,) = place.iterdir()
    for file in files(folder):
        garble(file)
    (folder / "seal").write_text(cache._digest(folder))
    assert build()[1]
    assert build()[1]
    assert not build()[1]


@pytest.mark.parametrize("what", ["a file", "open to others", "another user's"])
def test_only_a_folder_of_ones_own_is_believed(place: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    build()
    (folder,) = place.iterdir()
    if what == "a file":
        shutil.rmtree(folder)
        folder.write_bytes(b"")
    elif what == "open to others":
        folder.chmod(0o777)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    kernels, anew = build()
    assert anew
    if what == "another user's":  # all that is made here looks so
        assert kernels.uncached is not None
        assert "belong to another user" in kernels.uncached
    else:
        assert not build()[1]


def test_a_disk_that_fills_while_kernels_are_saved(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_ROOM", 0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        kernels, anew = build()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert anew
    assert kernels.uncached is not None
    assert os.strerror(errno.EFBIG) in kernels.uncached
    assert list(place.iterdir()) == []
    assert build()[0].uncached is None


def test_nowhere_to_keep_kernels(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One warning, which names the cure; where warnings are errors, too."""
    (place / "file").write_bytes(b"")
    monkeypatch.setattr(config, "CACHE_DIR", str(place / "file" / "folder"))
    kernels, anew = build()
    monkeypatch.setattr(config, "CACHE_DIR", str(place))
    assert anew
    assert kernels.uncached is not None
    assert "Not a directory" in kernels.uncached
    with pytest.raises(RuntimeWarning, match="set NUMBA_CACHE_DIR to a folder"):
        kernels.warn()
    kernels.warn()


def test_an_interrupt_while_compiling_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Cache, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build()
    assert list(place.iterdir()) == []
    assert build()[0].uncached is None


def test_an_interrupt_where_llvm_calls_back_is_not_lost(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `tablegen build` lost one in 25, a KeyboardInterrupt in a callback of ctypes being ignored."""
    fill = compiled.Kernels._fill

    def called_back(self: compiled.Kernels, folder: Path | None) -> str | None:
        def callback() -> None:
            signal.raise_signal(signal.SIGINT)

        ctypes.CFUNCTYPE(None)(callback)()
        return fill(self, folder)

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(compiled.Kernels, "_fill", called_back)
            with pytest.raises(KeyboardInterrupt):
                build()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, usual)
    assert len(list(place.iterdir())) == 1  # what was compiled meanwhile serves the next
    assert build()[0].uncached is None


def test_processes_that_begin_at_once(place: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(HERE.parent)!r})\n"
        "import test_kernel_cache\n"
        "assert test_kernel_cache.build()[0].uncached is None\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(place), "PYTHONPATH": str(Path(tanhlut.__file__).parent.parent)}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert len(list(place.iterdir())) == 1
    assert not build()[1]


def test_who_comes_second_keeps_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Cache("0" * 64, [tmp_path]), Cache("0" * 64, [tmp_path])
    folders = first.begin(), second.begin()
    for number, (kept, folder) in enumerate(zip((first, second), folders, strict=True)):
        assert folder is not None
        (folder / "kernel").write_text(str(number))
        kept.publish(folder)
    found = second.find()
    assert found == tmp_path / ("tanhlut-" + "0" * 16)
    assert (found / "kernel").read_text() == "0"
    assert first.problems == second.problems == []
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert second.find() is None  # nor is it believed by another user


def test_the_next_place_serves(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    kept = Cache("0" * 64, [tmp_path / "file", tmp_path / "folder"])
    folder = kept.begin()
    assert folder is not None
    kept.publish(folder)
    assert kept.find() == tmp_path / "folder" / ("tanhlut-" + "0" * 16)
    assert kept.problems == [f"{tmp_path / 'file'}: File exists"]


def test_old_folders_go(tmp_path: Path) -> None:
    old = time.time() - (cache.KEPT_DAYS + 1) * 86400
    names = ["tanhlut-" + "1" * 16, "tanhlut-" + "2" * 16 + ".abc", "tanhlut-" + "3" * 16, "tanhlut-mine", "other"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "kernel").write_bytes(b"1")
        os.utime(tmp_path / name, (old, old) if "3" not in name else None)
    kept = Cache("0" * 64, [tmp_path])
    folder = kept.begin()
    assert folder is not None
    kept.publish(folder)
    assert {path.name for path in tmp_path.iterdir()} == {"tanhlut-" + "0" * 16, *names[2:]}
    os.utime(tmp_path / ("tanhlut-" + "0" * 16), (old, old))
    found = kept.find()
    assert found is not None
    assert time.time() - found.stat().st_mtime < 3600  # what is used stays


def test_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert [*compiled._places()] == [Path(tanhlut.__file__).parent / "__pycache__", tmp_path]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [*compiled._places()][1] == tmp_path / ".cache"
    monkeypatch.setattr(config, "CACHE_DIR", "chosen")
    assert [*compiled._places()] == [Path("chosen")]
