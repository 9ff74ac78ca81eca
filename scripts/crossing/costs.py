"""What a lookup costs: bytes, stack, executed instructions, nanoseconds beside tanhf."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from crossing.targets import SEMIHOSTED

HERE = Path(__file__).parent
# In every region of the equation, at its seams and edges.
POINTS: list[tuple[float | str, float]] = [
    (0.5, 0.5), (0.0, 0.5), (-0.0, 1.0), (1e-30, 0.7), (-1e-6, 0.70710677), (1e-40, 1.0), (0.5, 0.0), (0.2, 1.0),
    (1.2, 0.2), (-3.0, 0.3), (20.0, 2.0), (0.1, 10.0), ("inf", 1.0), ("nan", 1.0), (1.0, -1.0),
]  # fmt: skip
LONE = '#include "asked.h"\nfloat lone(float a, float b);\nfloat lone(float a, float b) { return FUNCTION()(a, b); }\n'
CORTEX_M4F = (
    "arm-none-eabi-",
    ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-ffreestanding"),
)
HERE_ITSELF = ("", ("-mavx2", "-mfma"))
CALLS, PER_TICK = 1000, 40  # of count.c
EMULATED = ("qemu-system-arm", "-machine", "mps2-an386", "-icount", "shift=0", *SEMIHOSTED, "-kernel")


def nanoseconds(compiler: str, folder: Path, *flags: str) -> dict[str, float]:
    """Medians an element, all in one run: a call, in an array, and tanhf of libm; independent and one after another."""
    program = _built(compiler, folder, "-O3", *flags)
    lines = subprocess.check_output([program], text=True).splitlines()
    return {name: float(ns) for name, ns in (line.split(": ") for line in lines)}


def vector_bits(compiler: str, *flags: str) -> int:
    """How wide a vector this compiler prefers with these flags."""
    shown = subprocess.run(
        [compiler, "-O3", *flags, "-S", "-x", "c", "-", "-o", "-"],
        input="void f(float *a, const float *b, int n) { for (int i = 0; i < n; ++i) a[i] = a[i] * b[i]; }",
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return next((bits for register, bits in (("%zmm", 512), ("%ymm", 256), ("%xmm", 128)) if register in shown), 0)


def executed(folder: Path, *flags: str) -> list[int] | None:
    """The smallest and largest number of instructions of a call, counted under callgrind; None without valgrind."""
    if shutil.which("valgrind") is None:
        return None
    program = _built("gcc", folder, "-O2", *flags)  # valgrind knows no AVX-512
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]
    found = []
    for loc, scale in POINTS:
        run = subprocess.run(
            [*command, "--toggle-collect=lone", program, str(loc), str(scale)],
            capture_output=True,
            text=True,
            check=True,
        )
        count = re.search(r"Collected : (\d+)", run.stderr)
        assert count is not None
        found.append(int(count[1]))
    return [min(found), max(found)]


def counted(folder: Path, *flags: str) -> list[int] | None:
    """The same on a Cortex-M4F under an emulator that counts; None without one."""
    prefix, machine = CORTEX_M4F
    if shutil.which(f"{prefix}gcc") is None or shutil.which(EMULATED[0]) is None:
        return None
    words = np.array([[float(number) for number in point] for point in POINTS], np.float32).view(np.uint32)
    points = ",".join(f"{{{loc}u,{scale}u}}" for loc, scale in words.tolist())
    program = str(folder / "count")
    bare = ("-std=gnu99", "-DBARE", "-nostdlib", "-Tbare.ld", f"-I{folder}", f"-DPOINTS={points}")
    command = [f"{prefix}gcc", *machine, *bare, "-O2", *flags, "count.c", "-o", program, "-lgcc"]
    subprocess.run(command, cwd=HERE, check=True)
    shown = subprocess.check_output([*EMULATED, program], text=True, stdin=subprocess.DEVNULL, timeout=300)
    rows = [[int(word) for word in line.split()] for line in shown.splitlines()]
    assert len(rows) == len(POINTS)
    found = [round((call - nothing) * PER_TICK / CALLS) + 1 for call, nothing in rows]  # nothing itself returns
    return [min(found), max(found)]


def footprint(prefix: str, machine: tuple[str, ...], folder: Path, *flags: str) -> dict[str, Any] | None:
    """Bytes of code and constants, bytes of stack, and, where no jump depends on data, the instructions of a call."""
    if shutil.which(f"{prefix}gcc") is None:
        return None
    (folder / "lone.c").write_text(LONE)
    command = [
        f"{prefix}gcc",
        "-std=c99",
        *machine,
        *flags,
        f"-I{HERE}",
        "-I.",
        "-fstack-usage",
        "-c",
        "lone.c",
        "-o",
        "lone.o",
    ]
    subprocess.run(command, cwd=folder, check=True)
    sections = subprocess.check_output([f"{prefix}size", "-A", "lone.o"], cwd=folder, text=True)
    sizes = {line.split()[0]: int(line.split()[1]) for line in sections.splitlines() if line.startswith(".")}
    assert sizes.get(".data", 0) == sizes.get(".bss", 0) == 0
    told = (line.split("\t") for line in (folder / "lone.su").read_text().splitlines())
    frames = {where.split(":")[-1]: int(size) for where, size, _ in told}
    shown = subprocess.check_output([f"{prefix}objdump", "-d", "lone.o"], cwd=folder, text=True)
    functions = _functions(shown)
    return {
        "code": sum(size for name, size in sizes.items() if name.startswith(".text")),
        "constants": sum(size for name, size in sizes.items() if name.startswith(".rodata")),
        "stack": _deepest("lone", functions, frames),
        "executed": _straight("lone", functions),
    }


def _built(compiler: str, folder: Path, *flags: str) -> str:
    program = str(folder / "costs")
    command = [compiler, "-std=c99", *flags, f"-I{folder}", "costs.c", "-o", program, "-lm"]
    subprocess.run(command, cwd=HERE, check=True)
    return program


def _functions(shown: str) -> dict[str, list[str]]:
    """The instructions of each function that objdump shows, without the numbers that lie between them."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in shown.splitlines():
        head = re.fullmatch(r"[0-9a-f]+ <(\S+)>:", line)
        if head:
            name = head[1]
            found[name] = []
        elif name and line.count("\t") >= 2 and not line.split("\t")[2].startswith(".word"):
            found[name].append(" ".join(line.split("\t")[2:]))
    return found


def _calls(lines: list[str], functions: dict[str, list[str]]) -> list[str]:
    """The functions called or, at the end, jumped to."""
    targets = (re.match(r"(?:bl|b|b\.w|b\.n|call|jmp)\s+[0-9a-f]+ <([^>+]+)>", line) for line in lines)
    return [target[1] for target in targets if target and target[1] in functions]


def _deepest(name: str, functions: dict[str, list[str]], frames: dict[str, int]) -> int:
    return frames.get(name, 0) + max(
        (_deepest(below, functions, frames) for below in _calls(functions[name], functions)), default=0
    )


def _straight(name: str, functions: dict[str, list[str]]) -> int | None:
    """The instructions that run, which are all; None where a jump depends on data."""
    lines = functions[name]
    conditional = r"(b(eq|ne|lt|gt|le|ge|mi|pl|hi|ls|cc|cs|vs|vc)(\.[nw])?|cbn?z|j(?!mp)\w+)\s"
    if any(re.match(conditional, line) for line in lines):
        return None
    below = [_straight(other, functions) for other in _calls(lines, functions)]
    return None if None in below else len(lines) + sum(count for count in below if count is not None)
