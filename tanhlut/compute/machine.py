"""Kernels that LLVM has written, compiled for this processor: in each process anew, which takes some 50 ms a kernel.

Nothing is kept on disk. LLVM's passes over what it is given are left out: the text has already chosen its vectors, and
they change no bit and no speed (measured), but take longer than all the rest.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

_kept: list[Any] = []  # what was compiled lives as long as the process: there is no telling who has its address


def compiled(module: ir.Module, *names: str, effort: int = 2) -> tuple[int, ...]:
    """The addresses of functions of a module, compiled; `effort` from 0 to 3 as LLVM counts. Ctrl-C waits."""
    with _interrupts_afterwards():
        engine = llvm.create_mcjit_compiler(_parsed(module), target(effort=effort))
        engine.finalize_object()
        _kept.append(engine)
        return tuple(engine.get_function_address(name) for name in names)


def assembly(module: ir.Module, machine: Any = None) -> str:
    """What the processor would be told, for people and tests; by default this one."""
    return str((machine or target()).emit_assembly(_parsed(module)))


def target(triple: str = "", cpu: str = "", effort: int = 2) -> Any:
    """LLVM's description of a machine, by default of this one. (A name that LLVM does not know may end the process.)"""
    name, features = (cpu, "") if cpu else host()
    found = llvm.Target.from_triple(triple) if triple else llvm.Target.from_default_triple()
    return found.create_target_machine(cpu=name, features=features, opt=effort, jit=not triple)


def host() -> tuple[str, str]:
    """This processor's name and features."""
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def converts_float16() -> bool:
    """Whether it has instructions between float16 and float32; without, LLVM would call functions that nobody has."""
    always = llvm.get_default_triple().startswith(("aarch64", "arm64"))
    return always or bool(llvm.get_host_cpu_features().get("f16c", False))


def _parsed(module: ir.Module) -> Any:
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return parsed


@contextmanager
def _interrupts_afterwards() -> Iterator[None]:
    """SIGINT is heeded at the end: llvmlite holds a lock meanwhile, which an exception could leave locked."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    heard: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *signalled: heard.append(signalled))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if heard:
            usual(*heard[0])
