"""Adam and batch normalization, each by the one operation that TensorFlow has for it."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

_LAG = 19.0


class BatchStatistic(NamedTuple):
    """A mean or variance [channels] of a batch, and what puts it into its moving average."""

    value: tf.Tensor
    add: Callable[[tf.Tensor], None]


class _Averaging(NamedTuple):
    step: tf.Tensor
    waiting: list[BatchStatistic] | None


_averaging: contextvars.ContextVar[_Averaging | None] = contextvars.ContextVar(
    "averaging", default=None
)


@contextlib.contextmanager
def averaging_since_start(
    step: int | tf.Tensor, waiting: list[BatchStatistic] | None = None
) -> Iterator[None]:
    """Batch normalization inside the block averages statistics as it should at a training step.

    Args:
      step: the number of training steps before this one.
      waiting: None, or a list that takes the statistics of the batch in place of the moving
        averages; the caller adds them.
    """
    token = _averaging.set(_Averaging(tf.cast(step, tf.float32), waiting))
    try:
        yield
    finally:
        _averaging.reset(token)


@keras.saving.register_keras_serializable(package="tf_mmdvlae")
class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam (Kingma and Ba 2014, arXiv 1412.6980): the same state and update, in less time.

    Keras updates each weight by about twenty operations, each of which passes over weights,
    gradients or moments; TensorFlow's `ResourceApplyAdam` passes over them once. Both compute the
    same equation; numbers differ in the last places.
    """

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # Keras hands `update_step` what it is given here. What all weights share is computed once.
        step = tf.cast(self.iterations.value + 1, tf.float32)
        shared = (
            tf.convert_to_tensor(learning_rate),
            tf.pow(self.beta_1, step),
            tf.pow(self.beta_2, step),
        )
        super()._backend_update_step(grads, trainable_variables, shared)

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, shared: tuple[tf.Tensor, ...]
    ) -> None:
        learning_rate, first_power, second_power = shared
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        dtype, index = variable.dtype, self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(first_power, dtype),
            beta2_power=tf.cast(second_power, dtype),
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalization over the last axis: the same weights and numbers, in less time.

    Keras computes the batch's statistics and their gradients in about forty operations, each of
    which passes over all features; TensorFlow's `FusedBatchNormV3` passes over them a few times.
    The operation adds in another order, so that numbers differ in the last places.

    Inside `averaging_since_start` the momentum of the moving averages at step t is
    min(momentum, t / (t + 19)). The first batch replaces the initial values, and later averages
    cover about the last twentieth of the steps so far, so that they never lag far behind the
    weights.

    Call: [batch, ..., channels] of rank 2 or 4 -> the same.
    """

    @property
    def momentum(self) -> float | tf.Tensor:
        """The weight of the old average in the new one: a number, or a scalar inside the block."""
        averaging = _averaging.get()
        if averaging is None:
            return self._limit
        return tf.minimum(self._limit, averaging.step / (averaging.step + _LAG))

    @momentum.setter
    def momentum(self, limit: float) -> None:
        self._limit = limit

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        # The operation does not see the other devices' parts of the batch.
        if not training or not self.trainable or self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        # The operation takes images only, so a row of features becomes an image of one pixel.
        is_row = len(inputs.shape) == 2
        images = tf.reshape(inputs, (-1, 1, 1, inputs.shape[-1])) if is_row else inputs
        if images.dtype == tf.bfloat16:
            # The operation is slower in bfloat16 than in float32 with both casts.
            images = tf.cast(images, tf.float32)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            images, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        # The operation returns the unbiased variance; Keras averages the biased one.
        count = tf.cast(tf.size(images) // images.shape[-1], tf.float32)
        variance *= (count - 1.0) / count
        self._average(self.moving_mean, mean)
        self._average(self.moving_variance, variance)
        outputs = tf.cast(outputs, inputs.dtype)
        return tf.reshape(outputs, (-1, inputs.shape[-1])) if is_row else outputs

    def _average(self, average, value):
        momentum = self.momentum

        def add(value):
            average.assign(average * momentum + value * (1.0 - momentum))

        averaging = _averaging.get()
        if averaging is None or averaging.waiting is None:
            add(value)
        else:
            averaging.waiting.append(BatchStatistic(value, add))
