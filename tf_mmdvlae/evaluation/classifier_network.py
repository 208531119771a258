"""The network of `classifier`: how a data set's labels become its outputs, and its training."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.data.labels import has_value, kind_of
from tf_mmdvlae.evaluation.features import FEATURES, ImageShape

if TYPE_CHECKING:
    from tf_mmdvlae.data.pipeline import Split

FEATURE_COUNT = 128

_LEARNING_RATE = 2e-3
_FIRST_CHANNELS, _MOST_CHANNELS = 32, 256
_SMALLEST_SIDE = 4
_DROPOUT = 0.2


@dataclasses.dataclass(frozen=True)
class Label:
    """One label that the classifier predicts: a "class", an "attribute" (yes or no) or a "factor".

    A class has `class_names`; a factor, which is a number, has its mean and deviation over the
    training images.
    """

    name: str
    kind: str
    class_names: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def units(self) -> int:
        """How many outputs of the network the label takes."""
        return len(self.class_names) or 1

    def targets(self, values: np.ndarray) -> np.ndarray:
        """Labels [n] as the loss takes them: float32 class ids, 0 and 1, or standardised factors.

        NaN stands for a missing label.
        """
        targets = np.asarray(values, np.float32)
        labelled = has_value(np.asarray(values))
        standardised = (targets - np.float32(self.mean)) / np.float32(self.deviation)
        return np.where(labelled, standardised, np.float32(np.nan))


def find_labels(split: Split) -> list[Label]:
    """The labels of a training split, of the kinds that `data.labels` tells apart.

    A split without labels is an `InputError`.
    """
    labels = []
    for name, values in split.labels.items():
        if kind_of(values) == "attribute":
            labels.append(Label(name, "attribute"))
        elif kind_of(values) == "class":
            labels.append(Label(name, "class", tuple(split.class_names[name])))
        elif (numbers := values[np.isfinite(values)].astype(np.float64)).size:
            # A factor that does not vary stays at its mean.
            deviation = float(numbers.std()) or 1.0
            labels.append(Label(name, "factor", (), float(numbers.mean()), deviation))
    if not labels:
        raise InputError(
            "The data set has no labels to learn. An image folder has those of its sub-folders, "
            "or of --labels=FILE.csv."
        )
    return labels


def build(image_shape: ImageShape, labels: Sequence[Label]) -> tuple[keras.Model, keras.Model]:
    """Builds two functional Keras models of images [n, *image_shape] in [0, 1], on one network.

    The first, for training, gives logits and standardised factors, [n, units of all labels]. The
    second gives what `Classifier.predict` does. Their layer named "features" has 128 units.
    """
    image = keras.Input(image_shape, name="image")
    features = image
    for _, _, channels in _shapes(image_shape):
        features = keras.layers.Conv2D(channels, 3, 2, padding="same", use_bias=False)(features)
        features = _activated(features)
    features = keras.layers.Flatten()(features)
    features = keras.layers.Dropout(_DROPOUT)(features)
    features = keras.layers.Dense(FEATURE_COUNT, use_bias=False)(features)
    features = _activated(features, FEATURES)
    raw = keras.layers.Dense(sum(label.units for label in labels), name="labels")(features)
    outputs, start = {}, 0
    for label in labels:
        if label.kind == "class":
            outputs[label.name] = ops.softmax(raw[:, start : start + label.units])
        elif label.kind == "attribute":
            outputs[label.name] = ops.sigmoid(raw[:, start])
        else:
            rescale = keras.layers.Rescaling(label.deviation, label.mean)
            outputs[label.name] = rescale(raw[:, start])
        start += label.units
    return keras.Model(image, raw), keras.Model(image, outputs, name="classifier")


def _shapes(image_shape):
    """Height, width and channels after each convolution."""
    shapes, (height, width, _), channels = [], image_shape, _FIRST_CHANNELS
    while min(height, width) > _SMALLEST_SIDE:
        height, width = (height + 1) // 2, (width + 1) // 2
        shapes.append((height, width, channels))
        channels = min(2 * channels, _MOST_CHANNELS)
    return shapes


def least_memory(image_shape: ImageShape, batch_size: int) -> int:
    """Bytes that training takes at least: the widest weights fourfold, images and features."""
    shapes = [image_shape, *_shapes(image_shape)]
    features = sum(map(math.prod, shapes))
    return 4 * (4 * math.prod(shapes[-1]) * FEATURE_COUNT + batch_size * features)


def fit(
    network: keras.Model,
    labels: Sequence[Label],
    split: Split,
    flip: bool,
    steps: int,
    batch_size: int,
    seed: int,
) -> None:
    """Trains the first model of `build` and prints its progress.

    `flip` mirrors half of the images, left to right; `seed` is of their order and mirroring. The
    split's images are in memory or on disk, and are at least `batch_size`.
    """
    assert split.images is not None
    targets = np.stack([label.targets(split.labels[label.name]) for label in labels], axis=1)
    data = batches(split.images, targets, flip, steps, batch_size, seed)
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    network.compile(keras.optimizers.Adam(rate), functools.partial(loss, labels))
    progress = Progress(steps, "steps", batch_size)

    def report(batch, logs):
        progress.update(batch + 1, f"loss {logs['loss']:.4f}")

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=report)
    network.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[callback])
    progress.close()


def loss(labels: Sequence[Label], targets: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
    """Mean over labels of cross entropy or squared error, each over the images that have it.

    `targets` [n, labels] has `Label.targets` of each label, and `raw` [n, units of all labels] is
    what the network gives.
    """
    total, start = 0.0, 0
    for number, label in enumerate(labels):
        target = targets[:, number]
        labelled = ops.isfinite(target)
        target = ops.where(labelled, target, 0.0)
        outputs = raw[:, start : start + label.units]
        start += label.units
        if label.kind == "class":
            target = ops.cast(target, "int32")
            errors = ops.sparse_categorical_crossentropy(target, outputs, from_logits=True)
        elif label.kind == "attribute":
            errors = ops.binary_crossentropy(target, outputs[:, 0], from_logits=True)
        else:
            errors = ops.square(outputs[:, 0] - target)
        labelled = ops.cast(labelled, errors.dtype)
        total += ops.sum(errors * labelled) / ops.maximum(ops.sum(labelled), 1.0)
    return total / len(labels)


def batches(
    images: np.ndarray, targets: np.ndarray, flip: bool, steps: int, batch_size: int, seed: int
) -> tf.data.Dataset:
    """Training batches, each a function of `seed` and its step alone.

    An epoch holds every image at most once; the images that do not fill a batch are left out. Each
    of `steps` batches holds images in [0, 1], of uint8 [n, height, width, channels], and their
    `targets`, of float32 [n, labels].
    """
    batches_per_epoch = len(images) // batch_size
    order = functools.lru_cache(maxsize=2)(
        lambda epoch: np.random.default_rng([seed, epoch]).permutation(len(images))
    )

    def batch(step):
        epoch, place = divmod(int(step), batches_per_epoch)
        rows = order(epoch)[place * batch_size : (place + 1) * batch_size]
        floats = np.asarray(images[rows], np.float32) / np.float32(255)
        if flip:
            mirrored = np.random.default_rng([seed, epoch, place]).random(batch_size) < 0.5
            floats[mirrored] = floats[mirrored, :, ::-1]
        return floats, targets[rows]

    def to_tensors(step):
        floats, labels = tf.numpy_function(batch, [step], (tf.float32, tf.float32), False)
        floats = tf.ensure_shape(floats, [batch_size, *images.shape[1:]])
        return floats, tf.ensure_shape(labels, [batch_size, targets.shape[1]])

    options = tf.data.Options()
    # There is nothing to tune, and training waited up to 40 s for the tuning thread at its end.
    options.autotune.enabled = False
    return tf.data.Dataset.range(steps).map(to_tensors).prefetch(2).with_options(options)


def _activated(features, name=None):
    # In a thousand steps of training, averages over the last hundred would lag behind the weights.
    features = keras.layers.BatchNormalization(momentum=0.9)(features)
    return keras.layers.ReLU(name=name)(features)
