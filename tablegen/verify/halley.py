"""One float32 Halley step (`tanhlut.formula.element.step`): how far its result can be from the mode, over a box.

Given y0 with |y0 − y*| ≤ e, the step starts at x = m + s·y0, off by ε = x* − x. With, at x,

    a = h' = 1 − s·S,   b = h''/2 = s·t·S,   t = tanh x,   S = 1 − t²,   h'''/6 = s·S·(1 − 3t²)/3,

Taylor's theorem at the root, 0 = h + a·ε + b·ε² + R, |R| ≤ sup|h'''|/6·|ε|³, turns the step Δ = −h·a/(a² − h·b) into

    Δ − ε = (R·(a − b·ε) − b²·ε³)/(a² + a·b·ε + b²·ε² + b·R)            (exact, no remainder)

so with w = b·|ε|/a and p = sup|h'''|/6·ε²/a:  |Δ − ε| ≤ |ε|·(p·(1 + w) + w²)/(1 − w + w² − w·p). The result is
t + S·Δ·(1 − t·Δ), short of tanh(x + Δ) by a third-order term, sup|tanh'''|/6 = sup S·|1 − 3t²|/3 ≤ (2/3)·sup S.

Rounding, in units of U = 2^-24, first order (SECOND covers the rest). x is the float32 number at hand; what is wrong is
- above the seam, where h = s·(y0 − t): x ≠ m + s·y0 by up to (x + 2·s·y0)·U; E = e^(−2x) by EXP·U, so 1 − t = c by
  (EXP + 2)·U·c and t by that and half an ulp: τ.
- below it, the gap x − tanh x by g = (3.6/(1 + r) + 3)·U·gap, r = x·coth x − 1: that is 6.6 for small x, where z, N,
  z·N, Q, the quotient and x·ratio round once each and the rest of N and Q counts for nothing, and 5.44 at the seam,
  where 4.7 at most are seen over every float32 x in [1/2, 5/4], with fma and without (tests/formula/test_parts.py).
  Then t = x − gap inherits −g, plus half an ulp, τ, and h = gap − (δ·t + m) inherits s·g − δ·τ, plus (EXCESS + 1)·U of
  δ·t and U of the sum δ·t + m.
The kernels' own exp gives 1 − tanh x within 5.6·U·c (every x to 2.6: tests/formula/test_parts.py): EXP covers it. Their
δ is within U.

An error η of h moves Δ by −η/a·F, F = 1/(1 − |h|·b/a²)², hence the result by S·η·F/a; together with t's own error,
g·(1 + s·S·F/a) and τ·|1 + δ·S·F/a|. Relative errors of a, b, S and the last products, a few tens of U, only scale S·Δ.
Finally half an ulp of the result. No step relies on a product being rounded before a sum, so contracted (fused)
multiply-adds obey the same bound.
"""

import math
from typing import NamedTuple

import numpy as np

from tablegen.verify.boxes import SLACK, Array, Boxes, artanh_excess, q_of
from tablegen.verify.rounding import CLAMPED, EXCESS, SECOND, U
from tanhlut.formula.coefficients import SEAM

TANH_SEAM = math.tanh(SEAM)
EXP = 4.0  # torch.exp in float32 within 4·U, which is at least 2 ulp; measured over every argument in [-87, -2.5]: 1.06

# Underflow: an operation adds at most 2^-126 = 1.2e-38 even where subnormals are flushed; the most sensitive is h·a,
# over a² ≥ 1e-15 (|δ| ≥ 3.4e-8 for every float32 scale, and a ≥ |δ| to a few per cent). And what the clamps move.
UNDERFLOW = 7e-14 + CLAMPED


class Start(NamedTuple):
    """What a step begins with, one entry per box: the mode's range, a lower bound of D at it, a bound of |y0 − y*|."""

    low: Array
    high: Array
    slope: Array
    error: Array


