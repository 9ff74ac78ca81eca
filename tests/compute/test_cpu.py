"""The CPU kernel's own parts, where the proof (tablegen/verify) rests on them. Whole answers: test_backends.py."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numba
import pytest
from numba.core.dispatcher import Dispatcher

import tanhlut
from tanhlut.compute import available, compiled, cpu
from tanhlut.compute.cpu_ops import DOUBLE, SINGLE
from tanhlut.methods import COMPILED, Method

U = 2.0**-24


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("method", ["refined", "exact"])
def test_loops_are_vectorised(real: str, method: Method) -> None:
    """Speed is not tested, but what it rests on: divisions and fused multiply-adds on whole vectors."""
    features = llvm.get_host_cpu_features()
    if not features.get("avx2"):
        pytest.skip("reads the assembly of AVX2 and later only")
    text, kind = {"float32": (SINGLE, numba.float32), "float64": (DOUBLE, numba.float64)}[real]
    run = cpu._kernel(text, kind, COMPILED.index(method), False)
    (assembly,) = numba.njit(cpu._ADDRESSES, error_model="numpy")(run).inspect_asm().values()
    letter = "s" if real == "float32" else "d"
    assert re.search(rf"vdivp{letter}\s.*%[yz]mm", assembly)
    assert re.search(rf"vfn?madd\d+p{letter}\s.*%[yz]mm", assembly)


def test_the_kernels_name_changes_with_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was compiled, its file is among them."""
    assert available.cpu_kernels() is not None
    homes = [vars(module) for name, module in sys.modules.items() if name.startswith("tanhlut.")]
    functions = [value.py_func for home in homes for value in home.values() if isinstance(value, Dispatcher)]
    found = {Path(function.__code__.co_filename) for function in functions}
    assert {path.name for path in found} >= {"element.py", "bits.py", "moments.py", "cpu_ops.py"}
    assert found <= set(compiled._SOURCES)
    copies = [tmp_path / f"{k}.py" for k in range(len(compiled._SOURCES))]
    for copy, source in zip(copies, compiled._SOURCES, strict=True):
        copy.write_bytes(source.read_bytes())
    usual = compiled._digest("cpu")
    monkeypatch.setattr(compiled, "_SOURCES", copies)
    seen = {compiled._digest("cpu")}
    assert seen == {usual}
    for copy in copies:
        copy.write_bytes(copy.read_bytes() + b"#")
        seen.add(compiled._digest("cpu"))
    assert len(seen) == len(copies) + 1


@pytest.mark.slow
def test_a_changed_source_is_compiled_anew(tmp_path: Path) -> None:
    """numba watches cpu.py alone: a change in what it inlines must not leave the old kernel running."""
    package = tmp_path / "tanhlut"
    shutil.copytree(Path(tanhlut.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(tanhlut.__file__).parent.parent / "data", tmp_path / "data")
    code = "import tanhlut; print(tanhlut.mode(0.2, 1.0, backend='cpu'), tanhlut.__file__)"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}

    def answer() -> float:
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(tmp_path)},
        )
        number, path = run.stdout.split()
        assert path.startswith(str(tmp_path))
        return float(number)

    assert answer() == pytest.approx(0.9730156866523543)
    source = package / "formula" / "element.py"
    text = source.read_text()
    assert "half * signed(y, loc) + middle" in text
    source.write_text(text.replace("half * signed(y, loc) + middle", "signed(y, loc) - half"))
    assert answer() == pytest.approx(0.9730156866523543 - 1.0)
