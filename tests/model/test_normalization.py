"""The fused batch normalization is Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.model.normalization import FusedBatchNormalization


def trained(layer, inputs, weights):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    sources = [inputs, layer.gamma.value, layer.beta.value]
    averages = [layer.moving_mean, layer.moving_variance]
    return [outputs, *tape.gradient(loss, sources), *averages, layer(inputs)]


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 4, 5)])
@pytest.mark.parametrize("compiled", [False, True])
def test_outputs_gradients_and_averages_are_those_of_keras(shape, compiled):
    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(2.0, 3.0, shape), tf.float32)
    weights = tf.constant(generator.normal(size=shape), tf.float32)
    found = []
    for kind in (FusedBatchNormalization, keras.layers.BatchNormalization):
        layer = kind(gamma_initializer=keras.initializers.RandomUniform(0.5, 2.0, seed=1))
        layer.build((None, *shape[1:]))

        def run(layer=layer):
            return [tf.identity(value) for value in trained(layer, inputs, weights)]

        found.append((tf.function(run) if compiled else run)())
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_mixed_precision_keeps_statistics_in_float32():
    values = np.random.default_rng(0).normal(2.0, 3.0, (8, 4, 4, 5)).astype(np.float32)
    found = []
    for kind in (FusedBatchNormalization, keras.layers.BatchNormalization):
        layer = kind(dtype="mixed_bfloat16")
        outputs = layer(tf.cast(values, tf.bfloat16), training=True)
        assert outputs.dtype == tf.bfloat16
        found.append((tf.cast(outputs, tf.float32), layer.moving_mean, layer.moving_variance))
    for ours, theirs, close in zip(*found, (2e-2, 1e-4, 1e-4), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=close, atol=close)


def test_weights_are_exchanged_with_keras():
    ours, theirs = FusedBatchNormalization(), keras.layers.BatchNormalization()
    for layer in (ours, theirs):
        layer.build((None, 3))
    theirs.set_weights([np.full(3, value, np.float32) for value in (2, 3, 4, 5)])
    ours.set_weights(theirs.get_weights())
    inputs = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(ours(inputs), theirs(inputs))
