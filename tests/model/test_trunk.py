"""Encoders of one's own, and the model's encoder and decoder in models of one's own."""

import dataclasses

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.trunk import own_averages


def make_trunk(shape=(8, 8, 1)):
    """Two levels, whose shapes are none of the tiny config's, with Keras's batch normalization."""
    images = keras.Input(shape)
    low = layers.Conv2D(3, 3, activation="relu")(images)
    high = layers.BatchNormalization(momentum=0.5)(layers.Conv2D(7, 3, strides=3)(low))
    return keras.Model(images, [low, layers.GlobalAveragePooling2D()(high)])


@pytest.fixture(scope="module")
def model(tiny_config, images):
    keras.utils.set_random_seed(0)
    model = MMDVLAE(tiny_config, fade_in=((2, 4), (0, 0)), trunk=make_trunk())
    model.compile(FusedAdam(0.01))
    model.fit(images, batch_size=16, verbose=0)
    return model


@pytest.fixture(scope="module")
def loaded(model, tmp_path_factory):
    file = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(file)
    return keras.saving.load_model(file)


def test_a_trunk_is_trained_and_read_at_its_levels(model, images):
    start = MMDVLAE(model.config, trunk=make_trunk()).trunk.get_weights()
    assert [np.shape(w) for w in model.trunk.get_weights()] == [w.shape for w in start]
    # The moving mean starts at 0.
    assert np.abs(model.trunk.layers[3].moving_mean).min() > 0
    low, high = model.trunk(images)
    for head, features, name in zip(model.heads, (low, high), ("z_1", "z_2"), strict=True):
        np.testing.assert_array_equal(head(features)[0], model.encode(images)[0][name])
    assert sum("inference" in weight.path for weight in model.weights) == 0
    assert len(model.optimizer.variables) == 2 + 2 * len(model.trainable_weights)


def test_a_saved_model_brings_its_trunk(model, loaded, images):
    assert loaded.trunk is not model.trunk
    np.testing.assert_array_equal(loaded(images), model(images))
    terms = [{n: float(v) for n, v in m.losses(images, draw=0).items()} for m in (model, loaded)]
    assert terms[0] == terms[1]
    optimizers = zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)
    assert all(np.array_equal(mine, theirs) for mine, theirs in optimizers)
    copy = MMDVLAE.from_config(model.get_config())
    assert copy.get_config() == model.get_config()
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.sample(3), model.sample(3))


def test_encoder_and_decoder_share_the_weights_and_are_not_counted_twice(
    tiny_config, images, tmp_path
):
    model = MMDVLAE(tiny_config)
    count, weights = model.count_params(), [weight.path for weight in model.weights]
    means, deviations = model.encoder(images)
    assert set(means) == set(deviations) == {"z_1", "z_2"}
    np.testing.assert_array_equal(means["z_1"], model.encode(images)[0]["z_1"])
    np.testing.assert_array_equal(model.decoder(means), model.reconstruct(images))
    assert (model.count_params(), [weight.path for weight in model.weights]) == (count, weights)
    assert model.encoder.count_params() + model.decoder.count_params() == count
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        # As in the files of all versions.
        assert set(file) == {"generators", "heads", "layers", "vars"}
        assert {"inference_block", "inference_block_2"} <= set(file["layers"])
    model.encoder.save(tmp_path / "encoder.keras")
    encoder = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(encoder(images)[0]["z_2"], means["z_2"])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_classifier_on_the_encoder(tiny_config, images, is_frozen):
    model = MMDVLAE(tiny_config)
    before = [np.array(weight) for weight in model.weights]
    model.encoder.trainable = not is_frozen
    picture = keras.Input((8, 8, 1))
    means, _ = model.encoder(picture)
    answer = layers.Dense(2)(layers.Concatenate()(list(means.values())))
    classifier = keras.Model(picture, answer)
    classifier.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    classifier.fit(images, np.arange(48) % 2, verbose=0)
    changed = {
        weight.path.partition("_")[0]
        for weight, old in zip(model.weights, before, strict=True)
        if not np.array_equal(weight, old)
    }
    assert changed == (set() if is_frozen else {"inference", "head"})


def functional(shape, outputs):
    images = keras.Input(shape)
    return keras.Model(images, outputs(layers.Conv2D(2, 3)(images)))


def of_two_inputs():
    pair = [keras.Input((8, 8, 1)), keras.Input((8, 8, 1))]
    return keras.Model(pair, pair)


@pytest.mark.parametrize(
    ("trunk", "message"),
    [
        (lambda: layers.Dense(3), "trunk is a Dense; give a keras.Model"),
        (lambda: functional((8, 8, 1), lambda x: x), "has 1 outputs for the 2 layers"),
        (lambda: functional((8, 8, 1), lambda x: {"a": x, "b": x}), "give a list of one output"),
        (lambda: functional((8, 8, 1), lambda x: [x, x, x]), "has 3 outputs for the 2 layers"),
        (lambda: functional((8, 8, 3), lambda x: [x, x]), r"takes \(None, 8, 8, 3\), not images"),
        (lambda: functional((9, 8, 1), lambda x: [x, x]), r"takes \(None, 9, 8, 1\), not images"),
        (of_two_inputs, r"takes \[\(None, 8, 8, 1\), \(None, 8, 8, 1\)\], not images"),
    ],
)
def test_errors(tiny_config, trunk, message):
    with pytest.raises(InputError, match=message):
        MMDVLAE(tiny_config, trunk=trunk())


def test_a_trunk_of_a_class_of_its_own_for_images_of_any_size(tiny_config, images):
    class Pyramid(keras.Model):
        def __init__(self):
            super().__init__()
            self.low, self.high = layers.Conv2D(2, 3), layers.Conv2D(3, 3)

        def call(self, images):
            low = self.low(images)
            return low, self.high(low)

    any_size = keras.Input((None, None, 1))
    for trunk in (Pyramid(), keras.Model(any_size, Pyramid()(any_size))):
        model = MMDVLAE(dataclasses.replace(tiny_config, shared_trunk=False), trunk=trunk)
        assert model.heads[1].hidden.operation.kernel.shape[0] == 4 * 4 * 3
        assert model(images).shape == images.shape


def test_averages_of_a_trunk_that_devices_keep_for_themselves():
    images = keras.Input((8, 8, 1))
    plain, frozen, together = (
        layers.BatchNormalization(synchronized=whole) for whole in (False, False, True)
    )
    trunk = keras.Model(images, together(frozen(plain(images))))
    frozen.trainable = False
    assert [v.path for v in own_averages(trunk)] == [
        v.path for v in (plain.moving_mean, plain.moving_variance)
    ]
    assert own_averages(None) == []
