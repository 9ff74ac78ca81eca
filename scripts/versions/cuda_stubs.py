"""What torch's CUDA builds link but only a GPU needs, as libraries of empty functions: gigabytes become kilobytes.

torch.cuda then finds no device, as on a machine without one (error 100), and everything on the CPU works.
"""

import re
import subprocess
import tempfile
from pathlib import Path

_ANSWER = "int {}(void) {{ return 100; }}\n"  # cudaErrorNoDevice
_TEXT = 'const char *{}(void) {{ return "a stub"; }}\n'
_OF_CUDA = re.compile(r"(__cuda|cu|nccl|nv)\w+")


def add_stubs(libraries: Path) -> list[str]:
    """Put a stub of every CUDA library that is missing beside torch's own, in `torch/lib`: their names."""
    own = sorted(libraries.glob("*.so*"))
    missing = sorted({name for path in own for name in _missing(path)})
    wanted = {name for path in own for name in _undefined(path)}
    required = {pair for path in own for pair in _required(path)}
    for library in missing:
        versions = {version for name, version in required if name == library}
        # Functions without a version can be anywhere: they go to the first library.
        functions = {version: _functions(wanted, version) for version in sorted(versions)}
        _compile(libraries / library, functions, _functions(wanted, "") if library == missing[0] else [])
    return missing


def _functions(wanted: set[tuple[str, str]], version: str) -> list[str]:
    return sorted(name for name, of in wanted if of == version and _OF_CUDA.fullmatch(name))


def _compile(library: Path, versioned: dict[str, list[str]], others: list[str]) -> None:
    names = [*others, *(name for part in versioned.values() for name in part)]
    text = "".join((_TEXT if re.search("Error(String|Name)", name) else _ANSWER).format(name) for name in names)
    parts = (f"{version} {{ global: {' '.join(f'{name};' for name in part)} }};" for version, part in versioned.items())
    with tempfile.NamedTemporaryFile("w", suffix=".map") as script:
        script.write("\n".join(parts))
        script.flush()
        options = ["-shared", "-fPIC", "-w", f"-Wl,-soname,{library.name}"]
        options += [f"-Wl,--version-script={script.name}"] if versioned else []
        subprocess.run(["gcc", *options, "-x", "c", "-", "-o", str(library)], input=text, text=True, check=True)


def _missing(library: Path) -> list[str]:
    return re.findall(r"(\S+) => not found", _said("ldd", library))


def _undefined(library: Path) -> set[tuple[str, str]]:
    """(name, version or "") of each function that a library wants from others."""
    parts = (line.split()[-1].partition("@") for line in _said("nm", "-D", "--undefined-only", library).splitlines())
    return {(name, version) for name, _, version in parts}


def _required(library: Path) -> list[tuple[str, str]]:
    """(library, version) of each version that a library wants another to have."""
    found, wanted_of = [], ""
    for line in _said("objdump", "-p", library).splitlines():
        if line.strip().startswith("required from "):
            wanted_of = line.split()[-1].rstrip(":")
        elif wanted_of and (entry := re.fullmatch(r"\s+0x\w+ 0x\w+ \d+ (\S+)", line)):
            found.append((wanted_of, entry[1]))
    return found


def _said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
