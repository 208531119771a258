"""Settings derived from the shape of a data set's images."""

import types

import pytest

from tf_mmdvlae.config import get_config


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
