"""One float32 Halley step (`tanhlut.formula.element.step`): how far its result can be from the mode, over a box.

The step starts at x, off by ε = x* − x: at m + s·y0 with |y0 − y*| ≤ e (`from_y`), or at the x of a `rough` step. With,
at x,

    a = h' = 1 − s·S,   b = h''/2 = s·t·S,   t = tanh x,   S = 1 − t²,   h'''/6 = s·S·(1 − 3t²)/3,

Taylor's theorem at the root, 0 = h + a·ε + b·ε² + R, |R| ≤ sup|h'''|/6·|ε|³, turns the step Δ = −h·a/(a² − h·b) into

    Δ − ε = (R·(a − b·ε) − b²·ε³)/(a² + a·b·ε + b²·ε² + b·R)            (exact, no remainder)

so with w = b·|ε|/a and p = sup|h'''|/6·ε²/a:  |Δ − ε| ≤ |ε|·(p·(1 + w) + w²)/(1 − w + w² − w·p). The result is
t + S·Δ·(1 − t·Δ), short of tanh(x + Δ) by a third-order term, sup|tanh'''|/6 = sup S·|1 − 3t²|/3 ≤ (2/3)·sup S.

Rounding, in units of U = 2^-24, first order (SECOND covers the rest). x is the float32 number at hand; what is wrong is
- above the seam: E = e^(−2x) by ε·U, so 1 − t = c by (ε + 2)·U·c and t by that and half an ulp: τ. The gap x − t
  inherits −τ, plus U of itself, and h = gap − (δ·t + m) inherits s·τ. ε is EXP, but in the approximate text, whose
  2^y is within 2 ulp, at most 4·U, and whose y = −2x·log₂e moves by 1.24·U of itself (the product, and a constant that
  is 0.23·U off), so that ε ≤ 4.01 + 2.5·x there. The larger one counts; (ε + 2)·c falls with x.
- below it, the gap x − tanh x by g = (3.6/(1 + r) + 3)·U·gap, r = x·coth x − 1: that is 6.6 for small x, where z, N,
  z·N, Q, the quotient and x·ratio round once each and the rest of N and Q counts for nothing, and 5.44 at the seam,
  where 4.7 at most are seen over every float32 x in [1/2, 5/4], with fma and without (tests/formula/test_parts.py).
  Then t = x − gap inherits −g, plus half an ulp, τ, and h = gap − (δ·t + m) inherits s·g − δ·τ, plus (EXCESS + 1)·U of
  δ·t and U of the sum δ·t + m; so above the seam too, where (x − t)·S rises to 0.1131 at x = 1.31 and falls beyond.
The kernels' own exp gives 1 − tanh x within 5.6·U·c (every x to 2.6: tests/formula/test_parts.py): EXP covers it. Their
δ is within U. The approximate text's quotients: r with |r·b − 1| ≤ 2·U, q = a·r and its remainder, which is exact,
times r added give a/b within (1 + 2^-19)·U, where SECOND has room for the 2^-19; the step's own, h·r, is within 3·U.

An error η of h moves Δ by −η/a·F, F = 1/(1 − |h|·b/a²)², hence the result by S·η·F/a; together with t's own error,
g·(1 + s·S·F/a) and τ·|1 + δ·S·F/a|. Relative errors of a, b, S and the last products, a few tens of U, only scale S·Δ.
S = 1 − t² has an absolute error, σ: from t, and 2·U. Finally half an ulp of the result. No step relies on a product
being rounded before a sum, so contracted (fused) multiply-adds obey the same bound.

The rough step (`tanhlut.formula.element.rough_step`; `rough_error`: how far its x is from the mode's) is this step but
for x − tanh x, of which it takes a rational, and tanh x, which is x less that, or 1 where that is more. The first is
within g = `allowed`·(x − tanh x) of itself, the second within τ = min(g, TANH) + 3·U·x (tests/formula/test_parts.py).
Besides, δ·t + m − gap, S = 1 − t² and a, b made of them round, as the text in torch operations does: a few U each. So h
moves by

    η = g + |δ|·τ + U·(3·m + 8·|δ|·t + 4·gap + 2·|h|)

and a = s·t² − δ by α = s·τ·(2t + τ) + U·(|δ|·(EXCESS + 4) + 3·t² + a), relative e = α/a; b = s·(t − t³), |d/dt| ≤ 2, by
β = s·(2.1·τ + 8·U·t). With r = |h|/a and κ = |h|·b/a² of the exact step Δ = r/(1 ± κ), to all orders

    r moves by      ρ = (η/a + r·e)/(1 − e)
    κ moves by      λ = (κ·2e + (η·b + (|h| + η)·β)/a²)/(1 − e)²
    Δ moves by      ρ/(1 − κ − λ) + r·λ/((1 − κ)·(1 − κ − λ)), and rounds.
"""

