"""What a run leaves: a table in the terminal, and with --save a CSV, a JSON and a picture."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.measure import Timing

FIELDS = (
    "date", "commit", "cpu", "contender", "kind", "dtype", "size", "threads",
    "ns_per_call", "ns_low", "ns_high", "ns_per_element", "ratio", "max_error", "note",
)  # fmt: skip


def show(timings: Sequence[Timing], width: str) -> None:
    """One size and thread count, as a table; `width`: of the machine's vectors."""
    first = timings[0]
    print(f"\n{first.size:,} elements, {first.threads} thread{'s' if first.threads > 1 else ''}, {width}")
    print(f"  {'':30} {'as':7} {'a call':>10} {'an element':>11} {'quartiles':>17} {'× tanh':>8} {'max error':>10}")
    for t in timings:
        name, kind = t.contender.name, t.contender.kind
        if math.isnan(t.median):
            print(f"  {name:30} {kind:7} {t.note}")
            continue
        each = f"{t.median / t.size:.3g} ns"
        spread = "" if math.isnan(t.low) else f"{_time(t.low)} … {_time(t.high)}"
        ratio = "" if math.isnan(t.ratio) else f"{t.ratio:.3g}"
        error = "" if math.isnan(t.error) else f"{t.error:.1e}"
        print(f"  {name:30} {kind:7} {_time(t.median):>10} {each:>11} {spread:>17} {ratio:>8} {error:>10}  {t.note}")


def _time(ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def save(
    folder: Path, name: str, timings: Sequence[Timing], dtype: str, machine: dict[str, Any], picture: bool = True
) -> list[Path]:
    """Write name.csv, name.json and, if wanted, name.png; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{ending}" for ending in ("csv", "json", "png")[: 2 + picture]]
    with paths[0].open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(FIELDS)
        about = machine["date"], machine["commit"], machine["cpu"]
        for t in timings:
            numbers = (t.median, t.low, t.high, t.median / t.size, t.ratio, t.error)
            words = ("" if math.isnan(number) else f"{number:.4g}" for number in numbers)
            rows.writerow((*about, t.contender.name, t.contender.kind, dtype, t.size, t.threads, *words, t.note))
    paths[1].write_text(json.dumps(machine, indent=1) + "\n")
    if picture:
        draw(paths[2], timings, machine)
    return paths


_LINES = {
    ("torch.tanh", "tensor"): ("#555555", "--", "torch.tanh"),
    ("torch.add(out=)", "out"): ("#999999", ":", "torch.add(out=): the memory limit"),
    ("ours bilinear cpu", "tensor"): ("#7db8da", "-", "tanhlut bilinear"),
    ("ours refined cpu", "tensor"): ("#1f77b4", "-", "tanhlut refined"),
    ("ours exact cpu", "tensor"): ("#0b3d61", "-", "tanhlut exact"),
    ("ours refined eager", "tensor"): ("#2ca02c", "-", "tanhlut refined, eager torch"),
    ("Newton, eager torch", "tensor"): ("#ff7f0e", "-", "Newton in eager torch"),
    ("SciPy RegularGridInterpolator", "array"): ("#8c564b", "-", "SciPy RegularGridInterpolator"),
    ("SciPy brentq", "array"): ("#bcbd22", "-", "SciPy brentq"),
    ("TorchRL get_mode", "tensor"): ("#d62728", "-", "TorchRL get_mode"),
}


def draw(path: Path, timings: Sequence[Timing], machine: dict[str, Any]) -> None:
    """Latency of a call against batch size, one thread."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), constrained_layout=True)
    for key, (colour, style, label) in _LINES.items():
        found = [t for t in timings if (t.contender.name, t.contender.kind) == key and t.threads == 1]
        points = [(t.size, t.median / 1e3) for t in found if not math.isnan(t.median)]
        if points:
            axes.loglog(*zip(*points, strict=True), style, color=colour, marker="o", markersize=3, label=label)
    axes.set_xlabel("elements in a call")
    axes.set_ylabel("microseconds a call, one thread")
    axes.set_title(
        f"The mode of a tanh-squashed Gaussian: time of a call\n{machine['cpu']}, {machine['date']}", fontsize=10
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
