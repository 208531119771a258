"""Checks that run inside the graph: what is wrong with an input is said, never decoded.

Each returns its input, usable only after the check has passed. A failed one is TensorFlow's
`InvalidArgumentError`, wherever the graph runs.
"""

import tensorflow as tf

# What resampling may overshoot by; further out, the scale must be another one.
_TOLERANCE = 0.01


def images(image, name):
    """Images must be rows of finite values in [0, 1]; within 0.01 outside it they are clipped."""
    image = rows(image, name)
    inside = tf.logical_and(image >= -_TOLERANCE, image <= 1 + _TOLERANCE)
    asserted = tf.debugging.Assert(
        tf.reduce_all(inside),
        [
            f"{name} must hold finite values in [0, 1] (divide 8-bit pixels by 255); "
            "its smallest and largest are",
            tf.reduce_min(image),
            tf.reduce_max(image),
        ],
    )
    with _after(asserted):
        return tf.clip_by_value(image, 0.0, 1.0)


def numbers(values, name):
    """Numbers must be rows of finite values."""
    values = rows(values, name)
    finite = tf.reduce_all(tf.math.is_finite(values))
    with _after(tf.debugging.Assert(finite, [f"{name} holds a value that is not finite."])):
        return tf.identity(values)


def not_negative(values, name):
    """Numbers must not lie below zero."""
    asserted = tf.debugging.Assert(
        tf.reduce_all(values >= 0.0),
        [f"{name} must not be negative; it is", tf.reduce_min(values)],
    )
    with _after(asserted):
        return tf.identity(values)


def position(words, known, name):
    """Words, string [n], must be among `known`; returns where, int32 [n]."""
    matches = tf.equal(words[:, None], tf.constant(known))
    found = tf.reduce_any(matches, axis=1)
    asserted = tf.debugging.Assert(
        tf.reduce_all(found),
        [f"Not a known {name}:", words[_first(~found)], f". Known: {', '.join(known)}."],
    )
    with _after(asserted):
        return tf.argmax(tf.cast(matches, tf.int32), axis=1, output_type=tf.int32)


def rows(values, name):
    """There must be at least one row: convolutions give wrong shapes for none."""
    asserted = tf.debugging.Assert(
        tf.shape(values)[0] > 0, [f"{name} has no row; give at least one."]
    )
    with _after(asserted):
        return tf.identity(values)


def same_rows(inputs):
    """All inputs, a dict, must have the same number of rows."""
    names = list(inputs)
    counts = tf.stack([tf.shape(values)[0] for values in inputs.values()])
    asserted = tf.debugging.Assert(
        tf.reduce_all(counts == counts[0]),
        [f"{', '.join(names)} must have the same number of rows; they have", counts],
    )
    with _after(asserted):
        return {name: tf.identity(values) for name, values in inputs.items()}


def _first(condition):
    return tf.argmax(tf.cast(condition, tf.int32))


def _after(asserted):
    # Eagerly an assertion has raised already and is None.
    return tf.control_dependencies([] if asserted is None else [asserted])
