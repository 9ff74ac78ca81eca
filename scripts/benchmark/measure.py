"""Timing: contenders take turns within a round, so that a noisy moment hits all; ratios are taken round by round."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch

import tanhlut
from benchmark.contenders import YARDSTICK, Contender, Sample
from tanhlut import solve_mode

_SAMPLE_NS = 300_000  # one measurement repeats a call for at least so long


class Timing(NamedTuple):
    """One contender at one size: nanoseconds a call (quartiles), ratio to its yardstick, the error of its answers."""

    contender: Contender
    size: int
    threads: int
    median: float
    low: float
    high: float
    ratio: float
    error: float
    note: str


def compare(
    entries: Sequence[Contender],
    sample: Sample,
    threads: int,
    rounds: int,
    budget: float,
    before: Sequence[Timing] = (),
) -> list[Timing]:
    """Time every contender that can run; those whose one call takes over `budget` seconds are named, not run again.

    `before`: results at smaller sizes; whoever would take ten times the budget by them is named and not run at all.
    """
    size, truth = len(sample.loc), cache(partial(_truth, sample))
    running: list[tuple[Contender, int]] = []
    errors: dict[Contender, float] = {}
    results = []
    for entry in entries:
        if entry.call is None:
            results.append(_idle(entry, size, threads, entry.note))
            continue
        expected = max((t.median / t.size * size / 1e9 for t in before if _same(t.contender, entry)), default=0.0)
        if size > 1000 and expected > 10.0 * budget:
            results.append(_idle(entry, size, threads, f"not run: it would take about {expected:.0f} s"))
            continue
        try:
            answer, spent = _once(entry.call)
        except RuntimeError as error:  # TorchRL's get_mode wants 40 GB for ten million elements
            results.append(_idle(entry, size, threads, f"failed: {str(error).splitlines()[0][:80]}"))
            continue
        errors[entry] = _error(answer, truth(entry.answers)) if entry.answers else float("nan")
        if spent > budget * 1e9:
            note = f"over the budget of {budget:g} s: one call, {entry.note}".rstrip(", ")
            results.append(_idle(entry, size, threads, note)._replace(median=spent, error=errors[entry]))
            continue
        running.append((entry, max(1, round(_SAMPLE_NS / max(spent, 1)))))
    times: dict[Contender, list[float]] = {entry: [] for entry, _ in running}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for entry, repeats in running:
                times[entry].append(_repeat(entry.call, repeats))
    finally:
        gc.enable()
    yardsticks = {entry.kind: times[entry] for entry, _ in running if entry.name == YARDSTICK[entry.kind]}
    for entry, _ in running:
        low, median, high = statistics.quantiles(times[entry], n=4)
        ratio = statistics.median(t / y for t, y in zip(times[entry], yardsticks[entry.kind], strict=True))
        results.append(Timing(entry, size, threads, median, low, high, ratio, errors[entry], entry.note))
    places = {entry: place for place, entry in enumerate(entries)}
    return sorted(results, key=lambda timing: places[timing.contender])


def _same(one: Contender, other: Contender) -> bool:
    return (one.name, one.kind) == (other.name, other.kind)


def _once(call: Callable[[], Any]) -> tuple[Any, float]:
    """The answer, copied, and nanoseconds of a second call, or of the first if that was long."""
    began = time.perf_counter_ns()
    answer = call()
    spent = time.perf_counter_ns() - began
    answer = answer.detach().double().numpy() if isinstance(answer, torch.Tensor) else answer
    answer = np.array(answer, dtype=np.float64).reshape(-1)
    if spent < 50_000_000:
        began = time.perf_counter_ns()
        for _ in range(3):
            call()
        spent = (time.perf_counter_ns() - began) // 3
    return answer, float(spent)


def _repeat(call: Any, repeats: int) -> float:
    """Nanoseconds a call, after one that brings what it reads back into the caches that others have used."""
    call()
    began = time.perf_counter_ns()
    for _ in range(repeats):
        call()
    return (time.perf_counter_ns() - began) / repeats


def _truth(sample: Sample, quantity: str) -> Any:
    """The mode by the exact solver, what else by quadrature, which the tests hold against mpmath."""
    loc, scale = sample.loc.double().numpy(), sample.scale.double().numpy()
    if quantity == "mode":
        return solve_mode(loc, scale, solver="newton")
    return getattr(tanhlut, quantity)(loc, scale, method="quadrature")


def _error(answer: Any, truth: Any) -> float:
    return float(np.nanmax(np.abs(answer - truth)))


def _idle(entry: Contender, size: int, threads: int, note: str) -> Timing:
    nan = float("nan")
    return Timing(entry, size, threads, nan, nan, nan, nan, nan, note)
