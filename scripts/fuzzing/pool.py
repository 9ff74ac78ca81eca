"""A process that loads files for us, so that a hang, a crash or a flood of memory is its own and names its file."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from select import select
from typing import Any

ROOT = Path(__file__).parent.parent.parent


class Worker:
    """One `fuzzing.worker`, started again after a file that ended it.

    Attributes:
        baseline: bytes of its largest resident set before the first file.
        pid: of the process that runs now.
    """

    def __init__(self, timeout: float = 10.0) -> None:
        self.timeout = timeout
        self._start()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts")]),
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzzing.worker"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.pid = self._process.pid
        answer = self._answer(120.0)
        if "peak" not in answer:
            self._process.kill()
            self.close()
            raise RuntimeError(f"the worker did not start: {answer}")
        self.baseline = int(answer["peak"])

    def send(self, path: Path) -> None:
        """Begin to load a file."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # `receive` says that it crashed
            self._process.stdin.write(f"{path}\n".encode())
        self._sent = time.monotonic()

    def receive(self) -> dict[str, Any]:
        """What became of it: outcome, seconds, memory (bytes over the baseline)."""
        answer = self._answer(self.timeout - (time.monotonic() - self._sent))
        if "peak" not in answer:
            self._process.kill()
            self.close()
            self._start()
            return answer
        answer["memory"] = answer["peak"] - self.baseline
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self, timeout: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        line, until = b"", time.monotonic() + timeout
        while not line.endswith(b"\n"):
            if not select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                return {"outcome": "hung", "why": f"no answer in {self.timeout} s"}
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            if not piece:
                return {"outcome": "crashed", "why": f"status {self._process.wait()}"}
            line += piece
        found: dict[str, Any] = json.loads(line)
        return found
