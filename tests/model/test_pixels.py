"""The convolution that puts out pixels computes what Keras's own computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.pixels import PixelConvolution

SHAPE = (4, 3, 5, 6)


def pixels_and_gradients(kind, filters, dtype, compiled):
    layer = kind(filters, 4, 2, padding="same", bias_initializer="random_normal", dtype=dtype)
    layer.build(SHAPE)
    generator = np.random.default_rng(0)
    features = tf.constant(generator.normal(size=SHAPE), tf.float32)
    weights = tf.constant(generator.normal(size=(4, 6, 10, filters)), tf.float32)
    for variable in layer.trainable_weights:
        variable.assign(generator.normal(size=variable.shape))

    def run():
        with tf.GradientTape() as tape:
            tape.watch(features)
            pixels = tf.cast(layer(features, training=True), tf.float32)
            loss = tf.reduce_sum(pixels * weights)
        return [pixels, *tape.gradient(loss, [features, layer.kernel.value, layer.bias.value])]

    return (tf.function(run) if compiled else run)(), layer(features)


class Plain(keras.layers.Conv2DTranspose):
    def call(self, inputs, training=False):
        return super().call(inputs)


@pytest.mark.parametrize("filters", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "compiled", "close"), [("float32", False, 1e-5), ("mixed_bfloat16", True, 5e-2)]
)
def test_pixels_and_gradients_are_those_of_keras(filters, dtype, compiled, close):
    ours, of_inference = pixels_and_gradients(PixelConvolution, filters, dtype, compiled)
    theirs, expected = pixels_and_gradients(Plain, filters, dtype, compiled)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=close, atol=close * np.abs(other).max())
    np.testing.assert_array_equal(of_inference.numpy(), expected.numpy())


@pytest.mark.parametrize(("stride", "is_ours"), [(1, False), (2, True)])
def test_a_ladder_ends_in_it_where_pixels_are_twice_as_many(stride, is_ours):
    model = MMDVLAE(ModelConfig((8, 8, 1), (2,), ((f"conv4/{stride}", "dense5"),), head_width=0))
    operations = [stage.operation for stage in model.generators[0].stages]
    assert [type(operation) is PixelConvolution for operation in operations] == [False, is_ours]
