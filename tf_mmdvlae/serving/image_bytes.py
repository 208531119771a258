"""Image files in and out of the graph: JPEG or PNG bytes -> images -> PNG bytes."""

from __future__ import annotations

import tensorflow as tf

from tf_mmdvlae.serving.checks import checked

# ITU-R 601, as in Pillow's grey.
_LUMA = (0.299, 0.587, 0.114)


def from_bytes(contents: tf.Tensor, image_shape: tuple[int, ...], crop: float) -> tf.Tensor:
    """Decodes images of any size as training does: centre, antialiased resizing, scaling.

    The bytes may be JPEG (colour, grey, CMYK) or PNG (8 or 16 bits; colour, grey, palette;
    transparent pixels become white). Any other format, such as GIF, fails the whole request with a
    message that says so. The EXIF rotation of a photograph is ignored.

    Args:
      contents: string [n].
      image_shape: height, width, channels of the model's images.
      crop: side of the centre that is kept, as a fraction of the largest that fits.

    Returns:
      float32 [n, height, width, channels] in [0, 1].
    """
    height, width, channels = image_shape

    def decode(content):
        pixels = _pixels(content, channels)
        box_height, box_width, top, left = _centre(tf.shape(pixels), height, width, crop)
        centre = tf.slice(pixels, [top, left, 0], [box_height, box_width, channels])
        resized = tf.image.resize(centre, [height, width], antialias=True)
        # Training sees 8-bit pixels.
        image = tf.clip_by_value(tf.round(resized), 0.0, 255.0) / 255.0
        return tf.ensure_shape(image, image_shape)

    # On a GPU, map_fn would wait for each image in turn.
    with tf.device("/CPU:0"):
        return tf.map_fn(
            decode, contents, fn_output_signature=tf.TensorSpec(image_shape, tf.float32)
        )


def to_bytes(images: tf.Tensor) -> tf.Tensor:
    """Codes images [n, height, width, channels] in [0, 1] as PNG bytes, string [n]."""
    with tf.device("/CPU:0"):
        pixels = tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255.0), tf.uint8)
        return tf.io.encode_png(pixels)


def _pixels(content, channels):
    """float32 [height, width, channels] in 0..255."""
    is_jpeg = tf.equal(tf.strings.substr(content, 0, 3), b"\xff\xd8\xff")
    is_png = tf.equal(tf.strings.substr(content, 0, 8), b"\x89PNG\r\n\x1a\n")
    content = checked(
        content,
        tf.logical_or(is_jpeg, is_png),
        "A picture is neither JPEG nor PNG; convert it first. It begins with",
        tf.strings.substr(tf.io.encode_base64(content), 0, 12),
        "(base64)",
    )
    colour = tf.cond(is_jpeg, lambda: _jpeg(content), lambda: _png(content))
    if channels == 1:
        colour = tf.round(tf.reduce_sum(colour * tf.constant(_LUMA), axis=-1, keepdims=True))
    return tf.ensure_shape(colour, [None, None, channels])


def _jpeg(content):
    # Training's decoder uses the accurate transform. The decoder cannot turn CMYK into one channel,
    # so there are always three.
    return tf.cast(tf.io.decode_jpeg(content, 3, dct_method="INTEGER_ACCURATE"), tf.float32)


def _png(content):
    pixels = tf.cast(tf.io.decode_png(content, channels=4), tf.float32)
    colour, opacity = pixels[..., :3], pixels[..., 3:] / 255.0
    # Where a channel has fewer than 8 bits (byte 24 holds their number), the decoder gives an
    # opaque pixel the highest number of that many bits, 1, 3 or 15, and not 255.
    depth = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 24, 1), tf.uint8)[0], tf.float32)
    opaque = tf.logical_and(depth < 8.0, tf.reduce_all(pixels[..., 3:] == 2.0**depth - 1.0))
    opacity = tf.where(opaque, 1.0, opacity)
    return tf.round(colour * opacity + 255.0 * (1.0 - opacity))


def _centre(shape, height, width, crop):
    """The height, width, top and left of the same box, to the pixel, that `data.decode` cuts."""
    extent = tf.cast(shape[:2], tf.float64)
    aspect = tf.constant([height, width], tf.float64)
    scale = crop * tf.reduce_min(extent / aspect)
    box = tf.maximum(1, tf.cast(tf.round(aspect * scale), tf.int32))
    corner = (shape[:2] - box) // 2
    return box[0], box[1], corner[0], corner[1]
