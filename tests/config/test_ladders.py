"""Settings derived from the shape of a data set's images."""

import types

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config
from tf_mmdvlae.config.ladders import blocks_for, fitted
from tf_mmdvlae.config.settings import ModelConfig


def described(shape, splits=("train", "test")):
    return types.SimpleNamespace(image_shape=shape, splits=splits)


@pytest.mark.parametrize(
    ("shape", "side", "channels"),
    [
        ((28, 28, 1), 28, 1),
        ((32, 32, 3), 32, 3),
        ((None, None, 3), 64, 3),
        ((64, 64, 1), 64, 1),
        ((200, 300, 3), 128, 3),
        ((20, 20, 1), 28, 1),
    ],
)
def test_settings_derived_from_the_images_make_a_model(shape, side, channels):
    config = get_config("some_set", "default", lambda: described(shape))
    assert config.model.image_shape == (side, side, channels)
    assert (config.data.train_split, config.data.test_split) == ("train", "test")
    assert config.train.fade_in(len(config.model.latent_dims))


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "validation"), ("train", "validation")),
        (("train",), ("train[:90%]", "train[90%:]")),
    ],
)
def test_a_set_without_a_test_split(splits, expected):
    config = get_config("some_set", "default", lambda: described((32, 32, 3), splits))
    assert (config.data.train_split, config.data.test_split) == expected


@pytest.mark.parametrize("side", [16, 20, 24, 28, 32, 48, 64, 96, 128, 160, 256])
def test_blocks_for_a_side_leave_four_to_seven_pixels(side):
    blocks = blocks_for(side)
    shapes = ModelConfig(image_shape=(side, side, 3), blocks=blocks, latent_dims=(2,))
    grids = [shape for block in shapes.feature_shapes() for shape in block if len(shape) == 3]
    assert 4 <= grids[-1][0] <= 7


@pytest.mark.parametrize("side", [-4, 0, 1, 12, 30, 34, 250, 512])
def test_a_side_without_blocks_names_those_that_have_them(side):
    with pytest.raises(InputError, match=f"{side}x{side} .* 16, 20, 24, 28, 32, .*128, .* or 256"):
        blocks_for(side)


def test_another_size_brings_blocks_that_fit():
    config = get_config("image_folder").changed(model={"latent_dims": (2, 3, 4, 5)})
    assert fitted(config) == config == fitted(config, 64, 3)
    assert fitted(config, channels=1).model.image_shape == (64, 64, 1)
    small = fitted(config, 28, 1)
    assert small.model.image_shape == (28, 28, 1)
    assert small.model.blocks == get_config("mnist").model.blocks
    assert small.model.latent_dims == (3, 4, 5)
    assert small.model.kernel == config.model.kernel
    assert (small.data, small.train.steps) == (config.data, config.train.steps)
    assert small.train.batch_size == 2 * config.train.batch_size
    own = config.changed(model={"head_width": 7}, train={"batch_size": 50})
    assert fitted(own, 32).model.head_width == 7
    assert fitted(own, 32).train.batch_size == 50