class Step(NamedTuple):
    """Bounds over each box that both parts of the analysis need, all at the step's own x."""

    s: Array
    x_low: Array
    x_high: Array
    t_low: Array
    t_high: Array
    big_s: Array  # upper bound of S
    a: Array  # lower bound of a
    amplify: Array  # F
    step: Array  # upper bound of |Δ|
    curvature: Array  # upper bound of |h|·b/a²
    residual: Array  # upper bound of |h|


def step_error(boxes: Boxes, start: Start) -> Array:
    """An upper bound of |float32 result − y*| for float32 arguments in each box; 1 where nothing better is proven."""
    with np.errstate(all="ignore"):
        at, exact = _exact_step(boxes, start)
        total = exact + np.maximum(_near(boxes, at), _far(boxes, at)) + _half_ulp(np.minimum(start.high + exact, 1.0))
        total = total * SECOND * (1.0 + SLACK) + UNDERFLOW
    valid = (at.a > 0) & (at.curvature < 0.5) & np.isfinite(total)
    # Result and mode both lie in [0, 1].
    return np.asarray(np.where(valid, np.minimum(total, 1.0), 1.0))


def _exact_step(boxes: Boxes, start: Start) -> tuple[Step, Array]:
    """The step's quantities, and its error in exact arithmetic from the rounded x."""
    s = 1.0 + boxes.d1
    x_low, x_high = boxes.m0 + (1.0 + boxes.d0) * start.low, boxes.m1 + s * start.high
    off = s * start.error
    epsilon = off + 3.0 * U * (x_high + off)  # the second term: the rounding of x
    # sech² changes by at most a factor e^(2ε) over a distance ε.
    q_low, q_high = q_of(start.low), q_of(start.high)
    big_s = np.minimum(1.0, q_low * np.exp(2.0 * epsilon))
    t_low = np.maximum(start.low - big_s * epsilon, 0.0)
    t_high = np.minimum(start.high + np.minimum(1.0, q_high * np.exp(2.0 * epsilon)) * epsilon, 1.0)
    bend = s * np.minimum(t_high * big_s, 0.38490018)  # t·(1 − t²) ≤ 2/√27
    third = s * big_s * np.maximum(np.abs(1.0 - 3.0 * t_low**2), np.abs(1.0 - 3.0 * t_high**2)) / 3.0
    a = start.slope - 2.0 * bend * epsilon
    w, p = bend * epsilon / a, third * epsilon**2 / a
    shrink = np.where(w <= 0.5, 1.0 - w + w * w, 0.75) - w * p
    miss = epsilon * (p * (1.0 + w) + w * w) / shrink
    residual = epsilon * (1.0 + w + p)  # |h|/a
    curvature = w * (1.0 + w + p)
    step = epsilon + miss
    beyond = big_s * np.exp(2.0 * step)  # sup S between x, x + Δ and x*
    exact = beyond * (2.0 / 3.0) * step**3 + np.minimum(beyond, 1.0) * miss
    exact = np.where(shrink > 0, exact, np.inf)
    x_bounds = (np.maximum(x_low - epsilon, 0.0), x_high + epsilon)
    amplify = 1.0 / (1.0 - curvature) ** 2
    a_high = np.minimum(1.0, t_high**2 + np.maximum(-boxes.d0, 0.0))  # a = 1 − s·S = t² − δ·S
    h = a_high * residual
    return Step(s, *x_bounds, t_low, t_high, big_s, a, amplify, step, curvature, h), exact


