"""Checks that run inside the graph, so that a wrong input is refused and never decoded.

The result of a check can be used only once the check has passed. A failed check is
TensorFlow's `InvalidArgumentError`, wherever the graph runs.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# Resampling may overshoot by this much; values further outside must have another scale.
_TOLERANCE = 0.01


def checked(values: Any, condition: tf.Tensor, *message: str | tf.Tensor) -> Any:
    """Returns a tensor, or a dict of tensors, once `condition` holds; fails with `message`."""
    assertion = tf.debugging.Assert(condition, list(message))
    # Eagerly, the assertion has passed already and is None.
    with tf.control_dependencies([] if assertion is None else [assertion]):
        return tf.nest.map_structure(tf.identity, values)


def images(image: tf.Tensor, name: str) -> tf.Tensor:
    """Returns images, clipped to [0, 1]; fails on values not finite or over 0.01 outside."""
    image = rows(image, name)
    inside = tf.logical_and(image >= -_TOLERANCE, image <= 1 + _TOLERANCE)
    image = checked(
        image,
        tf.reduce_all(inside),
        f"{name} must hold finite values in [0, 1] (divide 8-bit pixels by 255); "
        "its smallest and largest are",
        tf.reduce_min(image),
        tf.reduce_max(image),
    )
    return tf.clip_by_value(image, 0.0, 1.0)


def numbers(values: tf.Tensor, name: str) -> tf.Tensor:
    """Returns the rows of numbers; fails on values that are not finite."""
    values = rows(values, name)
    is_finite = tf.reduce_all(tf.math.is_finite(values))
    return checked(values, is_finite, f"{name} holds a value that is not finite.")


def not_negative(values: tf.Tensor, name: str) -> tf.Tensor:
    """Returns the numbers; fails where one lies below zero."""
    message = f"{name} must not be negative; it is"
    return checked(values, tf.reduce_all(values >= 0.0), message, tf.reduce_min(values))


def shares(values: tf.Tensor, name: str) -> tf.Tensor:
    """Returns the numbers; fails where one lies outside [0, 1]."""
    return checked(
        values,
        tf.reduce_all(tf.logical_and(values >= 0.0, values <= 1.0)),
        f"{name} must lie in [0, 1]; its smallest and largest are",
        tf.reduce_min(values),
        tf.reduce_max(values),
    )


def position(words: tf.Tensor, vocabulary: tuple[str, ...], name: str) -> tf.Tensor:
    """Returns the places, int32 [n], of words in the vocabulary; fails on an unknown word."""
    matches = tf.equal(words[:, None], tf.constant(vocabulary))
    is_known = tf.reduce_any(matches, axis=1)
    first_unknown = words[tf.argmax(tf.cast(~is_known, tf.int32))]
    hint = f". Known: {', '.join(vocabulary)}."
    matches = checked(matches, tf.reduce_all(is_known), f"Not a known {name}:", first_unknown, hint)
    return tf.argmax(tf.cast(matches, tf.int32), axis=1, output_type=tf.int32)


def rows(values: tf.Tensor, name: str) -> tf.Tensor:
    """Returns the values; fails if they have no row, for which convolutions give wrong shapes."""
    return checked(values, tf.shape(values)[0] > 0, f"{name} has no row; give at least one.")


def same_rows(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the inputs; fails unless all have the same number of rows."""
    counts = tf.stack([tf.shape(values)[0] for values in inputs.values()])
    message = f"{', '.join(inputs)} must have the same number of rows; they have"
    return checked(inputs, tf.reduce_all(counts == counts[0]), message, counts)
