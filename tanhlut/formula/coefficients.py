"""The numbers of the text (`element`, `bits`), each with where it comes from.

tests/formula/test_coefficients.py derives every number here again with mpmath.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

# Below SEAM, x·coth x − 1 comes from its continued fraction z/(3 + z/(5 + z/(7 + …))), z = x², cut after the first
# denominator below, as one rational; above, from exp(−2x). Relative truncation error at the seam, where it is largest:
# 1.5e-8 for float32 (cut after 11), 1.3e-17 for float64 (19), measured with mpmath.
SEAM = 1.25
_SINGLE_DENOMINATORS = (11.0, 9.0, 7.0, 5.0, 3.0)
_DOUBLE_DENOMINATORS = (19.0, 17.0, 15.0, 13.0, *_SINGLE_DENOMINATORS)


class Coefficients(NamedTuple):
    """The numbers of one precision, as Python numbers."""

    # Beyond either, the mode is within 3e-14 (float32), 2e-35 (float64) of ±1: clamping changes no result, keeps
    # infinities out of the arithmetic, and exp(−2x) does not underflow.
    loc_saturation: float
    scale_saturation: float
    # x·coth x − 1 = z·N(z)/P(z), z = x²; Q = P + z·N, highest power first.
    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    # exp(−2x) = 2^n·2^f, f in [−½, ½]: −2·log2(e) in two parts, the number that rounds when added, and 2^f by the
    # polynomial of least relative error in numbers of the precision (9.4e-8 and 5e-17), highest power first.
    exp_high: float
    exp_low: float
    rounder: float
    exp2: tuple[float, ...]
    mantissa_bits: int
    # p(f) = (log(1 + f) − f + f²/2)/f³ on [−1/3, 1/3], highest power first: its interpolant at as many Chebyshev nodes,
    # in numbers of the precision. log(1 + f) is within 1.8e-8 and 7.7e-18 of itself with it.
    log_1p: tuple[float, ...]
    # Newton steps to the chart's root: within 3e-10 (float32), 1e-15 (float64) relative, measured over the half-plane
    # (tests/compute/test_mlp.py repeats it).
    root_steps: int


def convergent(denominators: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(N, Q) of z/(a + z/(b + …)) = z·N/P and Q = P + z·N, highest power first; `denominators` from the innermost.

    The coefficients are integers below 2^53, positive, so evaluating them loses nothing to cancellation.
    """
    numerator, denominator = [0], [1]  # lowest power first; the fraction is numerator/denominator
    for k in map(int, denominators):
        width = max(len(numerator), len(denominator))
        above, below = (part + [0] * (width - len(part)) for part in (numerator, denominator))
        numerator, denominator = [0, *denominator], [k * low + high for high, low in zip(above, below, strict=True)]
    width = max(len(numerator), len(denominator))
    above, below = (part + [0] * (width - len(part)) for part in (numerator, denominator))
    whole = [p + q for p, q in zip(above, below, strict=True)]
    return tuple(map(float, reversed(numerator[1:]))), tuple(map(float, reversed(whole)))


SINGLE = Coefficients(
    16.0,
    3.0,
    *convergent(_SINGLE_DENOMINATORS),
    -2.885390043258667,
    -3.851926067000022e-08,
    1.5 * 2.0**23,
    (
        0.0013269515475258231,
        0.009671290405094624,
        0.0555071085691452,
        0.24022246897220612,
        0.6931470036506653,
        1.0,
    ),
    23,
    (
        -0.12125580757856369,
        0.1342574954032898,
        -0.12346190214157104,
        0.14118309319019318,
        -0.16670140624046326,
        0.20003780722618103,
        -0.24999988079071045,
        0.33333319425582886,
    ),
    4,
)

