"""One JPEG, PNG or WebP picture -> uint8 pixels of the model's shape.

`serving/image_bytes.py` reads JPEG and PNG inside the graph by the same rules.
"""

from __future__ import annotations

import io
import math
import os
import re
import stat
import struct
import zlib

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tf_mmdvlae.data.limits import MAX_MEGAPIXELS

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
ADOBE, SCAN, END = b"\xff\xee\x00\x0eAdobe", b"\xff\xda", b"\xff\xd9"
MAX_SCANS = 100
# A PNG's signature and the chunk with its size, bits of a channel, and colours.
_PNG_HEADER = 33
PIXELS_PER_BYTE = 512
"""A block of 64 pixels takes at least one bit in the scans of a JPEG."""

DAMAGED = "it is damaged or cut short"
MANY_SCANS = f"it has more than {MAX_SCANS} scans"
UNKNOWN_INKS = "it is a CMYK JPEG without Adobe's marker, which says what its numbers mean"
DEEP_TRANSPARENCY = "it has a transparent colour of 16 bits a channel; save it with 8 bits"

# No picture that the limit of megapixels lets pass is as large.
MOST_BYTES = 2**30


def decode(
    content: bytes | str | os.PathLike,
    image_shape: tuple[int, ...],
    crop: float = 1.0,
    upright: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> tuple[np.ndarray, bool]:
    """Decodes an image, keeps its centre and scales that to `image_shape`.

    The centre has the aspect of `image_shape` and `crop` of the largest extent that fits: for a
    square model a square of side round(crop * shorter edge). Scaling is bilinear with antialiasing,
    so that every source pixel of a reduced image counts. Colour becomes grey, and grey colour, as
    the channels ask for; what is transparent becomes white.

    Args:
      content: the encoded bytes, or a file's path. If they can't be read, a `ValueError` that says
        why or any of Pillow's exceptions comes through.
      image_shape: height, width and 1 or 3 channels.
      crop: side of the centre that is kept, in (0, 1].
      upright: True turns the image as its EXIF orientation says.
      max_megapixels: larger pictures are refused before anything is decoded.

    Returns:
      uint8 [height, width, channels] in 0..255, and whether the image had to be enlarged.
    """
    height, width, channels = image_shape
    with _checked(content, max_megapixels) as image:
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
    if reduction == 1:
        return fitted(image, image_shape, crop), enlarged
    left, top, right, bottom = (edge / reduction for edge in box)
    reduced = (left, top, right, bottom)
    image = image.resize((width, height), Image.Resampling.BILINEAR, reduced)
    return np.asarray(image, np.uint8).reshape(image_shape), enlarged


def fitted(image: Image.Image, image_shape: tuple[int, ...], crop: float) -> np.ndarray:
    """The centre of an image at a model's size, as in `decode`: uint8 [height, width, channels]."""
    height, width, channels = image_shape
    part = _with_channels(image, channels).crop(centre(image.size, height, width, crop))
    resized = part.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.uint8).reshape(image_shape)


def decode_whole(
    content: bytes | str | os.PathLike, channels: int, max_megapixels: float = MAX_MEGAPIXELS
) -> Image.Image:
    """Decodes a whole image at its own size, upright, with 1 or 3 channels as in `decode`.

    The image keeps its colour profile, unless its pixels had to be converted. Exceptions come
    through as in `decode`.
    """
    with _checked(content, max_megapixels) as image:
        upright = ImageOps.exif_transpose(image)
    converted = _with_channels(upright, channels)
    if converted.mode != upright.mode:
        converted.info.pop("icc_profile", None)
    return converted


def opened(
    content: bytes | str | os.PathLike, max_megapixels: float = MAX_MEGAPIXELS
) -> Image.Image:
    """Opens a JPEG, PNG or WebP by what it is, not by its name, and decodes nothing yet.

    Args:
      content: the encoded bytes, or a file's path.
      max_megapixels: a larger picture is a `ValueError`, as any other format is.

    Returns:
      The picture, which closes its file where it ends a `with`.
    """
    if isinstance(content, bytes):
        start = content[:12]
    else:
        _require_file(content)
        with open(content, "rb") as file:
            start = file.read(12)
    # Pillow's own `open` warns of large pictures and refuses very large ones in other words.
    if start.startswith(JPEG_START):
        kind = JpegImageFile
    elif start.startswith(PNG_START):
        kind = PngImageFile
    elif start[:4] == b"RIFF" and start[8:] == b"WEBP":
        kind = WebPImageFile
    else:
        raise ValueError("it is neither JPEG nor PNG nor WebP")
    try:
        image = kind(io.BytesIO(content) if isinstance(content, bytes) else content)
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        raise ValueError(DAMAGED) from error
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        image.close()
        raise ValueError(f"it is {width}x{height} pixels, more than {max_megapixels:g} megapixels")
    return image


def _require_file(path):
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
        raise ValueError("it is not a file of at most 1 GiB")


def centre(
    size: tuple[int, int], height: int, width: int, crop: float
) -> tuple[int, int, int, int]:
    """The left, top, right and bottom of what `decode` keeps of an image of (width, height)."""
    scale = crop * min(size[0] / width, size[1] / height)
    kept = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - kept[0]) // 2, (size[1] - kept[1]) // 2
    return left, top, left + kept[0], top + kept[1]


