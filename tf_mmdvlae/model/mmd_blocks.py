"""Sums of kernel values over all pairs of rows, block by block: memory linear in the rows.

The gradient is computed together with the values, so that no block stays in memory for a backward
pass and no kernel value is computed twice. With k(x, y) = f(|x - y|^2),

    d/dx_i sum_j f(|x_i - y_j|^2) = 2 (x_i sum_j f'_ij - sum_j f'_ij y_j)

It works eagerly, in a `tf.function` and compiled by XLA, and calls TensorFlow by name: `keras.ops`
has neither gradient tapes nor arrays that a loop writes block by block.

Samples are tensors [n, d] and [m, d], n and m >= 1; `kernel` is a `tf_mmdvlae.model.mmd.Kernel`, or
what has its `values_and_slopes`. A sum is a float64 scalar with gradients with respect to its
samples and no second derivative. The samples' own gradient is stopped first: under two gradient
tapes a loop or `tf.cond` would keep all that it computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# The most rows of a block: its tables of pairs nearly fit a processor's cache, and fill a GPU.
LARGEST_BLOCK = 1024
# With fewer blocks the symmetry of k would save little.
FEWEST_BLOCKS = 4


def sum_within(kernel: Any, x: tf.Tensor) -> tf.Tensor:
    """The sum of k(x_i, x_j) over all i and j, pairs of a row with itself included.

    k(x_i, x_j) = k(x_j, x_i) is computed once.
    """

    @tf.custom_gradient
    def summed(x):
        x = tf.stop_gradient(x)
        blocks = _blocks(x)
        total, above, below = _walk(kernel, blocks, blocks, symmetric=True)
        slope = _slope(x, above + below)
        total = _without_padding(total, blocks, x, blocks, x)
        return total, lambda upstream: _times(upstream, slope)

    return summed(tf.convert_to_tensor(x))


def sum_between(kernel: Any, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The sum of k(x_i, y_j) over all i and j."""

    @tf.custom_gradient
    def summed(x, y):
        x, y = tf.stop_gradient(x), tf.stop_gradient(y)
        rows, columns = _blocks(x), _blocks(y)
        total, of_rows, of_columns = _walk(kernel, rows, columns, symmetric=False)
        slopes = _slope(x, of_rows), _slope(y, of_columns)
        total = _without_padding(total, rows, x, columns, y)
        return total, lambda upstream: tuple(_times(upstream, slope) for slope in slopes)

    return summed(tf.convert_to_tensor(x), tf.convert_to_tensor(y))


def by_size(
    rows: tf.Tensor,
    limit: int,
    few: Callable[..., tf.Tensor],
    many: Callable[..., tf.Tensor],
    *samples: tf.Tensor,
) -> tf.Tensor:
    """`few(*samples)` up to `limit` rows, `many(*samples)` above, decided as it runs.

    Both functions give a scalar, which has a gradient with respect to the samples alone.
    """

    def with_slopes(function, samples):
        with tf.GradientTape() as tape:
            tape.watch(samples)
            value = function(*samples)
        return value, *tape.gradient(value, samples)

    # The gradient of `tf.cond` would keep what both functions hold, and warns where that differs.
    @tf.custom_gradient
    def branch(*samples):
        samples = [tf.stop_gradient(sample) for sample in samples]
        value, *slopes = tf.cond(
            rows <= limit, lambda: with_slopes(few, samples), lambda: with_slopes(many, samples)
        )
        return value, lambda upstream: tuple(_times(upstream, slope) for slope in slopes)

    return branch(*map(tf.convert_to_tensor, samples))


def _blocks(x):
    """[n, d] -> [blocks, rows, d + 2]: each row x with 1 and |x|^2 after it, padded with zeros."""
    x = tf.cast(x, tf.float64)
    norms = tf.reduce_sum(tf.square(x), axis=1, keepdims=True)
    widened = tf.concat([x, tf.ones_like(norms), norms], axis=1)
    count = tf.shape(x)[0]
    blocks = tf.maximum((count + LARGEST_BLOCK - 1) // LARGEST_BLOCK, FEWEST_BLOCKS)
    # Blocks of one size, so that the padding is less than one row per block.
    rows = (count + blocks - 1) // blocks
    padded = tf.pad(widened, [[0, blocks * rows - count], [0, 0]])
    return tf.reshape(padded, [blocks, rows, widened.shape[1]])


def _walk(kernel, rows, columns, symmetric):
    """Sums over all pairs of blocks: of k, of f' times each column, of f' times each row."""
    last = tf.shape(columns)[0]

    def visit(i, j, total, of_rows, of_columns):
        row, column = rows[i], columns[j]
        values, slopes = kernel.values_and_slopes(_squared_distances(row, column))
        share = tf.where(tf.equal(i, j), 1.0, 2.0) if symmetric else 1.0
        share = tf.cast(share, tf.float64)
        slopes = tf.cast(slopes, tf.float64)
        total += share * tf.cast(tf.reduce_sum(values), tf.float64)
        pulls = share * tf.matmul(slopes, column)
        of_rows = of_rows.write(i, of_rows.read(i) + pulls)
        pulls = share * tf.matmul(slopes, row, transpose_a=True)
        of_columns = of_columns.write(j, of_columns.read(j) + pulls)
        ends = tf.equal(j + 1, last)
        i += tf.cast(ends, tf.int32)
        j = tf.where(ends, i if symmetric else 0, j + 1)
        return i, j, total, of_rows, of_columns

    _, _, total, of_rows, of_columns = tf.while_loop(
        lambda i, *_: i < tf.shape(rows)[0],
        visit,
        (0, 0, tf.constant(0.0, tf.float64), _zeros(rows), _zeros(columns)),
        # Blocks computed ahead would each take memory of their own.
        parallel_iterations=1,
    )
    return total, of_rows.stack(), of_columns.stack()


def _zeros(blocks):
    sums = tf.TensorArray(
        tf.float64, tf.shape(blocks)[0], element_shape=blocks.shape[1:], clear_after_read=False
    )
    return sums.unstack(tf.zeros_like(blocks))


def _squared_distances(row, column):
    """All of a block's |x|^2 - 2 x.y + |y|^2 by one product, in float64 as the dense form's."""
    x, ones, norms = row[:, :-2], row[:, -2:-1], row[:, -1:]
    distances = tf.matmul(tf.concat([-2.0 * x, norms, ones], axis=1), column, transpose_b=True)
    return tf.maximum(tf.cast(distances, tf.float32), 0.0)


def _without_padding(total, rows, x, columns, y):
    """Takes away what padding added: its distances are 0, its kernel values 1."""
    padded = _rows(rows) * tf.cast(tf.shape(rows)[1], tf.float64)
    padded *= _rows(columns) * tf.cast(tf.shape(columns)[1], tf.float64)
    return total - (padded - _rows(x) * _rows(y))


def _rows(tensor):
    return tf.cast(tf.shape(tensor)[0], tf.float64)


def _slope(x, sums):
    """The gradient of the sums over pairs with respect to `x`."""
    sums = tf.reshape(sums, [-1, sums.shape[-1]])[: tf.shape(x)[0]]
    return tf.cast(2.0 * (sums[:, -2:-1] * tf.cast(x, tf.float64) - sums[:, :-2]), x.dtype)


def _times(upstream, slope):
    return tf.cast(upstream, slope.dtype) * slope
