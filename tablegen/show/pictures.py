"""A table at a glance: its surface with jump and cusp, its answers on three densities, the grading of its grid."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tablegen.show.drawing import BLACK, BLUE, CUSP_SCALE, GREEN, GREY, ORANGE, VERMILION, density, save, true_mode
from tablegen.show.words import bounds_in_words
from tanhlut.file.axes import delta_nodes
from tanhlut.file.bounds import Bounds
from tanhlut.file.table import ModeTable
from tanhlut.lookup import mode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EXAMPLES = {"A": (0.2, 1.0), "B": (0.2, 0.4), "C": (-0.05, 0.8)}
_WINDOW = (2.0, 1.6)  # largest |loc| and scale of the surface
_LEVELS = {0.3: 0.15, 0.6: 0.3, 0.9: 0.5, 0.99: 0.85}  # level lines of the mode: scale where each is labelled
_FLOAT32_GAP = 2.0**-24.8  # no float32 scale has a smaller |δ|
_DELTA_ROUNDING = 1.6e-16  # how far rounding a scale to float64 moves δ near the cusp
_SQUASHED: dict[str, Any] = {"color": ORANGE, "linestyle": ":", "marker": "v", "linewidth": 2.5, "markersize": 8}
_TRUTH: dict[str, Any] = {"color": GREEN, "linestyle": "-", "marker": "o", "linewidth": 4, "markersize": 11}
_ANSWER: dict[str, Any] = {"color": BLACK, "linestyle": "--", "marker": "x", "linewidth": 1.5, "markersize": 8}
_GRADING_STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-"},
    {"color": VERMILION, "linestyle": "--"},
)


class _Window(NamedTuple):
    """The part of the plane that the surface shows: |loc| ≤ loc_max, scale_min to scale_max."""

    loc_max: float
    scale_min: float
    scale_max: float

    def shows(self, loc: float, scale: float) -> bool:
        """Whether a label at this point fits."""
        margin = 0.02 * (self.scale_max - self.scale_min)
        inside = self.scale_min + margin < scale < self.scale_max - margin
        return inside and abs(loc) < 0.96 * self.loc_max


def table_picture(table: ModeTable, path: Path) -> None:
    """Write a PNG of a table: its surface, its answers on three densities, the grading of its grid.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: `path` cannot be written.
    """

    def draw(figure: "Figure") -> None:
        panels = figure.subplot_mosaic(
            [["surface", "A"], ["surface", "B"], ["surface", "C"], ["loc", "delta"]],
            height_ratios=[1, 1, 1, 1.75],
        )
        rows, columns = table.values.shape
        figure.suptitle(
            f"Table of the mode of tanh(Normal(loc, scale²)): {rows} × {columns} nodes, {table.nbytes:,} bytes, "
            f"tolerance {table.tolerance:g}\ncovers {bounds_in_words(table.bounds)}"
        )
        _surface(panels["surface"], table)
        for name in _EXAMPLES:
            _answers(panels[name], table, name)
        _answers_frame(*(panels[name] for name in _EXAMPLES))
        _loc_grading(panels["loc"], table)
        _delta_grading(panels["delta"], table)

    save(path, (14.0, 11.0), 12, draw)


def _surface(axes: "Axes", table: ModeTable) -> None:
    window = _window(table.bounds)
    loc = _centres(-window.loc_max, window.loc_max, 900)  # an even number: no centre at 0, no cell across the jump
    scale = _centres(window.scale_min, window.scale_max, 700)
    values = mode(loc[None], scale[:, None], method="bilinear", table=table)
    extent = (-window.loc_max, window.loc_max, window.scale_min, window.scale_max)
    # Limits beyond ±1 leave out the map's darkest ends, on which nothing could be read.
    image = axes.imshow(values, "PuOr_r", aspect="auto", vmin=-1.5, vmax=1.5, extent=extent, origin="lower")
    bar = axes.figure.colorbar(image, ax=axes, label="mode on (−1, 1)", location="left", aspect=40, pad=0.02)
    bar.ax.set_ylim(-1, 1)
    _contours(axes, loc, scale, values)
    _contour_labels(axes, window)
    _jump(axes, window)
    for name, at in _EXAMPLES.items():
        if window.shows(*at):
            axes.text(*at, name, ha="center", va="center", fontsize=10, weight="bold", bbox=_box("circle"))
    axes.ticklabel_format(axis="x", scilimits=(-2, 3))  # for very narrow bounds
    axes.set(xlabel="loc", ylabel="scale", title='The mode, by method "bilinear"')


def _window(bounds: Bounds) -> _Window:
    """The usual window where the table covers it; the nearest the table has where it covers none of it."""
    high = min(_WINDOW[1], bounds.scale_max)
    if bounds.scale_min >= high:
        high = min(2.0 * bounds.scale_min, bounds.scale_max)
    return _Window(min(_WINDOW[0], bounds.loc_max), bounds.scale_min, high)


def _centres(low: float, high: float, cells: int) -> NDArray[np.float64]:
    edges = np.linspace(low, high, cells + 1)
    return 0.5 * (edges[:-1] + edges[1:])


def _contours(axes: "Axes", loc: NDArray[np.float64], scale: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Level lines of either side by itself: none may cross the jump. Solid above zero, dashed below."""
    levels = sorted(_LEVELS)
    for side, signed in ((loc > 0, levels), (loc < 0, [-level for level in reversed(levels)])):
        axes.contour(
            loc[side], scale, values[:, side], signed, colors=BLACK, linewidths=0.8, negative_linestyles="dashed"
        )


