"""Many mutated files through one worker, and what is wrong with any of the loads."""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fuzzing import cases, content
from fuzzing.pool import Worker

MOST_MEMORY = 300e6  # bytes over the baseline
TIMEOUT = 10.0  # seconds


def judge(case: cases.Case, answer: dict[str, Any]) -> str | None:
    """What is wrong with a load; None if nothing."""
    outcome = answer["outcome"]
    if outcome not in ("loaded", "refused"):
        return f"{outcome}: {answer.get('why')}"
    if answer["memory"] > MOST_MEMORY:
        return f"took {answer['memory'] / 1e6:.0f} MB over the baseline"
    if outcome == "refused":
        return f"refused: {answer['why']}" if case.must_load else None
    loaded = content.Content(*answer["content"])
    if loaded == case.content or (not case.must_load and case.content.allows(loaded)):
        return None
    return "loaded as another table"


def fuzz(seed: int, numbers: range, timeout: float = TIMEOUT) -> dict[str, Any]:
    """Outcomes by mutation, the slowest and the largest load, and all failures."""
    outcomes: dict[str, Counter[str]] = {}
    failures: list[dict[str, Any]] = []
    slowest: dict[str, Any] = {"seconds": 0.0}
    largest: dict[str, Any] = {"megabytes": 0.0}
    bases = content.bases()
    began = time.perf_counter()

    def settle(worker: Worker, number: int, case: cases.Case, path: Path) -> None:
        nonlocal slowest, largest
        answer = worker.receive()
        problem = judge(case, answer)
        about = {"number": number, "case": case.name}
        outcomes.setdefault(case.name, Counter())["failed" if problem else answer["outcome"]] += 1
        if problem:
            failures.append({**about, "problem": problem})
        if answer.get("seconds", timeout) > slowest["seconds"]:
            slowest = {**about, "seconds": round(answer.get("seconds", timeout), 4)}
        if answer.get("memory", 0) / 1e6 > largest["megabytes"]:
            largest = {**about, "megabytes": round(answer["memory"] / 1e6, 1)}
        cases.remove(path)

    with Worker(timeout) as worker, tempfile.TemporaryDirectory() as folder:
        waiting: tuple[int, cases.Case, Path] | None = None
        for number in tqdm(numbers, unit="file", disable=not sys.stderr.isatty()):
            path = Path(folder) / f"{number}.h5"
            case = cases.write(path, seed, number, bases)  # while the worker loads the one before
            if waiting is not None:
                settle(worker, *waiting)
            waiting = number, case, path
            worker.send(path)
        if waiting is not None:
            settle(worker, *waiting)
    total = sum(outcomes.values(), Counter())
    return {
        "what": "mutated files given to ModeTable.load, each refused in one line or loaded as exactly what was put in",
        "seed": seed,
        "files": total.total(),
        "total": dict(total),
        "failures": failures,
        "slowest": slowest,
        "most memory over the baseline": largest,
        "baseline, MB": round(worker.baseline / 1e6, 1),
        "allowed": {"seconds": timeout, "megabytes": MOST_MEMORY / 1e6},
        "took, s": round(time.perf_counter() - began, 1),
        "by mutation": {name: dict(counts) for name, counts in sorted(outcomes.items())},
    }
