"""The plain autoencoder that a ladder is compared with has its blocks."""

import numpy as np
import pytest

from benchmarks.plain_model import plain_autoencoder
from tf_mmdvlae.config.settings import ModelConfig

BLOCKS = (("conv4/2", "conv5/1"), ("conv6/2", "dense8"), ("dense9",))


@pytest.mark.parametrize("normalization", [pytest.param("batch", marks=pytest.mark.slow), "none"])
def test_the_plain_autoencoder_has_the_ladders_blocks(normalization):
    settings = ModelConfig((8, 8, 3), (2, 3), BLOCKS, normalization=normalization)
    model = plain_autoencoder(settings)
    kernels = [weight.shape for weight in model.trainable_weights if weight.path.endswith("kernel")]
    assert kernels[:3] == [(4, 4, 3, 4), (4, 4, 4, 5), (4, 4, 5, 6)]
    assert kernels[3:6] == [(24, 8), (8, 9), (9, 5)]
    assert kernels[6:9] == [(5, 9), (9, 8), (8, 24)]
    assert kernels[9:] == [(4, 4, 5, 6), (4, 4, 4, 5), (4, 4, 3, 4)]
    images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    assert model(images).shape == images.shape
    model.fit(images, images, verbose=0)
