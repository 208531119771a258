"""Images that no model was made for are refused, however they come in and however it computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model.image_checks import checked, refusals
from tf_mmdvlae.model.mmdvlae import MMDVLAE


class Batches(keras.utils.PyDataset):
    def __init__(self, images, **settings):
        super().__init__(**settings)
        self.images, self.begun = images, 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.images[8 * index : 8 * index + 8], np.zeros(8)

    def on_epoch_begin(self):
        self.begun += 1


WAYS = {
    "PyDataset": Batches,
    "array": lambda images: images,
    "tensor": tf.constant,
    "dataset": lambda images: tf.data.Dataset.from_tensor_slices(images).batch(8),
    "dataset with labels": lambda images: tf.data.Dataset.from_tensor_slices(
        (images, np.arange(16))
    ).batch(8),
    "generator": lambda images: ((images[start : start + 8], None) for start in (0, 8)),
}


def spoiled(images, value):
    spoiled = np.array(images[:16])
    spoiled[13, 7, 7, 0] = value
    return spoiled


@pytest.fixture(scope="module")
def model(tiny_config):
    """Compiled by XLA, as Keras's default is on a GPU: checks in its steps would be dropped."""
    model = MMDVLAE(tiny_config)
    model.compile("sgd", jit_compile=True)
    return model


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [255.0, -0.02, np.nan])
def test_other_ranges_are_refused_however_they_come_in(images, way, value):
    message = rf"in \[0, 1\] .*255\); their .* {value:g}|{value:g} and "
    with pytest.raises(InputError, match=message), refusals():
        for _ in checked(WAYS[way](spoiled(images, value))):
            pass


@pytest.mark.parametrize("way", WAYS)
def test_other_images_pass_unchanged(images, way):
    """The step of a model has no part in it, so that weights are the same to the bit."""
    for value in (-0.009, 0.5, 1.009):
        given, passed = (
            WAYS[way](spoiled(images, value)),
            checked(WAYS[way](spoiled(images, value))),
        )
        for one, other in zip(given, passed, strict=True):
            pictures = (part[0] if isinstance(part, tuple) else part for part in (one, other))
            np.testing.assert_array_equal(*pictures)


def test_predict_and_arrays_of_fit(model, images):
    for value in (255.0, np.nan):
        for way in ("array", "dataset"):
            with pytest.raises(InputError, match=f"{value:g}"):
                model.predict(WAYS[way](spoiled(images, value)), verbose=0)
        for data in (spoiled(images, value), (spoiled(images, value), None)):
            with pytest.raises(InputError, match=f"{value:g}"):
                model.fit(images, validation_data=data, verbose=0)
        for method in (model.fit, model.evaluate):
            with pytest.raises(InputError, match=f"{value:g}"):
                method(spoiled(images, value), verbose=0)
        for method in (model.train_on_batch, model.test_on_batch, model.predict_on_batch):
            with pytest.raises(InputError, match=f"{value:g}"):
                method(spoiled(images, value))


@pytest.mark.slow
def test_a_step_compiled_by_xla_never_sees_a_bad_batch(model, images):
    before = model.get_weights()
    for data in (WAYS["dataset"](spoiled(images, 255.0)[8:]), Batches(spoiled(images, 255.0)[8:])):
        with pytest.raises(InputError, match="smallest and largest are 0 and 255"):
            model.fit(data, verbose=0)
    for mine, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_encode_refuses_what_fit_refuses(model, images):
    for given, message in (
        (spoiled(images, np.nan), "are nan and nan"),
        (images * 255, "are 0 and 25"),
        (tf.constant(images) - 0.5, "are -0.5"),
        (np.uint8(images * 255), "uint8; give float32 in .0, 1. .uint8 images / 255"),
        (images[:, :4], r"shape \(48, 4, 8, 1\), the batch included; .* made for \(8, 8, 1\)"),
        (images[0], r"shape \(8, 8, 1\), the batch included"),
    ):
        for method in (model.encode, model.reconstruct, model):
            with pytest.raises(InputError, match=message):
                method(given)
    for method in (model.fit, model.predict):
        with pytest.raises(InputError, match="A batch is a dict; map it to images, or to images a"):
            method(tf.data.Dataset.from_tensors({"image": images}), verbose=0)
    with pytest.raises(InputError, match="uint8"):
        model.predict(np.uint8(images * 255), verbose=0)


def test_calls_that_were_tracebacks(tiny_config, model, images):
    with pytest.raises(InputError, match="encode returns two, means and deviations"):
        model.decode(model.encode(images[:2]))
    frozen = MMDVLAE(tiny_config)
    frozen.compile("sgd")
    frozen.trainable = False
    with pytest.raises(InputError, match="no weights to train; set trainable = True"):
        frozen.fit(images, verbose=0)


@pytest.mark.parametrize("settings", [{}, {"workers": 2}])
def test_the_workers_of_a_dataset_refuse_and_its_epochs_begin(model, images, settings):
    good = Batches(images[:16], **settings)
    assert model.predict(good, verbose=0).shape == (16, 8, 8, 1)
    checked(good).on_epoch_begin()
    assert good.begun >= 1
    with pytest.raises(InputError, match="smallest and largest are 0 and 255"):
        model.predict(Batches(spoiled(images, 255.0), **settings), verbose=0)
