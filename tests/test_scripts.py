"""The measuring scripts: that they measure what they say, not what they find."""

import csv
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "scripts"))

from benchmark import machine, moments, report  # noqa: E402
from benchmark.contenders import YARDSTICK, Contender, Sample, contenders, newton  # noqa: E402
from benchmark.measure import compare  # noqa: E402


@pytest.mark.filterwarnings("ignore")  # peers warn as they like
def test_every_contender_has_a_row_or_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.contenders.COMPILED_UP_TO", 0)  # compiling takes longer than this test should
    for size in (1, 64):
        sample = Sample.drawn(size, torch.float32)
        entries = [entry for entry in contenders(sample) if "eager" not in entry.name]
        entries.append(Contender("refuses", "tensor", lambda: torch.zeros(1).reshape(3)))
        timings = compare(entries, sample, threads=1, rounds=2, budget=5.0)
        assert [t.contender for t in timings] == entries
        for t in timings:
            if math.isnan(t.median):
                assert t.note.startswith(("missing: ", "not run ", "failed: ")), t
            else:
                assert t.median > 0
                assert t.ratio > 0
            if t.contender.name in ("ours refined cpu", "ours exact cpu"):
                assert t.error <= 4e-7
        assert all(
            any(t.contender.name == name and t.ratio == 1 for t in timings) for name in list(YARDSTICK.values())[:3]
        )
        report.show(timings, "AVX2")
    about = machine.describe()
    paths = report.save(tmp_path, "run", timings, "float32", about)
    rows = list(csv.DictReader(paths[0].open()))
    assert len(rows) == len(timings)
    assert {row["contender"] for row in rows} >= {"torch.tanh", "ours refined cpu", "SciPy brentq", "TorchRL get_mode"}
    assert all(path.stat().st_size > 100 for path in paths)


def test_every_mutant_is_of_the_program_as_it_is() -> None:
    from mutation import sources

    stale = [mutant.name for mutant in sources.MUTANTS if mutant.old not in (ROOT / mutant.path).read_text()]
    assert not stale


def test_moments_are_held_against_quadrature() -> None:
    sample = Sample.drawn(64, torch.float32)
    timings = compare(list(moments.contenders(sample)), sample, threads=1, rounds=2, budget=5.0)
    seen = {t.contender.name: t.error for t in timings if t.contender.kind == "tensor"}
    for name in moments.QUANTITIES:
        assert seen[f"ours {name}"] <= 4e-6
        assert seen[f"ours {name}, quadrature"] <= 4e-6
    assert seen["one sample's −log_prob"] > 0.1
    assert math.isnan(seen["ours describe"])


def test_a_slow_contender_is_named_not_repeated() -> None:
    sample = Sample.drawn(2, torch.float32)
    calls = []
    slow = Contender("slow", "tensor", lambda: calls.append(1) or newton(sample.loc, sample.scale))  # type: ignore[func-returns-value]
    (timing,) = compare([slow], sample, threads=1, rounds=9, budget=0.0)
    assert "over the budget" in timing.note
    assert len(calls) <= 4


def test_without_a_device_the_gpu_benchmark_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "bench", "--gpu"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "no CUDA device" in run.stdout


@pytest.mark.slow
def test_a_short_control_loop() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "control_loop"), "--seconds", "0.1", "--no-load"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cpu, tensor, out=" in run.stdout
    rows = [line for line in run.stdout.splitlines() if line.strip().startswith("cpu, tensor, out=")]
    assert "'torch buffers': 0.0" in rows[0]  # with out= nothing is allocated


@pytest.mark.slow
def test_the_number_of_instructions_does_not_depend_on_the_numbers() -> None:
    if shutil.which("valgrind") is None or shutil.which("gcc") is None:
        pytest.skip("valgrind and gcc are needed to count")
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "instructions", "--quick"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "do not depend on (loc, scale)" in run.stdout


@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        ("policy", "--steps 120 --seeds 0 --episodes 1 --slow-episodes 0", ["tanh(loc)", "true mode", "ratio"]),
        ("step_cost", "--rounds 2", ["SB3 SAC predict", "TorchRL actor", "rsl_rl actor"]),
        ("ppo_update", "--rounds 1 --environments 8", ["entropy + backward", "update        whole", "ratio"]),
    ],
)
@pytest.mark.slow
def test_the_real_policies(script: str, options: str, said: list[str]) -> None:
    pytest.importorskip("stable_baselines3")
    run = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *options.split()], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert all(word in run.stdout for word in said)


@pytest.mark.slow
def test_passes_are_found_in_machine_code() -> None:
    """Every pass of every method, for each kind of processor; without llvm-mca it says so."""
    run = subprocess.run([sys.executable, "scripts/cpu_budget"], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode == 3:
        assert run.stdout.startswith("missing: ")
        return
    assert run.returncode == 0, run.stderr
    passes: dict[str, list[int]] = {method: [] for method in ("bilinear", "refined", "exact")}
    for line in run.stdout.splitlines():
        if line.split()[0] in passes:
            passes[line.split()[0]].append(line.count("+") + 1)
    assert passes == {"bilinear": [5, 5, 5], "refined": [8, 8, 8], "exact": [7, 7, 7]}
