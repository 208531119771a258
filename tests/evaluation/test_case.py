"""Images of a split and their codes."""

import numpy as np

from tf_mmdvlae.evaluation.case import Part


def test_images_are_encoded_once_a_few_at_a_time():
    images = np.arange(600, dtype=np.uint16).astype(np.uint8).reshape(300, 2, 1, 1)
    sizes, done = [], []

    def encode(pixels):
        assert pixels.dtype == np.float32
        sizes.append(len(pixels))
        return {"z_1": pixels[:, :, 0, 0]}, {"z_1": pixels[:, :1, 0, 0]}

    labels = {"number": np.arange(300)}
    part = Part.encoded(images, labels, encode, lambda *counts: done.append(counts))
    assert sum(sizes) == 300
    assert len(sizes) > 1
    assert done[-1] == (300, 300)
    np.testing.assert_array_equal(part.means["z_1"], np.float32(images[:, :, 0, 0]) / 255)
    np.testing.assert_array_equal(part.deviations["z_1"], part.means["z_1"][:, :1])
    pixels = np.concatenate(list(part.float_batches()))
    np.testing.assert_array_equal(pixels, np.float32(images) / 255)
