"""The CPU's kernels as machine code: vectors on every kind of processor, and compiling that fails or is interrupted."""

import os
import re
import signal

import llvmlite.binding as llvm
import pytest

from tanhlut.compute import available, calls, cpu, cpu_functions, machine
from tanhlut.file.packed import NO_TABLE
from tanhlut.methods import COMPILED

AVX2 = ("x86_64-unknown-linux-gnu", "haswell")
AVX512 = ("x86_64-unknown-linux-gnu", "skylake-avx512")
NEON = ("aarch64-unknown-linux-gnu", "neoverse-n1")
# What divides, fuses and takes roots of whole vectors.
VECTORS = {
    AVX2: (r"vdivp{0}\s.*%ymm", r"vfn?m(add|sub)\d+p{0}\s.*%ymm", r"vsqrtp{0}\s.*%ymm", "sd"),
    AVX512: (r"vdivp{0}\s.*%[yz]mm", r"vfn?m(add|sub)\d+p{0}\s.*%[yz]mm", r"vsqrtp{0}\s.*%[yz]mm", "sd"),
    NEON: (r"fdiv\s+v\d+\.{0}", r"fml[as]\s+v\d+\.{0}", r"fsqrt\s+v\d+\.{0}", ("4s", "2d")),
}


@pytest.fixture(scope="module", autouse=True)
def every_target() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@pytest.mark.parametrize("where", VECTORS, ids=lambda where: where[1])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_modes_run_on_vectors(where: tuple[str, str], real: str) -> None:
    """Speed is not tested, but what it rests on. On processors of other kinds too, of which nothing is run here."""
    divides, fuses, _, letters = VECTORS[where]
    for method in ("refined", "exact"):
        text = machine.assembly(cpu.written(real, COMPILED.index(method), False).module, machine.target(*where))
        letter = letters[real == "float64"]
        assert re.search(divides.format(letter), text)
        assert re.search(fuses.format(letter), text)
        assert "fmaf" not in text


@pytest.mark.parametrize("where", VECTORS, ids=lambda where: where[1])
@pytest.mark.parametrize("name", ["mean", "stddev", "entropy"])
def test_moments_run_on_vectors(where: tuple[str, str], name: str) -> None:
    _, fuses, roots, letters = VECTORS[where]
    text = machine.assembly(cpu_functions.written(name, "float32").module, machine.target(*where))
    assert re.search(fuses.format(letters[0]), text)
    assert re.search(roots.format(letters[0]), text)


def test_nothing_is_fused_or_approximated_that_was_not_written() -> None:
    """A product and a sum stay two operations where the text has two, and no reciprocal is guessed."""
    for where in (AVX2, AVX512):
        text = machine.assembly(cpu.written("float32", cpu.EXACT, False).module, machine.target(*where))
        assert not re.search(r"v?r(cp|sqrt)(14)?p[sd]", text)
    written = str(cpu.written("float32", cpu.EXACT, False).module)
    assert not re.search(r"\b(fast|contract|reassoc|arcp|afn|nnan|ninf|nsz)\b", written)


def test_kernels_that_cannot_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("no such\n  instruction")

    monkeypatch.setattr(machine, "compiled", fail)
    kernels, why = available._load_cpu.__wrapped__()
    assert (kernels, why) == (None, "its kernels cannot be compiled (ValueError: no such instruction)")


def test_a_processor_that_adds_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "builtin", lambda *_: lambda *_: 3.5)
    kernels, why = available._load_cpu.__wrapped__()
    assert kernels is None
    assert why is not None
    assert "does not do what it should" in why


def test_an_interrupt_while_compiling_is_heard_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler ends first; then the exception; and the next call answers."""
    parsed, ended = machine._parsed, []

    def interrupted(module: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        found = parsed(module)
        ended.append(found)
        return found

    cpu.kernel.cache_clear()
    monkeypatch.setattr(machine, "_parsed", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            cpu.kernel("float64", cpu.EXACT, False)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended
    monkeypatch.undo()
    kernel = cpu.kernel("float64", cpu.EXACT, False)
    assert kernel.floats(0.2, 1.0, -1.0, 1.0, NO_TABLE.address) == pytest.approx(0.9730156866523543, abs=1e-15)
