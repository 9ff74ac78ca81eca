# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The text of mean and entropy in float64: F = E tanh |X|/b and A in patches over the chart of `half_plane`.

Written in `operations`, run by `instantiate` after `half_plane`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.half_plane import entropy_by, mean_by, mean_slopes_by, place, square_of, whole
    from tanhlut.formula.operations import *


@element
def mean_place(loc, scale):
    """Where in F's patches, and b."""
    b, zeta, w, _ = square_of(loc, scale)
    at, f, h = place(zeta, w, MEAN_ROWS, ZERO, MEAN_COLUMNS, MEAN_PATCHES)
    return at, f, h, b


@element
def mean_of(value, b, loc, scale, low, high):
    """b·F."""
    return mean_by(b * value, loc, scale, low, high)


@element
def mean(loc, scale, data, low, high):
    """E of the action."""
    at, f, h, b = mean_place(loc, scale)
    return mean_of(patch(data, at, f, h), b, loc, scale, low, high)


@element
def mean_slopes(loc, scale, data, low, high):
    """Its derivatives by loc and scale, from the patch's own."""
    at, f, h, _ = mean_place(loc, scale)
    value, by_f, by_h = patch_slopes(data, at, f, h)
    return mean_slopes_by(value, TWO * MEAN_ROWS * by_f, TWO * MEAN_COLUMNS * by_h, loc, scale, low, high)


@element
def entropy_place(loc, scale):
    """Where in A's patches, and ρ."""
    _, zeta, w, rho = square_of(loc, scale)
    at, f, h = place(zeta, w, ENTROPY_ROWS, ZERO, ENTROPY_COLUMNS, ENTROPY_PATCHES)
    return at, f, h, whole(rho, loc, scale)


@element
def entropy_of(value, rho, loc, scale, low, high):
    """½·log(2πe·scale²) − 2·(ρ·A − log 2)."""
    return entropy_by(value, rho, loc, scale, low, high)


@element
def entropy(loc, scale, data, low, high):
    """The differential entropy of the action."""
    at, f, h, rho = entropy_place(loc, scale)
    return entropy_of(patch(data, at, f, h), rho, loc, scale, low, high)