import math
from typing import NamedTuple

import numpy as np

from tablegen.verify.boxes import SLACK, Array, Boxes, artanh_excess, q_of
from tablegen.verify.rounding import CLAMPED, EXCESS, SECOND, U
from tanhlut.formula.coefficients import SEAM

TANH_SEAM = math.tanh(SEAM)
EXP = 4.2  # exp(−2x) in float32, in units of U: 4.09 the text's (1.5e7 arguments in [0, 42]), 1.06 torch.exp (all)

QUOTIENT = 4.0  # what `divide_roughly` promises, in units of U

# Underflow: an operation adds at most 2^-126 = 1.2e-38 even where subnormals are flushed; the most sensitive is h·a,
# over a² ≥ 1e-15 (|δ| ≥ 3.4e-8 for every float32 scale, and a ≥ |δ| to a few per cent). And what the clamps move.
UNDERFLOW = 7e-14 + CLAMPED

TANH = 1.8e-4  # how far what a rough step takes for tanh x is from it


class Start(NamedTuple):
    """What a step begins with, one entry per box: the mode's range, a lower bound of D at it, a bound of |x − x*|."""

    low: Array
    high: Array
    slope: Array
    off: Array


def from_y(boxes: Boxes, low: Array, high: Array, slope: Array, error: Array) -> Start:
    """The start x = m + s·y0, |y0 − y*| ≤ error, which rounds up to three times."""
    off = (1.0 + boxes.d1) * error
    return Start(low, high, slope, off + 3.0 * U * (boxes.m1 + (1.0 + boxes.d1) * high + off))


class Step(NamedTuple):
    """Bounds over each box that both parts of the analysis need, all at the step's own x."""

    s: Array
    epsilon: Array  # upper bound of |ε|
    miss: Array  # of |Δ − ε|
    x_low: Array
    x_high: Array
    t_low: Array
    t_high: Array
    big_s: Array  # upper bound of S
    a: Array  # lower bound of a
    bend: Array  # upper bound of b
    amplify: Array  # F
    step: Array  # upper bound of |Δ|
    curvature: Array  # upper bound of |h|·b/a²
    residual: Array  # upper bound of |h|


def step_error(boxes: Boxes, start: Start) -> Array:
    """An upper bound of |float32 result − y*| for float32 arguments in each box; 1 where nothing better is proven."""
    with np.errstate(all="ignore"):
        at = exact_step(boxes, start)
        beyond = at.big_s * np.exp(2.0 * at.step)  # sup S between x, x + Δ and x*
        exact = beyond * (2.0 / 3.0) * at.step**3 + np.minimum(beyond, 1.0) * at.miss
        total = exact + np.maximum(_near(boxes, at), _far(boxes, at)) + _half_ulp(np.minimum(start.high + exact, 1.0))
        total = total * SECOND * (1.0 + SLACK) + UNDERFLOW
    valid = (at.a > 0) & (at.curvature < 0.5) & np.isfinite(total)
    # Result and mode both lie in [0, 1].
    return np.asarray(np.where(valid, np.minimum(total, 1.0), 1.0))


def allowed(x: Array) -> Array:
    """How far, relative to x − tanh x, the rational may be from it at any x up to this one."""
    return np.asarray(1.4e-4 + 1.5e-3 * np.maximum(x - 5.0, 0.0))


