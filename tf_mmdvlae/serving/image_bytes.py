"""Image files in and out of the graph: JPEG or PNG bytes -> images -> PNG bytes."""

from __future__ import annotations

import functools
import math
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
# The bytes of a JPEG's end marker, and at most of all that a scan has besides its data.
_END, _MOST_AROUND_SCAN = 2, 18
# The bit in the numbers after a PNG's size that says whether its pixels have an opacity.
_HAS_ALPHA = 4 << 16
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
    settings = {"sides": image_shape[:2], "crop": crop, "limit": limit}
    count = tf.size(contents)
    # On a GPU, each string and each picture would be waited for in turn.
    with tf.device("/CPU:0"):
        numbers, plain = _decoded(_read_plain, _plain(contents, limit), settings)

        def with_others():
            place = numbers[:, None]
            is_read = tf.scatter_nd(place, tf.ones_like(numbers), [count + 1])[:-1] > 0
            first = tf.scatter_nd(place, plain, [count + 1, *plain.shape[1:]])[:-1]
            others, reasons = _read_others(tf.where(is_read, "", contents), settings)
            images = tf.where(is_read[:, None, None, None], first, others)
            reasons = tf.where(is_read, "", reasons)
            return without(reasons != "", {"images": images})["images"], reasons

        # Most requests hold nothing else, and whatever tf.data compiles takes time.
        is_all = tf.size(numbers) > count
        images, reasons = tf.cond(is_all, lambda: (plain[:-1], tf.fill([count], "")), with_others)
        if image_shape[2] == 1:
            images = tf.reduce_sum(images * _LUMA, axis=-1, keepdims=True)
        # Training sees 8-bit pixels.
        return tf.clip_by_value(tf.round(images), 0.0, 255.0) / 255.0, reasons


def to_bytes(images: tf.Tensor) -> tf.Tensor:
    """Codes images [n, height, width, channels] in [0, 1] as PNG bytes, string [n]."""
    with tf.device("/CPU:0"):
        pixels = tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255.0), tf.uint8)
        # More effort takes four times as long and saves a tenth of the bytes.
        return tf.io.encode_png(pixels, compression=2)


def _decoded(read, rows, settings, *more):
    """What `read` gives for the rows where it succeeds, in order, and then for one that failed.

    `read` takes a row's number and its part of `rows`, and gives the number, an image float32
    [height, width, 3], and `more`.
    """
    count = tf.size(rows[0])
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    pictures = tf.data.Dataset.from_tensor_slices((tf.range(count), *rows)).with_options(options)
    failed = (count, tf.zeros([*settings["sides"], 3]), *more)
    last = tf.data.Dataset.from_tensors(failed)
    read = functools.partial(read, **settings)

    def decoded(at_once):
        # Only tf.data goes on where an operation has failed.
        images = pictures.map(read, num_parallel_calls=at_once).ignore_errors()
        return images.concatenate(last).batch(tf.cast(count, tf.int64) + 1).get_single_element()

    # One picture alone is decoded before another thread has started.
    return tf.cond(count > 1, lambda: decoded(_AT_ONCE), lambda: decoded(None))


def _plain(contents, limit):
    """What `_read_plain` takes of each file, seen from its header."""
    numbers = tf.io.decode_raw(contents, tf.int32, little_endian=False, fixed_length=28)
    start, signature, _, _, width, height, colours = tf.unstack(numbers, axis=1)
    is_jpeg = tf.equal(tf.bitwise.bitwise_and(start, -256), _number(JPEG_START + bytes(1)))
    is_png = tf.equal(start, _number(PNG_START[:4])) & tf.equal(signature, _number(PNG_START[4:]))
    header, scans = _split(tf.where(is_jpeg, contents, ""), SCAN)
    data = tf.strings.length(contents) - tf.strings.length(header) - _MOST_AROUND_SCAN
    data = tf.where(scans > MAX_SCANS, -1, data)
    is_opaque = tf.equal(tf.bitwise.bitwise_and(colours, _HAS_ALPHA), 0)
    is_opaque &= tf.equal(_split(contents, b"tRNS", 1)[1], 0)
    most_of_png = tf.where(is_png & is_opaque, tf.constant(limit, tf.int64), -1)
    most_of_jpeg = tf.minimum(tf.cast(data, tf.int64) * PIXELS_PER_BYTE, limit)
    most = tf.where(is_jpeg, most_of_jpeg, most_of_png)
    return contents, is_jpeg, tf.stack([height, width], axis=1), most


