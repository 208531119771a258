"""The model's relatives, each by config alone."""

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config
from tf_mmdvlae.config.relatives import RELATIVES, relative
from tf_mmdvlae.config.settings import ModelConfig


def test_the_relatives_share_network_data_steps_and_total_latent_size():
    config = get_config("mnist")
    for name in RELATIVES:
        other = relative(config, name)
        assert other.data == config.data
        assert other.model.blocks == config.model.blocks
        assert sum(other.model.latent_dims) == sum(config.model.latent_dims)
        assert other.train.steps == config.train.steps
        assert other.train.progressive == (name in ("mmd_vlae_progressive", "mmd_vlae_nested"))
        layers = 1 if name in ("vae", "mmd_vae") else 3
        assert len(other.model.latent_dims) == layers
        has_kl = name in ("vae", "vlae")
        assert other.model.layer_kl_weights == (1.0 if has_kl else 0.0,) * layers
        assert other.model.layer_mmd_weights == (0.0 if has_kl else 100.0,) * layers
        if has_kl:
            assert other.model.effective_reconstruction_weight == 784
            assert other.model.effective_joint_mmd_weight == 0
        # Each of the last three adds something to the one before; the last is the preset itself.
        share = config.model.nested_dropout if name == "mmd_vlae_nested" else 0.0
        assert other.model.nested_dropout == share
    assert relative(config, "mmd_vlae_nested") == config
    # A preset without it gets a share of its own.
    assert relative(get_config("celeb_a"), "mmd_vlae_nested").model.nested_dropout > 0


def test_weights_of_each_layer_become_the_highest_ones_weight():
    config = get_config("mnist").changed(model={"mmd_weights": (10.0, 20.0, 30.0)})
    assert relative(config, "mmd_vae").model.layer_mmd_weights == (30.0,)
    assert isinstance(relative(config, "vae").model, ModelConfig)


def test_an_unknown_relative_lists_the_known_ones():
    with pytest.raises(InputError, match="Known: vae, mmd_vae"):
        relative(get_config("mnist"), "gan")