def rough_error(boxes: Boxes, start: Start) -> Array:
    """An upper bound of |x − x*| after the step, for float32 arguments in each box; infinite where none is proven."""
    with np.errstate(all="ignore"):
        at = exact_step(boxes, start)
        x, t, h, s = at.x_high, at.t_high, at.residual, at.s
        gap = np.where(x < 0.01, x**3 / 3.0, (x - np.tanh(x)) * (1.0 + 1e-9))  # rises with x
        delta = np.maximum(np.abs(boxes.d0), np.abs(boxes.d1))
        g = allowed(x) * gap
        tau = np.minimum(g, TANH) + 3.0 * U * x
        eta = g + delta * tau + U * (3.0 * boxes.m1 + 8.0 * delta * t + 4.0 * gap + 2.0 * h)
        e = (s * tau * (2.0 * t + tau) + U * (delta * (EXCESS + 4.0) + 3.0 * t**2)) / at.a + U
        beta = s * (2.1 * tau + 8.0 * U * t)
        r, kappa = at.epsilon + at.miss + at.curvature * at.step, at.curvature
        rho = (eta / at.a + r * e) / (1.0 - e)
        moved = (2.0 * e * kappa + (eta * at.bend + (h + eta) * beta) / at.a**2) / (1.0 - e) ** 2
        left = 1.0 - kappa - moved
        total = at.miss + rho / left + r * moved / ((1.0 - kappa) * left)
        total += 16.0 * U * at.step / left + 2.0 * U * (x + total)
        total = total * (1.0 + SLACK) + UNDERFLOW
        valid = (at.a > 0) & (e < 0.5) & (left > 0.05) & np.isfinite(total)
    return np.asarray(np.where(valid, total, np.inf))


def exact_step(boxes: Boxes, start: Start) -> Step:
    """The step's quantities in exact arithmetic from the rounded x; infinite misses where nothing is known."""
    s = 1.0 + boxes.d1
    x_low, x_high = boxes.m0 + (1.0 + boxes.d0) * start.low, boxes.m1 + s * start.high
    epsilon = start.off
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
    miss = np.where(shrink > 0, epsilon * (p * (1.0 + w) + w * w) / shrink, np.inf)
    residual = epsilon * (1.0 + w + p)  # |h|/a
    curvature = w * (1.0 + w + p)
    step = epsilon + miss
    x_bounds = (np.maximum(x_low - epsilon, 0.0), x_high + epsilon)
    amplify = 1.0 / (1.0 - curvature) ** 2
    a_high = np.minimum(1.0, t_high**2 + np.maximum(-boxes.d0, 0.0))  # a = 1 − s·S = t² − δ·S
    h = a_high * residual
    return Step(s, epsilon, miss, *x_bounds, t_low, t_high, big_s, a, bend, amplify, step, curvature, h)


def _near(boxes: Boxes, at: Step) -> Array:
    """Rounding where x ≤ SEAM; 0 for boxes that have no such x."""
    t_high = np.minimum(at.t_high, TANH_SEAM + 1e-7)
    gap = np.minimum(artanh_excess(t_high), SEAM - TANH_SEAM)
    ratio = np.where(at.t_low > 0, artanh_excess(np.minimum(at.t_low, t_high)) / at.t_low, 0.0)  # r
    g, tau, _ = near_parts(t_high, ratio, gap)
    per_a = at.big_s * at.amplify / at.a
    e_t = U + g / np.maximum(t_high, 1e-300) * np.where(t_high > 0, 1.0, 0.0)
    sigma = 2.0 * t_high * (g + tau) + 2.0 * U
    own = g * (1.0 + at.s * per_a) + tau * np.maximum(1.0 + np.maximum(boxes.d1, 0.0) * per_a, at.amplify)
    near = own + _sums(boxes, at, t_high, per_a, gap * per_a) + _relative(boxes, at, at.big_s, e_t, sigma)
    return np.asarray(np.where(at.x_low <= SEAM, near, 0.0))


