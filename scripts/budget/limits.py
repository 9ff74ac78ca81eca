"""What a kernel may cost, and what is wrong with one."""

from collections.abc import Iterator
from typing import Any

# Instructions an element on any NVIDIA target, float32: a little above what Triton 3.9 makes.
LIMITS = {"bilinear": 59.0, "refined": 96.0, "exact": 103.0}


def judged(row: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a kernel, in words."""
    name = f"{row['kernel']} on {row['target']}"
    if row["calls"] and row["kernel"] in LIMITS:
        yield f"{name}: {row['calls']} calls"
    if row["spilled"]:
        yield f"{name}: {row['spilled']} bytes spilled"
    limit = LIMITS.get(row["kernel"])
    if limit is not None and row.get("instructions", 0.0) > limit:
        yield f"{name}: {row['instructions']:.1f} instructions an element, the limit is {limit:g}"
