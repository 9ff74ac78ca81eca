"""Build a header for a target, run it, compare what it printed."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossing import points
from crossing.targets import Target

HERE = Path(__file__).parent
SECONDS = 900


def attempt(
    target: Target, folder: Path, count: int, expected: NDArray[np.uint32], asked: str = "mode"
) -> dict[str, Any]:
    """What became of a target: `outcome` is "equal", "refused" (its self-test says so), "different", "failed", or
    "compiled" where nothing runs it here.

    Args:
        folder: where tanhlut.h is, and where the program goes.
        expected: `points.sums` of at least `count` points.
        asked: "mode" or "mean".
    """
    count -= count % points.BLOCK
    program = folder / "program"
    runs = not target.missing_runner()
    libraries = ["-lgcc"] if target.bare else ["-lm"] if "-DTANHLUT_LIBM_FMA" in target.flags else []
    command = [target.compiler, *target.flags, f"-I{folder}", f"-DCOUNT={count}u", f"-DASKED={asked}"]
    command += ["check.c", "-o", str(program)]
    command += libraries if runs or target.bare else ["-c"]  # no need for a library where nothing will run
    built = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if built.returncode:
        lines = (built.stderr or built.stdout).strip().splitlines()
        why = next((line for line in lines if "error:" in line.lower()), "no word of why")
        return {"outcome": "failed", "why": [why.split(": ", 1)[-1]]}  # without the name of a passing file
    if not runs:
        return {"outcome": "compiled", "missing": target.missing_runner()}
    ran = subprocess.run(
        [*target.runner, str(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )
    try:
        selftest, different = judged(ran.stdout, expected[: count // points.BLOCK])
    except ValueError:
        return {"outcome": "failed", "why": (ran.stderr or ran.stdout).strip().splitlines()[-1:]}
    if different == 0 and selftest == 0:
        outcome = "equal"
    else:
        outcome = "refused" if selftest and not target.ends else "different"
    return {"outcome": outcome, "points": count, "thousands that differ": different, "self-test": selftest}


def judged(printed: str, expected: NDArray[np.uint32]) -> tuple[int, int]:
    """(what the self-test returned, how many thousands of points differ); ValueError where the program said less."""
    first, *rest = printed.splitlines()
    words = np.array([[int(word, 16) for word in line.split()] for line in rest], np.uint32)
    if not first.startswith("selftest ") or words.shape != (len(expected), 3):
        raise ValueError(printed[:80])
    wanted = np.stack([expected[:, 0], expected[:, 1], expected[:, 0]], 1)
    return int(first.split()[1], 16), int((words != wanted).any(1).sum())
