"""The pieces of the ladder: inference block, Gaussian head, generative block.

Layers draw no noise, and build everything that they own in `build`, so that saved weights always
find their place.
"""

import math

import keras
from keras import ops

from tf_mmdvlae.config.settings import parse_operation
from tf_mmdvlae.model.fused import FusedBatchNormalization

KERNEL_SIZE = 4
LEAK = 0.2
# The published networks start a latent layer's share of a generative block this low, so that the
# layers above it settle first.
INITIAL_GATE = 0.1


class _Stage(keras.layers.Layer):
    """One operation: reshape as needed, a convolution or dense layer, normalization, activation."""

    def __init__(self, operation, output_shape, normalization, activation, **kwargs):
        super().__init__(**kwargs)
        self.target_shape = tuple(output_shape)
        self.activation = activation
        self.operation = operation
        normalized = normalization == "batch"
        operation.use_bias = not normalized
        self.normalization = FusedBatchNormalization() if normalized else None

    def build(self, input_shape):
        self.flatten = isinstance(self.operation, keras.layers.Dense) and len(input_shape) > 2
        if self.flatten:
            input_shape = (input_shape[0], math.prod(input_shape[1:]))
        self.operation.build(input_shape)
        if self.normalization is not None:
            self.normalization.build(self.operation.compute_output_shape(input_shape))
        self.built = True

    def call(self, features, training=False):
        if self.flatten:
            features = ops.reshape(features, (ops.shape(features)[0], -1))
        features = self.operation(features)
        if self.normalization is not None:
            features = self.normalization(features, training=training)
        features = self.activation(features)
        if features.shape[1:] != self.target_shape:
            features = ops.reshape(features, (-1, *self.target_shape))
        return features


def _leaky_relu(features):
    return ops.leaky_relu(features, negative_slope=LEAK)


def _linear(features):
    return features


class InferenceBlock(keras.layers.Layer):
    """One block of the inference ladder: features -> features with fewer places, more channels.

    Args:
      operations: the block's operations, as in `ModelConfig.blocks`.
      shapes: shapes of the features (no batch) before and after each operation.
      normalization: "batch" or "none".

    Call: [batch, *shapes[0]] -> [batch, *shapes[-1]].
    """

    def __init__(self, operations, shapes, normalization="batch", **kwargs):
        super().__init__(**kwargs)
        self.operations = tuple(operations)
        self.shapes = tuple(tuple(shape) for shape in shapes)
        self.normalization = normalization
        self.stages = []
        for text, shape in zip(self.operations, self.shapes[1:], strict=True):
            kind, size, stride = parse_operation(text)
            if kind == "dense":
                operation = keras.layers.Dense(size)
            else:
                operation = keras.layers.Conv2D(size, KERNEL_SIZE, stride, padding="same")
            self.stages.append(_Stage(operation, shape, normalization, _leaky_relu))

    def build(self, input_shape=None):
        for stage, shape in zip(self.stages, self.shapes[:-1], strict=True):
            stage.build((None, *shape))
        self.built = True

    def call(self, features, training=False):
        for stage in self.stages:
            features = stage(features, training=training)
        return features

    def get_config(self):
        return {
            **super().get_config(),
            "operations": self.operations,
            "shapes": self.shapes,
            "normalization": self.normalization,
        }


class GaussianHead(keras.layers.Layer):
    """The posterior of one latent layer, q(z|x) = N(mean, diag(deviation^2)), read off features.

    The mean is linear; the deviation is sigmoid(.) + floor: a layer can become certain, never
    less certain than a little over the prior.

    Args:
      dimension: of the latent layer.
      width: units of a hidden layer before it; 0 for none.
      deviation_floor: the smallest deviation, in units of the prior's.
      normalization: of the hidden layer, "batch" or "none".

    Call: features [batch, ...] -> (mean [batch, dimension], deviation [batch, dimension]), float32.
    """

    def __init__(self, dimension, width, deviation_floor, normalization="batch", **kwargs):
        super().__init__(**kwargs)
        self.dimension = dimension
        self.width = width
        self.deviation_floor = deviation_floor
        self.normalization = normalization
        self.hidden = None
        if width:
            self.hidden = _Stage(keras.layers.Dense(width), (width,), normalization, _leaky_relu)
        self.mean = keras.layers.Dense(dimension, dtype="float32")
        self.deviation = keras.layers.Dense(dimension, dtype="float32")

    def build(self, input_shape):
        size = math.prod(input_shape[1:])
        if self.hidden is not None:
            self.hidden.build((None, size))
            size = self.width
        self.mean.build((None, size))
        self.deviation.build((None, size))
        self.built = True

    def call(self, features, training=False):
        features = ops.reshape(features, (ops.shape(features)[0], -1))
        if self.hidden is not None:
            features = self.hidden(features, training=training)
        deviation = ops.sigmoid(self.deviation(features)) + self.deviation_floor
        return self.mean(features), deviation

    def get_config(self):
        return {
            **super().get_config(),
            "dimension": self.dimension,
            "width": self.width,
            "deviation_floor": self.deviation_floor,
            "normalization": self.normalization,
        }