def _far(boxes: Boxes, at: Step) -> Array:
    """Rounding where x > SEAM; 0 for boxes that have no such x."""
    x, t_low = np.maximum(at.x_low, SEAM), np.maximum(at.t_low, TANH_SEAM)
    big_s = np.minimum(at.big_s, 1.0 - TANH_SEAM**2)
    per_a = big_s * at.amplify / at.a
    tau, _ = far_parts(1.0 - t_low, exp_units(1.0 - t_low))
    # (x − t)·S falls from x = 1.31 on.
    gap_per_a = np.where(x > 1.31, (x - t_low) * big_s, 0.1132) * at.amplify / at.a
    own = tau * (1.0 + at.s * per_a) + U * gap_per_a
    sigma = 2.0 * tau + 2.0 * U
    far = own + _sums(boxes, at, at.t_high, per_a, gap_per_a) + _relative(boxes, at, big_s, tau / t_low, sigma)
    return np.asarray(np.where(at.x_high > SEAM, far, 0.0))


def _sums(boxes: Boxes, at: Step, t: Array, per_a: Array, gap_per_a: Array) -> Array:
    """What the rounding of (δ·t + m) − gap moves: EXCESS and a product's U of δ·t, U of the sum, U of h.

    For δ < 0, a = t² + |δ|·S, so |δ|·S/a ≤ 1; for δ > 0, δ·t ≤ gap + |h|.
    """
    residual = at.residual * per_a
    positive = np.minimum(np.maximum(boxes.d1, 0.0) * t * per_a, gap_per_a + residual)
    negative = t * np.minimum(np.maximum(-boxes.d0, 0.0) * per_a, at.amplify)
    return np.asarray(U * ((EXCESS + 1.0) * np.maximum(positive, negative) + gap_per_a + 2.0 * residual))


def near_parts(t: Array, ratio: Array, gap: Array) -> tuple[Array, Array, Array]:
    """What x − tanh x, tanh x besides and, relative, S may be off by where x ≤ SEAM: g, τ, e_S; `ratio` is r."""
    g = (3.6 / (1.0 + ratio) + 3.0) * U * gap
    tau = _half_ulp(t)
    return g, tau, (g + tau) * (1.0 / (1.0 - t) + 1.0) + 3.0 * U


def far_parts(c: Array, exp: Array | float = EXP) -> tuple[Array, Array]:
    """What tanh x = 1 − c and, relative, S may be off by where x > SEAM: τ, e_S; `exp` is ε."""
    tau = c * (exp + 2.0) * U + 0.5 * U
    return tau, (exp + 4.0) * U + tau


def exp_units(c: Array) -> Array:
    """The approximate text's ε, which is above EXP wherever x > SEAM; c = 1 − tanh x."""
    c = np.maximum(c, 1e-30)
    return np.asarray(4.01 + 1.25 * np.log((2.0 - c) / c))


def _relative(boxes: Boxes, at: Step, big_s: Array, e_t: Array, sigma: Array) -> Array:
    """What the error of every factor of S·Δ·(1 − t·Δ) but h's moves: of a, b, S and of the products themselves.

    a = t² − δ·S costs t²·(2e_t + U) + |δ|·(S·(EXCESS + 1)·U + σ), over a, and U; the quotient −h·a/(a² − h·b) has
    sensitivity 1 + 2/(1 − κ) to a and κ/(1 − κ) to b, κ = |h|·b/a², of which b's S is charged by itself: |h|·s·t·σ/a²;
    of its four roundings the quotient's counts as QUOTIENT·U. The last three products add 4, and S·Δ costs σ of Δ.
    """
    delta = np.maximum(np.abs(boxes.d0), np.abs(boxes.d1))
    spread = at.t_high**2 * (2.0 * e_t + U) + delta * (big_s * (EXCESS + 1.0) * U + sigma)
    e_a = spread / at.a + U
    k = at.curvature
    of_b = k * (e_t + 4.0 * U) + at.residual * at.s * at.t_high * sigma / at.a**2
    quotient = e_a * (1.0 + 2.0 / (1.0 - k)) + (2.0 * U + of_b) / (1.0 - k) + (2.0 + QUOTIENT) * U
    return np.asarray(1.01 * at.step * (big_s * (quotient + 4.0 * U + at.step * (e_t + 2.0 * U)) + sigma))


def _half_ulp(y: Array) -> Array:
    """Half the float32 spacing at numbers up to y ≤ 1: 2^-25 just below 1."""
    _, exponent = np.frexp(np.minimum(y, 1.0 - 2.0**-30))
    return np.asarray(np.ldexp(1.0, np.maximum(exponent, -125) - 25))
