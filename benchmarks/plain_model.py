"""A ladder's blocks without the ladder, in plain Keras."""

import math

import keras

from tf_mmdvlae.config.settings import ModelConfig, parse_operation
from tf_mmdvlae.model.layers import KERNEL_SIZE, LEAK

Operation = tuple[str, int, tuple[int, ...], tuple[int, ...]]
"""Kind ("conv", "dense" or "transposed"), stride, shape before, shape after."""


def blocks(settings: ModelConfig) -> list[list[Operation]]:
    """The operations of each inference block, lowest block first."""
    return [
        [
            (*parse_operation(text)[::2], before, after)
            for text, before, after in zip(block, path[:-1], path[1:], strict=True)
        ]
        for block, path in zip(settings.blocks, settings.feature_shapes(), strict=True)
    ]


def mirrored(operations: list[Operation]) -> list[Operation]:
    """The operations that lead back."""
    return [
        ("transposed" if kind == "conv" else kind, stride, after, before)
        for kind, stride, before, after in reversed(operations)
    ]


def plain_autoencoder(settings: ModelConfig, learning_rate: float = 1e-3) -> keras.Model:
    """The blocks of a ladder and their mirror, with one code between them: what Keras itself costs.

    The model has Keras's own layers, training step and Adam: no noise, no MMD, no heads within the
    ladder. The code has as many dimensions as the ladder's layers together. `train_step` takes
    (images, images), float32 [batch, height, width, channels] in [0, 1].
    """
    layers, normalized = keras.layers, settings.normalization == "batch"
    encoder = [operation for block in blocks(settings) for operation in block]
    decoder = [("dense", 1, (sum(settings.latent_dims),), encoder[-1][-1]), *mirrored(encoder)]
    kinds = {"conv": layers.Conv2D, "transposed": layers.Conv2DTranspose}

    def apply(features, operation, last=False):
        kind, stride, _, shape = operation
        bias = last or not normalized
        if kind == "dense":
            features = layers.Dense(math.prod(shape), use_bias=bias)(layers.Flatten()(features))
        else:
            layer = kinds[kind](shape[-1], KERNEL_SIZE, stride, padding="same", use_bias=bias)
            features = layer(features)
        if not last:
            features = layers.BatchNormalization()(features) if normalized else features
            features = layers.LeakyReLU(LEAK)(features)
        return layers.Reshape(shape)(features) if kind == "dense" else features

    inputs = features = keras.Input(settings.image_shape)
    for operation in encoder:
        features = apply(features, operation)
    features = layers.Dense(sum(settings.latent_dims))(layers.Flatten()(features))
    for operation in decoder:
        features = apply(features, operation, last=operation is decoder[-1])
    outputs = layers.Activation("sigmoid", dtype="float32")(features)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(learning_rate), "mean_absolute_error")
    return model