def _checked(content, max_megapixels):
    """What `opened` gives, where decoders would differ or make a picture of nothing an error."""
    if not isinstance(content, bytes):
        _require_file(content)
        with open(content, "rb") as file:
            content = file.read()
    if content.startswith(PNG_START):
        # Too many pixels are named whatever follows the header.
        opened(content[:_PNG_HEADER] + b"\0\0\0\0IDAT", max_megapixels).close()
        depth, colours = content[24:26]
        header, _, _ = content.partition(b"IDAT")
        if (depth, colours) == (16, 2) and b"tRNS" in header:
            raise ValueError(DEEP_TRANSPARENCY)
        content = _without_idle_parts(content)
    image = opened(content, max_megapixels)
    if image.format == "JPEG":
        _check_jpeg(image, content)
    elif image.format == "PNG":
        _check_pixels(image, content)
        if image.mode in ("1", "L") and "transparency" in image.info:
            # Pillow scales the pixels of few bits to 0..255, but not the one that is transparent.
            header, _, _ = content.partition(b"IDAT")
            most, level = 2**depth - 1, header.partition(b"tRNS")[2][:2]
            image.info["transparency"] = (int.from_bytes(level, "big") & most) * (255 // most)
    return image


def _without_idle_parts(content):
    """A PNG without what the graph's decoder passes over; a `ValueError` for what that refuses.

    It passes over animations, over parts that need not be known where their checksum is wrong, and
    over a transparency that does not fit the colours; Pillow does not.
    """
    names, kept, place = [], [PNG_START], len(PNG_START)
    colours, entries = content[25], 0
    while place < len(content) and names[-1:] != [b"IEND"]:
        length = int.from_bytes(content[place : place + 4], "big")
        chunk, place = content[place : place + 12 + length], place + 12 + length
        name, is_whole = chunk[4:8], chunk[8 + length :] == _checksum(chunk[4 : 8 + length])
        # Only what every decoder must know begins with a capital.
        is_known = name[:1].isupper()
        if not name.isalpha() or (is_known and not is_whole):
            raise ValueError(DAMAGED)
        if is_known:
            names.append(name)
        elif names[-1:] == [b"IDAT"]:
            # The pixels end where anything else follows.
            names.append(b"idle")
        if name == b"PLTE":
            entries = length // 3
        fits = {0: length == 2, 2: length == 6, 3: 0 < length <= entries}.get(colours, False)
        # A second transparency is passed over, and so is one after the pixels.
        fits &= b"IDAT" not in names and all(one[4:8] != b"tRNS" for one in kept)
        is_idle = name in (b"acTL", b"fcTL", b"fdAT") or (name == b"tRNS" and not fits)
        if is_whole and not is_idle:
            kept.append(chunk)
    is_ordered = re.fullmatch(rb"IHDR( PLTE)?( IDAT)+( idle)? IEND", b" ".join(names))
    has_palette = colours != 3 or b"PLTE" in names
    # The header comes first, and packing, filters and interlacing have few kinds.
    has_header = content[12:16] == b"IHDR" and content[26:29] in (bytes(3), b"\0\0\1")
    if not (is_ordered and has_palette and has_header):
        raise ValueError(DAMAGED)
    return b"".join(kept)


def _checksum(body):
    return struct.pack(">I", zlib.crc32(body))


def _check_pixels(image, content):
    # Pillow makes black what is missing of the pixels.
    image.load()
    # The rows that are read last, of interlaced pictures too. Few pictures are black there.
    last = np.asarray(image)[-2:]
    if all(row.any() for row in last):
        return
    data, place = [], len(PNG_START)
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] == b"IDAT":
            data.append(content[place + 8 : place + 8 + length])
        place += 12 + length
    if _inflated(b"".join(data)) < _bytes_of_rows(content):
        raise ValueError(DAMAGED)


def _inflated(data):
    """How many bytes there are when unpacked."""
    unpacker, size = zlib.decompressobj(), 0
    while data and not unpacker.eof:
        size += len(unpacker.decompress(data, 2**20))
        data = unpacker.unconsumed_tail
    return size


def _bytes_of_rows(content):
    """How many bytes the rows of a PNG have, each with the number of its filter."""
    width, height, depth, colours, _, _, is_interlaced = struct.unpack(">IIBBBBB", content[16:29])
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    # First column and row, and steps, of Adam's seven passes.
    passes = (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)
    passes = (*passes, (0, 1, 1, 2)) if is_interlaced else ((0, 0, 1, 1),)
    sizes = [
        (len(range(left, width, across)), len(range(top, height, down)))
        for left, top, across, down in passes
    ]
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns)


def _check_jpeg(image, content):
    header, _, scans = content.partition(SCAN)
    components = scans[2] if len(scans) > 2 else 0
    # What follows the marker: the scan's header, its data, and the marker of the end.
    data = len(scans) - (6 + 2 * components) - 2
    if END not in scans or data * PIXELS_PER_BYTE < math.prod(image.size):
        raise ValueError(DAMAGED)
    if scans.count(SCAN) >= MAX_SCANS:
        raise ValueError(MANY_SCANS)
    if image.mode == "CMYK" and ADOBE not in header:
        raise ValueError(UNKNOWN_INKS)


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
        # Pillow's own conversion of 16-bit grey clips at 255 and knows no transparency.
        levels = np.asarray(image)
        grey = (levels // 257).astype(np.uint8)
        grey[levels == image.info.get("transparency", -1)] = 255
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")
