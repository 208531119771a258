"""Image files in and out of the graph: JPEG or PNG bytes -> images -> PNG bytes."""

from __future__ import annotations

import functools
from typing import NamedTuple

import tensorflow as tf

from tf_mmdvlae.data.decode import (
    ADOBE,
    DAMAGED,
    DEEP_TRANSPARENCY,
    JPEG_START,
    MANY_SCANS,
    MAX_MEGAPIXELS,
    MAX_SCANS,
    PIXELS_PER_BYTE,
    PNG_START,
    SCAN,
    UNKNOWN_INKS,
)
from tf_mmdvlae.serving.checks import Fault, first_of, quoted, without

# ITU-R 601, as in Pillow's grey.
_LUMA = (0.299, 0.587, 0.114)
# So many pictures of a batch are decoded at a time, so that large ones don't fill the memory.
_AT_ONCE = 4
# A JPEG can be decoded at a half, a quarter or an eighth of its size.
_REDUCTIONS = (1, 2, 4, 8)
_JPEG, _OPAQUE_PNG, _PNG, _NOTHING = range(4)
# The place of each kind's decoder; a JPEG has one for each reduction.
_DECODERS = (0, *range(len(_REDUCTIONS), len(_REDUCTIONS) + 3))
# A PNG's signature and the chunk with its size, bits of a channel, and colours.
_PNG_HEADER = 33
# The bytes of a JPEG's end marker.
_END = 2
# The header of a grey pixel, which stands in where a picture is no JPEG.
_SMALLEST_JPEG = bytes.fromhex("ffd8 ffc0000b080001000101011100 ffda0008010100003f00 ffd9")


