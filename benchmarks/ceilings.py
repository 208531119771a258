"""What this machine can do at most: large convolutions and matrix products, and nothing else."""

import tensorflow as tf

SIDE = 1024
"""Rows and columns of the square matrices."""

IMAGES, PLACES, CHANNELS, FILTER = 16, 56, 64, 3
"""The convolution: 16 images of 56x56 places and 64 channels, 64 filters of 3x3, stride 1.

On a processor it is as fast as larger ones, or faster.
"""


def ceilings(dtype):
    """Functions to be timed, and what each computes.

    They are meant for processors. A GPU waits for Python between two of them, while it runs a whole
    training step at one call: what a step reaches of these is no share of the GPU.

    Args:
      dtype: "float32", "bfloat16" or "float16".

    Returns:
      name -> (function without arguments, its floating-point operations): "matrix product";
      "convolution", forward; "training convolution", forward and both gradients.
    """
    square = tf.Variable(tf.cast(tf.random.stateless_normal((SIDE, SIDE), (0, 0)), dtype))
    shape = (IMAGES, PLACES, PLACES, CHANNELS)
    features = tf.Variable(tf.cast(tf.random.stateless_normal(shape, (0, 1)), dtype))
    filters = (FILTER, FILTER, CHANNELS, CHANNELS)
    weights = tf.Variable(tf.cast(tf.random.stateless_normal(filters, (0, 2)), dtype))
    once = 2 * IMAGES * PLACES**2 * CHANNELS**2 * FILTER**2

    @tf.function
    def product():
        return corner(tf.matmul(square, square))

    @tf.function
    def convolution():
        return corner(tf.nn.conv2d(features, weights, 1, "SAME"))

    @tf.function
    def training():
        with tf.GradientTape() as tape:
            result = tf.nn.conv2d(features, weights, 1, "SAME")
        # Any tensor of its shape will do for the gradient that comes from above.
        gradients = tape.gradient(result, [features, weights], output_gradients=features.value())
        return [corner(tensor) for tensor in (result, *gradients)]

    return {
        "matrix product": (product, 2 * SIDE**3),
        "convolution": (convolution, once),
        "training convolution": (training, 3 * once),
    }


def corner(tensor):
    """One number of a tensor, as float32: copying all of it to where Python sees it takes time."""
    return tf.cast(tf.reshape(tensor, [-1])[0], "float32")
