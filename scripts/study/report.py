"""The tables: means ± standard errors over seeds, and the arms compared seed by seed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from study.gradients import ESTIMATES
from study.policies import RULES
from study.runs import ARMS, STEPS

Measure = Callable[[dict[str, Any]], float]

MEASURES: dict[str, Measure] = {
    **{f"return, {rule}": lambda run, rule=rule: float(np.mean(run["returns"][rule])) for rule in RULES},  # type: ignore[misc]
    "return in training": lambda run: float(np.mean(run["returns in training"] or np.nan)),
    "entropy an action, nats": lambda run: float(run["entropy an action"]),
    "CPU seconds": lambda run: float(run["cpu seconds"]),
}


def show(content: dict[str, Any]) -> str:
    """All tables, in Markdown."""
    runs = content["runs"]
    parts = [recorded(content.get("recorded", {})), noise(runs), losses(runs), training(runs)]
    return "\n".join(part for part in parts if part)


def training(runs: list[dict[str, Any]]) -> str:
    """Every measure of every algorithm and task, for both arms, and exact − sampled of the seeds that have both."""
    lines = ["| | | sampled | exact | exact − sampled | seeds |", "|---|---|---|---|---|---|"]
    for algorithm, task, pairs in paired(runs):
        for name, measure in MEASURES.items():
            sampled, exact = (np.array([measure(pair[arm]) for pair in pairs]) for arm in ARMS)
            less = exact - sampled
            cells = [mean_and_error(values) for values in (sampled, exact, less)]
            lines.append(
                f"| {algorithm}, {task} | {name} | {' | '.join(cells)} | {len(pairs)}, {(less > 0).sum()} up |"
            )
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def noise(runs: list[dict[str, Any]]) -> str:
    """Of the gradient of the entropy: noise of each estimate over the exact gradient's norm.

    Bias of the network's alone: that of single states drowns in their noise.
    """
    lines = [
        "| | with respect to | " + " | ".join(ESTIMATES) + " | bias of stored | policies |",
        "|---|---|" + "---|" * (len(ESTIMATES) + 2),
    ]
    for (algorithm, task), group in grouped(runs).items():
        for name, pick in WITH_RESPECT_TO.items():
            found = [pick(run) for run in group]
            cells = [mean_and_error(np.array([one[kind]["noise"] for one in found])) for kind in ESTIMATES]
            bias = mean_and_error(np.array([one["stored"]["bias"] for one in found])) if name == NETWORK else ""
            lines.append(f"| {algorithm}, {task} | {name} | {' | '.join(cells)} | {bias} | {len(found)} |")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


NETWORK = "network, a minibatch of 256"
WITH_RESPECT_TO: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "loc": lambda run: run["gradient of states"]["loc"],
    "scale": lambda run: run["gradient of states"]["scale"],
    NETWORK: lambda run: run["gradient of the network"],
}


def recorded(found: dict[str, Any]) -> str:
    """As `noise`, of the policies that were given as files."""
    head = f"| recorded policy | with respect to | {' | '.join(ESTIMATES)} |"
    lines = [head, "|---|---|" + "---|" * len(ESTIMATES)]
    for policy, parts in found.items():
        for name in ("loc", "scale"):
            cells = [f"{parts[name][kind]['noise']:.2f}" for kind in ESTIMATES]
            lines.append(f"| {policy} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def losses(runs: list[dict[str, Any]]) -> str:
    """Of SAC: what the exact term does to the noise of the whole gradient, and would do to that of the target."""
    lines = [
        "| SAC, noise of exact / of sampled | actor's gradient | critics' target | policies |",
        "|---|---|---|---|",
    ]
    for (_, task), group in grouped([run for run in runs if "SAC's losses" in run]).items():
        cells = []
        for part in ("actor's gradient", "target"):
            found = [run["SAC's losses"] for run in group]
            cells.append(mean_and_error(np.array([one[f"{part}, exact"] / one[f"{part}, sampled"] for one in found])))
        lines.append(f"| {task} | {' | '.join(cells)} | {len(group)} |")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def mean_and_error(values: np.ndarray) -> str:
    """Mean ± standard error."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    digits = 0 if abs(values.mean()) >= 1000 else 1 if abs(values.mean()) >= 10 else 2
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}".replace("-", "−")


def grouped(runs: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """By algorithm and task, in the plan's order; only those that have runs."""
    found = {key: [run for run in runs if (run["algorithm"], run["task"]) == key] for key in STEPS}
    return {key: group for key, group in found.items() if group}


def paired(runs: list[dict[str, Any]]) -> list[tuple[str, str, list[dict[str, dict[str, Any]]]]]:
    """For each algorithm and task the seeds of which both arms are there, as arm → run."""
    found = []
    for (algorithm, task), group in grouped(runs).items():
        seeds = sorted({run["seed"] for run in group})
        pairs = [{run["arm"]: run for run in group if run["seed"] == seed} for seed in seeds]
        whole = [pair for pair in pairs if len(pair) == len(ARMS)]
        if whole:
            found.append((algorithm, task, whole))
    return found
