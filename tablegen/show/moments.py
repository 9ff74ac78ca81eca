"""Mean, standard deviation and entropy at a glance, and how far float32 is off over the half-plane."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from tablegen.show.drawing import BLACK, save
from tablegen.verify.moments import MEASURE, QUANTITIES, Quantity, errors
from tanhlut import moments
from tanhlut.errors import require
from tanhlut.file.table import ModeTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOC, _SCALE = 3.0, 2.5  # what the surfaces show
_CELLS = (60, 48)  # of the error maps, over logarithms
_INSIDE = 5  # points of each cell, an axis
_LOW, _HIGH = 1e-2, 1e2  # of loc and scale in the error maps


def moments_picture(table: ModeTable, path: Path) -> None:
    """Write a PNG: the surfaces of three moments, and the largest error seen of each cell against a quadrature.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: `path` cannot be written, or the table holds no moments.
    """

    def draw(figure: "Figure") -> None:
        above, below = figure.subplots(2, 3)
        figure.suptitle("Moments of tanh(Normal(loc, scale²)), on (−1, 1), float32")
        for axes, name, colours in zip(
            above, ("mean", "stddev", "entropy"), ("PuOr_r", "cividis", "cividis"), strict=True
        ):
            _surface(axes, table, name, colours)
        for axes, quantity in zip(below, QUANTITIES, strict=True):
            _errors(axes, table, quantity)

    save(path, (17.0, 9.5), 11, draw)


def _surface(axes: "Axes", table: ModeTable, name: str, colours: str) -> None:
    loc, scale = torch.linspace(-_LOC, _LOC, 400), torch.linspace(0.02, _SCALE, 300)
    values = getattr(moments, name)(loc[None], scale[:, None], table=table).numpy()
    extent = (-_LOC, _LOC, 0.02, _SCALE)
    low = max(float(values.min()), -5.0)
    image = axes.imshow(values, colours, aspect="auto", vmin=low, extent=extent, origin="lower")
    lines = axes.contour(
        loc, scale, values, levels=np.linspace(low, float(values.max()), 9)[1:-1], colors=BLACK, linewidths=0.6
    )
    axes.clabel(lines, fontsize=8)
    axes.figure.colorbar(image, ax=axes)
    axes.set(xlabel="loc", ylabel="scale", title=name)


def error_cells(
    table: ModeTable, quantity: Quantity
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(edges of |loc|, edges of scale, the largest error seen in each cell), of torch operations, by `MEASURE`."""
    edges = [np.geomspace(_LOW, _HIGH, count + 1) for count in _CELLS]
    points = [np.geomspace(_LOW, _HIGH, count * _INSIDE).astype(np.float32) for count in _CELLS]
    loc, scale = (part.ravel() for part in np.meshgrid(*points, indexing="ij"))
    found = errors(table, quantity, loc, scale, "eager")
    return edges[0], edges[1], found.reshape(_CELLS[0], _INSIDE, _CELLS[1], _INSIDE).max((1, 3))


def _errors(axes: "Axes", table: ModeTable, quantity: Quantity) -> None:
    loc, scale, found = error_cells(table, quantity)
    top = float(found.max())
    norm = require("matplotlib.colors", "plot").LogNorm(top * 1e-3, top)
    shown = np.maximum(found, top * 1e-3)
    image = axes.pcolormesh(loc, scale, shown.T, norm=norm, cmap="cividis", rasterized=True)
    axes.set(xscale="log", yscale="log", xlabel="|loc|", ylabel="scale")
    axes.set_title(f"{MEASURE[quantity].split(', w =')[0]}: at most {top:.3g} seen", fontsize=8)
    axes.figure.colorbar(image, ax=axes, extend="min")
