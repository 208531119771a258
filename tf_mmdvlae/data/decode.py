"""One JPEG or PNG image -> uint8 pixels of the model's shape."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import ExifTags, Image, ImageOps


def decode(
    content: bytes | str, image_shape: tuple[int, ...], crop: float = 1.0, upright: bool = False
) -> tuple[np.ndarray, bool]:
    """Decodes an image, keeps its centre and scales that to `image_shape`.

    The centre has the aspect of `image_shape` and `crop` of the largest extent that fits: for a
    square model a square of side round(crop * shorter edge). Scaling is bilinear with antialiasing,
    so that every source pixel of a reduced image counts. Colour becomes grey, and grey colour, as
    the channels ask for; what is transparent becomes white.

    Args:
      content: the encoded bytes, or a file's path. If they can't be read, any of Pillow's
        exceptions comes through.
      image_shape: height, width and 1 or 3 channels.
      crop: side of the centre that is kept, in (0, 1].
      upright: True turns the image as its EXIF orientation says.

    Returns:
      uint8 [height, width, channels] in 0..255, and whether the image had to be enlarged.
    """
    height, width, channels = image_shape
    with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
        size = image.size
        reduction = _draft(image, max(height, width), crop)
        image.load()
        if upright:
            # Orientations from 5 on lay the image on its side.
            if image.getexif().get(ExifTags.Base.Orientation, 1) >= 5:
                size = size[::-1]
            image = ImageOps.exif_transpose(image)
        image = _with_channels(image, channels)
    box = centre(size, height, width, crop)
    enlarged = box[2] - box[0] < width or box[3] - box[1] < height
    if reduction > 1:
        left, top, right, bottom = (edge / reduction for edge in box)
        reduced = (left, top, right, bottom)
        image = image.resize((width, height), Image.Resampling.BILINEAR, reduced)
    else:
        image = image.crop(box).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(image_shape), enlarged


def decode_whole(path: str, channels: int) -> Image.Image:
    """Decodes a whole image file at its own size, upright, with 1 or 3 channels as in `decode`.

    The image keeps its colour profile, unless its pixels had to be converted. Pillow's exceptions
    come through.
    """
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    converted = _with_channels(upright, channels)
    if converted.mode != upright.mode:
        converted.info.pop("icc_profile", None)
    return converted


def centre(
    size: tuple[int, int], height: int, width: int, crop: float
) -> tuple[int, int, int, int]:
    """The left, top, right and bottom of what `decode` keeps of an image of (width, height)."""
    scale = crop * min(size[0] / width, size[1] / height)
    kept = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - kept[0]) // 2, (size[1] - kept[1]) // 2
    return left, top, left + kept[0], top + kept[1]


def _draft(image, side, crop):
    """Lets a JPEG decoder reduce a large image by 2, 4 or 8, which saves most of its time.

    Twice the wanted size is left for antialiasing. Returns by how much it will reduce.
    """
    size, scale = image.size, 2 * side / (crop * min(image.size))
    if scale < 1:
        image.draft(None, tuple(math.ceil(edge * scale) for edge in size))
    return round(size[0] / image.size[0])


def _with_channels(image, channels):
    if image.mode.startswith("I"):
        # Pillow's own conversion of 16-bit grey clips at 255.
        image = Image.fromarray((np.asarray(image, np.int64) // 257).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")
