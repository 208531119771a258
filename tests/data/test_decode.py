"""One encoded image -> pixels of the model's shape."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_mmdvlae.data.decode import decode


def encoded(pixels, kind="PNG", **settings):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **settings)
    return file.getvalue()


def test_decode_keeps_pixels_of_the_right_size():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    decoded, enlarged = decode(encoded(pixels), (6, 9, 3))
    np.testing.assert_array_equal(decoded, pixels)
    assert not enlarged
    assert decode(encoded(pixels), (12, 12, 3))[1]
    assert decode(encoded(pixels), (5, 5, 3), crop=0.5)[1]


@pytest.mark.parametrize("channels", [1, 3])
def test_decode_crops_and_scales_like_tensorflow(channels):
    coarse = np.random.default_rng(0).integers(0, 256, (28, 23, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((178, 218), Image.Resampling.BICUBIC))
    decoded, _ = decode(encoded(pixels), (64, 64, channels), crop=148 / 178)
    centre = tf.image.resize(pixels[35:183, 15:163], (64, 64), antialias=True).numpy()
    if channels == 1:
        centre = centre @ np.array([[0.299], [0.587], [0.114]])
    assert decoded.shape == (64, 64, channels)
    np.testing.assert_allclose(decoded, centre, atol=1.5)


def test_decode_reduces_large_photographs_without_harm():
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((1600, 1200), Image.Resampling.BICUBIC))
    from_jpeg, _ = decode(encoded(pixels, "JPEG", quality=98), (32, 32, 3), crop=0.9)
    from_png, _ = decode(encoded(pixels), (32, 32, 3), crop=0.9)
    difference = np.abs(from_jpeg.astype(int) - from_png)
    assert difference[1:-1, 1:-1].max() <= 4
    assert difference.mean() < 1.5


def test_decode_converts_channels():
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    colour, _ = decode(encoded(grey), (8, 8, 3))
    np.testing.assert_array_equal(colour, np.repeat(grey[..., None], 3, -1))
    deep, _ = decode(encoded(grey.astype(np.uint16) * 1028), (8, 8, 1))
    np.testing.assert_array_equal(deep[..., 0], grey.astype(int) * 4)
    clear = np.zeros((8, 8, 4), np.uint8)
    assert (decode(encoded(clear), (8, 8, 3))[0] == 255).all()
