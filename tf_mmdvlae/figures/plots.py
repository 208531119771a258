"""Plots of the report, as SVG text: arrays in, picture out."""

import io
import math

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tf_mmdvlae.figures.drawing import GREY, LABEL_POINTS

_COLOURS = ("#3366aa", "#cc6633", "#449966", "#aa3377", "#888888", "#bb9922")
# Of red, green and blue (ITU-R BT.709).
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_CELL_WIDTH, _CELL_HEIGHT = 0.72, 0.27


def heat_map(values, rows, columns, low, high, digits=2, colours="Blues", apart_after=()):
    """A table of numbers, each cell darker the larger its number.

    Args:
      values: [len(rows), len(columns)]; NaN is left blank.
      rows, columns: labels.
      low, high: the values of the lightest and the darkest cell.
      digits: after the point.
      colours: a matplotlib colour map.
      apart_after: columns, from 0, after which a line is drawn.

    Returns:
      SVG text.
    """
    values = np.asarray(values, np.float64)
    longest = max(map(len, rows))
    margin = 0.1 + 0.075 * longest
    head = 0.35 + (0.4 if max(map(len, columns)) > 10 else 0)
    width = margin + _CELL_WIDTH * len(columns) + 0.1
    height = head + _CELL_HEIGHT * len(rows) + 0.05
    figure = Figure((width, height))
    axes = figure.add_axes(
        (
            margin / width,
            0.05 / height,
            _CELL_WIDTH * len(columns) / width,
            _CELL_HEIGHT * len(rows) / height,
        )
    )
    clipped = np.ma.masked_invalid(np.clip(values, low, high))
    picture = axes.imshow(clipped, cmap=colours, vmin=low, vmax=high, aspect="auto")
    brightness = picture.to_rgba(clipped)[..., :3] @ _LUMINANCE
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if math.isfinite(value):
                axes.text(
                    column,
                    row,
                    f"{value:.{digits}f}",
                    ha="center",
                    va="center",
                    size=LABEL_POINTS,
                    color="white" if brightness[row, column] < 0.5 else "black",
                )
    for column in apart_after:
        axes.axvline(column + 0.5, color="white", linewidth=4)
    steep = head > 0.4
    axes.set_xticks(
        range(len(columns)),
        columns,
        rotation=30 if steep else 0,
        ha="left" if steep else "center",
    )
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0, labelsize=LABEL_POINTS, top=False, labeltop=True, labelbottom=False)
    axes.set_frame_on(False)
    return _svg(figure)


def bars(groups, series, label, errors=None):
    """Horizontal bars, a group a row.

    Args:
      groups: labels of the rows.
      series: name -> [len(groups)], a bar of each row.
      label: of the axis.
      errors: name -> standard errors [len(groups)], or None.

    Returns:
      SVG text.
    """
    count = len(series)
    longest = max(map(len, groups))
    height = 0.75 + len(groups) * (0.14 * count + 0.1)
    figure = Figure((7.2, height))
    left = (0.15 + 0.075 * longest) / 7.2
    axes = figure.add_axes((left, 0.5 / height, 0.97 - left, (height - 0.75) / height))
    places = np.arange(len(groups))
    thickness = 0.8 / count
    for index, (name, values) in enumerate(series.items()):
        axes.barh(
            places + (index - (count - 1) / 2) * thickness,
            values,
            thickness,
            xerr=None if errors is None else errors.get(name),
            error_kw={"elinewidth": 0.8, "ecolor": GREY},
            color=_COLOURS[index % len(_COLOURS)],
            label=name,
        )
    axes.set_yticks(places, groups)
    axes.invert_yaxis()
    axes.set_xlabel(label, size=LABEL_POINTS)
    axes.tick_params(labelsize=LABEL_POINTS)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        fontsize=LABEL_POINTS,
        frameon=False,
        ncols=count,
        loc="upper left",
        borderaxespad=0.1,
    )
    return _svg(figure)


def curves(x, series, x_label, y_label, errors=None):
    """Lines over one variable, with a band of one standard error.

    Args:
      x: [n].
      series: name -> [n].
      x_label, y_label: of the axes.
      errors: name -> [n] standard errors, or None.

    Returns:
      SVG text.
    """
    figure = Figure((6.4, 3.4))
    axes = figure.add_axes((0.1, 0.15, 0.55, 0.8))
    for index, (name, values) in enumerate(series.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        values = np.asarray(values, np.float64)
        axes.plot(x, values, color=colour, label=name, marker="o", markersize=3, linewidth=1.2)
        if errors is not None and name in errors:
            spread = np.asarray(errors[name], np.float64)
            axes.fill_between(x, values - spread, values + spread, color=colour, alpha=0.2, lw=0)
    axes.set_xlabel(x_label, size=LABEL_POINTS)
    axes.set_ylabel(y_label, size=LABEL_POINTS)
    axes.tick_params(labelsize=LABEL_POINTS)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=LABEL_POINTS, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1))
    return _svg(figure)


def _svg(figure):
    FigureCanvasSVG(figure)
    content = io.StringIO()
    # Letters as shapes: a reader's fonts may be others, and wider.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "tf_mmdvlae"}):
        figure.savefig(content, format="svg", metadata={"Date": None}, transparent=True)
    return content.getvalue()
