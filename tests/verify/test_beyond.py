"""What the verifier asks of moments where its search does not go: right answers pass, wrong ones are named."""

import re
from collections.abc import Callable

import mpmath
import pytest
import torch
from torch import Tensor

from tablegen.verify import beyond
from tanhlut import ModeTable
from tanhlut.compute import functions

ALLOWED = {"mean": 6.4e-7, "variance": 8.4e-6, "entropy": 1.9e-6}


@pytest.mark.parametrize("backend", ["eager", "cpu"])
def test_right_answers_pass(backend: str) -> None:
    assert beyond.wrong(ModeTable.default(), backend, ALLOWED) is None


def test_the_closed_forms_against_integrals() -> None:
    """At scale 2^40 by mpmath, with tanh x the sign of x."""
    loc, scale, exact, _ = beyond._huge()
    for k in range(6):
        with mpmath.workdps(30):
            r = mpmath.mpf(loc[k]) / mpmath.mpf(scale[k])
            mean = mpmath.quad(lambda z, r=r: mpmath.sign(r + z) * mpmath.npdf(z), [-40, -r, 40])
            size = mpmath.quad(lambda z, r=r: abs(r + z) * mpmath.npdf(z), [-40, -r, 40]) * mpmath.mpf(scale[k])
            entropy = mpmath.log(2 * mpmath.pi * mpmath.e) / 2 + mpmath.log(scale[k]) - 2 * (size - mpmath.log(2))
        assert abs(exact["mean"][k] - mean) < 1e-15
        assert abs(exact["variance"][k] - (1 - mean**2)) < 1e-15
        assert abs(exact["entropy"][k] / entropy - 1) < 1e-14


LIES: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], str]] = {
    "infinite": (lambda y, loc, scale: torch.where(loc.isinf(), 0.0, y), "at loc inf"),
    "no number": (lambda y, loc, scale: torch.where(y.isnan(), 0.0, y), "nan"),
    "huge": (lambda y, loc, scale: torch.where(scale > 2.0**91, y * (1 + 1e-4) + 1e-4, y), r"scale 6.3\d*e\+29"),
    "over the range": (lambda y, loc, scale: torch.where((loc > 9.0) & (loc < 1e6), y + 1.2e-7, y), r"leaves \[0, 1\]"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_named(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, (change, said) = functions.evaluate, LIES[lie]

    def evaluate(name: str, loc: Tensor, scale: Tensor, table: ModeTable | None, backend: str) -> Tensor:
        return change(honest(name, loc, scale, table, backend), loc, scale)

    monkeypatch.setattr(functions, "evaluate", evaluate)
    found = beyond.wrong(ModeTable.default(), "eager", ALLOWED)
    assert found is not None
    assert re.search(said, found), found
