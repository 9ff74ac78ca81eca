"""docs/controller.md and docs/examples: what they show compiles, runs and says what it says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tablegen.__main__ import main
from tanhlut import mode

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "controller.md").read_text()
EXAMPLES = ROOT / "docs" / "examples"
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]

if shutil.which("gcc") is None or shutil.which("g++") is None:
    pytest.skip("there is no C compiler here (gcc, g++)", allow_module_level=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a header was exported to."""
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(ROOT / "data" / "default.h5"), "--format", "c"]) == 0
    return tmp_path


def test_the_controller(folder: Path) -> None:
    (folder / "main.cpp").write_text("""
#include "controller.hpp"
#include <cstdio>
int main()
{
    example::SquashedPolicyController<2> arm, wrong;
    if (wrong.on_configure(1.0f, -1.0f) != example::CallbackReturn::FAILURE)
        return 1;
    if (arm.on_configure(-2.0f, 2.0f) != example::CallbackReturn::SUCCESS)
        return 2;
    if (arm.update({{0.2f, -0.4f}, {1.0f, 0.3f}}) != example::return_type::OK)
        return 3;
    std::printf("%.9g %.9g\\n", static_cast<double>(arm.command()[0]), static_cast<double>(arm.command()[1]));
    if (arm.update({{0.2f, -0.4f}, {1.0f, -0.3f}}) != example::return_type::ERROR)
        return 4;
    std::printf("%.9g\\n", static_cast<double>(arm.command()[1]));
    return 0;
}
""")
    command = ["g++", "-std=c++17", *STRICT, "-O2", f"-I{EXAMPLES}", "-I.", "main.cpp", "-o", "main"]
    subprocess.run(command, check=True)
    first, second, kept = map(float, subprocess.check_output(["./main"], text=True).split())
    assert abs(first - mode(0.2, 1.0, -2.0, 2.0)) <= 1e-6
    assert abs(second - mode(-0.4, 0.3, -2.0, 2.0)) <= 1e-6
    assert kept == second


def test_the_microcontroller(folder: Path) -> None:
    command = ["gcc", "-std=c99", *STRICT, "-O2", "-ffreestanding", "-I.", "-c", str(EXAMPLES / "microcontroller.c")]
    subprocess.run(command, check=True)
    assert (folder / "microcontroller.o").exists()


def test_the_declarations_are_the_headers(folder: Path) -> None:
    """A file that sees both compiles: C refuses declarations that differ."""
    (folder / "both.c").write_text(f'#include "{EXAMPLES}/tanhlut_abi.h"\n#define TANHLUT_API\n#include "tanhlut.h"\n')
    subprocess.run(["gcc", "-std=c99", *STRICT, "-c", "both.c"], check=True)


def test_the_page_from_python(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    said = re.findall(r"print\(.*\)  # (.*)", block)
    capsys.readouterr()
    exec(block, {"__name__": "docs"})
    assert capsys.readouterr().out.splitlines() == said
    assert len(said) == 2


def test_the_page_shows_the_examples() -> None:
    for path in EXAMPLES.iterdir():
        assert f"examples/{path.name}" in PAGE