DOUBLE = Coefficients(
    40.0,
    4.0,
    *convergent(_DOUBLE_DENOMINATORS),
    -2.8853900817779268,
    -4.0710547481862066e-17,
    1.5 * 2.0**52,
    (
        4.435282706957277e-10,
        7.074105613508143e-09,
        1.0178198021671931e-07,
        1.32154330896764e-06,
        1.5252733489988525e-05,
        0.00015403530462514432,
        0.0013333558146789923,
        0.009618129107588335,
        0.055504108664819925,
        0.24022650695910155,
        0.6931471805599453,
        1.0,
    ),
    52,
    (
        -0.07730769181911153,
        0.08082022805971766,
        -0.041719942791435476,
        0.04400369243072337,
        -0.056689908563992544,
        0.06000536404795356,
        -0.0624079013522121,
        0.06657072104827468,
        -0.07143315368653184,
        0.07692785032479312,
        -0.08333319535532796,
        0.09090894718066429,
        -0.10000000237702213,
        0.11111111358713932,
        -0.12499999997926427,
        0.1428571428355438,
        -0.16666666666673666,
        0.20000000000007292,
        -0.24999999999999997,
        0.3333333333333333,
    ),
    5,
)

# Guesses from a float32's bits b, right to a few per cent: 1/√x is about INVERSE_ROOT − b/2, 1/∛x about
# INVERSE_CUBE_ROOT − b/3 (a straight line through the logarithm: Lomont 2003). The first is not Lomont's 0x5F375A86,
# which has the least error, but larger: the closed form, which is below the mode where it is worst, comes nearer.
INVERSE_ROOT = 0x5F400000
INVERSE_CUBE_ROOT = 0x54A2FA8C
# x − tanh x is about x·z·(G0 + G1·z)/(1 + Q1·z + Q2·z²), z = x²: to 1.3e-4 relative for x ≤ 5 (least squares of high
# powers of the errors of this and of tanh x, which comes from it, over [0, 4.5]), to 4 % for any x that a step meets.
ROUGH = (0.3333066999912262, 0.012928539887070656, 0.43854275345802307, 0.013687710277736187)
SMALLEST_CUBE = 1e-30  # keeps 1/x in range; what is lost is far below the start's error


def even_and_odd(coefficients: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """(e, o) of a polynomial p(x) = e(x²) + x·o(x²), highest power first, as all of them."""
    last = len(coefficients) - 1
    return tuple(coefficients[last % 2 :: 2]), tuple(coefficients[1 - last % 2 :: 2])


def numbers(real: Callable[[float], Any], given: Coefficients) -> dict[str, Any]:
    """The numbers that the text names, `real` making a precision's own of Python's; whole ones are left as ints.

    A polynomial's coefficients stay in `given`: how a backend unrolls Horner's rule is its affair.
    """
    kind, word = (np.float32, np.int32) if given.mantissa_bits == 23 else (np.float64, np.int64)
    reals = {
        "ZERO": 0.0,
        "HALF": 0.5,
        "ONE": 1.0,
        "TWO": 2.0,
        "THREE": 3.0,
        "THIRD": 1 / 3,
        "TWO_THIRDS": 2 / 3,
        "SEAM": SEAM,
        "LOC_SATURATION": given.loc_saturation,
        "SCALE_SATURATION": given.scale_saturation,
        "S_SATURATION": 2.0 * given.scale_saturation**2,
        "EXP_HIGH": given.exp_high,
        "EXP_LOW": given.exp_low,
        "ROUNDER": given.rounder,
        "SMALLEST_CUBE": SMALLEST_CUBE,
        **dict(zip(("ROUGH_G0", "ROUGH_G1", "ROUGH_Q1", "ROUGH_Q2"), ROUGH, strict=True)),
        "SMALLEST_NORMAL": float(np.finfo(kind).smallest_normal),
        "LIFT": 2.0 ** (given.mantissa_bits + 1),
        "LIFT_BITS": given.mantissa_bits + 1.0,
        "LOG_2": math.log(2.0),
    }
    whole = {
        "ROOT_STEPS": given.root_steps,
        "MANTISSA_BITS": given.mantissa_bits,
        "SIGN": int(np.iinfo(word).min),
        "TWO_THIRDS_BITS": int(np.asarray(2.0 / 3.0, kind).view(word)),
        "ROUNDER_BITS": int(np.asarray(given.rounder, kind).view(word)),
        "INVERSE_ROOT": INVERSE_ROOT,
        "INVERSE_CUBE_ROOT": INVERSE_CUBE_ROOT,
    }
    return {name: real(value) for name, value in reals.items()} | whole
