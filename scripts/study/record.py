"""The results: read if there, written after each run in one rename."""

import json
import os
from pathlib import Path
from typing import Any

from study.runs import Run


class Record:
    """A JSON file that grows. `content` is what it holds."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {**about, "runs": []}

    def has(self, run: Run) -> bool:
        """Whether this run is there, of the same length."""
        return any(all(found[key] == value for key, value in run._asdict().items()) for found in self.content["runs"])

    def add(self, found: dict[str, Any]) -> None:
        """Keep a run, and write."""
        self.content["runs"].append(found)
        self.write()

    def write(self) -> None:
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.content, indent=1, ensure_ascii=False) + "\n")
        os.replace(partial, self.path)
