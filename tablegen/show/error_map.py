"""The proven error of every cell as a map: of a table over (loc, scale), of a network over its chart."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tablegen.show.drawing import BLACK, CUSP_SCALE, VERMILION, save
from tablegen.verify.network import NetworkVerification
from tablegen.verify.prove import Verification
from tanhlut.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOC_TOP, _SCALE_TOP = 4.0, 1.8
_WITNESS: dict[str, Any] = {"linestyle": "none", "color": VERMILION, "markeredgecolor": "white"}
_FLOOR_LOC, _FLOOR_DELTA = -46, -26  # exponents where the magnified panel ends


def picture(result: Verification | NetworkVerification, path: Path) -> None:
    """`error_picture` or `network_picture`, whichever it is."""
    if isinstance(result, NetworkVerification):
        network_picture(result, path)
    else:
        error_picture(result, path)


def error_picture(result: Verification, path: Path) -> None:
    """Write a PNG of `result.cell_bounds`.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: `path` cannot be written.
    """
    bounds = np.ma.masked_invalid(np.minimum(result.cell_bounds, 2.0))
    top = float(bounds.max())
    norm = require("matplotlib.colors", "plot").LogNorm(max(float(bounds.min()), top * 1e-4), top)

    def draw(figure: "Figure") -> None:
        plane, cusp = figure.subplots(1, 2)
        figure.suptitle(
            f"Proven |{result.method} − mode| per cell, float32: at most {result.inside:.3g}, "
            f"{result.witness.error:.3g} seen"
        )
        scale = np.sqrt((1.0 + result.d_edges) / 2.0)
        image = plane.pcolormesh(result.m_edges, scale, bounds.T, norm=norm, cmap="cividis", rasterized=True)
        plane.set(xlim=(0, min(_LOC_TOP, result.m_edges[-1])), ylim=(scale[0], min(_SCALE_TOP, scale[-1])))
        plane.set(xlabel="|loc|", ylabel="scale", title="the plane")
        if scale[0] < CUSP_SCALE < scale[-1]:
            _mark_cusp(plane, 0.0, CUSP_SCALE)
        plane.plot(abs(result.witness.loc), result.witness.scale, "X", markersize=11, label="worst seen", **_WITNESS)
        plane.legend(loc="upper right", facecolor="white", framealpha=0.9, frameon=True)
        cusp.pcolormesh(
            _signed_log(result.m_edges, _FLOOR_LOC), _signed_log(result.d_edges, _FLOOR_DELTA), bounds.T,
            norm=norm, cmap="cividis", rasterized=True,
        )  # fmt: skip
        cusp.set(xlabel="|loc|", ylabel="δ = 2·scale² − 1", title="the cusp magnified: logarithmic, signed in δ")
        _log_ticks(cusp)
        figure.colorbar(image, ax=[plane, cusp], label="proven error", extend="min")

    save(path, (14.0, 6.5), 12, draw)


def network_picture(result: NetworkVerification, path: Path) -> None:
    """Write a PNG of `result.cell_bounds` over the network's chart, the whole half-plane; raises as `error_picture`."""
    bounds = np.minimum(result.cell_bounds, 2.0)
    top = float(bounds.max())
    norm = require("matplotlib.colors", "plot").LogNorm(max(float(bounds.min()), top * 1e-3), top)
    edges = np.linspace(0.0, 1.0, len(result.cell_bounds) + 1)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        figure.suptitle(f"Proven |mlp − mode| per cell of the chart, float32: at most {top:.3g}")
        image = axes.pcolormesh(edges, edges, bounds.T, norm=norm, cmap="cividis", rasterized=True)
        v = np.linspace(0.0, 1.0, 200)
        axes.plot(v, v * v, color="white", linestyle="--", label="scale = 1/√2; the cusp is at the origin")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="v = X/√(3 + X²)", ylabel="ρ = |loc|/X")
        axes.set_title("ρ = 1: scale → 0;  ρ = 0: loc → 0;  v = 1: the mode is 1", fontsize=11)
        axes.legend(loc="upper left", facecolor=BLACK, labelcolor="white", framealpha=0.6, frameon=True)
        figure.colorbar(image, ax=axes, label="proven error", extend="min")

    save(path, (8.5, 7.0), 12, draw)


def _mark_cusp(axes: "Axes", x: float, y: float) -> None:
    axes.plot([x, x], [y, axes.get_ylim()[1]], color=BLACK, linewidth=4, clip_on=True)
    box = {"boxstyle": "round", "facecolor": "white", "alpha": 0.9}
    words = "cusp: the mode jumps above it"
    axes.annotate(words, (x, y), (0.35, y + 0.35), bbox=box, arrowprops={"arrowstyle": "->"})


def _signed_log(values: NDArray[np.float64], floor: int) -> NDArray[np.float64]:
    """sign · (log2|v| − floor), at least 0 in magnitude: 0 is drawn where |v| ≤ 2^floor."""
    magnitude = np.log2(np.maximum(np.abs(values), 2.0**floor)) - floor
    return np.asarray(np.sign(values) * magnitude)


def _log_ticks(axes: "Axes") -> None:
    loc = range(_FLOOR_LOC + 6, 5, 10)
    axes.set_xticks([e - _FLOOR_LOC for e in loc], [f"$2^{{{e}}}$" for e in loc])
    delta = range(_FLOOR_DELTA + 6, 5, 10)
    ticks = [-(e - _FLOOR_DELTA) for e in delta if e <= 0] + [0] + [e - _FLOOR_DELTA for e in delta]
    names = [f"$-2^{{{e}}}$" for e in delta if e <= 0] + ["0"] + [f"$2^{{{e}}}$" for e in delta]
    axes.set_yticks(ticks, names)
