"""The network of `classifier`: how a data set's labels become its outputs, and its training."""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.evaluation.feature_models import FEATURES

FEATURE_COUNT = 128

_LEARNING_RATE = 2e-3
_FIRST_CHANNELS, _MOST_CHANNELS = 32, 256
_SMALLEST_SIDE = 4
_DROPPED = 0.2


@dataclasses.dataclass(frozen=True)
class Label:
    """What the classifier tells of an image.

    Attributes:
      name: the label's name in the data set.
      kind: "class", "attribute" (yes or no) or "factor" (a number).
      class_names: of a class.
      mean, deviation: of a factor, over the training images.
    """

    name: str
    kind: str
    class_names: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def units(self):
        """How many outputs of the network it takes."""
        return len(self.class_names) or 1

    def targets(self, values):
        """Labels [n] as the loss takes them: float32 class ids, 0 and 1, or standardised factors.

        NaN is no label; so are class ids below zero, which some data sets have for hidden ones.
        """
        targets = np.asarray(values, np.float32)
        known = (targets >= 0) if self.kind == "class" else np.isfinite(targets)
        standardised = (targets - np.float32(self.mean)) / np.float32(self.deviation)
        return np.where(known, standardised, np.float32(np.nan))


def find_labels(split):
    """The labels of a training split: whole numbers are classes, bools attributes, floats factors.

    Args:
      split: a `pipeline.Split`.

    Returns:
      A list of `Label`s.

    Raises:
      InputError: if there is none.
    """
    labels = []
    for name, values in split.labels.items():
        if values.dtype.kind == "b":
            labels.append(Label(name, "attribute"))
        elif values.dtype.kind in "iu":
            labels.append(Label(name, "class", tuple(split.class_names[name])))
        elif (known := values[np.isfinite(values)].astype(np.float64)).size:
            # A factor that does not vary is left at its mean.
            deviation = float(known.std()) or 1.0
            labels.append(Label(name, "factor", (), float(known.mean()), deviation))
    if not labels:
        raise InputError(
            "The data set has no labels to learn. An image folder has those of its sub-folders, "
            "or of --labels=FILE.csv."
        )
    return labels


def build(image_shape, labels):
    """The network, and the model made of it.

    Args:
      image_shape: height, width, channels.
      labels: `Label`s.

    Returns:
      Two functional Keras models with the same weights, which take images [n, *image_shape] in
      [0, 1]: for training one that gives logits and standardised factors, [n, units of all labels];
      and one that gives a dict by label name of class probabilities [n, k], an attribute's
      probability [n] or a factor's value [n]. The layer named "features" has 128 units.
    """
    image = keras.Input(image_shape, name="image")
    features, side, channels = image, min(image_shape[:2]), _FIRST_CHANNELS
    while side > _SMALLEST_SIDE:
        features = _convolution(features, channels, 2)
        side, channels = (side + 1) // 2, min(2 * channels, _MOST_CHANNELS)
    features = keras.layers.Flatten()(features)
    features = keras.layers.Dropout(_DROPPED)(features)
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


def fit(network, labels, split, flip, steps, batch_size, seed):
    """Trains, and prints how it goes.

    Args:
      network: the first model of `build`.
      labels: `Label`s.
      split: a `pipeline.Split` with its images.
      flip: True mirrors half of the images, left to right.
      steps: optimizer steps.
      batch_size: images a step, at most the split's.
      seed: of the images' order and their mirroring.
    """
    targets = np.stack([label.targets(split.labels[label.name]) for label in labels], axis=1)
    batches = _batches(split.images, targets, flip, steps, batch_size, seed)
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    network.compile(
        keras.optimizers.Adam(rate), lambda y_true, y_pred: _loss(labels, y_true, y_pred)
    )
    progress = Progress(steps, "steps", batch_size)
    tell = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: progress.update(
            batch + 1, f"loss {logs['loss']:.4f}"
        )
    )
    network.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[tell])
    progress.close()


def _convolution(features, channels, stride):
    features = keras.layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)(features)
    return _activated(features)


def _activated(features, name=None):
    # Training is a thousand steps: averages over the last hundred would lag behind the weights.
    features = keras.layers.BatchNormalization(momentum=0.9)(features)
    return keras.layers.ReLU(name=name)(features)


def _loss(labels, targets, raw):
    """Mean over labels of cross entropy or squared error, each over the images that have it."""
    total, start = 0.0, 0
    for number, label in enumerate(labels):
        target = targets[:, number]
        known = ops.isfinite(target)
        target = ops.where(known, target, 0.0)
        mine = raw[:, start : start + label.units]
        start += label.units
        if label.kind == "class":
            target = ops.cast(target, "int32")
            errors = ops.sparse_categorical_crossentropy(target, mine, from_logits=True)
        elif label.kind == "attribute":
            errors = ops.binary_crossentropy(target, mine[:, 0], from_logits=True)
        else:
            errors = ops.square(mine[:, 0] - target)
        known = ops.cast(known, errors.dtype)
        total += ops.sum(errors * known) / ops.maximum(ops.sum(known), 1.0)
    return total / len(labels)


def _batches(images, targets, flip, steps, batch_size, seed):
    """A tf.data.Dataset of `steps` batches, each a function of `seed` and its step alone."""
    an_epoch = len(images) // batch_size
    shuffled = functools.lru_cache(maxsize=2)(
        lambda epoch: np.random.default_rng([seed, epoch]).permutation(len(images))
    )

    def batch(step):
        epoch, place = divmod(int(step), an_epoch)
        rows = shuffled(epoch)[place * batch_size : (place + 1) * batch_size]
        chosen = np.asarray(images[rows], np.float32) / np.float32(255)
        if flip:
            mirrored = np.random.default_rng([seed, epoch, place]).random(batch_size) < 0.5
            chosen[mirrored] = chosen[mirrored, :, ::-1]
        return chosen, targets[rows]

    def to_tensors(step):
        chosen, wanted = tf.numpy_function(batch, [step], (tf.float32, tf.float32), False)
        return (
            tf.ensure_shape(chosen, [batch_size, *images.shape[1:]]),
            tf.ensure_shape(wanted, [batch_size, targets.shape[1]]),
        )

    options = tf.data.Options()
    # There is nothing to tune, and the end of training waited for the tuning thread, up to 40 s.
    options.autotune.enabled = False
    return tf.data.Dataset.range(steps).map(to_tensors).prefetch(2).with_options(options)
