"""Adam by the operation that TensorFlow has for it."""

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
