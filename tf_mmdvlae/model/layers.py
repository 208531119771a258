"""The pieces of the ladder: inference block, Gaussian head, generative block.

Layers draw no noise, and build everything that they own in `build`, so that saved weights always
find their place. `normalization` is "batch" or "none".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from tf_mmdvlae.config.settings import parse_operation
from tf_mmdvlae.model.fused import FusedBatchNormalization
from tf_mmdvlae.model.pixels import PixelConvolution

if TYPE_CHECKING:
    import tensorflow as tf

KERNEL_SIZE = 4
LEAK = 0.2
# The published networks start a latent layer's share of a generative block this low, so that the
# layers above it settle first.
INITIAL_GATE = 0.1

Shapes = Sequence[Sequence[int]]


class _Stage(keras.layers.Layer):
    """An operation that puts out `shape`, and unless it is linear, normalization and activation.

    Only kind and stride are read from the operation's text: `shape` has the units and channels.
    """

    def __init__(self, operation, shape, normalization, is_transposed=False, is_linear=False):
        # TensorFlow's symbolic calls refuse the name that Keras makes of "_Stage".
        super().__init__(name="stage")
        self.target_shape = tuple(shape)
        self.is_linear = is_linear
        kind, _, stride = parse_operation(operation)
        if kind == "dense":
            self.operation = keras.layers.Dense(math.prod(shape))
        else:
            convolution = keras.layers.Conv2DTranspose if is_transposed else keras.layers.Conv2D
            if is_transposed and is_linear and stride == 2:
                convolution = PixelConvolution
            self.operation = convolution(shape[-1], KERNEL_SIZE, stride, padding="same")
        is_normalized = normalization == "batch" and not is_linear
        self.operation.use_bias = not is_normalized
        self.normalization = FusedBatchNormalization() if is_normalized else None

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
        if not self.is_linear:
            features = ops.leaky_relu(features, negative_slope=LEAK)
        if features.shape[1:] != self.target_shape:
            features = ops.reshape(features, (-1, *self.target_shape))
        return features


@keras.saving.register_keras_serializable(package="tf_mmdvlae")
class InferenceBlock(keras.layers.Layer):
    """One block of the inference ladder: features -> features with fewer places, more channels.

    The operations are written as in `ModelConfig.blocks`; `shapes` are those of the features (no
    batch) before and after each operation.

    Call: [batch, *shapes[0]] -> [batch, *shapes[-1]].
    """

    def __init__(
        self, operations: Sequence[str], shapes: Shapes, normalization: str, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.shapes = tuple(map(tuple, shapes))
        self.stages = [
            _Stage(operation, shape, normalization)
            for operation, shape in zip(operations, self.shapes[1:], strict=True)
        ]

    def build(self, input_shape: Any = None) -> None:
        for stage, shape in zip(self.stages, self.shapes[:-1], strict=True):
            stage.build((None, *shape))
        self.built = True

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        for stage in self.stages:
            features = stage(features, training=training)
        return features


@keras.saving.register_keras_serializable(package="tf_mmdvlae")
class GaussianHead(keras.layers.Layer):
    """The posterior of one latent layer, q(z|x) = N(mean, diag(deviation^2)), read off features.

    The mean is linear; the deviation is sigmoid(.) + floor, in units of the prior's: a layer can
    become certain, never less certain than a little over the prior. The sigmoid starts near
    `initial_deviation`. `dimension` is the latent layer's; `width` units form a hidden layer before
    it, and 0 none.

    Call: features [batch, ...] -> (mean [batch, dimension], deviation [batch, dimension]), float32.
    """

    def __init__(
        self,
        dimension: int,
        width: int,
        deviation_floor: float,
        initial_deviation: float,
        normalization: str,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.deviation_floor = deviation_floor
        self.hidden = None
        if width:
            self.hidden = _Stage(f"dense{width}", (width,), normalization)
        self.mean = keras.layers.Dense(dimension, dtype="float32")
        start = keras.initializers.Constant(math.log(initial_deviation / (1 - initial_deviation)))
        self.deviation = keras.layers.Dense(dimension, dtype="float32", bias_initializer=start)

    def build(self, input_shape: Any) -> None:
        size = math.prod(input_shape[1:])
        if self.hidden is not None:
            self.hidden.build((None, size))
            (size,) = self.hidden.target_shape
        self.mean.build((None, size))
        self.deviation.build((None, size))
        self.built = True

    def call(self, features: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        features = ops.reshape(features, (ops.shape(features)[0], -1))
        if self.hidden is not None:
            features = self.hidden(features, training=training)
        deviation = ops.sigmoid(self.deviation(features)) + self.deviation_floor
        return self.mean(features), deviation


@keras.saving.register_keras_serializable(package="tf_mmdvlae")
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
      merge: "gated_add", h + gate * f(z) with one learned gate per feature, or "concatenate".
      is_output: True for the block at the bottom.

    Call: (h [batch, *shapes[-1]] or None, z [batch, dimension] or None) -> [batch, *shapes[0]].
    With `keep` [batch] of ones and zeros, f(z) is left out of the rows that have a zero.
    """

    def __init__(
        self,
        operations: Sequence[str],
        shapes: Shapes,
        dimension: int | None,
        width: int,
        has_upper: bool,
        merge: str,
        is_output: bool,
        normalization: str,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.shapes = tuple(map(tuple, shapes))
        self.dimension = dimension
        self.width = width
        self.has_upper = has_upper
        self.merge = merge if dimension and has_upper else None
        top = self.shapes[-1]
        self.inject = []
        if dimension and width:
            self.inject.append(_Stage(f"dense{width}", (width,), normalization))
        if dimension:
            self.inject.append(_Stage(f"dense{math.prod(top)}", top, normalization))
        self.stages = []
        for index in reversed(range(len(operations))):
            settings = (operations[index], self.shapes[index], normalization)
            is_last = is_output and index == 0
            self.stages.append(_Stage(*settings, is_transposed=True, is_linear=is_last))

    def build(self, input_shape: Any = None) -> None:
        top = self.shapes[-1]
        for stage, size in zip(self.inject, (self.dimension, self.width), strict=False):
            stage.build((None, size))
        if self.merge == "gated_add":
            start = keras.initializers.Constant(INITIAL_GATE)
            self.gate = self.add_weight(name="gate", shape=top, initializer=start)
        elif self.merge == "concatenate":
            top = (*top[:-1], 2 * top[-1])
        for stage, shape in zip(self.stages, (top, *self.shapes[-2:0:-1]), strict=True):
            stage.build((None, *shape))
        self.built = True

    def call(
        self,
        upper: tf.Tensor | None,
        code: tf.Tensor | None,
        training: bool = False,
        keep: tf.Tensor | None = None,
    ) -> tf.Tensor:
        features = upper
        if code is not None:
            features = code
            for stage in self.inject:
                features = stage(features, training=training)
            if keep is not None and self.has_upper:
                ones = (1,) * (len(features.shape) - 1)
                features = features * ops.cast(ops.reshape(keep, (-1, *ones)), features.dtype)
            if self.merge == "gated_add":
                features = upper + self.gate * features
            elif self.merge == "concatenate":
                features = ops.concatenate([upper, features], axis=-1)
        for stage in self.stages:
            features = stage(features, training=training)
        return features
