"""Plots of the report: each function takes arrays and their labels and gives SVG text."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tf_mmdvlae.figures.drawing import GREY, LABEL_POINTS, literal_text

_COLOURS = ("#3366aa", "#cc6633", "#449966", "#aa3377", "#888888", "#bb9922")
# Of red, green and blue (ITU-R BT.709).
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
# Inches.
_CELL_WIDTH, _CELL_HEIGHT = 0.72, 0.27


@literal_text()
def heat_map(
    values: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    low: float = 0.0,
    colours: str = "Blues",
    apart_after: Sequence[int] = (),
) -> str:
    """A table of numbers from `low` to 1 as coloured cells.

    Args:
      values: [len(rows), len(columns)]; NaN is left blank.
      rows, columns: labels.
      low: the value of the first colour; 1 has the last.
      colours: a matplotlib colour map.
      apart_after: columns, from 0, after which a line is drawn.
    """
    values = np.asarray(values, np.float64)
    axes = _axes(_CELL_WIDTH * len(columns), _CELL_HEIGHT * len(rows))
    clipped = np.ma.masked_invalid(np.clip(values, low, 1))
    picture = axes.imshow(clipped, cmap=colours, vmin=low, vmax=1, aspect="auto")
    brightness = picture.to_rgba(clipped)[..., :3] @ _LUMINANCE
    for (row, column), value in np.ndenumerate(values):
        if math.isfinite(value):
            colour = "white" if brightness[row, column] < 0.5 else "black"
            place = {"ha": "center", "va": "center", "size": LABEL_POINTS}
            axes.text(column, row, f"{value:.2f}", color=colour, **place)
    for column in apart_after:
        axes.axvline(column + 0.5, color="white", linewidth=4)
    steep = {"rotation": 30, "ha": "left"} if max(map(len, columns)) > 10 else {}
    axes.set_xticks(range(len(columns)), columns, **steep)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.set_frame_on(False)
    return _svg(axes.figure)


@literal_text()
def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    label: str,
    errors: Mapping[str, Sequence[float]],
) -> str:
    """Horizontal bars, one row per group and in it one bar per series.

    Values and standard errors, which some series have, are [len(groups)] by the series' names.
    """
    axes = _axes(5.4, len(groups) * (0.14 * len(series) + 0.1))
    places = np.arange(len(groups))
    thickness = 0.8 / len(series)
    for index, (name, values) in enumerate(series.items()):
        axes.barh(
            places + (index - (len(series) - 1) / 2) * thickness,
            values,
            thickness,
            xerr=errors.get(name),
            error_kw={"elinewidth": 0.8, "ecolor": GREY},
            color=_COLOURS[index % len(_COLOURS)],
            label=name,
        )
    axes.set_yticks(places, groups)
    axes.invert_yaxis()
    axes.set_xlabel(label, size=LABEL_POINTS)
    _add_legend(axes, "lower center", (0.4, 1), len(series))
    return _svg(axes.figure)


@literal_text()
def curves(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    x_label: str,
    y_label: str,
    errors: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Lines over x [n], with a band of one standard error where a series has `errors`.

    Values and standard errors are [n] by the series' names.
    """
    axes = Figure((6.4, 3.4)).add_axes((0.1, 0.15, 0.55, 0.8))
    axes.tick_params(labelsize=LABEL_POINTS)
    for index, (name, values) in enumerate(series.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        heights = np.asarray(values, np.float64)
        axes.plot(x, heights, color=colour, label=name, marker="o", markersize=3, linewidth=1.2)
        if errors is not None and name in errors:
            spread = np.asarray(errors[name], np.float64)
            axes.fill_between(x, heights - spread, heights + spread, color=colour, alpha=0.2, lw=0)
    axes.set_xlabel(x_label, size=LABEL_POINTS)
    axes.set_ylabel(y_label, size=LABEL_POINTS)
    _add_legend(axes, "upper left", (1.02, 1))
    # Not cut to what is drawn: two plots side by side keep one scale, however long their legends.
    return _svg(axes.figure, cut=False)


def _axes(width, height):
    """Axes of so many inches; the picture grows by what their labels need."""
    axes = Figure((width, height)).add_axes((0, 0, 1, 1))
    axes.tick_params(labelsize=LABEL_POINTS)
    return axes


def _add_legend(axes, place, anchor, columns=1):
    """Names the series above or beside the axes, which have no frame there."""
    axes.spines[["top", "right"]].set_visible(False)
    style = {"fontsize": LABEL_POINTS, "frameon": False}
    axes.legend(loc=place, bbox_to_anchor=anchor, ncols=columns, **style)


def _svg(figure, cut=True):
    FigureCanvasSVG(figure)
    content = io.StringIO()
    # Letters as shapes: a reader's fonts may be others, and wider.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "tf_mmdvlae"}):
        space = {"bbox_inches": "tight" if cut else None, "pad_inches": 0.05}
        figure.savefig(content, format="svg", metadata={"Date": None}, transparent=True, **space)
    return content.getvalue()
