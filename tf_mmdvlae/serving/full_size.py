"""Whole photographs with a change that a model made to the small images cut from them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.decode import centre, decode_whole

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
    try:
        photograph = decode_whole(str(path), channels)
    except Exception as error:  # Pillow raises whatever its decoders ran into.
        raise InputError(f"{path} can't be read as a picture: {error}") from error
    left, top, right, bottom = centre(photograph.size, height, width, crop)
    rows = _fading(bottom - top, top > 0, bottom < photograph.height)
    columns = _fading(right - left, left > 0, right < photograph.width)
    bands = [np.asarray(band.crop((left, top, right, bottom))) for band in photograph.split()]
    for change in np.asarray(changes, np.float32):
        edited = photograph.copy()
        parts = [_added(band, change[..., c], rows, columns) for c, band in enumerate(bands)]
        edited.paste(Image.merge(photograph.mode, parts), (left, top))
        yield edited


def _fading(length, at_start, at_end):
    """Weights [length] that rise smoothly from an end that is to fade."""
    rise = np.clip((np.arange(length, dtype=np.float32) + 0.5) / (length * _FADE), 0, 1)
    rise = rise**2 * (3 - 2 * rise)
    return (rise if at_start else 1) * (rise[::-1] if at_end else np.ones_like(rise))


def _added(band, change, rows, columns):
    """One channel, uint8 [h, w], plus the enlarged change times the weights of rows and columns."""
    enlarged = Image.fromarray(change).resize(band.shape[::-1], Image.Resampling.BICUBIC)
    # In place: a large photograph's channel is held once.
    levels = np.array(enlarged)
    levels *= 255 * rows[:, None]
    levels *= columns
    levels += band
    np.rint(levels, out=levels)
    return Image.fromarray(levels.clip(0, 255, out=levels).astype(np.uint8))
