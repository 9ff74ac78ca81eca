"""An environment for one set of versions: found, made, asked."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from versions.cuda_stubs import add_stubs

# What torch imports; its own list adds NVIDIA's libraries and Triton, gigabytes that no CPU needs.
_TORCH_NEEDS = ["filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions"]
_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


def interpreter(version: str) -> Path | None:
    """A Python of that version: on the PATH, else pyenv's, else uv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
    if shutil.which("uv") is not None:
        uv = subprocess.run(["uv", "python", "find", version], capture_output=True, text=True, check=False)
        found.append(uv.stdout.strip() or None)
    return next((Path(python) for python in found if python is not None and _is(Path(python), version)), None)


def make(folder: Path, python: Path, pins: list[str]) -> None:
    """A virtual environment with these packages, unless there is one; tanhlut itself runs from the checkout."""
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        torch = [pin for pin in pins if pin.partition("==")[0] == "torch"]
        _pip(folder, "--no-deps", *torch)
        _pip(folder, *_TORCH_NEEDS, *(pin for pin in pins if pin not in torch))
        for libraries in folder.glob("lib/python*/site-packages/torch/lib"):
            add_stubs(libraries)
        (folder / "made").touch()


def run_tests(folder: Path, root: Path, tests: list[str]) -> bool:
    """Whether all pass; they print what they like."""
    command = [_python(folder), "-m", "pytest", "-p", "no:cacheprovider", *tests]
    environment = os.environ | _SETTINGS | {"PYTHONPATH": str(root)}
    environment.pop("TQDM_DISABLE", None)  # tests look at the progress bar
    return subprocess.run(command, cwd=root, env=environment, check=False).returncode == 0


def installed(folder: Path, names: list[str]) -> list[str]:
    """The versions that are there, as pins."""
    command = [_python(folder), "-m", "pip", "list", "--format", "json"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    versions = {entry["name"].lower().replace("_", "-"): entry["version"].partition("+")[0] for entry in listed}
    return [f"{name}=={versions[name]}" for name in names]


def _is(python: Path, version: str) -> bool:
    """Whether it runs and is of that version: pyenv puts shims on the PATH that do not."""
    said = subprocess.run([python, "--version"], capture_output=True, text=True, check=False).stdout
    return said.startswith(f"Python {version}.")


def _python(folder: Path) -> str:
    return str(folder / "bin/python")


def _pip(folder: Path, *what: str) -> None:
    # A machine's own constraints would forbid the newest.
    settings = os.environ | {"PIP_CONSTRAINT": os.devnull}
    command = [_python(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    subprocess.run(command, env=settings, check=True)
