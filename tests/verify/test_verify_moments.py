"""The proof of mean and entropy: its parts against other arithmetic, and the lies that it rejects."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev

from tablegen import store
from tablegen.__main__ import main
from tablegen.verify import heat, moments, surrogates
from tablegen.verify.moments import bound_of, errors, queries
from tanhlut import ModeTable
from tanhlut.compute import functions
from tanhlut.compute.functions import moments_of
from tanhlut.file.moments import Moments
from tanhlut.formula import plain, surrogate

pytest.importorskip("flint")
FILE = moments_of(None)
DEFAULT = Path(__file__).parents[2] / "data" / "default.h5"


@pytest.mark.parametrize(("name", "claimed"), [("mean", 1e-9), ("log_cosh", 1e-9)])
def test_a_witness_is_certified_and_a_moved_one_is_not(name: str, claimed: float) -> None:
    witness = FILE.witnesses[name]
    assert heat.error_of(name, witness) <= claimed
    for place in ((0, 0), (3, 2), (20, 10)):
        moved = witness.copy()
        moved[place] += 1e-6
        assert heat.error_of(name, moved) >= 1e-7


@mpmath.workdps(30)
def test_the_residual_is_that_of_the_heat_equation() -> None:
    """f_v − f_mm/2 of b·P and ρ·P by differences of 30 digits, for polynomials that are nothing special."""
    c = mpmath.mpf(surrogate.LOGISTIC)
    for name in ("mean", "log_cosh"):
        some = np.array([[0.3, -0.2, 0.1], [0.5, 0.4, -0.1], [0.2, 0.1, 0.3]])
        power = [[mpmath.mpf(float(v)) for v in row] for row in some]

        def of(m: mpmath.mpf, v: mpmath.mpf, name: str = name, power: list[list[mpmath.mpf]] = power) -> mpmath.mpf:
            tau = v + c
            rho = mpmath.sqrt(m * m + 9 * tau)
            x, w = (m / rho) ** 2, v / tau
            p = sum(
                a * mpmath.chebyt(i, 2 * x - 1) * mpmath.chebyt(j, 2 * w - 1)
                for i, r in enumerate(power)
                for j, a in enumerate(r)
            )
            return (m / rho if name == "mean" else rho) * p

        largest = 0.0
        for x in np.linspace(0.02, 0.98, 7):
            for w in np.linspace(0.02, 0.9, 7):
                tau = c / (1 - mpmath.mpf(w))
                v, m = w * tau, mpmath.sqrt(9 * tau * x / (1 - x))
                left = mpmath.diff(lambda t, m=m: of(m, t), v) - mpmath.diff(lambda t, v=v: of(t, v), m, 2) / 2
                weight = m / mpmath.sqrt(m * m + 9 * tau) if name == "mean" else mpmath.sqrt(m * m + 9 * tau)
                # In w: dv = c/(1 − w)² dw, and the residual is weight·E/(2(1 − w)).
                largest = max(largest, abs(float(left * c / (1 - mpmath.mpf(w)) ** 2 * 2 * (1 - w) / weight)))
        residual, _ = heat.residual_of(name, some)
        assert largest <= residual <= 3.0 * largest


@cache
def proven(quantity: moments.Quantity) -> moments.Bound:
    return bound_of(quantity, FILE.vector, FILE.witnesses)


def test_the_bounds_hold_and_are_claimed() -> None:
    table = ModeTable.default()
    loc, scale = queries(np.random.default_rng(5), 40_000)
    for quantity in moments.QUANTITIES:
        bound = proven(quantity)
        assert bound.kernels <= bound.operations <= float(FILE.metadata[f"{quantity}_bound"])
        for backend, allowed in (("cpu", bound.kernels), ("eager", bound.operations)):
            assert errors(table, quantity, loc, scale, backend).max() <= allowed
    assert moments.broken(table) is None


def test_rounding_moves_no_mean_further_than_bounded() -> None:
    """The text in float32, with fma and without, against the same rational in float64 over the exact chart."""
    loc, scale = queries(np.random.default_rng(7), 400_000)
    wide, spread = loc.astype(np.float64), scale.astype(np.float64) ** 2
    tau = spread + surrogate.LOGISTIC
    square = wide**2 + 9.0 * tau
    zeta, b = 9.0 * tau / square, wide / np.sqrt(square)
    y, u = 2.0 * zeta - 1.0, 2.0 * spread / tau - 1.0
    above, below = (surrogates.rows_of(f"mean_{part}", FILE.vector) for part in ("numerator", "denominator"))
    exact = b * (1.0 + zeta * above.at(y, u) / below.at(y, u))
    pair = torch.from_numpy(loc), torch.from_numpy(scale)
    with np.errstate(all="ignore"):
        fused = plain.SINGLE.mean(loc, scale, FILE.vector, -np.float32(1.0), np.float32(1.0))
    for found, of in ((fused, True), (functions.evaluate("mean", *pair, None, "eager").numpy(), False)):
        seen, allowed = np.abs(found - np.minimum(exact, 1.0)).max(), surrogates.mean_rounding(FILE.vector, of)
        assert 0.35 * allowed <= seen <= allowed


LIES: dict[str, Callable[[np.ndarray], None]] = {
    "mean: a coefficient": lambda vector: vector.__setitem__(
        surrogate.POLYNOMIALS["mean_numerator"].first, vector[surrogate.POLYNOMIALS["mean_numerator"].first] + 1e-5
    ),
    "entropy: a coefficient": lambda vector: vector.__setitem__(
        surrogate.POLYNOMIALS["log_cosh_numerator"].first,
        vector[surrogate.POLYNOMIALS["log_cosh_numerator"].first] + 1e-5,
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_coefficient_that_is_moved_by_1e_5_is_noticed(lie: str) -> None:
    vector = FILE.vector.copy()
    LIES[lie](vector)
    quantity = "mean" if lie.startswith("mean") else "entropy"
    name = "mean" if quantity == "mean" else "log_cosh"
    found = surrogates.approximation(name, vector, FILE.witnesses[name])
    assert found > 3.0 * surrogates.approximation(name, FILE.vector, FILE.witnesses[name])


def test_a_patch_that_is_swapped_or_a_nan_is_noticed() -> None:
    vector = FILE.vector.copy()
    first = surrogate.PATCHES + 1900 * surrogate.PATCH
    vector[first : first + 16], vector[first + 16 : first + 32] = (
        vector[first + 16 : first + 32].copy(),
        vector[first : first + 16].copy(),
    )
    swapped = ModeTable.default().with_moments(
        Moments(vector, dict(FILE.witnesses), dict(FILE.metadata), FILE.double.copy())
    )
    assert moments.search(swapped, "variance", 1 << 15, 1).error > 1e-3
    assert bound_of("variance", vector, FILE.witnesses).largest > 1e-3
    with pytest.raises(ValueError, match="NaN"):
        Moments(np.full_like(vector, np.nan), dict(FILE.witnesses), dict(FILE.metadata), FILE.double.copy())


def test_a_polynomial_is_bounded_between_the_points() -> None:
    """Ehlich and Zeller's factor: on random polynomials no value exceeds it, and some come near."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 1.0, 20_001)
    for degree in (3, 10, 30):
        coefficients = rng.normal(size=degree + 1)
        at = np.abs(chebyshev.chebval(2.0 * heat.zeros(4 * degree) - 1.0, coefficients)).max()
        assert np.abs(chebyshev.chebval(2.0 * x - 1.0, coefficients)).max() <= at * heat.between(4)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A true claim and one that says too much; what is asked for wrongly; a missing library before any long work."""

    def proven_once(quantity: moments.Quantity, vector: np.ndarray, witnesses: object) -> moments.Bound:
        np.testing.assert_array_equal(vector, FILE.vector)  # what lies here is what is claimed of the same numbers
        return proven(quantity)

    monkeypatch.setattr(moments, "bound_of", proven_once)
    monkeypatch.setattr(moments, "search", partial(moments.search, count=1 << 15, rounds=4))
    out, lie = tmp_path / "out.json", tmp_path / "lie.h5"
    assert main(["verify", str(DEFAULT), "--quantity", "entropy", "--json", str(out)]) == 0
    fields = json.loads(out.read_text())
    assert fields["holds"]
    assert fields["witness"]["error"] <= fields["bound"] <= fields["claim"] == FILE.metadata["entropy_bound"]
    boast = Moments(
        FILE.vector.copy(), dict(FILE.witnesses), {**FILE.metadata, "entropy_bound": 1e-6}, FILE.double.copy()
    )
    lie.write_bytes(store.image(ModeTable.default().with_moments(boast)))
    assert main(["verify", str(lie), "--quantity", "entropy"]) == 1
    assert "claims 1e-06 for the entropy, but only" in capsys.readouterr().err
    boast = Moments(
        FILE.vector.copy(), dict(FILE.witnesses), {**FILE.metadata, "variance_bound": 5e-6}, FILE.double.copy()
    )
    lie.write_bytes(store.image(ModeTable.default().with_moments(boast)))
    assert main(["verify", str(lie), "--quantity", "variance", "--json", str(out)]) == 1
    said = capsys.readouterr()
    assert "claims 5e-06 for the variance, but only" in said.err
    assert "not proven  |answer/variance − 1| where it exceeds 1e-13: seen" in said.out
    fields = json.loads(out.read_text())
    assert not fields["holds"]
    assert fields["parts"]["absolute"] < fields["bound"]
    assert main(["verify", str(DEFAULT), "--quantity", "mean", "--method", "refined"]) == 2
    assert "leave out" in capsys.readouterr().err
    code = "import sys; sys.modules['flint'] = None\nfrom tablegen.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    run = subprocess.run([sys.executable, "-c", code, "verify", str(DEFAULT)], capture_output=True, text=True)
    assert run.returncode == 2
    assert "tanhlut[paranoid]" in run.stderr
    assert run.stdout == ""
