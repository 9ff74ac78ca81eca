"""`tablegen build --quantity`: what is refused before any work, what is kept, what is made again."""

from pathlib import Path

import numpy as np
import pytest

from tablegen import claims, store
from tablegen.__main__ import main
from tablegen.make import moments as fitting
from tablegen.verify.moments import QUANTITIES, Bound
from tanhlut import ModeTable
from tanhlut.formula import surrogate

pytest.importorskip("flint")
DEFAULT = Path(__file__).parents[2] / "data" / "default.h5"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--quantity", "mean"], "--beside"),
        (["--quantity", "mode", "mean"], "--quantity all"),
        (["--quantity", "all", "--beside", str(DEFAULT)], "leave it out"),
        (["--quantity", "mean", "--beside", str(DEFAULT), "--loc-max", "3"], "every loc"),
        (["--quantity", "skewness"], "invalid choice"),
    ],
)
def test_what_cannot_be_made_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.h5"
    assert main(["build", "-o", str(target), *words]) == 2
    assert said in capsys.readouterr().err
    assert not target.exists()


def test_one_quantity_wants_a_file_with_the_others(
    coarse: ModeTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = tmp_path / "without.h5"
    without.write_bytes(store.image(coarse))
    assert main(["build", "-o", str(tmp_path / "out.h5"), "--quantity", "mean", "--beside", str(without)]) == 2
    assert "holds no moments" in capsys.readouterr().err


def test_the_shipped_numbers_are_made_again_and_the_others_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ModeTable.default().moments
    assert own is not None
    bounds = {name: float(own.metadata[f"{name}_bound"]) for name in QUANTITIES}
    monkeypatch.setattr(claims, "bound_of", lambda name, vector, witnesses: Bound(bounds[name], bounds[name], 0.0, 0.0))
    out = tmp_path / "out.h5"
    words = ["build", "-o", str(out), "--beside", str(DEFAULT), "--quantity"]
    assert main([*words, "entropy", "--tol", "1e-9"]) == 2
    assert "is not reached" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "mean"]) == 0
    assert "proven  |answer − mean| ≤" in capsys.readouterr().out
    table = ModeTable.load(out)
    assert table.moments is not None
    np.testing.assert_array_equal(table.values, ModeTable.default().values)
    assert "--quantity mean" in str(table.moments.metadata["command"])
    place = surrogate.POLYNOMIALS["log_cosh_edge"].first
    np.testing.assert_array_equal(table.moments.vector[place:], own.vector[place:])
    np.testing.assert_array_equal(table.moments.witnesses["log_cosh"], own.witnesses["log_cosh"])
    np.testing.assert_allclose(table.moments.witnesses["mean"], own.witnesses["mean"], atol=1e-14)
    rng = np.random.default_rng(0)
    y, u = rng.uniform(-1.0, 1.0, (2, 1000))
    ratios = []
    for vector in (own.vector, table.moments.vector):
        above, below = (
            sum(
                y**i * np.polynomial.polynomial.polyval(u, vector[first : first + length].astype(float))
                for i, (first, length) in enumerate(zip(part.rows, part.lengths, strict=True))
            )
            for part in (surrogate.POLYNOMIALS[f"mean_{which}"] for which in ("numerator", "denominator"))
        )
        ratios.append(above / below)
    np.testing.assert_allclose(ratios[1], ratios[0], atol=1e-6)


def test_the_patches_are_made_again() -> None:
    own = ModeTable.default().moments
    found = fitting.fit(["variance"], own)
    assert own is not None
    np.testing.assert_array_equal(found.vector[: surrogate.PATCHES], own.vector[: surrogate.PATCHES])
    rows = slice(surrogate.PATCHES + 30 * surrogate.COLUMNS * surrogate.PATCH, None)
    np.testing.assert_allclose(found.vector[rows], own.vector[rows], atol=1e-5)
