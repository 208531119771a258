"""The least memory of a network is below what it takes, and near it."""

import dataclasses

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config
from tf_mmdvlae.config.memory import least_memory, require_memory
from tf_mmdvlae.config.products import least_weights, operations
from tf_mmdvlae.config.settings import Config, ModelConfig
from tf_mmdvlae.model.mmdvlae import MMDVLAE


@pytest.mark.parametrize(
    "settings", [{}, {"head_width": 0}, {"merge": "concatenate"}, {"shared_trunk": False}]
)
def test_weights_are_counted_but_for_biases(tiny_config, settings):
    model = dataclasses.replace(tiny_config, **settings)
    counted = least_weights(model)
    whole = MMDVLAE(model).count_params()
    assert 0.6 * whole < counted <= whole


def test_the_default_network_is_counted_by_hand():
    model = ModelConfig(
        image_shape=(4, 4, 1), latent_dims=(2,), blocks=(("conv3/2", "dense5"),), head_width=7
    )
    # 16 * 1 * 3, then 2 * 2 * 3 * 5, twice; 5 * 7 in and out; 7 * 2 for mean, deviation and code.
    assert least_weights(model) == 2 * (48 + 60) + 2 * 35 + 3 * 14
    # The convolution's weights are used at 2 * 2 places; 2 operations, forward and 2 gradients.
    assert operations(model) == 2 * 3 * (2 * (4 * 48 + 60) + 2 * 35 + 3 * 14)
    config = Config(model=model)
    config = config.changed(train={"batch_size": 10})
    features = 2 * (2 * 2 * 3 + 5)
    assert least_memory(config) == 4 * (4 * least_weights(model) + 10 * features) + 2 * 8 * 4


@pytest.mark.parametrize(
    "settings",
    [
        {"head_width": 10**9},
        {"latent_dims": (2, 10**6)},
        {"blocks": (("conv999999999/2",), ("dense8",))},
        {"image_shape": (2**20, 2**20, 3)},
        {"estimator": "random_features", "random_features": 10**12},
    ],
)
def test_what_cannot_fit_is_refused(settings):
    config = Config(model=ModelConfig(**{"latent_dims": (2, 2), **settings}))
    with pytest.raises(InputError, match=r"take [\d,.]+ GB of memory at least, and 64.0 GB"):
        require_memory(config, 64 * 10**9)


def test_every_preset_fits_a_small_machine():
    for dataset in ("mnist", "celeb_a", "synthetic_faces"):
        require_memory(get_config(dataset), 4 * 10**9)
