"""Damaged and forged pictures: training, `Served.read` and the export read the same, or refuse."""

import resource
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf

from tests.campaigns import mutation
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.decode import END, decode, opened
from tf_mmdvlae.serving import image_bytes
from tf_mmdvlae.serving.loaded import load

# Of 8-bit pixels. The blocks of a damaged picture are as far from smooth as can be, where decoders
# smooth and round differently.
TOLERANCE = {"PNG": 2.5, "JPEG": 20, "CMYK": 20}
SHAPE = (16, 12, 3)
# A picture of 50 megapixels may take a second, and a GB.
MOST_SECONDS, MOST_BYTES = 20.0, 2.0e9


@pytest.fixture(scope="module")
def readers(finished_run, tmp_path_factory):
    """name -> a function of bytes, which gives pixels in 0..255 or None where it refuses."""
    served = load(finished_run[1])
    path = tmp_path_factory.mktemp("mutated") / "picture"
    good = mutation.picture(np.random.default_rng(0), "PNG")
    compiled = tf.function(
        lambda contents: image_bytes.from_bytes(contents, SHAPE, 0.9),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    alone = compiled(tf.constant([good]))[0].numpy()[0]

    def training(content, shape=SHAPE, crop=0.9):
        try:
            return decode(content, shape, crop)[0].astype(np.float32)
        except Exception as error:  # Pillow raises whatever its decoders ran into.
            if isinstance(error, (MemoryError, RecursionError)):
                raise
            return None

    def file(content):
        path.write_bytes(content)
        try:
            return served.read(path)[0] * 255
        except InputError:
            return None

    def graph(content):
        images, reasons = (each.numpy() for each in compiled(tf.constant([good, content])))
        assert np.array_equal(images[0], alone)
        assert reasons[0] == b""
        assert np.isnan(images[1]).all() == (reasons[1] != b"")
        reasons[1].decode("ascii")
        return None if reasons[1] else images[1] * 255

    def export(content):
        outputs = served.signatures["encode_bytes"](image_bytes=tf.constant([content]))
        codes = np.concatenate([outputs["z_1"], outputs["z_2"]], axis=1)
        assert np.isnan(codes).all() == (outputs["error"][0].numpy() != b"")
        return None if outputs["error"][0].numpy() else codes

    def as_export(content):
        pixels = training(content, served.image_shape, served.manifest["crop"])
        means, _ = served.encode(pixels[None] / 255)
        return np.concatenate([means["z_1"], means["z_2"]], axis=1)

    return training, file, graph, export, as_export


@pytest.mark.slow
def test_pictures(campaign, readers):
    training, file, graph, export, as_export = readers

    def attempt(generator):
        format = str(generator.choice(["PNG", "JPEG", "WEBP"], p=[0.45, 0.45, 0.1]))
        content = mutation.picture(generator, format)
        is_damaged = generator.integers(20) > 0
        if is_damaged:
            content = mutation.mutated(content, generator)
        started, memory = time.process_time(), _memory()
        expected = training(content)
        results = [reader(content) for reader in (file, graph, export)]
        assert time.process_time() - started < MOST_SECONDS
        assert _memory() - memory < MOST_BYTES
        is_refused = [result is None for result in (expected, *results)]
        if content[:4] == b"RIFF":
            # Only files may be WebP.
            assert is_refused == [is_refused[0], is_refused[0], True, True]
            return is_refused[0]
        is_png = content.startswith(mutation.PNG)
        if is_refused == [False, False, True, True]:
            # Pillow has all pixels, and does not read what follows them.
            assert not is_png or _has_damaged_packing(content), "servers alone refuse a PNG"
            return True
        if is_refused == [True, True, False, False] and not is_png:
            assert END not in content, "training alone refuses a JPEG that has its end"
            return True
        assert len(set(is_refused)) == 1, f"refused by training, file, graph, export: {is_refused}"
        if expected is None:
            return True
        assert results[0].shape == (8, 8, 1)
        format = "PNG" if is_png else "JPEG"
        if not is_png:
            with opened(content) as image:
                format = "CMYK" if image.mode == "CMYK" else "JPEG"
        if format == "CMYK" and is_damaged:
            # The decoders have different pixels for damaged inks.
            return False
        difference = np.abs(results[1] - expected).max()
        assert difference <= TOLERANCE[format], f"the graph differs by {difference}"
        if format != "CMYK":
            np.testing.assert_allclose(results[2], as_export(content), atol=0.1)
        return False

    campaign(attempt, short=60, minutes=4)


def _has_damaged_packing(content):
    packed = b"".join(part[8:-4] for part in mutation.parts(content) if part[4:8] == b"IDAT")
    try:
        zlib.decompress(packed)
    except zlib.error:
        return True
    return False


def _memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
