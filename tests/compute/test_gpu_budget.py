"""What the GPU kernels cost, counted in machine code: `scripts/gpu_budget` in a process of its own, and its reading."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton", reason="Triton is not installed: pip install 'tanhlut[gpu]'")

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

from budget import limits, roofline, sass  # noqa: E402

SCRIPT = ROOT / "scripts" / "gpu_budget"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """What the script found, by kernel and target."""
    if (tool := sass.missing()) is not None:
        pytest.skip(f"this Triton brings no {tool}")
    folder = tmp_path_factory.mktemp("budget")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, str(SCRIPT), "--json", str(folder / "found.json")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads((folder / "found.json").read_text())
    return {(row["kernel"], row["target"]): row for row in found}


@pytest.mark.parametrize(("method", "most"), [("bilinear", 75), ("refined", 95), ("exact", 115)])
def test_counts_on_sm_90(method: str, most: float, rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    row = rows[method, "sm_90"]
    assert 40 < row["instructions"] <= most  # fewer have not been counted, but overlooked
    assert sum(row["units"].values()) == pytest.approx(row["instructions"])
    assert row["calls"] == row["spilled"] == 0
    assert row["accesses"]["LDG.128"] == 2
    assert row["accesses"]["STG.128"] == 1
    assert row["registers"] <= 64
    assert {"sm_80", "sm_100", "gfx942", "gfx1100"} <= {target for _, target in rows}


def test_what_is_over_its_limit_is_told(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    judged = limits.judged
    row = rows["refined", "sm_90"]
    assert not list(judged(row))
    for worse in ({"instructions": 300.0}, {"calls": 1}, {"spilled": 8}):
        assert len(list(judged({**row, **worse}))) == 1


LISTING = """
\t.text._kernel:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/               @P0 LDG.E.128 R4, desc[UR4][R16.64] ;
        /*0020*/                   FFMA R4, R13, R12, -1 ;
        /*0030*/               @!P1 BRA `(.L_x_0) ;
        /*0040*/                   MOV R7, 0x70 ;
        /*0050*/                   CALL.REL.NOINC `($__internal_0) ;
.L_x_0:
        /*0060*/                   MUFU.RCP R18, R27 ;
        /*0070*/                   STL [R1], R2 ;
        /*0080*/               @P0 EXIT ;
        /*0090*/                   STG.E desc[UR4][R2.64], R8 ;
        /*00a0*/                   EXIT ;
.L_x_1:
        /*00b0*/                   BRA `(.L_x_1);
        /*00c0*/                   NOP;
        $__internal_0:
        /*00d0*/                   FADD R1, R1, R1 ;
        /*00e0*/                   RET.REL.NODEC R2 `(_kernel);
"""


def test_a_listing_is_read() -> None:
    """The way over the call, up to the exit of all; the call itself is told."""
    counts = sass.counts_of(LISTING, " Function _kernel:\n  REG:32 STACK:8 SHARED:0 LOCAL:16 CONSTANT[0]:600\n")
    assert counts.instructions == 9
    assert counts.units == {"constant": 1, "memory": 3, "fma": 1, "control": 3, "xu": 1}
    assert counts.accesses == {"LDG.128": 1, "STG": 1}
    assert (counts.registers, counts.spilled, counts.calls) == (32, 24, 1)


def made(**units: int) -> sass.Counts:
    return sass.Counts(sum(units.values()), units, {}, 32, 0, 0)


CASES: list[tuple[sass.Counts, tuple[float, ...], str]] = [
    (made(fma=100), (), "memory"),
    (made(fma=600), (), "issue"),
    (made(alu=300), (), "alu"),
    (made(xu=100), (), "xu"),
    (made(fma=100), (31.0,) * 4, "lines"),
]


@pytest.mark.parametrize(("counts", "requests", "bound"), CASES)
def test_the_slowest_unit_decides(counts: sass.Counts, requests: tuple[float, ...], bound: str) -> None:
    """On an H100 torch.add takes 264 µs for 2^26 elements, and a warp's instruction 2.26 µs."""
    found = roofline.predict(counts, 4.0, requests)
    assert found.bound == bound
    assert found.add == pytest.approx(264e-6, rel=0.01)
    assert found.units["issue"] == pytest.approx(counts.instructions / 4 * 2.26e-6, rel=0.01)
    assert found.likely >= max(found.units.values())


def test_gathers_touch_as_many_lines_as_there_are_lanes() -> None:
    index, corners = roofline.gathers("refined")[:2], roofline.gathers("refined")[2:]
    assert all(1 <= lines <= 6 for lines in index)
    assert all(28 <= lines <= 32 for lines in corners)
    assert roofline.gathers("exact") == ()
