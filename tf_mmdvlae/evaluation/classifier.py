"""A small image classifier trained on a data set's labels: a feature space, and a judge of images.

The classifier only judges the autoencoders: it is trained on the labels, they are not.
"""

from __future__ import annotations

import dataclasses
import pathlib
import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import (
    expanded,
    replacing_folder,
    require_folder,
    require_space,
    write_json,
)
from tf_mmdvlae.common.memory import available_memory
from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.config.memory import require_bytes
from tf_mmdvlae.config.settings import TrainConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.data.labels import has_value
from tf_mmdvlae.evaluation.classifier_network import (
    FEATURE_COUNT,
    build,
    find_labels,
    fit,
    least_memory,
)
from tf_mmdvlae.evaluation.features import (
    DETAILS_FILE,
    MODEL_FILE,
    ImageShape,
    keras_features,
    on_images,
    read_details,
    read_keras_model,
)
from tf_mmdvlae.metrics.estimates import Estimate, unknown
from tf_mmdvlae.metrics.label_scores import SCORES
from tf_mmdvlae.model.functions import BATCH, joined

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig


class Classifier:
    """A trained classifier, as functions on images [n, *image_shape] in [0, 1], for any n.

    Images of another shape are an `InputError`.

    Args:
      model: a Keras model from images to a dict of predictions by label.
      details: the contents of `classifier.json`.
      name: the folder of the classifier.
    """

    def __init__(
        self, model: keras.Model, details: dict[str, Any], name: pathlib.Path | str
    ) -> None:
        self.name = str(name)
        self.details = details
        self.image_shape: ImageShape = tuple(model.inputs[0].shape[1:])
        self._predict = tf.function(lambda images: model(images, training=False))
        self._features = keras_features(model, name)

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Reads the labels off images.

        Each label has the classes' probabilities [n, k], an attribute's probability [n], or a
        factor's value [n] in its own unit; float32.
        """
        return on_images(self._predict, images, self.image_shape)

    def features(self, images: np.ndarray) -> np.ndarray:
        """The layer before the labels, float32 [n, 128]."""
        return on_images(self._features, images, self.image_shape)

    def predict_directions(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Probabilities [n] by the names of directions, for edits along them.

        An attribute has its own name, and each class of a label the name "<label>=<class>".
        """
        probabilities = {}
        for name, values in self.predict(images).items():
            label = self.details["labels"][name]
            if label["kind"] == "attribute":
                probabilities[name] = values
            elif label["kind"] == "class":
                for one, column in zip(label["class_names"], values.T, strict=True):
                    probabilities[f"{name}={one}"] = column
        return probabilities


def load_classifier(path: pathlib.Path | str) -> Classifier:
    """Loads a classifier from a folder of `train_classifier`.

    A folder without a classifier, or with one that cannot be read, is an `InputError`.
    """
    folder = expanded(path)
    if not (folder / MODEL_FILE).is_file():
        raise InputError(f"{folder} holds no classifier; bin/train_classifier makes one.")
    details = read_details(folder)
    return Classifier(read_keras_model(folder / MODEL_FILE), details, path)


