"""Checks that run inside the graph.

A wrong value concerns its row alone: a check says which rows are wrong and why, a *fault*, and the
rows of the outputs are made empty. A wrong shape fails the request, with TensorFlow's
`InvalidArgumentError` wherever the graph runs. Messages are ASCII.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

# Resampling may overshoot by this much; values further outside must have another scale.
_TOLERANCE = 0.01
# The most bytes of a user's text, and the most letters of a list, that a message has.
_QUOTED, _LISTED = 30, 300

Fault = tuple[tf.Tensor, "str | Callable[[], tf.Tensor]"]
"""Which rows are wrong, bool [n], and what to say of them: one text, or what makes strings [n]."""


def shaped(
    inputs: dict[str, tf.Tensor], specifications: Sequence[tf.TensorSpec]
) -> dict[str, tf.Tensor]:
    """Returns the inputs; fails unless all have their shapes and as many rows, one at least."""
    result = {
        spec.name: tf.ensure_shape(inputs[spec.name], spec.shape, name=spec.name)
        for spec in specifications
    }
    counts = tf.stack([tf.shape(values)[0] for values in result.values()])
    names = ", ".join(result)
    assertions = [
        tf.debugging.Assert(counts[0] > 0, [f"{names}: there is no row; give at least one."]),
        tf.debugging.Assert(
            tf.reduce_all(counts == counts[0]),
            [f"{names} must have the same number of rows; they have", counts],
        ),
    ]
    # Eagerly, an assertion has passed already and is None.
    with tf.control_dependencies([one for one in assertions if one is not None]):
        return {name: tf.identity(values) for name, values in result.items()}


def images(image: tf.Tensor, name: str) -> Fault:
    """Images that hold values which are not finite or over 0.01 outside [0, 1]."""
    inside = tf.logical_and(image >= -_TOLERANCE, image <= 1 + _TOLERANCE)
    message = f"{name} must hold finite values in [0, 1] (divide 8-bit pixels by 255)."
    return tf.logical_not(tf.reduce_all(inside, axis=[1, 2, 3])), message


def numbers(values: tf.Tensor, name: str) -> Fault:
    """Rows of numbers that are not all finite."""
    is_finite = tf.math.is_finite(values)
    is_finite = tf.reduce_all(is_finite, axis=list(range(1, values.shape.rank)))
    return tf.logical_not(is_finite), f"{name} holds a value that is not finite."


def negative(values: tf.Tensor, name: str) -> Fault:
    """Numbers below zero."""
    return values < 0.0, f"{name} must not be negative."


def no_shares(values: tf.Tensor, name: str) -> Fault:
    """Numbers outside [0, 1]."""
    return tf.logical_or(values < 0.0, values > 1.0), f"{name} must lie in [0, 1]."


def unknown(words: tf.Tensor, vocabulary: Sequence[str], name: str) -> Fault:
    """Words that are not in the vocabulary."""
    known = tf.reduce_any(tf.equal(words[:, None], tf.constant(vocabulary)), axis=1)
    listed = ", ".join(vocabulary).encode("ascii", "backslashreplace").decode()
    if len(listed) > _LISTED:
        listed = listed[:_LISTED] + " ..., see the manifest"
    return ~known, lambda: f"{name} " + quoted(words) + f" is not known. Known: {listed}."


def outputs(values: dict[str, tf.Tensor]) -> Fault:
    """Rows of floating-point outputs that are not all finite."""
    # The sum of a row is finite where all its values are: they are of a picture's or a code's size.
    sums = [tf.reduce_sum(each, axis=list(range(1, each.shape.rank))) for each in values.values()]
    message = "The result is not finite: the numbers that were given are too large."
    return tf.logical_not(tf.math.is_finite(tf.add_n(sums))), message


def first_of(*faults: Fault) -> tf.Tensor:
    """The message of each row's first fault, string [n]; empty for rows without any."""
    wrong = tf.stack([is_wrong for is_wrong, _ in faults])

    def messages():
        result = tf.constant("")
        for is_wrong, message in reversed(faults):
            result = tf.where(is_wrong, message() if callable(message) else message, result)
        return result

    # Most requests have no wrong row, and words take time.
    return tf.cond(tf.reduce_any(wrong), messages, lambda: tf.fill(tf.shape(wrong)[1:], ""))


def without(rows: tf.Tensor, values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The values, with NaN or the empty string in the rows that bool [n] names."""

    def emptied():
        return {
            name: tf.where(
                tf.reshape(rows, [-1] + [1] * (each.shape.rank - 1)),
                "" if each.dtype == tf.string else tf.constant(math.nan, each.dtype),
                each,
            )
            for name, each in values.items()
        }

    # Most requests have no such row, and a copy of all pictures takes time.
    return tf.cond(tf.reduce_any(rows), emptied, lambda: dict(values))


def quoted(text: tf.Tensor) -> tf.Tensor:
    """The first bytes of a user's text, of whatever kind, for a message: in base64url."""
    return '"' + tf.io.encode_base64(tf.strings.substr(text, 0, _QUOTED)) + '" (base64url)'