def _near(boxes: Boxes, at: Step) -> Array:
    """Rounding where x ≤ SEAM; 0 for boxes that have no such x."""
    t_high = np.minimum(at.t_high, TANH_SEAM + 1e-7)
    big_s, f = at.big_s, at.amplify
    gap = np.minimum(artanh_excess(t_high), SEAM - TANH_SEAM)
    ratio = np.where(at.t_low > 0, artanh_excess(np.minimum(at.t_low, t_high)) / at.t_low, 0.0)  # r
    g, tau, e_s = near_parts(t_high, ratio, gap)
    delta = np.maximum(np.abs(boxes.d0), np.abs(boxes.d1))
    positive, negative = np.maximum(boxes.d1, 0.0), np.maximum(-boxes.d0, 0.0)
    per_a = big_s * f / at.a
    # For δ < 0, a = t² + |δ|·S, so |δ|·S/a ≤ 1 and t²/a ≤ 1.
    delta_per_a = np.maximum(positive * per_a, np.minimum(negative * per_a, f))
    own = g * (1.0 + at.s * per_a) + tau * np.maximum(1.0 + positive * per_a, f)
    linear = (EXCESS + 1.0) * U * t_high * delta_per_a
    total = U * (gap + at.residual) * per_a
    e_t = U + g / np.maximum(t_high, 1e-300) * np.where(t_high > 0, 1.0, 0.0)
    rough = _relative(at, delta, e_t, e_s)
    near = own + linear + total + U * at.residual * per_a + big_s * at.step * rough
    return np.asarray(np.where(at.x_low <= SEAM, near, 0.0))


def _far(boxes: Boxes, at: Step) -> Array:
    """Rounding where x > SEAM; 0 for boxes that have no such x."""
    delta = np.maximum(np.abs(boxes.d0), np.abs(boxes.d1))
    x, t_low = np.maximum(at.x_low, SEAM), np.maximum(at.t_low, TANH_SEAM)
    big_s = np.minimum(at.big_s, 1.0 - TANH_SEAM**2)
    per_a = big_s * at.amplify / at.a
    tau, e_s = far_parts(1.0 - t_low)
    # x + 2·s·y0 ≤ 3x, and x·sech² x falls for x > 0.78: its largest value is at the smallest x.
    moved = 3.0 * U * x * per_a
    e_t = tau / t_low
    rough = _relative(at, delta, e_t, e_s)
    far = tau * (1.0 + at.s * per_a) + moved + 3.0 * U * at.residual * per_a + big_s * at.step * rough
    return np.asarray(np.where(at.x_high > SEAM, far, 0.0))


def near_parts(t: Array, ratio: Array, gap: Array) -> tuple[Array, Array, Array]:
    """What x − tanh x, tanh x besides and, relative, S may be off by where x ≤ SEAM: g, τ, e_S; `ratio` is r."""
    g = (3.6 / (1.0 + ratio) + 3.0) * U * gap
    tau = _half_ulp(t)
    return g, tau, (g + tau) * (1.0 / (1.0 - t) + 1.0) + 3.0 * U


def far_parts(c: Array) -> tuple[Array, Array]:
    """What tanh x = 1 − c and, relative, S may be off by where x > SEAM: τ, e_S."""
    tau = c * (EXP + 2.0) * U + 0.5 * U
    return tau, (EXP + 4.0) * U + tau


def _relative(at: Step, delta: Array, e_t: Array, e_s: Array) -> Array:
    """Relative error of S·Δ·(1 − t·Δ) from that of every factor but h's: a, b, S and the products themselves.

    a = t² − δ·S costs t²·(2e_t + U) + |δ|·S·(EXCESS·U + e_S + U), over a, and U; the quotient −h·a/(a² − h·b) has
    sensitivity 1 + 2/(1 − κ) to a and κ/(1 − κ) to b, κ = |h|·b/a², and rounds four times; the last three products
    add 4 and S itself.
    """
    spread = at.t_high**2 * (2.0 * e_t + U) + delta * at.big_s * ((EXCESS + 1.0) * U + e_s)
    e_a = spread / at.a + U
    k = at.curvature
    quotient = e_a * (1.0 + 2.0 / (1.0 - k)) + (2.0 * U + k * (e_t + e_s + 4.0 * U)) / (1.0 - k) + 3.0 * U
    return np.asarray(1.01 * (quotient + e_s + 4.0 * U + at.step * (e_t + 2.0 * U)))


def _half_ulp(y: Array) -> Array:
    """Half the float32 spacing at numbers up to y ≤ 1: 2^-25 just below 1."""
    _, exponent = np.frexp(np.minimum(y, 1.0 - 2.0**-30))
    return np.asarray(np.ldexp(1.0, np.maximum(exponent, -125) - 25))
