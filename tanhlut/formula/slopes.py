# ruff: noqa: F403, F405
# mypy: allow-untyped-defs, allow-untyped-decorators
"""The derivatives of mean and standard deviation, each by itself: of what gives both, a compiler keeps what it needs.

Written in `operations`, run by `instantiate` after `moments` or `patched`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tanhlut.formula.half_plane import stddev_slopes
    from tanhlut.formula.moments import mean_slopes
    from tanhlut.formula.operations import *


@element
def mean_by_loc(loc, scale, data, low, high):
    """d mean/d loc = half·E sech² X."""
    by_loc, _ = mean_slopes(loc, scale, data, low, high)
    return by_loc


@element
def mean_by_scale(loc, scale, data, low, high):
    """d mean/d scale, which has not loc's sign."""
    _, by_scale = mean_slopes(loc, scale, data, low, high)
    return by_scale


@element
def stddev_by_loc(loc, scale, data, low, high):
    """d stddev/d loc."""
    by_loc, _ = stddev_slopes(loc, scale, data, low, high)
    return by_loc


@element
def stddev_by_scale(loc, scale, data, low, high):
    """d stddev/d scale."""
    _, by_scale = stddev_slopes(loc, scale, data, low, high)
    return by_scale
