"""What every picture shares: colours, the density of a squashed Gaussian, and writing a PNG, the same bytes each time.

Colours are Okabe and Ito's, which colour-blind readers tell apart; markers and line styles repeat what they say.
"""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tablegen import store
from tanhlut.errors import require
from tanhlut.solver import solve_mode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLACK, BLUE, GREEN, ORANGE, VERMILION = "#000000", "#0072B2", "#009E73", "#E69F00", "#D55E00"
GREY = "#666666"
CUSP_SCALE = math.sqrt(0.5)  # with loc = 0, where the mode begins to jump

_STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def save(path: Path, inches: tuple[float, float], font_size: int, draw: Callable[["Figure"], None]) -> None:
    """Draw at 100 dots per inch and replace `path` at once. The user's matplotlib settings play no part."""
    target = store.check_target(path)
    matplotlib = require("matplotlib", "plot")
    figures = require("matplotlib.figure", "plot")
    data = io.BytesIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE | {"font.size": font_size, "axes.titlesize": font_size + 1})
        figure = figures.Figure(figsize=inches, dpi=100, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
        draw(figure)
        figure.savefig(data, format="png", metadata={"Software": None})
    store.write(target, data.getvalue())


def density(loc: float, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(y, density at y) of tanh(Normal(loc, scale²)), ends included; even steps in atanh(y), so fine at both ends."""
    x = np.linspace(loc - 9.0 * scale, loc + 9.0 * scale, 4001)
    inner = density_at(x, loc, scale)
    return np.concatenate([[-1.0], np.tanh(x), [1.0]]), np.concatenate([[0.0], inner, [0.0]])


def density_at(x: Any, loc: float, scale: float) -> Any:
    """At y = tanh(x): Normal's density over dy/dx = 1/cosh²(x)."""
    normal = np.exp(-0.5 * ((x - loc) / scale) ** 2) / (scale * math.sqrt(2.0 * math.pi))
    return normal * np.cosh(x) ** 2


def true_mode(loc: float, scale: float) -> float:
    return float(solve_mode(np.array(loc), np.array(scale), solver="newton"))
