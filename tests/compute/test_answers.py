"""The kernels' bits on a million points are those that were written down (tests/answers.py)."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import answers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_cpu_kernel(dtype: type) -> None:
    kept = np.load(answers.FILE)
    for method, found in answers.checksums(dtype, "cpu").items():
        different = np.flatnonzero(found != kept[method])
        assert different.size == 0, f"{method}: blocks {different[:10]}"


def test_the_gpu_kernel_in_the_interpreter() -> None:
    """A process of its own, since Triton decides at import; the first blocks only, since it is slow."""
    pytest.importorskip("triton", minversion="3.9", reason="whose interpreter rounds an fma once")
    text = (
        "import numpy, answers; kept = numpy.load(answers.FILE); "
        "found = answers.checksums(numpy.float32, 'gpu', 6); "
        "assert all((kept[m][:6] == sums).all() for m, sums in found.items())"
    )
    here = str(Path(__file__).parents[1])
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join([here, *sys.path])}
    done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
