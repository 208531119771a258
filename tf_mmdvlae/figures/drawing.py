"""Mosaics of images with titles and labels, and picture files that are whole or not there.

A `title` is one line, an `explanation` one or two sentences below it. A file that cannot be written
is an InputError.
"""

from __future__ import annotations

import math
import pathlib
import textwrap
from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from tf_mmdvlae.common.files import replacing

DOTS_PER_INCH = 150
TITLE_POINTS, TEXT_POINTS, LABEL_POINTS = 12, 9, 8.5
GREY = "0.35"
MINUS = "\N{MINUS SIGN}"
# Inches of white around a picture and between its parts.
_MARGIN, _SPACE = 0.2, 0.07
# Inches. A narrower title over one small image would be a column of words.
_NARROWEST = 5.6


def literal_text() -> Any:
    """A decorator of what makes and draws figures: a "$" in a label is no formula."""
    return rc_context({"text.parse_math": False})


class Mosaic(NamedTuple):
    """Images side by side: one image [height, width, channels] in [0, 1].

    The centres are the middle of each row and column of images, in pixels.
    """

    pixels: np.ndarray
    row_centres: list[float]
    column_centres: list[float]


def layer_title(layer: int, layers: int) -> str:
    """What a reader calls a layer: "Layer 1 (lowest)", "Layer 2", "Layer 3 (highest)"."""
    places = {1: " (lowest)", layers: " (highest)"} if layers > 1 else {}
    return f"Layer {layer}{places.get(layer, '')}"


def number(value: float) -> str:
    """A number as a person writes it: no needless zeros, and a true minus sign."""
    return f"{value:g}".replace("-", MINUS)


def listing(items: Iterable[object]) -> str:
    """Items as a sentence lists them: "1, 2 and 3"."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def mosaic(
    tiles: np.ndarray, gap: int, rows_apart: Container[int] = (), columns_apart: Container[int] = ()
) -> Mosaic:
    """Lays images [rows, columns, H, W, C], clipped to [0, 1], out on white.

    `gap` is the white pixels between neighbours; it is wider after the rows and columns, from 0,
    that are set apart.
    """
    rows, columns, height, width, channels = tiles.shape
    wide_gap = 3 * gap + max(1, max(height, width) // 8)
    tops = _starts(rows, height, gap, rows_apart, wide_gap)
    lefts = _starts(columns, width, gap, columns_apart, wide_gap)
    pixels = np.ones((tops[-1] + height, lefts[-1] + width, channels), np.float32)
    for top, row in zip(tops, tiles, strict=True):
        for left, tile in zip(lefts, row, strict=True):
            pixels[top : top + height, left : left + width] = np.clip(tile, 0, 1)
    row_centres = [top + (height - 1) / 2 for top in tops]
    return Mosaic(pixels, row_centres, [left + (width - 1) / 2 for left in lefts])


def _starts(count, size, gap, apart_after, wide_gap):
    gaps = [wide_gap if index in apart_after else gap for index in range(count - 1)]
    return np.cumsum([0, *(size + gap for gap in gaps)]).tolist()


def in_a_square(images: np.ndarray) -> np.ndarray:
    """Images [n, H, W, C] as a square of tiles, or nearly one, with white ones at the end."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    tiles = np.ones((rows * columns, *images.shape[1:]), np.float32)
    tiles[: len(images)] = images
    return tiles.reshape(rows, columns, *images.shape[1:])


def zoom(image_shape: Sequence[int]) -> float:
    """The number of dots per pixel at which an image [H, W, C] is shown: 80 to 130 dots per side.

    It is a whole number, so that every pixel becomes a square of one size; a fraction only for
    images of more than 128 pixels per side, which are shown smaller.
    """
    side = max(image_shape[:2])
    return 128 / side if side > 128 else math.ceil(80 / side)


def save_mosaic(
    path: pathlib.Path | str, tiles: np.ndarray, title: str, explanation: str, **layout: Any
) -> pathlib.Path:
    """Writes a `mosaic_figure` by `save_figure`, and returns the path."""
    return save_figure(mosaic_figure(tiles, **layout), path, title, explanation)


@literal_text()
def mosaic_figure(
    tiles: np.ndarray,
    *,
    gap: int = 1,
    rows_apart: Container[int] = (),
    columns_apart: Container[int] = (),
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    row_axis: str = "",
    column_axis: str = "",
) -> Figure:
    """A `mosaic` with labels at its edges; it is the one image of the figure's one axes.

    There is one label per row and one per column, or none; the axes' texts say what the labels are.
    """
    picture = mosaic(tiles, gap, rows_apart, columns_apart)
    dots = zoom(tiles.shape[2:])
    height, width = (round(side * dots) / DOTS_PER_INCH for side in picture.pixels.shape[:2])
    figure = Figure((width, height), DOTS_PER_INCH)
    # The mosaic fills the figure, dot by dot; all text lies outside, and `save_figure` adds it.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(
        picture.pixels,
        cmap="gray",
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest" if float(dots).is_integer() else "hanning",
    )
    axes.set_frame_on(False)
    axes.tick_params(length=0, pad=72 * _SPACE, labelsize=LABEL_POINTS)
    axes.set_xticks(picture.column_centres if column_labels else [], column_labels)
    axes.set_yticks(picture.row_centres if row_labels else [], row_labels)
    axes.set_xlabel(column_axis, size=LABEL_POINTS, labelpad=72 * _SPACE)
    axes.set_ylabel(row_axis, size=LABEL_POINTS, labelpad=72 * _SPACE)
    return figure


@literal_text()
def save_figure(
    figure: Figure, path: pathlib.Path | str, title: str, explanation: str
) -> pathlib.Path:
    """Writes a matplotlib figure as a PNG file with a title above it, all of it or nothing.

    Its folder is made where it is missing, and a write that fails leaves a former picture as it
    was. The title is added to `figure`.
    """
    path = pathlib.Path(path)
    box = titled(figure, title, explanation)
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=DOTS_PER_INCH, bbox_inches=box)
    return path


def titled(figure: Figure, title: str, explanation: str) -> Bbox:
    """Adds a title to a matplotlib figure, and returns the box, in inches, that holds all of it."""
    figure.draw_without_rendering()
    _write_heading(figure, title, explanation)
    # Whole dots: the pixels of images keep their edges.
    extents = figure.get_tightbbox().padded(_MARGIN).extents
    return Bbox.from_extents(*np.round(extents * DOTS_PER_INCH) / DOTS_PER_INCH)


def _write_heading(figure, title, explanation):
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    top = box.y1 + _SPACE
    for text, style in (
        (explanation, {"size": TEXT_POINTS, "color": GREY}),
        (title, {"size": TITLE_POINTS, "weight": "bold"}),
    ):
        top += _SPACE
        line = figure.text(box.x0 / width, top / height, text, va="bottom", **style)
        lines = line.get_window_extent().width / figure.dpi / max(box.width, _NARROWEST)
        line.set_text(textwrap.fill(text, int(len(text) / lines) - 2))
        top += line.get_window_extent().height / figure.dpi
