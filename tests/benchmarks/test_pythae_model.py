"""The model of pythae that a ladder is compared with has its layers."""

import numpy as np
import pytest

from benchmarks.pythae_model import has_pythae, pythae_step
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model.mmdvlae import MMDVLAE

BLOCKS = (("conv4/2", "conv5/1"), ("conv6/2", "dense8"), ("dense9",))


@pytest.mark.skipif(not has_pythae(), reason="pythae is not installed")
@pytest.mark.parametrize("merge", ["gated_add", "concatenate"])
@pytest.mark.parametrize(("shared_trunk", "width"), [(True, 0), (False, 7)])
def test_pythae_has_the_ladders_weights(merge, shared_trunk, width):
    import torch

    weights = []
    adam = torch.optim.Adam

    def record(parameters, **settings):
        weights.extend(parameters)
        return adam(weights, **settings)

    more = {"merge": merge, "shared_trunk": shared_trunk, "head_width": width}
    settings = ModelConfig((8, 8, 3), (2, 3), BLOCKS, **more)
    images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", record)
        step = pythae_step(settings, images, 1e-2, threads=1)
    losses = [step() for _ in range(10)]
    assert losses[-1] < losses[0]
    ladder = sum(np.prod(weight.shape) for weight in MMDVLAE(settings).trainable_weights)
    assert sum(weight.numel() for weight in weights) == ladder
