"""Mosaics of images with titles and labels, and picture files that are whole or not there."""

import collections
import math
import pathlib
import textwrap

import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tf_mmdvlae.common.files import replacing

DOTS_PER_INCH = 150
TITLE_POINTS, TEXT_POINTS, LABEL_POINTS = 12, 9, 8.5
MARGIN = 30
SPACE = 10
# No narrower, so that a title over one small image is still a line and not a column of words.
NARROWEST = 900
GREY = "0.35"
MINUS = "\N{MINUS SIGN}"

Mosaic = collections.namedtuple("Mosaic", ["pixels", "row_centres", "column_centres"])
Mosaic.__doc__ = """Images side by side.

Attributes:
  pixels: one image [height, width, channels] in [0, 1].
  row_centres, column_centres: where the middle of each row and column of images lies, in pixels.
"""


def layer_title(layer, layers):
    """What a reader calls a layer: "Layer 1 (lowest)", "Layer 2", "Layer 3 (highest)"."""
    places = {1: " (lowest)", layers: " (highest)"} if layers > 1 else {}
    return f"Layer {layer}{places.get(layer, '')}"


def number(value):
    """A number as a person writes it: no needless zeros, and a true minus sign."""
    return f"{value:g}".replace("-", MINUS)


def mosaic(tiles, gap=0, columns_apart=(), rows_apart=()):
    """Lays images out in rows and columns on white.

    Args:
      tiles: [rows, columns, H, W, C] in [0, 1].
      gap: white pixels between neighbours.
      columns_apart, rows_apart: the columns and rows, from 0, after which the gap is wider.

    Returns:
      A `Mosaic`.
    """
    rows, columns, height, width, channels = tiles.shape
    apart = 3 * gap + max(1, max(height, width) // 8)
    tops = _starts(rows, height, gap, rows_apart, apart)
    lefts = _starts(columns, width, gap, columns_apart, apart)
    pixels = np.ones((tops[-1] + height, lefts[-1] + width, channels), np.float32)
    for top, row in zip(tops, tiles, strict=True):
        for left, tile in zip(lefts, row, strict=True):
            pixels[top : top + height, left : left + width] = tile
    return Mosaic(
        pixels,
        [top + (height - 1) / 2 for top in tops],
        [left + (width - 1) / 2 for left in lefts],
    )


def _starts(count, size, gap, apart_after, apart):
    starts = [0]
    for index in range(count - 1):
        starts.append(starts[-1] + size + (apart if index in apart_after else gap))
    return starts


def zoom(image_shape):
    """How many times larger than its pixels an image [H, W, C] is shown: about 80 to 130 dots.

    A whole number, so that every pixel becomes a square of one size; a fraction only for images
    of more than 128 pixels a side, which are shown smaller.
    """
    side = max(image_shape[:2])
    return 128 / side if side > 128 else math.ceil(80 / side)


def save_mosaic(
    path,
    picture,
    enlarged,
    title,
    explanation,
    row_labels=(),
    column_labels=(),
    row_axis="",
    column_axis="",
):
    """Writes a mosaic as a PNG file with a title above it and labels at its edges.

    Args:
      path: the file; see `save_figure`.
      picture: a `Mosaic`.
      enlarged: dots a pixel, from `zoom`.
      title, explanation: one line, and one or two sentences below it.
      row_labels, column_labels: one a row and one a column, or none.
      row_axis, column_axis: what the labels are, or "".

    Returns:
      The path.

    Raises:
      InputError: if the file cannot be written.
    """
    height, width = (round(side * enlarged) for side in picture.pixels.shape[:2])
    label_width = max((text_size(label, LABEL_POINTS)[0] for label in row_labels), default=0)
    line = text_size("Hg", LABEL_POINTS)[1]
    left = MARGIN + bool(row_labels) * (label_width + SPACE) + bool(row_axis) * (line + SPACE)
    below = MARGIN + bool(column_labels) * (line + SPACE) + bool(column_axis) * (line + SPACE)
    inner = max(width, NARROWEST - left - MARGIN)
    lines, above = heading(title, explanation, left + inner - MARGIN)
    full_width, full_height = left + inner + MARGIN, above + height + below
    figure = Figure((full_width / DOTS_PER_INCH, full_height / DOTS_PER_INCH), DOTS_PER_INCH)
    write_heading(figure, lines, full_width, full_height)
    axes = figure.add_axes(
        (left / full_width, below / full_height, width / full_width, height / full_height)
    )
    grey = picture.pixels.shape[-1] == 1
    axes.imshow(
        picture.pixels[..., 0] if grey else picture.pixels,
        cmap="gray" if grey else None,
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest" if float(enlarged).is_integer() else "hanning",
    )
    axes.set_frame_on(False)
    axes.tick_params(length=0, pad=SPACE * 72 / DOTS_PER_INCH, labelsize=LABEL_POINTS)
    axes.set_xticks(picture.column_centres if column_labels else [], list(column_labels))
    axes.set_yticks(picture.row_centres if row_labels else [], list(row_labels))
    if column_axis:
        figure.text(
            (left + width / 2) / full_width,
            MARGIN / 2 / full_height,
            column_axis,
            size=LABEL_POINTS,
            ha="center",
            va="bottom",
        )
    if row_axis:
        figure.text(
            MARGIN / 2 / full_width,
            (below + height / 2) / full_height,
            row_axis,
            size=LABEL_POINTS,
            ha="left",
            va="center",
            rotation=90,
        )
    return save_figure(figure, path)


def text_size(text, points, weight="normal"):
    """Width and height of a line of text, in dots."""
    canvas = FigureCanvasAgg(Figure(dpi=DOTS_PER_INCH))
    font = font_manager.FontProperties(size=points, weight=weight)
    width, height, _ = canvas.get_renderer().get_text_width_height_descent(text, font, False)
    return math.ceil(width), math.ceil(height)


def heading(title, explanation, width):
    """Breaks a picture's title and explanation into lines no wider than `width` dots.

    Returns:
      Lines of (text, points, weight, dots from the picture's upper edge), for `write_heading`,
      and the height that they take in dots.
    """
    lines, top = [], MARGIN * 2 // 3
    for text, points, weight in (
        (title, TITLE_POINTS, "bold"),
        (explanation, TEXT_POINTS, "normal"),
    ):
        across = text_size(text, points, weight)[0]
        high = text_size("Hg", points, weight)[1]
        letters = max(20, int(len(text) * width / max(across, 1)) - 2)
        for line in textwrap.wrap(text, letters):
            lines.append((line, points, weight, top))
            top += round(1.3 * high)
        top += SPACE // 2
    return lines, top + SPACE


def write_heading(figure, lines, width, height):
    """Writes the lines of `heading` on a figure of `width` by `height` dots."""
    for text, points, weight, top in lines:
        figure.text(
            MARGIN / width,
            1 - top / height,
            text,
            size=points,
            weight=weight,
            color="black" if weight == "bold" else GREY,
            va="top",
        )


def save_figure(figure, path):
    """Writes a matplotlib figure as a PNG file, all of it or nothing.

    It is written beside `path` under another name and then renamed, so that whoever finds the
    file finds a whole picture, and a write that fails leaves the former one as it was.

    Args:
      figure: a `matplotlib.figure.Figure`.
      path: the file; its folder is made where it is missing.

    Returns:
      `path` as a `pathlib.Path`.

    Raises:
      InputError: if the file cannot be written.
    """
    path = pathlib.Path(path)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=DOTS_PER_INCH)
    return path
