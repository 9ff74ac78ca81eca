"""What deterministic actions are called: the mode, the mean, or tanh(loc), which most libraries take."""

from typing import Any, Literal

from tanhlut.arrays import check_choice

Deterministic = Literal["mode", "mean", "tanh_loc"]
CHOICES = ("mode", "mean", "tanh_loc")


def check(deterministic: Any) -> None:
    """TypeError, ValueError unless it is one of the three."""
    check_choice("deterministic", deterministic, CHOICES)
