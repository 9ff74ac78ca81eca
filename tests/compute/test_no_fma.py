"""A processor without fma: LLVM calls the C library's instead, which rounds once too, and the bits are the same."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import points
from oracle import REFERENCE
from tanhlut import mode
from tanhlut.compute import available
from tanhlut.methods import COMPILED

WITHOUT = {"x86_64": "x86-64"}  # the first of its kind
CODE = """
import sys, numpy as np, tanhlut
from tanhlut.compute import cpu, machine
machine.host = lambda: (sys.argv[1], "")
assert "vfmadd" not in machine.assembly(cpu.written("float32", cpu.EXACT, False).module), "this has fma"
loc, scale = np.load(sys.argv[2])
for method in sys.argv[3:]:
    for dtype in (np.float32, np.float64):
        answer = tanhlut.mode(loc.astype(dtype), scale.astype(dtype), method=method, backend="cpu")
        np.save(f"{method}-{dtype.__name__}.npy", answer)
"""


@pytest.mark.slow
def test_the_same_bits_without_fma(tmp_path: Path) -> None:
    machine = platform.machine()
    if available.cpu_missing() is not None or machine not in WITHOUT:
        pytest.skip("no llvmlite, or none of the processors that are sold without fma")
    parts = (points.uniform, points.cusp, points.cusp_float64, points.jump)
    drawn = [(REFERENCE.loc, REFERENCE.scale), *(part(2000, seed) for seed, part in enumerate(parts))]
    loc, scale = (np.concatenate(column) for column in zip(*drawn, strict=True))
    np.save(tmp_path / "given.npy", np.stack([loc, scale]))
    places = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": places}
    command = [sys.executable, "-c", CODE, WITHOUT[machine], "given.npy", *COMPILED]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for method in COMPILED:
        for dtype, bits in ((np.float32, np.int32), (np.float64, np.int64)):
            found = np.load(tmp_path / f"{method}-{dtype.__name__}.npy")
            own = mode(loc.astype(dtype), scale.astype(dtype), method=method, backend="cpu")
            assert found.dtype == dtype
            assert np.array_equal(found.view(bits), own.view(bits)), (method, dtype)
