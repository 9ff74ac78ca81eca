# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The text of the quadrature of tanh X, X ~ Normal(loc, scale²), for torch and JAX; `nodes` has its numbers.

`distributions/quadrature.py` says why it is so. m = |loc| and scale have a last dimension of 1, for the nodes; `narrow`
and `wide` are the two rules, each (nodes, weights). Written in `operations`, run by `instantiate` after `element`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.operations import *


@element
def integrated_mean(m, scale, narrow, wide):
    """E tanh X ≥ 0."""
    offset, weight = offsets(m, scale, narrow)
    near = tanh(alone(m)) + total(weight * offset)
    return select(is_narrow(scale), near, ONE - complements(m, scale, wide)[0])


@element
def integrated_variance(m, scale, narrow, wide):
    """Var tanh X."""
    offset, weight = offsets(m, scale, narrow)
    first = total(weight * offset)
    near = total(weight * offset * offset) - first * first
    first, second = complements(m, scale, wide)
    return select(is_narrow(scale), near, second - first * first)


@element
def integrated_log_cosh(m, scale, narrow, wide):
    """E log cosh X ≥ 0."""
    z, weight = narrow
    near = total(weight * log_cosh(m + narrowed(scale) * z))
    x, toward, away = densities(m, scale, wide)
    mu, sigma = alone(m), alone(at_least(scale, RULES_MEET))
    u = mu / (ROOT_2 * sigma)
    folded = sigma * ROOT_2_OVER_PI * exp(-u * u) + mu * erf(u)  # E|X|
    far = folded - LOG_2 + total(log1p(exp(-TWO * x)) * (toward + away))
    return select(is_narrow(scale), near, far)


@element
def integrated_entropy(log_cosh_of_it, loc, scale):
    """H(tanh X) = ½·log(2πe·scale²) − 2·E log cosh X; −inf at infinite loc or scale."""
    found = (ENTROPY_OF_NORMAL + logarithm(scale)) - TWO * log_cosh_of_it
    found = select((absolute(loc) == INFINITY) | (scale == INFINITY), -INFINITY, found)
    return invalid_if((loc != loc) | (scale != scale) | (scale < ZERO), found)


@element
def log_cosh(x):
    """log cosh x = |x| + log((1 + exp(−2|x|))/2), below 1 as ½·log1p(sinh² x), which keeps small x."""
    sine = sinh(at_most(at_least(x, -ONE), ONE))
    a = absolute(x)
    return select(a < ONE, HALF * log1p(sine * sine), a + log1p(exp(-TWO * a)) - LOG_2)


@element
def is_narrow(scale):
    """Which rule serves."""
    return alone(scale) <= RULES_MEET


@element
def narrowed(scale):
    """At most RULES_MEET, by a selection: there a minimum's derivative is 0, ½ or 1, by library and version."""
    return select(scale <= RULES_MEET, scale, RULES_MEET)


@element
def offsets(m, scale, narrow):
    """tanh(m + d) − tanh m = sinh d/(cosh m·cosh(m + d)) at the nodes d, and the nodes' weights.

    In exponentials of −2m, m ≥ 0, so that nothing overflows and small d and large m keep their digits.
    """
    z, weight = narrow
    d = narrowed(scale) * z
    e = exp(-TWO * m)
    return TWO * e * -expm1(-TWO * d) / ((ONE + e) * (ONE + exp(-TWO * (m + d)))), weight


@element
def densities(m, scale, wide):
    """Nodes x > 0, and at them the weighted densities of X at x and at −x."""
    x, weight = wide
    sigma = at_least(scale, RULES_MEET)
    weight = weight / (ROOT_2_PI * sigma)
    left, right = (x - m) / sigma, (x + m) / sigma
    return x, weight * exp(-HALF * (left * left)), weight * exp(-HALF * (right * right))


@element
def complements(m, scale, wide):
    """E[1 − tanh X] and E[(1 − tanh X)²]; Var[tanh X] from these does not cancel where m is large.

    With r = 1 − tanh x at x > 0, the two are r and r² there, and 2 − r and 4 − (4 − r)·r at −x.
    """
    x, toward, away = densities(m, scale, wide)
    e = exp(-TWO * x)
    r = TWO * e / (ONE + e)
    negative = alone(erfc(m / (ROOT_2 * at_least(scale, RULES_MEET))))  # 2·P(X < 0)
    first = negative + total(r * (toward - away))
    return first, TWO * negative + total(r * r * toward - r * (FOUR - r) * away)
