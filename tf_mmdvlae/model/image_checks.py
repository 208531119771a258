"""What images a model takes: [n, height, width, channels], floats, finite values in [0, 1].

Keras compiles training steps by XLA, which drops every check inside them, so images are checked on
their way in.
"""

from __future__ import annotations

import contextlib
import re
import types
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError

# Resampling may overshoot by this much; values further outside must have another scale.
_TOLERANCE = 0.01
_ROWS = 1024
_REASON = (
    "Images must hold finite values in [0, 1] (divide 8-bit pixels by 255); their smallest and "
    "largest are"
)


def check_format(images: Any, image_shape: Sequence[int]) -> None:
    """Raises an InputError for images (array or tensor) of another shape or of whole numbers."""
    shape, expected = tuple(images.shape), tuple(image_shape)
    if shape[1:] != expected:
        raise InputError(
            f"Images have shape {shape}, the batch included; this model was made for {expected}."
        )
    if not tf.as_dtype(images.dtype).is_floating:
        name = tf.as_dtype(images.dtype).name
        raise InputError(f"Images are {name}; give float32 in [0, 1] ({name} images / 255).")


def check_range(images: Any) -> None:
    """Raises an InputError for an array or eager tensor with a value outside [0, 1], or NaN.

    Tensors of a graph are not known yet, and pass; so do whole numbers, see `check_format`.
    """
    if tf.is_symbolic_tensor(images) or not isinstance(images, np.ndarray | tf.Tensor):
        return
    if not tf.as_dtype(images.dtype).is_floating:
        return
    for start in range(0, len(images), _ROWS):
        rows = np.asarray(images[start : start + _ROWS])
        low, high = rows.min(initial=0.0), rows.max(initial=0.0)
        # NaN is neither.
        if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
            raise InputError(f"{_REASON} {rows.min():.4g} and {rows.max():.4g}.")


def checked(data: Any) -> Any:
    """Data as `fit`, `evaluate` and `predict` take them, in which the range of images is checked.

    Arrays and tensors are checked here, an InputError; the batches of a `tf.data.Dataset` and of a
    generator as they come (see `refusals`), and so are those of a `PyDataset`. Other kinds of input
    pass as they are.
    """
    if isinstance(data, tf.data.Dataset):
        parts = data.element_spec
        images = parts[0] if isinstance(parts, tuple) else parts
        if not isinstance(images, tf.TensorSpec):
            kind = type(images).__name__
            raise InputError(f"A batch is a {kind}; map it to images, or to images and labels.")
        batches = data.map(_checked_batch, tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(tf.data.AUTOTUNE)
    if isinstance(data, types.GeneratorType):
        return _checked_batches(data)
    if isinstance(data, keras.utils.PyDataset):
        return _CheckedDataset(data)
    check_range(data)
    return data


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turns TensorFlow's error about a batch that `checked` refused into an InputError."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(rf"\[{re.escape(_REASON)}\] \[(\S+)\] \[(\S+)\]", str(error.message))
        if not found:
            raise
        raise InputError(f"{_REASON} {found[1]} and {found[2]}.") from None


def _checked_batch(*batch):
    images = batch[0]
    if images.dtype.is_floating:
        low, high = tf.reduce_min(images), tf.reduce_max(images)
        # NaN is neither.
        is_inside = tf.logical_and(low >= -_TOLERANCE, high <= 1 + _TOLERANCE)
        with tf.control_dependencies([tf.debugging.Assert(is_inside, [_REASON, low, high])]):
            images = tf.identity(images)
    return (images, *batch[1:]) if len(batch) > 1 else images


def _checked_batches(batches):
    for batch in batches:
        yield _passed(batch)


class _CheckedDataset(keras.utils.PyDataset):
    """A `PyDataset` whose batches are checked as they come, in its workers."""

    def __init__(self, data):
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self._data = data

    def __getitem__(self, index):
        return _passed(self._data[index])

    @property
    def num_batches(self):
        return self._data.num_batches

    def on_epoch_begin(self):
        self._data.on_epoch_begin()

    def on_epoch_end(self):
        self._data.on_epoch_end()


def _passed(batch):
    check_range(batch[0] if isinstance(batch, tuple | list) else batch)
    return batch