def _contour_labels(axes: "Axes", window: _Window) -> None:
    """Each as near to its usual scale as the window allows."""
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
    for level, usual in _LEVELS.items():
        scales = np.linspace(window.scale_min, window.scale_max, 161)
        locs = math.atanh(level) - 2.0 * scales**2 * level  # the equation, solved for loc
        spots = [spot for spot in zip(locs, scales, strict=True) if spot[0] > 0 and window.shows(*spot)]
        if not spots:
            continue
        loc, scale = min(spots, key=lambda spot: abs(spot[1] - usual))
        for at, text in ((loc, f"{level:g}"), (-loc, f"−{level:g}")):
            axes.text(at, scale, text, ha="center", va="center", fontsize=10, bbox=box)


def _jump(axes: "Axes", window: _Window) -> None:
    if window.scale_max > CUSP_SCALE:
        bottom = max(CUSP_SCALE, window.scale_min)
        axes.plot([0, 0], [bottom, window.scale_max], color=BLACK, linewidth=3)
        axes.annotate(
            "the mode jumps\nfrom −y to +y",
            (0, bottom + 0.86 * (window.scale_max - bottom)),
            (0.29, 0.9),
            textcoords="axes fraction",
            ha="center",
            va="center",
            bbox=_box("round"),
            arrowprops={"arrowstyle": "->"},
        )
    if window.scale_min < CUSP_SCALE < window.scale_max:
        axes.plot(0, CUSP_SCALE, "D", color=VERMILION, markeredgecolor=BLACK, markersize=10)
        axes.annotate(
            "cusp: loc = 0,\nscale = 1/√2",
            (0, CUSP_SCALE),
            (0.8, 0.8),
            textcoords="axes fraction",
            ha="center",
            va="center",
            bbox=_box("round"),
            arrowprops={"arrowstyle": "->", "shrinkB": 7},
        )


def _box(shape: str) -> dict[str, Any]:
    return {"boxstyle": f"{shape},pad=0.25", "facecolor": "white", "edgecolor": BLACK, "linewidth": 0.8}


def _answers(axes: "Axes", table: ModeTable, name: str) -> None:
    loc, scale = _EXAMPLES[name]
    truth = true_mode(loc, scale)
    y, height = density(loc, scale)
    axes.plot(y, height, color=BLACK, linewidth=1.5)
    axes.fill_between(y, height, color="#eeeeee")
    top = 1.3 * float(height.max())
    marks = [(math.tanh(loc), _SQUASHED), (truth, _TRUTH)]
    words = f"{name}: loc {loc:g}, scale {scale:g}; mode {truth:.5f}, "
    bounds = table.bounds
    if abs(loc) <= bounds.loc_max and bounds.scale_min <= scale <= bounds.scale_max:
        answer = mode(loc, scale, method="bilinear", table=table)
        marks.append((answer, _ANSWER))
        words += f"table {answer:.5f}, error {abs(answer - truth):.1g}"
    else:
        words += "outside the table's bounds"
    for at, mark in marks:
        axes.plot([at, at, at], [0, 0.88 * top, top], markevery=[1], **mark)
    axes.set_title(words.replace(" -", " −").replace("e-", "e−"), fontsize=11, loc="left", pad=4)
    axes.set(xlim=(-1.02, 1.02), ylim=(0, top), ylabel="density")


