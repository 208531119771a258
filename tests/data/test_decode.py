"""One encoded image -> pixels of the model's shape."""

import io
import os
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_mmdvlae.data.decode import decode, decode_whole, opened


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


def png_header(width, height):
    """A PNG that claims to have that size, in 8-bit colour, and that ends before its pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + checksum + b"\0\0\0\x01IDAT\0\0\0\0\0"


def test_a_picture_is_what_it_holds_and_not_what_it_is_called(tmp_path):
    grey = Image.new("RGB", (6, 6), (120, 120, 120))
    for kind in ("JPEG", "PNG", "WEBP"):
        grey.save(tmp_path / "any.jpg", kind)
        assert np.abs(decode(str(tmp_path / "any.jpg"), (3, 3, 3))[0].astype(int) - 120).max() <= 1
    # Pillow would start another program to read an EPS file.
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    for content in (postscript, encoded(np.zeros((3, 3), np.uint8), "GIF"), b"RIFF", b""):
        (tmp_path / "any.png").write_bytes(content)
        with pytest.raises(ValueError, match="neither JPEG nor PNG nor WebP"):
            decode(content, (3, 3, 1))
        with pytest.raises(ValueError, match="neither JPEG nor PNG nor WebP"):
            decode_whole(str(tmp_path / "any.png"), 1)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    """Of any size, without Pillow's own warnings and errors."""
    path = tmp_path / "large.png"
    for width, height in ((10_000, 5_001), (12_000, 12_000), (40_000, 40_000)):
        path.write_bytes(png_header(width, height))
        tracemalloc.start()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match=f"it is {width}x{height} pixels, more than 50 me"):
                decode(path.read_bytes(), (8, 8, 3))
            with pytest.raises(ValueError, match=f"it is {width}x{height} pixels, more than 50 me"):
                decode_whole(str(path), 3)
        assert tracemalloc.get_traced_memory()[1] < 2e6
        tracemalloc.stop()
    path.write_bytes(png_header(10_000, 5_000))
    assert opened(path).size == (10_000, 5_000)
    with pytest.raises(ValueError, match=r"more than 0\.1 megapixels"):
        decode(encoded(np.zeros((400, 300), np.uint8)), (8, 8, 1), max_megapixels=0.1)


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="it is not a file of at most 1 GiB"):
            opened(path)
