"""NVIDIA's machine code, read: instructions by the unit that runs them, registers, spills, calls, widths of access."""

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import triton

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"

_INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]+\*/\s+(?:@(!?U?P\d+)\s+)?([A-Z0-9_.]+)\s*(.*?);")
_LABEL = re.compile(r"^\s*(\.L_x_\d+):")
_TARGET = re.compile(r"(\.L_x_\d+)")
# An instruction's unit; what is not named here goes to the integer unit ("alu").
_UNITS = {
    "fma": "FADD FMUL FFMA FFMA2 FADD2 FMUL2 HADD2 HMUL2 HFMA2",
    "imad": "IMAD IDP",
    "xu": "MUFU F2I FRND I2F F2F FCHK",
    "memory": "LDG LDG2 STG LDS STS LDL STL",
    "control": "BRA BSSY BSYNC EXIT CALL RET WARPSYNC BMOV BREAK BAR DEPBAR ACQBULK",
    "constant": "S2R LDC CS2R LDCU S2UR ULDC",
}
_UNIT = {base: unit for unit, bases in _UNITS.items() for base in bases.split()}


class Counts(NamedTuple):
    """Of one kernel, for one thread, on the way where no quotient takes a slow path."""

    instructions: int
    units: dict[str, int]
    accesses: dict[str, int]  # loads and stores of global memory, by their names, which have the width
    registers: int
    spilled: int  # bytes of stack and local memory
    calls: int  # of subroutines, wherever they stand


def missing() -> str | None:
    """The tool that this Triton does not bring, or None."""
    return next((str(TOOLS / name) for name in ("nvdisasm", "cuobjdump") if not (TOOLS / name).exists()), None)


def count(cubin: bytes) -> Counts:
    """The counts of a compiled kernel."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text, usage = (
            subprocess.run([TOOLS / tool, option, file.name], capture_output=True, text=True, check=True).stdout
            for tool, option in (("nvdisasm", "-c"), ("cuobjdump", "-res-usage"))
        )
    return counts_of(text, usage)


def counts_of(text: str, usage: str) -> Counts:
    """From nvdisasm's listing and cuobjdump's table."""
    found = re.search(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)", usage)
    assert found is not None, usage
    registers, stack, local = map(int, found.groups())
    lines, calls = _listing(text)
    way = _straight(lines)
    units = Counter(_unit(name) for _, name, _ in way)
    accesses = Counter(name.replace(".E", "") for _, name, _ in way if name.startswith(("LDG", "STG")))
    return Counts(len(way), dict(units), dict(accesses), registers, stack + local, calls)


_Line = tuple[str | None, str, str]  # predicate, name, operands; a label is (None, "", label)


def _listing(text: str) -> tuple[list[_Line], int]:
    """The instructions and labels of the kernel itself, and how many calls there are in all."""
    lines: list[_Line] = []
    calls, inside = 0, True
    for line in text.splitlines():
        inside = inside and not re.match(r"^\s*\$.*:", line)  # from the first subroutine on nothing is the kernel's
        label, instruction = _LABEL.match(line), _INSTRUCTION.match(line)
        if instruction is not None:
            predicate, name, operands = instruction.groups()
            calls += name.startswith("CALL")
            if inside and name != "NOP":
                lines.append((predicate, name, operands))
        elif label is not None and inside:
            lines.append((None, "", label.group(1)))
    return lines, calls


def _straight(lines: list[_Line]) -> list[_Line]:
    """What runs if each jump over a call is taken, up to the unconditional EXIT."""
    places = {operands: k for k, (_, name, operands) in enumerate(lines) if not name}
    way: list[_Line] = []
    k = 0
    while k < len(lines):
        predicate, name, operands = lines[k]
        k += 1
        if not name:
            continue
        way.append((predicate, name, operands))
        if name.startswith("EXIT") and predicate is None:
            break
        if name.startswith("BRA") and (to := _TARGET.search(operands)):
            end = places[to.group(1)]
            over = any(skipped[1].startswith("CALL") for skipped in lines[k:end])
            if end > k and (over or predicate is None):
                k = end
    return way


def _unit(name: str) -> str:
    base = name.split(".")[0]
    return _UNIT.get(base, "uniform" if base.startswith("U") or base == "R2UR" else "alu")
