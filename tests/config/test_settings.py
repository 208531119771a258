"""Settings: how fields depend on each other, and what follows from them."""

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import (
    SYNTHETIC_FACES,
    Config,
    ModelConfig,
    TrainConfig,
    parse_operation,
)


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


def test_the_record_of_a_run_says_which_synthetic_faces_it_saw():
    config = Config().changed(data={"dataset": "synthetic_faces"})
    assert config.data.dataset == SYNTHETIC_FACES == "synthetic_faces:2.0.0"
    assert Config.from_dict(config.to_dict()) == config
    # Records without a version are older than version 2.0.0.
    old = Config.from_dict({"data": {"dataset": "synthetic_faces", "crop": 0.5}})
    assert (old.data.dataset, old.data.crop) == ("synthetic_faces:1.0.0", 0.5)
    assert Config.from_dict(old.to_dict()) == old


def test_a_record_without_a_listing_is_of_version_0_2():
    data = {"dataset": "image_folder", "image_dir": "pictures"}
    old = Config.from_dict({"data": data})
    assert old.data.listing == "0.2"
    assert Config.from_dict(old.to_dict()) == old
    assert Config().changed(data=data).data.listing == "0.3"
    # Other data sets are the same as before.
    assert Config.from_dict({"data": {"dataset": "mnist"}}).data.listing == "0.3"


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
    config = ModelConfig(reconstruction_weight=None)
    assert config.effective_reconstruction_weight == 64 * 64 * 3


def test_no_fading_in_from_trained_weights_or_when_switched_off():
    assert TrainConfig(progressive=False).fade_in(3) is None
    assert TrainConfig(init_from="runs/mnist").fade_in(3) is None
    assert TrainConfig(continued_from=4000).fade_in(3) is None
    assert TrainConfig(steps=100).fade_in(1) == ((0, 0),)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_are_finite(value):
    with pytest.raises(InputError, match=r"train.learning_rate is -?(nan|inf); it must be"):
        TrainConfig(learning_rate=value)
    with pytest.raises(InputError, match=r"is -?(nan|inf); it must be a finite number"):
        ModelConfig(mmd_weights=(1.0, value, 1.0, 1.0))


def test_whole_numbers_have_64_bits():
    assert TrainConfig(steps=2**63 - 1).steps == 2**63 - 1
    with pytest.raises(InputError, match="train.steps is a number of more than 64 bits"):
        TrainConfig(steps=2**63)
    with pytest.raises(InputError, match="model.latent_dims is a number of more than 64 bits"):
        ModelConfig(latent_dims=(2, 2**63))


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_of_nested_dropout_outside_its_range_is_refused(share):
    with pytest.raises(InputError, match="nested_dropout is .* from 0 to below 1"):
        ModelConfig(nested_dropout=share)
