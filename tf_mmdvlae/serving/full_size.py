"""Whole photographs with a change that a model made to the small images cut from them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.layouts import Layout
from tf_mmdvlae.data.decode import centre, decode_whole
from tf_mmdvlae.data.similarity import Similarity, transformed

# Share of the centre's height and width over which the change fades out.
_FADE = 1 / 8


def in_photograph(
    path: pathlib.Path | str, changes: np.ndarray, crop: float
) -> Iterator[Image.Image]:
    """Adds changes of a small image to the photograph that `Served.read` made it from.

    Each change is enlarged (bicubic) to the size of the centre that was cut out. Towards those
    edges of the centre that lie inside the photograph it fades out. The photograph stays upright,
    and keeps its size and its colour profile; a model of grey images makes it grey.

    Args:
      path: the photograph, a file.
      changes: differences from the small image, float32 [k, H, W, C] in [-1, 1].
      crop: as in the export's manifest.

    Yields:
      The k photographs, one at a time.

    Raises:
      InputError: if the file can't be read.
    """
    height, width, channels = changes.shape[1:]
    photograph = _photograph(path, channels)
    left, top, right, bottom = centre(photograph.size, height, width, crop)
    rows = _fading(bottom - top, top > 0, bottom < photograph.height)
    columns = _fading(right - left, left > 0, right < photograph.width)
    bands = [np.asarray(band.crop((left, top, right, bottom))) for band in photograph.split()]
    for change in np.asarray(changes, np.float32):
        edited = photograph.copy()
        parts = [_added(band, change[..., c], rows, columns) for c, band in enumerate(bands)]
        edited.paste(Image.merge(photograph.mode, parts), (left, top))
        yield edited


def in_photograph_of_face(
    path: pathlib.Path | str,
    changes: np.ndarray,
    crop: float,
    similarity: Similarity,
    layout: Layout,
) -> Iterator[Image.Image]:
    """As `in_photograph`, with what `read_face` made of the photograph: the change is laid back.

    It fades out towards all edges of the centre.

    Args:
      similarity: takes the photograph's points to the layout, as `read_face` says.
    """
    height, width, channels = changes.shape[1:]
    photograph = _photograph(path, channels)
    box = np.array(centre((layout.width, layout.height), height, width, crop))
    corners = np.array([(x, y) for x in box[::2] for y in box[1::2]]) - 0.5
    around = similarity.inverse().of(corners)
    low = np.floor(around.min(axis=0)).astype(int).clip(0, photograph.size)
    high = np.ceil(around.max(axis=0) + 1).astype(int).clip(low, photograph.size)
    scale = (width, height) / (box[2:] - box[:2])

    def place(x, y):
        return (similarity.of(np.array([x, y]) + low) + 0.5 - box[:2]) * scale - 0.5

    weights = np.outer(_fading(height, True, True), _fading(width, True, True))
    bands = [np.asarray(band.crop((*low, *high))) for band in photograph.split()]
    for change in np.asarray(changes, np.float32):
        edited, parts = photograph.copy(), []
        for number, band in enumerate(bands):
            faded = Image.fromarray(change[..., number] * weights)
            parts.append(_sum(band, np.array(transformed(faded, place, band.shape[::-1]))))
        edited.paste(Image.merge(photograph.mode, parts), (*low,))
        yield edited


def _photograph(path, channels):
    try:
        return decode_whole(str(path), channels)
    except Exception as error:  # Pillow raises whatever its decoders ran into.
        raise InputError(f"{path} can't be read as a picture: {error}") from error


def _fading(length, at_start, at_end):
    """Weights [length] that rise smoothly from an end that is to fade."""
    rise = np.clip((np.arange(length, dtype=np.float32) + 0.5) / (length * _FADE), 0, 1)
    rise = rise**2 * (3 - 2 * rise)
    return (rise if at_start else 1) * (rise[::-1] if at_end else np.ones_like(rise))


def _added(band, change, rows, columns):
    """One channel, uint8 [h, w], plus the enlarged change times the weights of rows and columns."""
    enlarged = Image.fromarray(change).resize(band.shape[::-1], Image.Resampling.BICUBIC)
    levels = np.array(enlarged)
    levels *= rows[:, None]
    levels *= columns
    return _sum(band, levels)


def _sum(band, change):
    """A channel, uint8 [h, w], plus a change, float32 [h, w] in [-1, 1]."""
    # In place: a large photograph's channel is held once.
    change *= 255
    change += band
    np.rint(change, out=change)
    return Image.fromarray(change.clip(0, 255, out=change).astype(np.uint8))
