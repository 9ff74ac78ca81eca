"""Compiling a header, running it, and the points at which its bits are compared."""

import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import c_variants
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "data" / "default.h5"
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]
C99, CPP = ["gcc", "-std=c99", *STRICT], ["g++", "-std=c++17", "-x", "c++", *STRICT]
BUILDS = {
    "-O0": [*C99, "-O0"],
    "-O3 native": [*C99, "-O3", "-march=native"],
    "contracting": [*C99, "-O3", "-march=native", "-ffp-contract=fast"],
    "small": [*C99, "-Os"],
    "branching": [*C99, "-O2", "-march=native", "-DTANHLUT_BRANCHING"],
    "libm": [*C99, "-O2", "-DTANHLUT_LIBM_FMA"],
    "C++17": [*CPP, "-O2", "-march=native"],
    "sanitized": [*C99, "-O1", "-fsanitize=undefined,address,float-cast-overflow", "-fno-sanitize-recover=all"],
}
PROGRAM = """
#include "tanhlut.h"
#include <stdio.h>
int main(int argc, char **argv)
{
    float asked[2], out[3];
    const float low = -0.3f, high = 1.9f;
    const int wrong = tanhlut_selftest();
    if (argc > 1) {
        FILE *in = fopen(argv[1], "rb"), *answers = fopen(argv[2], "wb");
        if (in == NULL || answers == NULL)
            return 3;
        while (fread(asked, sizeof asked, 1, in) == 1) {
            out[0] = tanhlut_mode(asked[0], asked[1]);
            out[1] = tanhlut_mode_bounded(asked[0], asked[1], low, high);
            tanhlut_mode_array(asked, asked + 1, out + 2, 1);
            fwrite(out, sizeof out, 1, answers);
        }
        fclose(in);
        fclose(answers);
    }
    return wrong != 0;
}
"""


def compiled(folder: Path, text: str, command: Sequence[str], program: str = PROGRAM) -> Path:
    (folder / "tanhlut.h").write_text(text)
    (folder / "main.c").write_text(program)
    run = subprocess.run(
        [*command, "main.c", "-o", "main", "-lm"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return folder / "main"


def fails(program: Path) -> bool:
    """Whether its self-test does."""
    status = subprocess.run([program], check=False).returncode
    assert status in (0, 1)
    return status == 1


def answers(program: Path, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 3): mode, mode on [-0.3, 1.9], mode of an array; after a self-test that passed."""
    given, found = program.parent / "points", program.parent / "answers"
    given.write_bytes(points.tobytes())
    subprocess.run([program, given, found], check=True)
    return np.fromfile(found, np.float32).reshape(-1, 3)


@cache
def asked() -> NDArray[np.float32]:
    """(n, 2): every pair of the edges, 10^5 points everywhere and at the seams, and random bits."""
    edges = [0.0, 1e-45, 1e-40, 1.1754944e-38, 1e-30, 2.5849394e-26, 1e-6, 0.1, 0.2, 0.5, 0.70710677, 0.7071068, 1.0]
    edges += [
        1.2,
        1.25,
        1.2500001,
        1.5,
        1.9,
        2.0,
        3.0,
        3.0000002,
        4.0,
        16.0,
        16.000002,
        40.0,
        3.4028235e38,
        np.inf,
        np.nan,
    ]
    both = np.array([*edges, *(-edge for edge in edges)], np.float32)
    grid = np.stack(np.meshgrid(both, both), -1).reshape(-1, 2)
    words = np.random.default_rng(3).integers(0, 2**32, (30_000, 2), np.uint32)
    return np.concatenate([grid, c_variants.pool(100_000, 2).view(np.float32), words.view(np.float32)])


def unlike(found: NDArray[np.float32], expected: NDArray[np.float32]) -> int:
    """How many differ in a bit, NaNs being alike."""
    same = (found.view(np.uint32) == expected.view(np.uint32)) | (np.isnan(found) & np.isnan(expected))
    return int((~same).sum())


def counted(folder: Path, texts: list[str], flags: Sequence[str]) -> list[int]:
    """What the self-tests of many headers return."""
    calls = "".join(f'    printf("%d\\n", v{k}_selftest());\n' for k in range(len(texts)))
    program = f"{c_variants.together(texts)}\n#include <stdio.h>\nint main(void)\n{{\n{calls}    return 0;\n}}\n"
    return [int(word) for word in subprocess.check_output(compiled(folder, "", ["gcc", *flags], program)).split()]
