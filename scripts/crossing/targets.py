"""What a header is built for, what runs it, and which Debian packages bring either."""

import shutil
from typing import NamedTuple

STRICT = ("-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
C99 = ("-std=c99", *STRICT)
CORTEX = ("-mthumb", "-mfloat-abi=hard", "-DBARE", "-nostdlib", "-ffreestanding", "-Tbare.ld")

# What the image says goes to standard output, and nothing else does.
SEMIHOSTED = (
    *("-display", "none", "-serial", "none", "-monitor", "none", "-chardev", "stdio,id=said"),
    *("-semihosting-config", "enable=on,target=native,chardev=said"),
)


class Target(NamedTuple):
    """One build. `runner` is a command to which the program's path is added; empty on this machine itself."""

    name: str
    compiler: str
    flags: tuple[str, ...]
    package: str
    runner: tuple[str, ...] = ()
    runner_package: str = ""
    ends: bool = True  # whether all answers must be right; otherwise the self-test must say that they are not
    share: int = 1  # one in so many points: emulators are slow

    @property
    def bare(self) -> bool:
        return "-DBARE" in self.flags

    def missing(self) -> list[str]:
        """The packages without which nothing is built."""
        return [] if shutil.which(self.compiler) else [self.package]

    def missing_runner(self) -> list[str]:
        """Those without which what is built is not run."""
        return [] if not self.runner or shutil.which(self.runner[0]) else [self.runner_package]


def _hosted(name: str, compiler: str, package: str, plus: str) -> list[Target]:
    builds = {
        "-O0": ("-O0",),
        "-O2": ("-O2",),
        "-O3 -march=native": ("-O3", "-march=native"),
        "-O2 -march=native branching": ("-O2", "-march=native", "-DTANHLUT_BRANCHING"),
        "-O2 libm": ("-O2", "-DTANHLUT_LIBM_FMA"),
        "sanitizers": ("-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"),
    }
    targets = [Target(f"{name} {build}", compiler, (*C99, *flags), package) for build, flags in builds.items()]
    cpp = ("-x", "c++", "-std=c++17", *STRICT, "-O2", "-march=native")
    contracting = (*C99, "-O3", "-march=native", "-ffp-contract=fast")
    # clang follows this option before the pragma; gcc the pragma.
    return [
        *targets,
        Target(f"{name} C++17", plus, cpp, package),
        Target(f"{name} -ffp-contract=fast", compiler, contracting, package, ends=name == "gcc"),
    ]


def _emulated(name: str, triplet: str, flags: tuple[str, ...], emulator: str) -> list[Target]:
    runner = (emulator, "-L", f"/usr/{triplet}")
    return [
        Target(
            f"{name} {level}", f"{triplet}-gcc", (*C99, level, *flags), f"gcc-{triplet}", runner, "qemu-user", share=5
        )
        for level in ("-O0", "-O3")
    ]


def _cortex(name: str, flags: tuple[str, ...], machine: str) -> Target:
    runner = ("qemu-system-arm", "-machine", machine, *SEMIHOSTED, "-kernel")
    flags = ("-std=gnu99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2", *flags, *CORTEX)
    return Target(name, "arm-none-eabi-gcc", flags, "gcc-arm-none-eabi", runner, "qemu-system-arm", share=5)


TARGETS = [
    *_hosted("gcc", "gcc", "gcc", "g++"),
    *_hosted("clang", "clang", "clang", "clang++"),
    *_emulated("aarch64", "aarch64-linux-gnu", (), "qemu-aarch64"),
    *_emulated("armhf vfpv3", "arm-linux-gnueabihf", (), "qemu-arm"),
    *_emulated("armhf vfpv4", "arm-linux-gnueabihf", ("-mfpu=neon-vfpv4", "-march=armv7ve"), "qemu-arm"),
    *_emulated("riscv64", "riscv64-linux-gnu", (), "qemu-riscv64"),
    _cortex("Cortex-M4F", ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"), "mps2-an386"),
    _cortex("Cortex-M7", ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16"), "mps2-an500"),
]