def from_bytes(
    contents: tf.Tensor,
    image_shape: tuple[int, ...],
    crop: float,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes images of any size as training does: centre, antialiased resizing, scaling.

    The bytes may be JPEG (colour, grey, CMYK) or PNG (8 or 16 bits; colour, grey, palette;
    transparent pixels become white). The EXIF rotation of a photograph is ignored. Width and height
    are read from the header before anything is decoded. A JPEG is decoded at a half, a quarter or
    an eighth of its size where that leaves at least twice the wanted side.

    Args:
      contents: string [n], n >= 1.
      image_shape: height, width, channels of the model's images.
      crop: side of the centre that is kept, as a fraction of the largest that fits.
      max_megapixels: larger pictures are not decoded.

    Returns:
      float32 [n, height, width, channels] in [0, 1], NaN where a picture can't be read; and why it
      can't, string [n], empty where it can.
    """
    limit = min(int(max_megapixels * 1e6), tf.int64.max)
    read = functools.partial(_read, image_shape=image_shape, crop=crop, limit=limit)
    # On a GPU, each string and each picture would be waited for in turn.
    with tf.device("/CPU:0"):
        headers = _headers(contents)
        count = tf.size(contents)
        rows = (tf.range(count), contents, headers.kind, headers.png_extent)
        options = tf.data.Options()
        options.autotune.enabled = False
        options.experimental_optimization.apply_default_optimizations = False
        pictures = tf.data.Dataset.from_tensor_slices(rows).with_options(options)
        # What comes last stands in for all pictures that failed.
        failed = (count, tf.zeros(image_shape), tf.zeros([3], tf.int32))
        last = tf.data.Dataset.from_tensors(failed)

        def decoded(at_once):
            # Only tf.data goes on where an operation has failed.
            images = pictures.map(read, num_parallel_calls=at_once).ignore_errors()
            return images.concatenate(last).batch(tf.cast(count, tf.int64) + 1).get_single_element()

        # One picture alone is decoded before another thread has started.
        every = tf.cond(count > 1, lambda: decoded(_AT_ONCE), lambda: decoded(None))
        failures = tf.size(every[0]) - 1
        place = tf.tensor_scatter_nd_update(
            tf.fill([count + 1], failures), every[0][:, None], tf.range(failures + 1)
        )[:-1]
        images, jpeg_shape = (tf.gather(values, place) for values in every[1:])
        reasons = first_of(*_faults(headers, jpeg_shape, place == failures, limit))
        return without(reasons != "", {"images": images})["images"], reasons


def to_bytes(images: tf.Tensor) -> tf.Tensor:
    """Codes images [n, height, width, channels] in [0, 1] as PNG bytes, string [n]."""
    with tf.device("/CPU:0"):
        pixels = tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255.0), tf.uint8)
        # More effort takes four times as long and saves a tenth of the bytes.
        return tf.io.encode_png(pixels, compression=2)


class _Headers(NamedTuple):
    """What the beginnings of n files say.

    Attributes:
      kind: int32 [n], which decoder reads it.
      png_extent: int32 [n, 2]: height and width of a PNG.
      scan_bytes: int32 [n], how long the scans of a JPEG are.
      knows_inks: bool [n], whether a JPEG has Adobe's marker.
      faults: those that show without the size.
    """

    kind: tf.Tensor
    png_extent: tf.Tensor
    scan_bytes: tf.Tensor
    knows_inks: tf.Tensor
    faults: list[Fault]


def _headers(contents):
    start = tf.strings.substr(contents, 0, _PNG_HEADER) + bytes(_PNG_HEADER)
    start = tf.strings.substr(start, 0, _PNG_HEADER)
    is_jpeg = tf.strings.substr(start, 0, len(JPEG_START)) == JPEG_START
    is_png = tf.strings.substr(start, 0, len(PNG_START)) == PNG_START
    jpegs, pngs = (tf.where(which, contents, "") for which in (is_jpeg, is_png))
    header, scans = _split(jpegs, SCAN)
    after = tf.strings.length(header) + len(SCAN)
    place = tf.minimum(after + 2, tf.strings.length(jpegs))
    components = tf.strings.substr(jpegs, place, tf.ones_like(place)) + bytes(1)
    components = tf.io.decode_raw(tf.strings.substr(components, 0, 1), tf.uint8)[:, 0]
    sides = tf.io.decode_raw(tf.strings.substr(start, 16, 8), tf.int32, little_endian=False)
    depth, colours = tf.unstack(tf.io.decode_raw(tf.strings.substr(start, 24, 2), tf.uint8), 2, 1)
    lists_transparency = _split(_split(pngs, b"IDAT", 1)[0], b"tRNS", 1)[1] > 0
    is_deep = tf.logical_and(tf.equal(depth, 16), tf.equal(colours, 2))
    # The decoder gives transparency of its own to pixels of less than 8 bits.
    png_kind = tf.where(tf.logical_or(lists_transparency, colours >= 4), _PNG, _OPAQUE_PNG)
    faults = [
        (
            tf.logical_not(tf.logical_or(is_jpeg, is_png)),
            lambda: "it is neither JPEG nor PNG; it begins with " + quoted(contents),
        ),
        (scans > MAX_SCANS, MANY_SCANS),
        (tf.logical_and(lists_transparency, is_deep), DEEP_TRANSPARENCY),
    ]
    kind = tf.where(is_jpeg, _JPEG, png_kind)
    return _Headers(
        tf.where(tf.reduce_any([wrong for wrong, _ in faults], axis=0), _NOTHING, kind),
        sides[:, ::-1],
        tf.strings.length(jpegs) - after - (6 + 2 * tf.cast(components, tf.int32)) - _END,
        _split(header, ADOBE, 1)[1] > 0,
        faults,
    )


def _faults(headers, jpeg_shape, has_failed, limit):
    """All faults of pictures; the texts are those of `data.decode`."""
    is_jpeg = tf.equal(headers.kind, _JPEG)
    extent = tf.where(is_jpeg[:, None], jpeg_shape[:, :2], headers.png_extent)
    height, width = tf.unstack(tf.cast(extent, tf.int64), axis=1)
    has_no_scan = tf.cast(headers.scan_bytes, tf.int64) * PIXELS_PER_BYTE < height * width
    is_unknown = tf.logical_and(tf.equal(jpeg_shape[:, 2], 4), tf.logical_not(headers.knows_inks))
    return [
        *headers.faults,
        (
            height * width > limit,
            lambda: tf.strings.join(
                [
                    "it is ",
                    tf.strings.as_string(width),
                    "x",
                    tf.strings.as_string(height),
                    f" pixels, more than {limit / 1e6:g} megapixels",
                ]
            ),
        ),
        (tf.logical_or(has_failed, tf.logical_and(is_jpeg, has_no_scan)), DAMAGED),
        (tf.logical_and(is_jpeg, is_unknown), UNKNOWN_INKS),
    ]


def _split(texts, separator, most=-1):
    """The part of each text before the first separator, string [n], and how many there are."""
    parts = tf.raw_ops.StringSplitV2(input=texts, sep=separator, maxsplit=most)
    rows, columns = tf.unstack(parts.indices, axis=1)
    first = tf.gather(parts.values, tf.where(columns == 0)[:, 0])
    return first, tf.math.segment_max(columns, rows)


def _read(number, content, kind, png_extent, image_shape, crop, limit):
    """Decodes a picture: its number, the image in [0, 1], and the shape of a JPEG.

    tf.data compiles this function with each request, so that it does as little as possible. What a
    picture lacks fails an operation.
    """
    sides, is_jpeg = image_shape[:2], tf.equal(kind, _JPEG)
    jpeg_shape = tf.image.extract_jpeg_shape(tf.where(is_jpeg, content, _SMALLEST_JPEG))
    extent = tf.where(is_jpeg, jpeg_shape[:2], png_extent)
    is_small = tf.reduce_prod(tf.cast(extent, tf.int64)) <= limit
    extent = tf.where(is_small, extent, 1)
    # As Pillow's `draft` chooses, in `data.decode`.
    real = tf.cast(extent, tf.float64)
    wanted = tf.math.ceil(real * (2 * max(sides) / (crop * tf.reduce_min(real))))
    is_enough = tf.reduce_min(real // wanted) >= tf.constant(_REDUCTIONS[1:], tf.float64)
    reductions = tf.reduce_sum(tf.cast(tf.logical_and(is_jpeg, is_enough), tf.int32))
    decoder = tf.where(is_small, tf.gather(_DECODERS, kind) + reductions, _DECODERS[_NOTHING])
    # Training's decoder uses the accurate transform. The decoder cannot turn CMYK into one channel,
    # so there are always three.
    jpeg = functools.partial(tf.io.decode_jpeg, content, 3, dct_method="INTEGER_ACCURATE")
    pixels = tf.switch_case(
        decoder,
        [
            *(functools.partial(jpeg, ratio=ratio) for ratio in _REDUCTIONS),
            lambda: tf.io.decode_png(content, 3),
            lambda: _on_white(tf.io.decode_png(content, 4)),
            lambda: tf.zeros([1, 1, 3], tf.uint8),
        ],
    )
    # The same box, to the pixel, that `data.decode.centre` gives. Training's resizing of a reduced
    # picture looks beyond the box, that of a whole one does not.
    aspect = tf.constant(sides, tf.float64)
    box = tf.round(aspect * (crop * tf.reduce_min(real / aspect)))
    box = tf.maximum(1, tf.cast(box, tf.int32))
    corner = (extent - box) // 2
    is_whole = tf.equal(reductions, 0)
    begin, kept = tf.where(is_whole, corner, 0), tf.where(is_whole, box, -1)
    pixels = tf.slice(pixels, tf.concat([begin, [0]], 0), tf.concat([kept, [3]], 0))
    factor = tf.gather(tf.constant(_REDUCTIONS, tf.float32), reductions)
    scale = factor * sides / tf.cast(box, tf.float32)
    image = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=sides,
        scale=scale,
        translation=(tf.cast(begin, tf.float32) - tf.cast(corner, tf.float32) / factor) * scale,
        kernel_type="triangle",
        antialias=True,
    )[0]
    if image_shape[2] == 1:
        image = tf.reduce_sum(image * _LUMA, axis=-1, keepdims=True)
    # Training sees 8-bit pixels.
    return number, tf.clip_by_value(tf.round(image), 0.0, 255.0) / 255.0, jpeg_shape


def _on_white(pixels):
    """Pixels uint8 [h, w, 4] over white, uint8 [h, w, 3], in small numbers to save memory."""
    opacity = tf.cast(pixels[..., 3:], tf.uint16)
    darkness = tf.cast(255 - pixels[..., :3], tf.uint16) * opacity + 128
    # Division by 255, rounded, of what has 16 bits.
    darkness += tf.bitwise.right_shift(darkness, 8)
    return 255 - tf.cast(tf.bitwise.right_shift(darkness, 8), tf.uint8)
