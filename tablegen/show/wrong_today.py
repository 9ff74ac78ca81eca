"""The README's first picture: what the usual answers get wrong."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tablegen.show.drawing import BLACK, GREEN, GREY, ORANGE, VERMILION, density, density_at, save, true_mode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# TorchRL's get_mode() at (0.2, 1.0): measured with torchrl 0.14.1, section 6 of the design notes, not computed here.
TORCHRL_MODE, TORCHRL_VERSION = 1.0, "0.14.1"
WRONG_AT = (0.2, 1.0)


def wrong_today_picture(path: Path) -> None:
    """Write a PNG of one density with tanh(loc), TorchRL's answer and the true mode on it.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: `path` cannot be written.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        zoom = axes.inset_axes((0.12, 0.57, 0.6, 0.36))
        _wrong_curve(axes, -1.03, 1.04)
        _wrong_curve(zoom, 0.94, 1.002)
        loc, scale = WRONG_AT
        axes.set(xlabel="y", ylabel="density")
        axes.set_title(f"Y = tanh(X), X ~ Normal(loc {loc}, scale {scale}): where is the density highest?")
        _wrong_labels(axes)
        _wrong_zoom(axes, zoom)

    save(path, (12.0, 4.8), 14, draw)


def _wrong_answers() -> list[tuple[float, str, dict[str, Any]]]:
    """(y, what says so, how it is drawn)."""
    loc, scale = WRONG_AT
    squashed, truth = math.tanh(loc), true_mode(loc, scale)
    return [
        (squashed, f"{squashed:.3f}  tanh(loc)\nwhat nearly every\nlibrary returns", _mark(ORANGE, ":", "v")),
        (
            TORCHRL_MODE,
            f"{TORCHRL_MODE}  TorchRL get_mode()\nmeasured, torchrl {TORCHRL_VERSION}\nthe density here is 0",
            _mark(VERMILION, "--", "X"),
        ),
        (truth, f"{truth:.7f}\nthe true mode: tanhlut", _mark(GREEN, "-", "o")),
    ]


def _mark(color: str, linestyle: str, marker: str) -> dict[str, Any]:
    return {"color": color, "linestyle": linestyle, "marker": marker, "linewidth": 3, "markersize": 12}


def _wrong_curve(axes: "Axes", low: float, high: float) -> None:
    y, height = density(*WRONG_AT)
    axes.plot(y, height, color=BLACK, linewidth=2)
    axes.fill_between(y, height, color="#eeeeee")
    axes.set(xlim=(low, high), ylim=(0, 1.3))
    for at, _, mark in _wrong_answers():
        if not low < at < high:
            continue
        top = _density_at_y(at)
        axes.plot([at, at], [0, top], markevery=[1], markeredgecolor=BLACK, clip_on=False, zorder=5, **mark)


def _density_at_y(y: float) -> float:
    return float(density_at(math.atanh(y), *WRONG_AT)) if abs(y) < 1 else 0.0


def _wrong_labels(axes: "Axes") -> None:
    places = [(0.1, 0.17, "right"), (1.11, 0.18, "left"), (1.11, 1.0, "left")]
    for (at, words, mark), (x, y, side) in zip(_wrong_answers(), places, strict=True):
        axes.annotate(
            words,
            (at, 0.17 if side == "right" else _density_at_y(at)),
            (x, y),
            ha=side,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "->", "shrinkB": 9, "color": mark["color"], "linewidth": 2},
        )


def _wrong_zoom(axes: "Axes", zoom: "Axes") -> None:
    zoom.set(xticks=[0.94, 0.96, 0.98, 1.0], yticks=[0, 1])
    zoom.tick_params(labelsize=12)
    zoom.set_title("the last 3 % of the range, magnified", fontsize=13, pad=4)
    zoom.text(0.9722, 0.5, "tanhlut", ha="right", va="center")
    zoom.text(0.9983, 0.19, "TorchRL", ha="right", va="center")
    frame = axes.indicate_inset_zoom(zoom, edgecolor=GREY)
    for connector in frame.connectors or ():
        connector.set_visible(False)  # they would cross the curve and the words
    arrow = {"arrowstyle": "->", "color": GREY, "linewidth": 1.5}
    axes.annotate("", (0.74, 0.82), (0.94, 1.2), xycoords="axes fraction", textcoords="data", arrowprops=arrow)