def _read_plain(number, content, is_jpeg, png_extent, most, sides, crop, limit):
    """Decodes a picture of at most `most` pixels that is opaque and not to be reduced.

    tf.data compiles this function with each request, so that it has no branches. For all other
    pictures the decoder fails.
    """
    jpeg_shape = tf.image.extract_jpeg_shape(tf.where(is_jpeg, content, _SMALLEST_JPEG))
    extent = tf.where(is_jpeg, jpeg_shape[:2], png_extent)
    conditions = [
        tf.reduce_prod(tf.cast(extent, tf.int64)) <= most,
        tf.reduce_min(extent) < math.floor(4 * max(sides) / crop),
        jpeg_shape[2] < 4,
    ]
    content = tf.where(tf.reduce_all(conditions), content, "")
    # This decoder reads PNG, too.
    pixels = tf.io.decode_jpeg(content, 3, dct_method="INTEGER_ACCURATE")
    corner, box = _centre(extent, sides, crop)
    pixels = tf.slice(pixels, tf.concat([corner, [0]], 0), tf.concat([box, [3]], 0))
    return number, _scaled(pixels, sides, sides / tf.cast(box, tf.float32), tf.zeros([2]))


def _read_others(contents, settings):
    """The images float32 [n, height, width, 3] of pictures of all kinds, and why there is none."""
    headers, count = _headers(contents), tf.size(contents)
    rows = contents, headers.kind, headers.png_extent
    numbers, images, jpeg_shape = _decoded(_read, rows, settings, tf.zeros([3], tf.int32))
    failures = tf.size(numbers) - 1
    place = tf.tensor_scatter_nd_update(
        tf.fill([count + 1], failures), numbers[:, None], tf.range(failures + 1)
    )[:-1]
    faults = _faults(headers, tf.gather(jpeg_shape, place), place == failures, settings["limit"])
    return tf.gather(images, place), first_of(*faults)


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


def _read(number, content, kind, png_extent, sides, crop, limit):
    """Decodes a picture: its number, the image in 0..255, and the shape of a JPEG.

    tf.data compiles this function with each request, so that it does as little as possible. What a
    picture lacks fails an operation.
    """
    is_jpeg = tf.equal(kind, _JPEG)
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
            lambda: _on_white(tf.io.decode_png(content, 4), content),
            lambda: tf.zeros([1, 1, 3], tf.uint8),
        ],
    )
    corner, box = _centre(extent, sides, crop)
    # Training's resizing of a reduced picture looks beyond the box, that of a whole one does not.
    is_whole = tf.equal(reductions, 0)
    begin, kept = tf.where(is_whole, corner, 0), tf.where(is_whole, box, -1)
    pixels = tf.slice(pixels, tf.concat([begin, [0]], 0), tf.concat([kept, [3]], 0))
    factor = tf.gather(tf.constant(_REDUCTIONS, tf.float32), reductions)
    scale = factor * sides / tf.cast(box, tf.float32)
    translation = (tf.cast(begin, tf.float32) - tf.cast(corner, tf.float32) / factor) * scale
    return number, _scaled(pixels, sides, scale, translation), jpeg_shape


def _centre(extent, sides, crop):
    """The corner and the extent of the same box, to the pixel, as `data.decode.centre` gives."""
    aspect = tf.constant(sides, tf.float64)
    box = tf.round(aspect * (crop * tf.reduce_min(tf.cast(extent, tf.float64) / aspect)))
    box = tf.maximum(1, tf.cast(box, tf.int32))
    return (extent - box) // 2, box


def _scaled(pixels, sides, scale, translation):
    return tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=sides,
        scale=scale,
        translation=translation,
        kernel_type="triangle",
        antialias=True,
    )[0]


def _number(word):
    return int.from_bytes(word, "big", signed=True)


def _on_white(pixels, content):
    """Pixels uint8 [h, w, 4] over white, uint8 [h, w, 3], in small numbers to save memory."""
    opacity = tf.cast(pixels[..., 3:], tf.uint16)
    # Where no transparency was read, the decoder gives all pixels the highest number of a channel's
    # bits, and not 255.
    depth = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 24, 1), tf.uint8)[0], tf.int32)
    highest = tf.cast(tf.bitwise.left_shift(1, depth) - 1, tf.uint16)
    opacity = tf.where(tf.reduce_all(opacity == highest), tf.constant(255, tf.uint16), opacity)
    darkness = tf.cast(255 - pixels[..., :3], tf.uint16) * opacity + 128
    # Division by 255, rounded, of what has 16 bits.
    darkness += tf.bitwise.right_shift(darkness, 8)
    return 255 - tf.cast(tf.bitwise.right_shift(darkness, 8), tf.uint8)
