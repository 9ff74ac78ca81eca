"""Load the files that standard input names, one a line, and say of each what became of it. One JSON object a line.

Memory is the process's largest resident set, in bytes: while the file loads where Linux can tell, so far elsewhere. The
first line, before any file, gives the baseline.
"""

import json
import re
import resource
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

from fuzzing import content
from tanhlut import ModeTable, TableError

HEADROOM = 1 << 30  # bytes of address space that a load may add before it fails: the machine's memory is not the limit
LONGEST = 2000  # characters of a message


def forget_peak() -> None:
    """Let `peak` count from now on, where that can be."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Bytes of the largest resident set."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found.group(1)) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def load(path: str) -> dict[str, object]:
    """The outcome: loaded (and what), refused (and why), or the exception that no file should raise."""
    forget_peak()
    began = time.perf_counter()
    try:
        table = ModeTable.load(path)
    except TableError as error:
        outcome: dict[str, object] = {"outcome": "refused", "why": str(error)}
        if not (str(error).startswith(path) and str(error).isprintable() and len(str(error)) <= LONGEST):
            outcome["outcome"] = "refused without one plain line"
    except BaseException as error:
        outcome = {"outcome": f"raised {type(error).__name__}", "why": str(error)}
    else:
        outcome = {"outcome": "loaded"}
    outcome["seconds"] = time.perf_counter() - began
    outcome["peak"] = peak()
    if outcome["outcome"] == "loaded":
        outcome["content"] = content.of(table)
        wrong = content.unsound(table)
        if wrong is not None:
            outcome |= {"outcome": "loaded a table that is none", "why": wrong}
    return outcome


def main() -> None:
    """Until standard input ends."""
    warnings.simplefilter("error")
    ModeTable.default()
    statm = Path("/proc/self/statm")
    if statm.exists():
        size = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + HEADROOM, resource.RLIM_INFINITY))
    print(json.dumps({"peak": peak()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(load(line.rstrip("\n"))), flush=True)


if __name__ == "__main__":
    main()
