"""The fused Adam is Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.schedule import HoldThenCosine

SHAPES = ((4, 3), (5,))


def trained(optimizer, steps=20):
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
    found = trained(FusedAdam(rate, **settings)), trained(keras.optimizers.Adam(rate, **settings))
    for ours, theirs in zip(*found, strict=True):
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


def test_it_is_saved_and_loaded_by_name():
    config = keras.optimizers.serialize(FusedAdam(0.1))
    assert isinstance(keras.optimizers.deserialize(config), FusedAdam)
