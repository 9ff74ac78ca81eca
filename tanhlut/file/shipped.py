"""Where the shipped table is: in an installed package, or in a checkout."""

from pathlib import Path

NAME = "default.h5"


def shipped() -> Path:
    """Its path."""
    here = Path(__file__).parent.parent
    installed, checkout = here / "data" / NAME, here.parent / "data" / NAME
    return installed if installed.exists() else checkout
