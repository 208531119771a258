"""A plain Keras autoencoder with a ladder's blocks: what Keras itself costs."""

import math

import keras

from benchmarks.trunk import trunk
from tf_mmdvlae.model.layers import KERNEL_SIZE, LEAK


def plain_autoencoder(settings, learning_rate=1e-3):
    """The blocks of a ladder's trunk and their mirror, with one code between them.

    Made of Keras's own layers, with its own training step: no noise, no MMD, no heads within the
    ladder. The code has as many dimensions as the ladder's layers together.

    Args:
      settings: a `ModelConfig`.
      learning_rate: Adam's.

    Returns:
      A compiled `keras.Model` of images float32 [batch, height, width, channels] in [0, 1]; its
      `train_step` takes (images, images).
    """
    normalized = settings.normalization == "batch"

    def settled(features):
        if normalized:
            features = keras.layers.BatchNormalization()(features)
        return keras.layers.LeakyReLU(LEAK)(features)

    def dense(features, shape, bias):
        features = keras.layers.Flatten()(features)
        return keras.layers.Dense(math.prod(shape), use_bias=bias)(features)

    operations = trunk(settings)
    inputs = features = keras.Input(settings.image_shape)
    for kind, stride, _, above in operations:
        if kind == "conv":
            features = keras.layers.Conv2D(
                above[-1], KERNEL_SIZE, stride, padding="same", use_bias=not normalized
            )(features)
        else:
            features = dense(features, above, not normalized)
        features = settled(features)
    features = dense(features, (sum(settings.latent_dims),), True)

    top = operations[-1][-1]
    features = keras.layers.Reshape(top)(settled(dense(features, top, not normalized)))
    for index in reversed(range(len(operations))):
        kind, stride, below, _ = operations[index]
        bias = not normalized or index == 0
        if kind == "conv":
            features = keras.layers.Conv2DTranspose(
                below[-1], KERNEL_SIZE, stride, padding="same", use_bias=bias
            )(features)
        else:
            features = dense(features, below, bias)
        if index:
            features = settled(features)
        features = keras.layers.Reshape(below)(features)
    outputs = keras.layers.Activation("sigmoid", dtype="float32")(features)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(learning_rate), "mean_absolute_error")
    return model
