"""Pictures that the graph reads: as training reads them, or refused with a reason."""

import functools
import io
import re
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_mmdvlae.data import decode as by_pillow
from tf_mmdvlae.data.decode import decode
from tf_mmdvlae.serving import image_bytes


@functools.cache
def _compiled(shape, crop, max_megapixels):
    return tf.function(
        lambda contents: image_bytes.from_bytes(contents, shape, crop, max_megapixels),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )


def read(contents, shape=(8, 8, 3), crop=1.0, max_megapixels=50.0):
    """The pixels in 0..255, and the reasons as text."""
    images, reasons = _compiled(shape, crop, max_megapixels)(tf.constant(contents))
    return images.numpy() * 255, [reason.decode("ascii") for reason in reasons.numpy()]


def _picture(size=(60, 40), mode="RGB"):
    width, height = size
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    colour = np.stack([across, down, 0.5 + 0.5 * np.sin(9 * across * down)], axis=-1)
    return Image.fromarray(np.uint8(colour * 255)).convert(mode)


def _coded(image, format, **options):
    content = io.BytesIO()
    image.save(content, format, **options)
    return content.getvalue()


def _sixteen_bit():
    levels = np.linspace(0, 65535, 60 * 40).reshape(40, 60).astype(np.uint16)
    return _coded(Image.fromarray(levels), "PNG")


def _transparent():
    image = _picture().convert("RGBA")
    image.putalpha(Image.fromarray(np.uint8(np.linspace(0, 255, 2400).reshape(40, 60))))
    return _coded(image, "PNG")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("crop", [1.0, 148 / 178])
@pytest.mark.parametrize(
    ("content", "tolerance"),
    [
        (_coded(_picture(), "PNG"), 1.5),
        (_coded(_picture(), "JPEG", quality=95), 2.5),
        (_coded(_picture((7, 5)), "PNG"), 1.5),
        (_coded(_picture(mode="L"), "PNG"), 1.5),
        (_coded(_picture(mode="L"), "JPEG", quality=95), 4.5),
        (_coded(_picture(mode="P"), "PNG"), 1.5),
        (_coded(_picture().quantize(16), "PNG"), 1.5),
        (_coded(_picture().quantize(4), "PNG"), 1.5),
        (_coded(_picture(mode="1"), "PNG"), 1.5),
        (_coded(_picture(mode="CMYK"), "JPEG", quality=95), 6.5),
        (_sixteen_bit(), 2.5),
        (_transparent(), 2.5),
    ],
    ids=[
        "png",
        "jpeg",
        "small",
        "grey",
        "grey jpeg",
        "palette",
        "4-bit palette",
        "2-bit palette",
        "1 bit",
        "cmyk",
        "16 bit",
        "transparent",
    ],
)
def test_pictures_are_read_as_training_reads_them(content, tolerance, channels, crop):
    shape = (16, 12, channels)
    result, _ = read([content, content], shape, crop)
    expected, _ = decode(content, shape, crop)
    assert np.abs(result[1] - expected.astype(np.float32)).max() <= tolerance


