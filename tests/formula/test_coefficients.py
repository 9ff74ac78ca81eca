"""The text's numbers, derived again with mpmath."""

import mpmath
import numpy as np
import pytest
import torch

from tablegen.verify.exact import CUBE_ROOT, ROOT
from tanhlut.formula.coefficients import DOUBLE, INVERSE_CUBE_ROOT, INVERSE_ROOT, SEAM, SINGLE, Coefficients

mpmath.mp.prec = 200
BOTH = pytest.mark.parametrize("given", [SINGLE, DOUBLE])


@BOTH
def test_the_rational_is_tanh(given: Coefficients) -> None:
    """x·N/Q = x − tanh x up to the seam; the truncation is that of the continued fraction, and worst at the seam."""
    allowed = 2e-8 if given is SINGLE else 2e-17
    for x in np.linspace(0.01, SEAM, 100):
        z = mpmath.mpf(x) ** 2
        gap = x * z * mpmath.polyval(given.numerator, z) / mpmath.polyval(given.denominator, z)
        assert abs(gap / (x - mpmath.tanh(x)) - 1) <= allowed
    assert all(c == int(c) and 0 < c < 2.0 ** (given.mantissa_bits + 1) for c in given.numerator + given.denominator)


@BOTH
def test_the_exponential(given: Coefficients) -> None:
    allowed = 9.4e-8 if given is SINGLE else 5e-17
    worst = max(abs(mpmath.polyval(given.exp2, f) / mpmath.power(2, f) - 1) for f in np.linspace(-0.5, 0.5, 301))
    assert worst <= allowed
    real = np.float32 if given is SINGLE else np.float64
    assert all(float(real(c)) == c for c in (*given.exp2, given.exp_high, given.exp_low, given.rounder))
    sum_ = mpmath.mpf(given.exp_high) + mpmath.mpf(given.exp_low)
    assert abs(sum_ / (-2 / mpmath.log(2)) - 1) <= 2.0 ** -(2 * given.mantissa_bits + 2)


@BOTH
def test_the_logarithm(given: Coefficients) -> None:
    worst = max(
        abs((f - f * f / 2 + f**3 * mpmath.polyval(given.log_1p, f)) / mpmath.log1p(f) - 1)
        for f in map(mpmath.mpf, np.linspace(-1 / 3, 1 / 3, 300))
    )
    assert worst <= (1.8e-8 if given is SINGLE else 7.7e-18)
    real = np.float32 if given is SINGLE else np.float64
    assert all(float(real(c)) == c for c in given.log_1p)


@BOTH
def test_saturation_changes_no_result(given: Coefficients) -> None:
    """Beyond either bound the mode rounds to 1, and exp(−2x) stays a normal number for every x that can occur."""
    dtype = torch.float32 if given is SINGLE else torch.float64
    assert 1 - mpmath.tanh(given.loc_saturation) < torch.finfo(dtype).eps / 8
    s = 2 * mpmath.mpf(given.scale_saturation) ** 2
    assert 1 - mpmath.findroot(lambda y: y - mpmath.tanh(s * y), 1) < torch.finfo(dtype).eps / 8
    assert mpmath.exp(-2 * (given.loc_saturation + s)) > torch.finfo(dtype).tiny


def test_first_guesses_of_roots() -> None:
    """Within the proof's factors, over the octaves that repeat."""
    x = np.linspace(1, 64, 100_001, dtype=np.float32)
    bits = x.view(np.int32).astype(np.int64)
    for magic, divisor, allowed in ((INVERSE_ROOT, 2, ROOT), (INVERSE_CUBE_ROOT, 3, CUBE_ROOT)):
        guess = (magic - bits // divisor).astype(np.int32).view(np.float32)
        factor = guess * x.astype(np.float64) ** (1 / divisor)
        assert allowed[0] <= factor.min() < allowed[0] + 1e-3
        assert allowed[1] - 1e-3 < factor.max() <= allowed[1]
