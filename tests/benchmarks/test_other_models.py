"""The models that a ladder is compared with have its blocks."""

import numpy as np
import pytest

from benchmarks.other_models import has_pythae, plain_autoencoder, pythae_step
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


@pytest.mark.skipif(not has_pythae(), reason="pythae is not installed")
def test_pythae_has_the_plain_autoencoders_weights():
    import torch

    weights = []
    adam = torch.optim.Adam

    def record(parameters, **settings):
        weights.extend(parameters)
        return adam(weights, **settings)

    settings = ModelConfig((8, 8, 3), (2, 3), BLOCKS)
    images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", record)
        step = pythae_step(settings, images, 1e-2, threads=1)
    losses = [step() for _ in range(10)]
    assert losses[-1] < losses[0]
    plain = sum(np.prod(weight.shape) for weight in plain_autoencoder(settings).trainable_weights)
    # pythae's deviations have a head of their own.
    assert sum(weight.numel() for weight in weights) == plain + 9 * 5 + 5
