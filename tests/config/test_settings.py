"""Settings: what is refused, and how they survive JSON and the command line."""

import dataclasses
import itertools
import json
import types

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config, known_datasets, presets_of
from tf_mmdvlae.config.settings import (
    Config,
    ModelConfig,
    TrainConfig,
    check_changes,
    override,
    parse_operation,
)


def described(shape, splits=("train", "test")):
    return types.SimpleNamespace(image_shape=shape, splits=splits)


EVERY_PRESET = [(dataset, preset) for dataset in known_datasets() for preset in presets_of(dataset)]


@pytest.mark.parametrize(("dataset", "preset"), EVERY_PRESET)
def test_every_preset_survives_json_and_fades_in(dataset, preset):
    config = get_config(dataset, preset)
    assert config.data.dataset == dataset
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    layers = len(config.model.latent_dims)
    fade_in = config.train.fade_in(layers)
    if config.train.progressive:
        assert len(fade_in) == layers
        assert fade_in[-1] == (0, 0)
        assert all(low[0] >= high[1] for low, high in itertools.pairwise(fade_in))
        assert fade_in[0][1] < config.train.steps


def test_every_dataset_of_the_design_has_a_config():
    named = {"mnist", "fashion_mnist", "celeb_a", "svhn_cropped", "cifar10"}
    assert named | {"synthetic_faces", "image_folder"} <= set(known_datasets())


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


def test_unknown_preset_lists_the_known_ones():
    with pytest.raises(InputError, match="Known: default, paper"):
        get_config("mnist", "best")


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("model.latent_dims", "2,3", (2, 3)),
        ("model.latent_dims", "4", (4,)),
        ("model.mmd_weights", "5", 5.0),
        ("model.mmd_weights", "1,2,3,4", (1.0, 2.0, 3.0, 4.0)),
        ("model.reconstruction_weight", "None", None),
        ("train.learning_rate", "1e-4", 1e-4),
        ("train.progressive", "false", False),
        ("data.train_split", "train[:50000]", "train[:50000]"),
        ("model.blocks", "(('conv8/2',),('conv8/2','dense9'),('dense3',),('dense3',))", None),
    ],
)
def test_override(path, text, value):
    config = override(Config(), [(path, text)])
    section, field = path.split(".")
    found = getattr(getattr(config, section), field)
    assert found == value or (path == "model.blocks" and found[1] == ("conv8/2", "dense9"))


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("train.lr", "1", "Known: steps, batch_size, learning_rate"),
        ("learning_rate", "1", "Known: model.image_shape, .*train.learning_rate"),
        ("train.steps", "1.5", "must be a whole number"),
        ("train.steps", "0", "at least 1"),
        ("train.learning_rate", "-1", "above 0"),
        ("train.learning_rate", "nan", "must be a finite number"),
        ("train.learning_rate", "1e999", "must be a finite number"),
        ("train.learning_rate", "1" + "0" * 400, "must be a finite number"),
        ("model.mmd_weights", "1,1e999", "a finite number or numbers with commas between them"),
        ("model.reconstruction_weight", "much", "must be a finite number or None"),
        ("model.latent_dims", "{[1]}", "must be whole numbers with commas"),
        ("model.latent_dims", "(" * 5000, "must be whole numbers with commas"),
        ("model.latent_dims", "-" * 5000 + "1", "must be whole numbers with commas"),
        ("train.batch_size", "1", "at least 2"),
        ("data.flip", "yes", "must be true or false"),
        ("data.crop", "0", "in \\(0, 1\\]"),
        ("data.cache", "ram", "auto, memory, disk, none"),
        ("model.kernel", "rbf", "gaussian, multiscale_gaussian"),
        ("model.mmd_weights", "-1", "not be below 0"),
        ("model.mmd_weights", "1,2", "2 numbers for 4 latent layers"),
        ("model.latent_dims", "2,2,2,2,2", "5 layers but model.blocks only 4"),
        ("model.image_shape", "30,30,3", "all strides divide"),
        ("model.image_shape", "64,64,2", "1 or 3 channels"),
        ("model.kernel", "inverse_multiquadratic", "prior=sampled or .*estimator=random_features"),
        ("model.estimator", "exact", "auto, unbiased, biased, linear_time, random_features"),
        ("model.random_features", "0", "at least 1"),
        ("model.kernel_scales", "0", "above 0"),
        ("model.info_vae_alpha", "0.5", "given together"),
        ("train.first_stage", "0.9", "leave layer 1 no step"),
    ],
)
def test_what_is_refused(path, text, message):
    with pytest.raises(InputError, match=message):
        override(Config(), [(path, text)]).train.fade_in(4)


