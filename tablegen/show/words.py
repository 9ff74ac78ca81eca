"""Bounds in words, for reports and titles."""

import math

from tanhlut.file.bounds import Bounds


def bounds_in_words(bounds: Bounds) -> str:
    """Such as "every loc, every scale" or "|loc| ≤ 3, scale 0.1 to 1.5; exact method outside"."""
    low, high = bounds.scale_min, bounds.scale_max
    if bounds.whole_plane:
        return "every loc, every scale"
    loc = "every loc" if math.isinf(bounds.loc_max) else f"|loc| ≤ {bounds.loc_max:g}"
    if math.isfinite(high):
        return f"{loc}, scale {low:g} to {high:g}; exact method outside"
    return f"{loc}, {f'scale ≥ {low:g}' if low > 0 else 'every scale'}; exact method outside"
