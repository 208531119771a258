"""A transposed convolution to the few channels of an image, in less time."""

from __future__ import annotations

import keras
import tensorflow as tf

# For each of three taps, the tap of four for an even pixel and for an odd one; tap 4 is zero.
_TAPS = (3, 4, 1, 2, 4, 0)


class PixelConvolution(keras.layers.Conv2DTranspose):
    """Keras's transposed convolution of kernel 4 and stride 2, with a bias: the same weights.

    TensorFlow computes it, on a processor, at a fraction of its usual speed where it has few
    channels to put out. In training this class takes another way. A pixel is a sum over 2x2 places;
    whether its row and its column are even or odd decides the kernel's taps. A convolution with 3x3
    taps, some of them zero, computes the four kinds of pixels as channels, which are then laid out
    (Shi et al. 2016, arXiv 1609.05158, section 2.2). Numbers differ in the last places.

    Call: [batch, height, width, channels] -> [batch, 2 height, 2 width, filters].
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        # Exports keep the one operation that other programs know.
        if not training:
            return super().call(inputs)
        return _pixels(inputs, *map(tf.convert_to_tensor, (self.kernel, self.bias)))


@tf.custom_gradient
def _pixels(features, kernel, bias):
    height, width, channels = features.shape[1:]
    filters = kernel.shape[2]
    taps = tf.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
    taps = tf.gather(tf.gather(taps, _TAPS, axis=0), _TAPS, axis=1)
    taps = tf.transpose(tf.reshape(taps, (3, 2, 3, 2, filters, channels)), (0, 2, 5, 1, 3, 4))
    taps = tf.reshape(taps, (3, 3, channels, 4 * filters))
    kinds = tf.nn.bias_add(tf.nn.conv2d(features, taps, 1, "SAME"), tf.tile(bias, [4]))
    # The two kinds of a row lie beside each other already.
    rows = tf.transpose(tf.reshape(kinds, (-1, height, width, 2, 2 * filters)), (0, 1, 3, 2, 4))
    pixels = tf.reshape(rows, (-1, 2 * height, 2 * width, filters))

    def gradient(upstream):
        # The gradients of the one operation are fast.
        of_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=upstream,
            filter_sizes=kernel.shape,
            out_backprop=features,
            strides=(1, 2, 2, 1),
            padding="SAME",
        )
        of_bias = tf.raw_ops.BiasAddGrad(out_backprop=upstream)
        return tf.nn.conv2d(upstream, kernel, 2, "SAME"), of_kernel, of_bias

    return pixels, gradient
