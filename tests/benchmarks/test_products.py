"""A step's products are counted, and computed alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.products import bare_products, ceilings, count, products

BATCH = 8


@pytest.fixture(scope="module")
def network():
    """A convolution, a transposed one and a dense layer."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(5, 4, 2, padding="same"),
            keras.layers.Conv2DTranspose(2, 4, 2, padding="same"),
            keras.layers.Flatten(),
            keras.layers.Dense(7),
        ]
    )


@pytest.fixture(scope="module")
def small_step(network):
    """The network's compiled forward and backward pass."""

    @tf.function
    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(images) ** 2)
        return tape.gradient(loss, network.trainable_variables)

    return step.get_concrete_function(tf.TensorSpec((BATCH, 8, 8, 3)))


def test_operations_are_those_counted_by_hand(small_step):
    convolution = BATCH * 4 * 4 * 5 * (4 * 4 * 3)
    transposed = BATCH * 4 * 4 * 5 * (4 * 4 * 2)
    dense = BATCH * (8 * 8 * 2) * 7
    # The lowest layer's input needs no gradient.
    expected = 2 * (2 * convolution + 3 * transposed + 3 * dense)
    assert count(small_step) == expected


def test_operations_of_batches_of_matrices_are_those_counted_by_hand():
    step = tf.function(lambda a, b: (a @ b, tf.matmul(a, a, transpose_a=True)))
    specs = tf.TensorSpec((4, 3, 5)), tf.TensorSpec((4, 5, 7))
    assert count(step.get_concrete_function(*specs)) == 2 * 4 * (3 * 5 * 7 + 5 * 3 * 5)


def test_operations_of_called_functions_count(small_step):
    @tf.function
    def outer(images):
        return small_step(images), small_step(-images)

    concrete = outer.get_concrete_function(tf.TensorSpec((BATCH, 8, 8, 3)))
    assert count(concrete) == 2 * count(small_step)


def test_operations_of_an_unknown_batch_are_refused():
    step = tf.function(lambda a: a @ tf.ones((3, 2)))
    concrete = step.get_concrete_function(tf.TensorSpec((None, 3)))
    with pytest.raises(ValueError, match="is not known"):
        count(concrete)


def test_bare_products_are_those_of_the_step(small_step):
    expected = products(small_step)
    run = bare_products(expected)
    again = products(run.get_concrete_function())
    assert sorted(map(repr, again)) == sorted(map(repr, expected))
    assert np.isfinite(run()).all()


def test_ceilings_count_their_own_products():
    for call, operations in ceilings("bfloat16").values():
        assert count(call.get_concrete_function()) == operations
