"""The default table is found from an installed wheel, far from any checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_carries_the_default_table(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(installed)
    assert {"tanhlut/py.typed", "tanhlut/data/default.h5", "tablegen/py.typed"} <= names
    assert not any(name.startswith(("tests/", "docs/", "scripts/")) for name in names)
    code = "import tanhlut; print(tanhlut.__file__, tanhlut.mode(0.2, 1.0))"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-P", "-c", code]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    file, answer = run.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert answer.startswith("0.97301568665")
