"""The fused Adam and the fused batch normalization compute what Keras's own compute."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.model.fused import FusedAdam, FusedBatchNormalization, averaging_since_start
from tf_mmdvlae.model.schedule import HoldThenCosine

# ---- Adam ------------------------------------------------------------------------------------

SHAPES = ((4, 3), (5,))


def optimized(optimizer, steps=20):
    generator = np.random.default_rng(0)
    variables = [keras.Variable(generator.normal(size=shape)) for shape in SHAPES]
    optimizer.build(variables)

    @tf.function
    def step(gradients):
        optimizer.apply(gradients, variables)

    for _ in range(steps):
        step([tf.constant(generator.normal(size=shape), tf.float32) for shape in SHAPES])
    return [np.asarray(value.numpy()) for value in (*variables, *optimizer.variables)]


@pytest.mark.parametrize("amsgrad", [False, True])
def test_weights_and_moments_are_those_of_keras(amsgrad):
    settings = {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4, "amsgrad": amsgrad}
    rate = HoldThenCosine(1e-2, 20, 0.5)
    ours_and_theirs = (
        optimized(FusedAdam(rate, **settings)),
        optimized(keras.optimizers.Adam(rate, **settings)),
    )
    for ours, theirs in zip(*ours_and_theirs, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_loss_scaling_leaves_out_a_step_that_overflowed():
    optimizer = keras.optimizers.LossScaleOptimizer(FusedAdam(0.1))
    variable = keras.Variable(np.ones(3, np.float32))
    optimizer.build([variable])
    optimizer.apply([tf.constant([np.inf, 1.0, 1.0])], [variable])
    np.testing.assert_array_equal(variable.numpy(), 1.0)
    optimizer.apply([tf.ones(3)], [variable])
    assert (variable.numpy() < 1.0).all()


def test_every_replica_is_updated():
    devices = tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    with strategy.scope():
        optimizer = FusedAdam(0.1)
        variable = keras.Variable(np.ones(3, np.float32))
        optimizer.build([variable])

    @tf.function
    def step():
        strategy.run(lambda: optimizer.apply([tf.ones(3)], [variable]))

    step()
    np.testing.assert_allclose(variable.numpy(), 0.9, atol=1e-5)


def test_the_optimizer_is_saved_and_loaded_by_name():
    config = keras.optimizers.serialize(FusedAdam(0.1))
    assert isinstance(keras.optimizers.deserialize(config), FusedAdam)


# ---- batch normalization ---------------------------------------------------------------------


def normalized(layer, inputs, weights):
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
    results = []
    for kind in (FusedBatchNormalization, keras.layers.BatchNormalization):
        layer = kind(gamma_initializer=keras.initializers.RandomUniform(0.5, 2.0, seed=1))
        layer.build((None, *shape[1:]))

        def run(layer=layer):
            return [tf.identity(value) for value in normalized(layer, inputs, weights)]

        results.append((tf.function(run) if compiled else run)())
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_mixed_precision_keeps_statistics_in_float32():
    values = np.random.default_rng(0).normal(2.0, 3.0, (8, 4, 4, 5)).astype(np.float32)
    results = []
    for kind in (FusedBatchNormalization, keras.layers.BatchNormalization):
        layer = kind(dtype="mixed_bfloat16")
        outputs = layer(tf.cast(values, tf.bfloat16), training=True)
        assert outputs.dtype == tf.bfloat16
        results.append((tf.cast(outputs, tf.float32), layer.moving_mean, layer.moving_variance))
    for ours, theirs, close in zip(*results, (2e-2, 1e-4, 1e-4), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=close, atol=close)


def test_weights_are_exchanged_with_keras():
    ours, theirs = FusedBatchNormalization(), keras.layers.BatchNormalization()
    for layer in (ours, theirs):
        layer.build((None, 3))
    theirs.set_weights([np.full(3, value, np.float32) for value in (2, 3, 4, 5)])
    ours.set_weights(theirs.get_weights())
    inputs = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(ours(inputs), theirs(inputs))


@pytest.mark.parametrize("synchronized", [False, True])
def test_averages_follow_the_steps_so_far(synchronized):
    batches = np.random.default_rng(0).normal(2.0, 3.0, (2000, 16, 1)).astype(np.float32)
    layer = FusedBatchNormalization(synchronized=synchronized)
    layer.build((None, 1))

    @tf.function
    def normalize(step, batch):
        with averaging_since_start(step):
            layer(batch, training=True)

    mean, variance, momenta = 0.0, 1.0, {}
    for step, batch in enumerate(batches):
        momentum = momenta[step] = min(0.99, step / (step + 19))
        mean = momentum * mean + (1 - momentum) * batch.mean()
        variance = momentum * variance + (1 - momentum) * batch.var()
        normalize(tf.constant(step), batch)
        if step in (0, 1, 30, 1999):
            averages = (layer.moving_mean[0], layer.moving_variance[0])
            np.testing.assert_allclose(averages, (mean, variance), rtol=1e-4)
    assert momenta[0] == 0.0
    assert momenta[1999] == 0.99


def test_momentum_is_a_number_outside_of_training():
    layer = FusedBatchNormalization(momentum=0.9)
    with averaging_since_start(1):
        assert float(layer.momentum) == pytest.approx(0.05)
    assert layer.momentum == layer.get_config()["momentum"] == 0.9