def _answers_frame(top: "Axes", middle: "Axes", bottom: "Axes") -> None:
    """What the three densities share: one legend above, one y axis below."""
    for mark, label in ((_SQUASHED, "tanh(loc)"), (_TRUTH, "true mode"), (_ANSWER, 'this table, "bilinear"')):
        top.plot([], [], label=label, **mark)
    top.legend(loc="lower center", bbox_to_anchor=(0.5, 1.12), ncols=3, columnspacing=1.2)
    for axes in (top, middle):
        axes.tick_params(labelbottom=False)
    bottom.set_xlabel("y")


def _loc_grading(axes: "Axes", table: ModeTable) -> None:
    _grading(axes, {"loc": table.loc[table.loc > 0]}, rounding=0.0, headroom=1.1)
    axes.set(xlabel="|loc|", title="Cells of the loc axis, octave by octave")


def _delta_grading(axes: "Axes", table: ModeTable) -> None:
    delta = delta_nodes(table.scale)
    sides = {"scale > 1/√2": delta[delta > 0], "scale < 1/√2": -delta[delta < 0][::-1]}
    _grading(axes, sides, rounding=_DELTA_ROUNDING, headroom=1.5)
    left, right = axes.get_xlim()
    if left < _FLOAT32_GAP < right:
        axes.axvspan(left, _FLOAT32_GAP, color="#dddddd", zorder=0, label="no float32 scale is this close")
        axes.set_xlim(left, right)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", ncols=2, columnspacing=1.2, frameon=True, framealpha=1.0, edgecolor="white")
    axes.set(xlabel="|δ|, δ = 2·scale² − 1, zero at the cusp", title="Cells of the scale axis, octave by octave")


def _grading(axes: "Axes", series: dict[str, NDArray[np.float64]], rounding: float, headroom: float) -> None:
    """Cells that begin in each octave, as steps; below them every node, as a tick. `series`: magnitudes, increasing."""
    shown = [(*item, style) for item, style in zip(series.items(), _GRADING_STYLES, strict=False) if len(item[1]) > 1]
    if not shown:
        axes.set_xlim(0.5, 2.0)
    tallest = 1
    for label, nodes, style in shown:
        first, counts = _cells_per_octave(nodes, rounding)
        axes.stairs(counts, 2.0 ** np.arange(first, first + len(counts) + 1), label=label, linewidth=2, **style)
        tallest = max(tallest, int(counts.max()))
    tick_row = 0.065 * headroom * tallest
    for row, (_, nodes, style) in enumerate(shown, start=1):
        axes.plot(nodes, np.full(len(nodes), -row * tick_row), "|", color=style["color"], markersize=7)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(ylim=(-(len(shown) + 1) * tick_row, headroom * tallest), ylabel="cells per octave; nodes below")
    axes.locator_params(axis="y", integer=True)
    _octave_ticks(axes)


def _cells_per_octave(nodes: NDArray[np.float64], rounding: float) -> tuple[int, NDArray[np.int64]]:
    """(exponent of the first octave, cells in it and in each that follows); a node may be `rounding` too low."""
    octaves = np.floor(np.log2(nodes[:-1] * (1.0 + 1e-12) + rounding)).astype(np.int64)
    return int(octaves[0]), np.bincount(octaves - octaves[0])


def _octave_ticks(axes: "Axes") -> None:
    axes.set_xscale("log", base=2)
    low, high = (math.log2(end) for end in axes.get_xlim())
    step = next((step for step in (1, 2, 5, 10, 20) if high - low <= 8 * step), 40)
    axes.set_xticks([2.0**k for k in range(math.ceil(low / step) * step, math.floor(high) + 1, step)])
    axes.minorticks_off()
