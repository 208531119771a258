"""What a person chose, what the data decide, and which of them wins."""

import types

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config
from tf_mmdvlae.config.choices import Choices, settings_for, settings_from


def described(shape, train, test_fraction=None):
    splits = {"train": train, "test": 10}
    return lambda data: types.SimpleNamespace(
        image_shape=shape, splits=splits, count=splits.__getitem__, test_fraction=test_fraction
    )


def folder(shape=(28, 28, 1), train=6000, test_fraction=0.1, **choices):
    describe = described(shape, train, test_fraction)
    return settings_for("image_folder", "default", Choices(**choices), describe)


def refuses_to_describe(data):
    raise AssertionError("the data set was described")


def test_a_preset_without_choices_asks_nothing_of_the_data():
    config = settings_for("mnist", "paper", Choices(), refuses_to_describe)
    assert config == get_config("mnist", "paper")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28, 1), (28, 28, 1)),
        ((63, 63, 3), (32, 32, 3)),
        ((64, 64, 1), (64, 64, 1)),
        ((500, 500, 3), (128, 128, 3)),
        ((9, 9, 3), (28, 28, 3)),
        ((None, None, 3), (64, 64, 3)),
    ],
)
def test_the_pictures_of_a_folder_decide_the_shape(shape, expected):
    config = folder(shape)
    assert config.model.image_shape == expected
    assert config.train.fade_in(len(config.model.latent_dims))


def test_what_the_person_chose_wins_over_the_pictures():
    assert folder(image_size=64).model.image_shape == (64, 64, 1)
    assert folder(channels=3).model.image_shape == (28, 28, 3)
    preset = get_config("image_folder").model
    config = folder(fields={"model": {"image_shape": (64, 64, 3)}})
    assert config.model == preset
    config = folder(fields={"data": {"test_fraction": 0.3}, "train": {"steps": 9, "batch_size": 5}})
    assert (config.data.test_fraction, config.train.steps, config.train.batch_size) == (0.3, 9, 5)
    assert folder(test_fraction=0.25).data.test_fraction == 0.25


@pytest.mark.parametrize(
    ("train", "batch_size", "steps"),
    [
        # 40 epochs would be 200, 1,920, 18,750 and 62,500 steps of 128.
        (640, 128, 1500),
        (6141, 128, 2000),
        (60_000, 128, 18_800),
        (200_000, 128, 20_000),
        # A batch is a power of two that the training images fill.
        (100, 64, 1500),
        (10, 8, 1500),
        (2, 2, 1500),
    ],
)
def test_batch_and_steps_follow_from_the_number_of_pictures(train, batch_size, steps):
    config = folder(train=train).train
    assert (config.batch_size, config.steps) == (batch_size, steps)


def test_a_set_without_presets_is_as_a_folder():
    config = settings_for("some_set", "default", Choices(), described((32, 32, 3), 50_000))
    assert config.model.image_shape == (32, 32, 3)
    assert config.train.steps == 15_700  # 40 * 50,000 / 128 = 15,625
    config = settings_for("some_set", "default", Choices(image_size=64), described((32, 32, 3), 9))
    assert config.model.image_shape == (64, 64, 3)


def test_epochs():
    train = {"batch_size": 100, "steps_per_execution": 4}
    # 2.5 epochs of 1,010 images are 25.25 steps.
    assert folder(train=1010, epochs=2.5, fields={"train": train}).train.steps == 28
    config = settings_for("mnist", "default", Choices(epochs=3), described((28, 28, 1), 60_000))
    assert config.train.steps == 1407  # 180,000 / 128 = 1,406.25
    assert folder(fields={"train": {"steps_per_execution": 64}}).train.steps % 64 == 0
    with pytest.raises(InputError, match="--epochs and --steps .* one of them"):
        folder(epochs=1, fields={"train": {"steps": 5}})
    for epochs in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="--epochs is .* above 0"):
            Choices(epochs=epochs)


def test_latent_dims():
    assert folder(latent_dims=(7,)).model.latent_dims == (7, 7, 7)
    assert folder((64, 64, 3), latent_dims=(7,)).model.latent_dims == (7, 7, 7, 7)
    assert folder(latent_dims=(2, 3)).model.latent_dims == (2, 3)
    blocks = {"model": {"blocks": (("conv8/2",), ("dense9",))}}
    assert folder(latent_dims=(7,), fields=blocks).model.latent_dims == (7, 7)
    fewer = settings_for("svhn_cropped", "default", Choices(fields=blocks), refuses_to_describe)
    assert fewer.model.latent_dims == get_config("svhn_cropped").model.latent_dims[-2:]
    with pytest.raises(InputError, match="4 layers .* only 3 blocks.*--latent_dims=3,4,5"):
        folder(latent_dims=(2, 3, 4, 5))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"fields": {"train": {"steps": 0}}}, "train.steps is 0"),
        ({"fields": {"data": {"crop": 2.0}}}, "crop is 2.0"),
        ({"epochs": 1, "fields": {"train": {"steps": 3}}}, "give one"),
    ],
)
def test_what_is_refused_before_a_data_set_is_described(choices, message):
    with pytest.raises(InputError, match=message):
        settings_for("some_set", "default", Choices(**choices), refuses_to_describe)


def test_sizes_and_channels_that_do_not_exist():
    with pytest.raises(InputError, match="30x30 pixels; give a size of 16, 20"):
        settings_for("mnist", "default", Choices(image_size=30), refuses_to_describe)
    with pytest.raises(InputError, match="1 or 3 channels"):
        settings_for("mnist", "default", Choices(channels=2), refuses_to_describe)


def test_settings_of_another_run_hold_where_nothing_is_chosen():
    """Pictures decide on nothing, as they did when that run began."""
    base = get_config("image_folder").changed(
        model={"image_shape": (64, 64, 1)},
        data={"image_dir": "x", "test_fraction": 0.3},
        train={"steps": 70, "batch_size": 8},
    )
    assert settings_from(base, Choices(), refuses_to_describe) == base
    fields = {"model": {"kernel": "gaussian", "kernel_scales": (1.0,)}, "data": {"flip": True}}
    choices = Choices(image_size=28, latent_dims=(9,), epochs=3, fields=fields)
    config = settings_from(base, choices, described((200, 200, 3), 100))
    assert config.model.image_shape == (28, 28, 1)
    assert config.model.latent_dims == (9, 9, 9)
    assert (config.model.kernel, config.data.flip) == ("gaussian", True)
    assert (config.data.image_dir, config.data.test_fraction) == ("x", 0.3)
    assert (config.train.steps, config.train.batch_size) == (38, 8)
    with pytest.raises(InputError, match="--epochs and --steps both"):
        settings_from(base, Choices(epochs=1, fields={"train": {"steps": 2}}), refuses_to_describe)
