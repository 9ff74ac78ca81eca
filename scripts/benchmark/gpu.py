"""The same question on a CUDA device: events, CUDA graphs for small batches, and the memory limit for large ones."""

import statistics
from collections.abc import Callable
from functools import partial

import torch

from tanhlut import mode, solve_mode
from tanhlut.methods import COMPILED

LARGE, GRAPHED = 1 << 26, (1, 1 << 7, 1 << 10, 1 << 14)
_ROUNDS, _LOOPS = 30, 20


def main() -> int:
    """Print the table; 1 where there is no device."""
    if not torch.cuda.is_available():
        print("no CUDA device: nothing measured")
        return 1
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    for dtype in (torch.float32, torch.bfloat16):
        _compare(LARGE, dtype, graphed=False)
    for size in GRAPHED:
        _compare(size, torch.float32, graphed=True)
    return 0


def _compare(size: int, dtype: torch.dtype, graphed: bool) -> None:
    loc, scale = torch.randn(size, device="cuda").to(dtype), (torch.rand(size, device="cuda") * 2 + 0.01).to(dtype)
    out = torch.empty_like(loc)
    calls: dict[str, Callable[[], object]] = {
        "torch.add(out=)": lambda: torch.add(loc, scale, out=out),
        "torch.tanh(out=)": lambda: torch.tanh(loc, out=out),
        **{f"ours {m}": partial(mode, loc, scale, method=m, out=out) for m in COMPILED},
        "ours refined eager": lambda: mode(loc, scale, backend="eager"),
    }
    if graphed:
        calls = {name: _captured(call) for name, call in calls.items() if "eager" not in name}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            times[name].append(_milliseconds(call, 2 if size == LARGE else _LOOPS))
    print(f"\n{size:,} {str(dtype).removeprefix('torch.')} elements{', CUDA graph' if graphed else ''}")
    for name, spent in times.items():
        by_add, by_tanh = (
            statistics.median(a / b for a, b in zip(spent, times[other], strict=True))
            for other in ("torch.add(out=)", "torch.tanh(out=)")
        )
        rate = 3 * loc.element_size() * size / statistics.median(spent) / 1e6
        error = _error(name, calls[name], out, loc, scale)
        median = statistics.median(spent) * 1e3
        print(f"  {name:20} {median:9.2f} µs {rate:7.0f} GB/s  {by_add:6.2f} × add {by_tanh:6.2f} × tanh  {error}")


def _captured(call: Callable[[], object]) -> Callable[[], object]:
    call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def _milliseconds(call: Callable[[], object], loops: int) -> float:
    call()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(loops):
        call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / loops


def _error(name: str, call: Callable[[], object], out: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> str:
    """The largest error over the first million answers, on the host."""
    if not name.startswith("ours"):
        return ""
    answer = call()
    y = answer if isinstance(answer, torch.Tensor) else out
    head = slice(0, 1_000_000)
    truth = solve_mode(loc[head].double().cpu().numpy(), scale[head].double().cpu().numpy(), solver="newton")
    return f"error {abs(y[head].double().cpu().numpy() - truth).max():.1e}"