def train_classifier(
    data_config: DataConfig,
    image_shape: ImageShape,
    out: pathlib.Path | str,
    steps: int = 2000,
    batch_size: int = 64,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Trains a network on all labels of a data set at once, tests it, and writes it.

    The network has convolutions of stride 2 with batch normalization, a dense layer of 128
    features, and one output per label. Adam trains it; its learning rate falls along a half cosine.
    All labels count the same: cross entropy of classes and attributes, squared error of factors in
    units of their deviation. An image that lacks one label counts for its others.

    Args:
      data_config: the data set; with `flip`, half of the training images are mirrored. Images
        are kept in memory or on disk even where its cache is "none".
      image_shape: height, width, channels.
      out: the folder to write, whole or not at all: `classifier.keras`, a functional model that
        Keras loads without this package, from images to a dict of predictions by label; and
        `classifier.json`. `overwrite` replaces a classifier there, but never other files.
      steps, batch_size: of the optimizer; a batch is at most the whole training split.
      seed: of the weights, of dropout, and of the images' order and mirroring.

    Returns:
      The contents of `classifier.json`; each of its "labels" has a "kind", the "class_names" of a
      class, and `judge`'s estimate over the test images as "test".

    Raises:
      InputError: if the data set has no labels or cannot be read, a number is out of range, the
        network can't fit into memory, or `out` cannot be written or holds something that may not
        be replaced.
    """
    TrainConfig(steps=steps, batch_size=batch_size, seed=seed)
    out = expanded(out)
    _require_place(out, overwrite)
    _require_memory(image_shape, 1)
    cache = "auto" if data_config.cache == "none" else data_config.cache
    data = dataclasses.replace(data_config, cache=cache)
    train, test = (pipeline.load_split(data, image_shape, which) for which in ("train", "test"))
    labels = find_labels(train)
    _require_memory(image_shape, min(batch_size, train.size))
    keras.utils.set_random_seed(seed)
    network, model = build(tuple(image_shape), labels)
    start = time.monotonic()
    fit(network, labels, train, data.flip, steps, min(batch_size, train.size), seed)
    entries: dict[str, dict[str, Any]] = {label.name: {"kind": label.kind} for label in labels}
    details = {
        "data": dataclasses.asdict(data_config),
        "image_shape": list(image_shape),
        "labels": entries,
        "train_images": train.size,
        "test_images": test.size,
        "features": FEATURE_COUNT,
        "parameters": model.count_params(),
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "training_seconds": round(time.monotonic() - start, 1),
        **provenance(),
    }
    classifier = Classifier(model, details, out)
    predictions = joined(list(map(classifier.predict, pipeline.evaluation_batches(test, BATCH))))
    for label in labels:
        if label.kind == "class":
            entries[label.name]["class_names"] = list(label.class_names)
        estimate = judge(label.kind, predictions[label.name], test.labels[label.name])
        entries[label.name]["test"] = estimate
    with replacing_folder(out) as folder:
        require_space(folder, 8 * model.count_params() + 2**20)
        model.save(folder / MODEL_FILE)
        write_json(folder / DETAILS_FILE, details)
    return details


def judge(kind: str, predictions: np.ndarray, labels: np.ndarray) -> Estimate:
    """How well one label is predicted, over the images that have it.

    The "measure" (see `metrics.label_scores`) is "accuracy" for a class, "auc" for an attribute and
    "r2" for a factor; its value is NaN, with a "note", where all labels are the same.

    Args:
      kind: "class", "attribute" or "factor".
      predictions: the label's entry of `Classifier.predict`, for n images.
      labels: [n], as in `data.labels`.
    """
    labelled = has_value(labels)
    predictions, labels = predictions[labelled].astype(np.float64), labels[labelled]
    labels = labels.astype(bool) if kind == "attribute" else labels
    measure = {"class": "accuracy", "attribute": "auc", "factor": "r2"}[kind]
    if not len(labels) or (kind != "class" and np.all(labels == labels[0])):
        return {"measure": measure, **unknown(len(labels), "no two test images differ in it")}
    if kind == "class":
        predictions = predictions.argmax(axis=1)
    return {"measure": measure, **SCORES[measure](predictions, labels)}


def _require_memory(image_shape, batch_size):
    # A GPU has memory of its own, of which TensorFlow does not tell.
    if not tf.config.list_physical_devices("GPU"):
        needed, smaller = least_memory(image_shape, batch_size), "--image_size or --batch_size"
        require_bytes(needed, available_memory(), batch_size, smaller)


def _require_place(out, overwrite):
    """Refuses a folder with other files, and one with a classifier unless it may be replaced."""
    if out.is_file():
        raise InputError(f"{out} is a file; give a folder.")
    require_folder(out.parent)
    require_folder(out)
    names = {path.name for path in out.glob("*")}
    if others := sorted(names - {MODEL_FILE, DETAILS_FILE}):
        raise InputError(f"{out} holds other files ({', '.join(others[:3])}); give a new folder.")
    if names and not overwrite:
        raise InputError(f"{out} holds a classifier; --overwrite replaces it.")
