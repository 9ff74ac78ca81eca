"""Running the text with a backend's operations: once for each, as a module of its own."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def instantiate(backend: str, operations: Mapping[str, Any], *files: str, folder: Path = _HERE) -> Any:
    """A module with the functions of the text, made of `operations` (`formula.operations` says which).

    Args:
        backend: part of the module's name, such as "llvm_float32".
        files: of the text, in this order, each of which may call the ones before: "bits", "element", "chart", …
        folder: where the files are.
    """
    names = dict(operations)
    for file in files:
        name = f"{__package__}.{file}_{backend}"
        spec = importlib.util.spec_from_file_location(name, folder / f"{file}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        module.__dict__.update(names)
        sys.modules[name] = module  # where compilers and tracers look a function's globals up
        spec.loader.exec_module(module)
        names |= {key: value for key, value in vars(module).items() if not key.startswith("__")}
    return module