def _chunk(name, data):
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def png(depth, colours, numbers, *chunks):
    """A PNG of 8x8 pixels with any number of bits, of `numbers` [8, 8 * channels]."""
    size = struct.pack(">IIBBBBB", 8, 8, depth, colours, 0, 0, 0)
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in numbers]
    else:
        bits = np.unpackbits(numbers.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        rows = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", size), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _levels(depth):
    return np.arange(64).reshape(8, 8) * (1024 if depth == 16 else 1) % 2**depth


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_transparency_of_any_depth_is_white(depth):
    """One grey level is transparent; or entries of a palette are, more or less."""
    levels = _levels(depth)
    clear = int(levels[0, 1])
    content = png(depth, 0, levels, (b"tRNS", struct.pack(">H", clear)))
    grey = np.where(levels == clear, 255, levels * 255 // (2**depth - 1))[..., None]
    for images in (read([content], (8, 8, 1))[0], decode(content, (8, 8, 1))[0][None]):
        # Of 16 bits the graph keeps the upper ones.
        np.testing.assert_allclose(images[0], grey, atol=1.01 if depth == 16 else 0.01)
    if depth == 16:
        return
    # Bits above those of a pixel don't count.
    content = png(depth, 0, levels, (b"tRNS", struct.pack(">H", clear + 2**depth)))
    for images in (read([content], (8, 8, 1))[0], decode(content, (8, 8, 1))[0][None]):
        np.testing.assert_allclose(images[0], grey, atol=0.01)
    generator = np.random.default_rng(depth)
    palette = generator.integers(0, 256, (2**depth, 3), np.uint8)
    opacity = generator.integers(0, 256, 2**depth, np.uint8)
    chunks = (b"PLTE", palette.tobytes()), (b"tRNS", opacity.tobytes())
    share = opacity[levels][..., None] / 255
    expected = palette[levels] * share + 255 * (1 - share)
    content = png(depth, 3, levels, *chunks)
    for images in (read([content])[0], decode(content, (8, 8, 3))[0][None]):
        np.testing.assert_allclose(images[0], expected, atol=0.51)
    content = png(depth, 3, levels, chunks[0])
    for images in (read([content])[0], decode(content, (8, 8, 3))[0][None]):
        np.testing.assert_allclose(images[0], palette[levels], atol=0.01)


def _broken(chunk):
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_what_libpng_passes_over_is_passed_over_in_training(depth):
    levels = _levels(depth)
    plain = png(depth, 0, levels)
    clear = _chunk(b"tRNS", struct.pack(">H", int(levels[0, 1])))
    idle = {
        "text with a wrong checksum": _broken(_chunk(b"tEXt", b"a\0b")),
        "transparency with a wrong checksum": _broken(clear),
        "transparency of one byte": _chunk(b"tRNS", b"\1"),
        "animation without numbers": _chunk(b"acTL", b"") + _chunk(b"fcTL", b""),
    }
    contents = [plain] + [plain[:33] + chunk + plain[33:] for chunk in idle.values()]
    images, reasons = read(contents, (8, 8, 1))
    assert set(reasons) == {""}
    expected = levels[..., None] * 255 // (2**depth - 1)
    for image, content in zip(images, contents, strict=True):
        np.testing.assert_allclose(image, expected, atol=0.01)
        assert np.array_equal(decode(content, (8, 8, 1))[0], expected)
    # The first transparency counts.
    twice = plain[:33] + clear + _chunk(b"tRNS", bytes(2)) + plain[33:]
    assert decode(twice, (8, 8, 1))[0][0, 1] == 255
    assert read([twice], (8, 8, 1))[0][0, 0, 1] == 255


def _jpeg_without_scan_data(size):
    content = _coded(_picture(size), "JPEG")
    scan = content.index(b"\xff\xda")
    return content[: scan + 2 + content[scan + 3]] + b"\xff\xd9"


def _with_many_scans():
    content = _coded(_picture(mode="L"), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * 100 + content[-2:]


def _cmyk_without_marker():
    content = _coded(_picture(mode="CMYK"), "JPEG")
    return content.replace(b"\xff\xee\x00\x0eAdobe", b"\xff\xee\x00\x0eAdobo")


def _claiming(width, height):
    """A JPEG of a few hundred bytes that claims that size."""
    content = bytearray(_coded(_picture(), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def _png_claiming(width, height):
    content = _coded(_picture(), "PNG")
    size = struct.pack(">II", width, height) + content[24:29]
    return content[:8] + _chunk(b"IHDR", size) + content[33:]


def _png_of_few_rows(interlaced):
    size = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, interlaced)
    parts = (b"IHDR", size), (b"IDAT", zlib.compress(b"\0" * 30)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _png_with_text_among_its_pixels():
    size = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 72)
    halves = (b"IDAT", data[:4]), (b"tEXt", b"a\0b"), (b"IDAT", data[4:])
    parts = (b"IHDR", size), *halves, (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


NEITHER = "it is neither JPEG nor PNG"
REFUSED = {
    "gif": (_coded(_picture(), "GIF"), NEITHER + '; it begins with "R0lGOD'),
    "bmp": (_coded(_picture(), "BMP"), NEITHER),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", NEITHER),
    "empty": (b"", NEITHER + '; it begins with "" (base64url)'),
    "words": (b"no picture at all", NEITHER),
    "any bytes": (bytes(range(255, 0, -1)), NEITHER),
    "png of 8 bytes": (_coded(_picture(), "PNG")[:8], by_pillow.DAMAGED),
    "png of 20 bytes": (_coded(_picture(), "PNG")[:20], by_pillow.DAMAGED),
    "cut png": (_coded(_picture(), "PNG")[:60], by_pillow.DAMAGED),
    "png without end": (_coded(_picture(), "PNG")[:-12], by_pillow.DAMAGED),
    "png with two headers": (png(8, 0, np.eye(8), (b"IHDR", bytes(13))), by_pillow.DAMAGED),
    "animated png with a damaged name": (
        _coded(_picture(), "PNG")[:-12] + _chunk(b"fd\1T", bytes(9)) + _chunk(b"IEND", b""),
        by_pillow.DAMAGED,
    ),
    "png of few rows": (_png_of_few_rows(0), by_pillow.DAMAGED),
    "interlaced png of few rows": (_png_of_few_rows(1), by_pillow.DAMAGED),
    "png with text among its pixels": (_png_with_text_among_its_pixels(), by_pillow.DAMAGED),
    "jpeg without end": (_coded(_picture(), "JPEG")[:-2], by_pillow.DAMAGED),
    "jpeg of 3 bytes": (_coded(_picture(), "JPEG")[:3], by_pillow.DAMAGED),
    "cut jpeg": (_coded(_picture((178, 218)), "JPEG")[:300], by_pillow.DAMAGED),
    "half a jpeg": (_coded(_picture((178, 218)), "JPEG")[:1500], by_pillow.DAMAGED),
    "no scan data": (_jpeg_without_scan_data((60, 40)), by_pillow.DAMAGED),
    "no scan data of a pixel": (_jpeg_without_scan_data((1, 1)), by_pillow.DAMAGED),
    "many scans": (_with_many_scans(), by_pillow.MANY_SCANS),
    "unknown inks": (_cmyk_without_marker(), by_pillow.UNKNOWN_INKS),
    "large jpeg": (_claiming(12000, 12000), "it is 12000x12000 pixels, more than 50 megapixels"),
    "long jpeg": (_claiming(65500, 764), "it is 65500x764 pixels, more than 50 megapixels"),
    "large png": (_png_claiming(10000, 5001), "it is 10000x5001 pixels, more than 50 megapixels"),
    "huge png": (_png_claiming(2**31 - 1, 2**31 - 1), "it is 2147483647x2147483647 pixels, more"),
    "png without width": (_png_claiming(0, 9), by_pillow.DAMAGED),
    "jpeg without width": (_claiming(0, 9), by_pillow.DAMAGED),
    "16-bit transparency": (
        png(16, 2, np.arange(192).reshape(8, 24), (b"tRNS", bytes(6))),
        by_pillow.DEEP_TRANSPARENCY,
    ),
}


def test_other_bytes_are_refused_and_the_rest_of_the_batch_is_read():
    good = _coded(_picture(), "PNG")
    alone, _ = read([good, good])
    # Pictures and refused ones in turn.
    contents = [part for content, _ in REFUSED.values() for part in (good, content)]
    images, reasons = read(contents)
    assert np.array_equal(images[::2], np.repeat(alone[:1], len(REFUSED), axis=0))
    assert set(reasons[::2]) == {""}
    assert np.isnan(images[1::2]).all()
    for reason, (_, expected) in zip(reasons[1::2], REFUSED.values(), strict=True):
        assert reason.startswith(expected)
        assert len(reason) <= 120


@pytest.mark.parametrize("name", REFUSED)
def test_training_refuses_the_same(name):
    content, reason = REFUSED[name]
    # Of what is damaged, Pillow says where.
    is_own = not reason.startswith((NEITHER, by_pillow.DAMAGED))
    with pytest.raises(Exception, match=re.escape(reason) if is_own else "."):
        decode(content, (8, 8, 3))


def test_what_lies_within_the_limit_is_read():
    content = _coded(_picture((200, 100)), "PNG")
    assert read([content], max_megapixels=0.02)[1] == [""]
    assert read([content], max_megapixels=0.019)[1] == [
        "it is 200x100 pixels, more than 0.019 megapixels"
    ]


@pytest.mark.parametrize("crop", [1.0, 148 / 178])
@pytest.mark.parametrize("options", [{}, {"progressive": True, "quality": 60}])
def test_large_photographs_are_reduced_as_training_reduces_them(crop, options):
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    # By an eighth, a quarter (twice), a half and not at all.
    for size in ((401, 303), (161, 159), (130, 999), (79, 78), (39, 38)):
        picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        content = _coded(picture, "JPEG", **options)
        result, _ = read([content], (16, 12, 3), crop)
        expected, _ = decode(content, (16, 12, 3), crop)
        assert np.abs(result[0] - expected.astype(np.float32)).max() <= 1.5