class GenerativeBlock(keras.layers.Layer):
    """One block of the generative ladder: the mirror of an inference block, taking in its layer.

    The latent layer z becomes features f(z) of the shape that the inference block puts out, meets
    the features h from the block above, and both go back through the block's operations in
    reverse. The block at the bottom ends in logits of pixels.

    Args:
      operations, shapes: of the inference block that this one mirrors.
      dimension: of the latent layer; None for a block that takes in none.
      width: units of a hidden layer between z and f(z); 0 for none.
      has_upper: False for the block at the top of the ladder.
      merge: "gated_add", h + gate * f(z) with a learned gate a feature, or "concatenate".
      is_output: True for the block at the bottom.
      normalization: "batch" or "none".

    Call: (h [batch, *shapes[-1]] or None, z [batch, dimension] or None) -> [batch, *shapes[0]].
    With `keep` [batch] of ones and zeros, f(z) is left out of the rows that have a zero.
    """

    def __init__(
        self,
        operations,
        shapes,
        dimension,
        width,
        has_upper,
        merge="gated_add",
        is_output=False,
        normalization="batch",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.operations = tuple(operations)
        self.shapes = tuple(tuple(shape) for shape in shapes)
        self.dimension = dimension
        self.width = width
        self.has_upper = has_upper
        self.merge = merge
        self.is_output = is_output
        self.normalization = normalization
        top = self.shapes[-1]
        self.inject = []
        if dimension and width:
            hidden = keras.layers.Dense(width)
            self.inject.append(_Stage(hidden, (width,), normalization, _leaky_relu))
        if dimension:
            dense = keras.layers.Dense(math.prod(top))
            self.inject.append(_Stage(dense, top, normalization, _leaky_relu))
        self.gated = bool(dimension) and has_upper and merge == "gated_add"
        self.concatenated = bool(dimension) and has_upper and merge == "concatenate"
        self.stages = []
        for index in reversed(range(len(self.operations))):
            kind, _, stride = parse_operation(self.operations[index])
            shape = self.shapes[index]
            if kind == "dense":
                operation = keras.layers.Dense(math.prod(shape))
            else:
                operation = keras.layers.Conv2DTranspose(
                    shape[-1], KERNEL_SIZE, stride, padding="same"
                )
            last = is_output and index == 0
            self.stages.append(
                _Stage(
                    operation,
                    shape,
                    "none" if last else normalization,
                    _linear if last else _leaky_relu,
                )
            )

    def build(self, input_shape=None):
        top = self.shapes[-1]
        for stage, size in zip(self.inject, (self.dimension, self.width), strict=False):
            stage.build((None, size))
        if self.gated:
            self.gate = self.add_weight(
                name="gate",
                shape=top,
                initializer=keras.initializers.Constant(INITIAL_GATE),
            )
        if self.concatenated:
            top = (*top[:-1], 2 * top[-1])
        for stage, shape in zip(self.stages, (top, *self.shapes[-2:0:-1]), strict=True):
            stage.build((None, *shape))
        self.built = True

    def call(self, upper, code, training=False, keep=None):
        features = upper
        if self.inject:
            features = code
            for stage in self.inject:
                features = stage(features, training=training)
            if keep is not None and self.has_upper:
                ones = (1,) * (len(features.shape) - 1)
                features = features * ops.cast(ops.reshape(keep, (-1, *ones)), features.dtype)
            if self.gated:
                features = upper + self.gate * features
            elif self.concatenated:
                features = ops.concatenate([upper, features], axis=-1)
        for stage in self.stages:
            features = stage(features, training=training)
        return features

    def get_config(self):
        return {
            **super().get_config(),
            "operations": self.operations,
            "shapes": self.shapes,
            "dimension": self.dimension,
            "width": self.width,
            "has_upper": self.has_upper,
            "merge": self.merge,
            "is_output": self.is_output,
            "normalization": self.normalization,
        }
