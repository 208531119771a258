"""Adam and batch normalization, each by the one operation that TensorFlow has for it."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tf_mmdvlae")
class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam (Kingma and Ba 2014, arXiv 1412.6980): the same state and update, in less time.

    Keras updates each weight by a score of operations, which pass over weights, gradients and
    moments again and again; TensorFlow's `ResourceApplyAdam` passes over them once. Its equation is
    the one that Keras has; numbers differ in the last places.
    """

    def update_step(self, gradient, variable, learning_rate):
        # Of several devices each has its own part of a variable to update, which Keras finds.
        if self.amsgrad or tf.distribute.get_strategy().num_replicas_in_sync > 1:
            return super().update_step(gradient, variable, learning_rate)
        dtype, index = variable.dtype, self._get_variable_index(variable)
        first, second = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        step = tf.cast(self.iterations.value + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(first, step),
            beta2_power=tf.pow(second, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=first,
            beta2=second,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalization over the last axis: the same weights and numbers, in less time.

    Keras puts the batch's statistics, and so their gradients, together from forty operations, each
    of which passes over all features; TensorFlow's `FusedBatchNormV3` passes over them a few times.
    Sums are taken in another order, so that numbers differ in the last places.

    Call: [batch, ..., channels] of rank 2 or 4 -> the same.
    """

    def call(self, inputs, training=None, mask=None):
        # The operation knows nothing of other devices' parts of the batch.
        if not training or self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        # The operation takes images only; a row of features is an image of one place.
        images = inputs if len(inputs.shape) == 4 else inputs[:, None, None, :]
        if images.dtype == tf.bfloat16:
            # It is slower in bfloat16 than in float32 with both casts.
            images = tf.cast(images, tf.float32)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            images, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        # It gives the unbiased variance; Keras's moving average is of the biased one.
        count = tf.cast(tf.size(images) // images.shape[-1], tf.float32)
        variance *= (count - 1.0) / count
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        outputs = tf.cast(outputs, inputs.dtype)
        return outputs if len(inputs.shape) == 4 else outputs[:, 0, 0, :]
