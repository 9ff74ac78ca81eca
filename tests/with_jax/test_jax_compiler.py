"""tanhlut.jax in processes of its own: with and without XLA's passes, under fast math, and where there is no torch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import points
from oracle import REFERENCE
from tanhlut import solve_mode
from tanhlut.methods import EXACT_BOUND

pytest.importorskip("jax")
ROOT = Path(__file__).parents[2]
CODE = """
import sys
sys.modules["torch"] = None
import numpy as np
import tanhlut.jax
loc, scale, truth = np.load(sys.argv[1])
found = np.asarray(tanhlut.jax.mode(loc.astype(np.float32), scale.astype(np.float32)), np.float64)
print(np.abs(found - truth).max())
"""


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The proven rows, and the cusp, where δ counts."""
    loc, scale = points.cusp(50_000, seed=9)
    near = np.asarray(solve_mode(loc, scale, solver="newton"))
    rows = (REFERENCE.loc, REFERENCE.scale, REFERENCE.mode)
    path = tmp_path_factory.mktemp("queries") / "queries.npy"
    np.save(path, np.array([np.concatenate(pair) for pair in zip(rows, (loc, scale, near), strict=True)]))
    return path


def run(queries: Path, flags: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CODE, str(queries)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "flags", ["", "--xla_disable_hlo_passes=algsimp", "--xla_backend_optimization_level=0"], ids=["all", "none", "O0"]
)
def test_with_and_without_passes_and_no_torch(queries: Path, flags: str) -> None:
    done = run(queries, flags)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "fast math" not in done.stderr
    assert float(done.stdout) <= EXACT_BOUND


def test_fast_math_is_named(queries: Path) -> None:
    done = run(queries, "--xla_cpu_enable_fast_math=true")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "RuntimeWarning: XLA rearranges sums (fast math)" in done.stderr