def test_a_changed_copy_differs_in_the_named_fields_alone():
    config = Config()
    copy = config.changed(train={"steps": 7, "seed": 3}, data={"crop": 0.5})
    assert (copy.train.steps, copy.train.seed, copy.data.crop) == (7, 3, 0.5)
    assert copy.changed(train={"steps": 5000, "seed": 0}, data={"crop": 1.0}) == config == Config()
    assert config.changed() == config
    with pytest.raises(InputError, match="train.steps is 0; it must be at least 1"):
        config.changed(train={"steps": 0})
    with pytest.raises(TypeError, match="lr"):
        config.changed(train={"lr": 1.0})


def test_fields_that_fit_only_each_other_change_together():
    changes = [
        ("model.image_shape", "8,8,1"),
        ("model.latent_dims", "2"),
        ("model.blocks", "(('conv4/2',),)"),
    ]
    assert override(Config(), changes).model.image_shape == (8, 8, 1)


def test_unknown_key_in_a_file_is_refused():
    values = Config().to_dict()
    values["train"]["learning_rat"] = 1.0
    with pytest.raises(InputError, match="config.train.learning_rat is not known"):
        Config.from_dict(values)


@pytest.mark.parametrize("values", [[], None, 3, {"data": None}, {"model": ["conv8/2"]}])
def test_a_file_that_holds_no_settings_is_refused(values):
    with pytest.raises(InputError, match="config.* is .*; it must hold .* by name"):
        Config.from_dict(values)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("train.lr", "1", "Known: steps"),
        ("trian.steps", "1", "Known: model.image_shape"),
        ("train.steps", "0", "at least 1"),
        ("data.crop", "2", "in \\(0, 1\\]"),
        ("model.latent_dims", "two", "whole numbers with commas"),
    ],
)
def test_what_can_be_refused_before_there_is_a_config(path, text, message):
    with pytest.raises(InputError, match=message):
        check_changes([(path, text)])


def test_what_may_fit_a_config_is_not_refused_before_there_is_one():
    check_changes([("model.latent_dims", "2,2,2,2,2,2"), ("train.steps", "3")])


def test_operations():
    assert parse_operation("conv32/2") == ("conv", 32, 2)
    assert parse_operation("dense256") == ("dense", 256, 1)
    for text in ("conv32", "conv0/2", "pool2", "dense", "dense8/2"):
        with pytest.raises(InputError, match="conv<filters>/<stride>"):
            parse_operation(text)
    with pytest.raises(InputError, match="after a dense layer"):
        ModelConfig(blocks=(("dense8", "conv8/2"),), latent_dims=(2,))


def test_kernel_scales_are_the_kernels_own_unless_given():
    assert ModelConfig(kernel="gaussian").scales == (1.0,)
    mine = ModelConfig(kernel="inverse_multiquadratic", prior="sampled")
    assert mine.scales == (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    assert ModelConfig(kernel_scales=(3.0,)).scales == (3.0,)
    with pytest.raises(InputError, match="one scale"):
        ModelConfig(kernel="gaussian", kernel_scales=(1.0, 2.0))


def test_random_features_are_against_the_prior_itself_for_every_kernel():
    imq = ModelConfig(kernel="inverse_multiquadratic", estimator="random_features")
    assert imq.frequencies % len(imq.scales) == 0
    assert imq.random_features <= imq.frequencies < imq.random_features + len(imq.scales)
    with pytest.raises(InputError, match="set --config.model.prior=closed_form"):
        ModelConfig(estimator="random_features", prior="sampled")


def test_info_vae_weights():
    """Zhao, Song and Ermon 2017: KL weight 1 - alpha, MMD weight alpha + lambda - 1."""
    config = ModelConfig(latent_dims=(2, 2), info_vae_alpha=0.4, info_vae_lambda=10.0)
    assert config.layer_kl_weights == pytest.approx((0.6, 0.6))
    assert config.layer_mmd_weights == pytest.approx((9.4, 9.4))
    for alpha, lambda_ in ((1.5, 1.0), (0.0, 0.5)):
        with pytest.raises(InputError, match="not be below 0"):
            ModelConfig(info_vae_alpha=alpha, info_vae_lambda=lambda_)


def test_elbo_units_of_reconstruction():
    config = dataclasses.replace(ModelConfig(), reconstruction_weight=None)
    assert config.effective_reconstruction_weight == 64 * 64 * 3


def test_no_fading_in_from_trained_weights_or_when_switched_off():
    assert TrainConfig(progressive=False).fade_in(3) is None
    assert TrainConfig(init_from="runs/mnist").fade_in(3) is None
    assert TrainConfig(steps=100).fade_in(1) == ((0, 0),)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_of_nested_dropout_outside_its_range_is_refused(share):
    with pytest.raises(InputError, match="nested_dropout is .* from 0 to below 1"):
        ModelConfig(nested_dropout=share)
