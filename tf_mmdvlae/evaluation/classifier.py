"""A small image classifier trained on a data set's labels: a feature space, and a judge of images.

It is a judge beside the models, not one of them: it sees the labels, they don't.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import time

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import make_folder, require_space, write_json
from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.config.settings import TrainConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.evaluation.classifier_network import FEATURE_COUNT, build, find_labels, fit
from tf_mmdvlae.evaluation.feature_models import in_batches, keras_features, read_keras_model
from tf_mmdvlae.metrics.label_scores import auc_standard_error

MODEL_FILE, DETAILS_FILE = "classifier.keras", "classifier.json"


class Classifier:
    """A trained classifier, as functions on NumPy arrays of any number of rows.

    Attributes:
      name: the folder that it was loaded from.
      image_shape: height, width, channels of the images that it takes.
      labels: name -> {"kind": "class", "attribute" or "factor", "class_names" for a class,
        "test": how well it is told from test images}.
      details: all of `classifier.json`.
    """

    def __init__(self, model, details, name):
        self.name = str(name)
        self.details = details
        self.labels = details["labels"]
        self.image_shape = tuple(model.inputs[0].shape[1:])
        self._predict = tf.function(lambda images: model(images, training=False))
        self._features = keras_features(model, name)

    def predict(self, images):
        """What the images show, label by label.

        Args:
          images: [n, height, width, channels] in [0, 1].

        Returns:
          label -> the classes' probabilities [n, k], an attribute's probability [n] or a factor's
          value [n] in its own unit; float32.

        Raises:
          InputError: if the images have another shape.
        """
        return in_batches(self._predict, images, self.image_shape)

    def features(self, images):
        """The layer before the labels: images [n, height, width, channels] -> float32 [n, 128].

        Raises:
          InputError: if the images have another shape.
        """
        return in_batches(self._features, images, self.image_shape)


def load_classifier(path):
    """Loads a classifier.

    Args:
      path: a folder of `train_classifier`.

    Returns:
      A `Classifier`.

    Raises:
      InputError: if there is none.
    """
    folder = pathlib.Path(path).expanduser()
    if not (folder / MODEL_FILE).is_file():
        raise InputError(f"{folder} holds no classifier; bin/train_classifier makes one.")
    try:
        details = json.loads((folder / DETAILS_FILE).read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / DETAILS_FILE} can't be read ({error}); make the folder anew with "
            "bin/train_classifier --overwrite."
        ) from error
    return Classifier(read_keras_model(folder / MODEL_FILE), details, path)


def train_classifier(
    data_config, image_shape, out, steps=2000, batch_size=64, seed=0, overwrite=False
):
    """Trains a network on all labels of a data set at once, tests it, and writes it.

    Convolutions of stride 2 with batch normalization, a dense layer of 128 features, and an output
    a label, trained with Adam, whose rate falls along a half cosine. All labels count the same:
    cross entropy of classes and attributes, squared error of factors in units of their deviation.
    An image without a label counts for its others.

    Args:
      data_config: a `DataConfig`; with `flip`, half of the training images are mirrored. Images
        are kept in memory or on disk also where its cache is "none".
      image_shape: height, width, channels.
      out: the folder to write, whole or not at all: `classifier.keras`, a functional model that
        Keras loads without this package, from images to a dict of predictions by label; and
        `classifier.json`.
      steps: optimizer steps.
      batch_size: images a step, from 2; the training split where that is smaller.
      seed: of the weights, of dropping out, and of the images' order and mirroring.
      overwrite: True replaces a classifier in `out`.

    Returns:
      The contents of `classifier.json`: {"data", "image_shape", "labels": {label: {"kind",
      "class_names" of a class, "test": {"measure": "accuracy", "auc" or "r2", "value",
      "standard_error", "count"}}}, "train_images", "test_images", "features", "parameters",
      "steps", "batch_size", "seed", "training_seconds", "versions", "commit"}.

    Raises:
      InputError: if the data set has no labels or can't be had, a number can't be, or `out` can't
        be written or holds something that may not be replaced.
    """
    TrainConfig(steps=steps, batch_size=batch_size, seed=seed)
    out = pathlib.Path(out).expanduser()
    _check_place(out, overwrite)
    cache = "auto" if data_config.cache == "none" else data_config.cache
    data = dataclasses.replace(data_config, cache=cache)
    train, test = (pipeline.load_split(data, image_shape, which) for which in ("train", "test"))
    labels = find_labels(train)
    keras.utils.set_random_seed(seed)
    network, model = build(tuple(image_shape), labels)
    began = time.monotonic()
    fit(network, labels, train, data.flip, steps, min(batch_size, train.size), seed)
    details = {
        "data": dataclasses.asdict(data_config),
        "image_shape": list(image_shape),
        "labels": {label.name: {"kind": label.kind} for label in labels},
        "train_images": train.size,
        "test_images": test.size,
        "features": FEATURE_COUNT,
        "parameters": model.count_params(),
        "steps": steps,
        "batch_size": batch_size,
        "seed": seed,
        "training_seconds": round(time.monotonic() - began, 1),
        **provenance(),
    }
    predicted = _predict_split(Classifier(model, details, out), test)
    for label in labels:
        entry = details["labels"][label.name]
        if label.kind == "class":
            entry["class_names"] = list(label.class_names)
        entry["test"] = _judge(label.kind, predicted[label.name], test.labels[label.name])
    with _new_folder(out) as folder:
        require_space(folder, 8 * model.count_params() + 2**20)
        model.save(folder / MODEL_FILE)
        write_json(folder / DETAILS_FILE, details)
    return details


def _predict_split(classifier, split):
    parts = [classifier.predict(images) for images in pipeline.evaluation_batches(split, 256)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _judge(kind, predicted, values):
    """How well a label's test values are predicted, over the images that have it."""
    known = values >= 0 if kind == "class" else np.isfinite(values)
    predicted, values = predicted[known].astype(np.float64), values[known]
    measure = {"class": "accuracy", "attribute": "auc", "factor": "r2"}[kind]
    result = {"measure": measure, "value": float("nan"), "standard_error": float("nan")}
    result["count"] = count = len(values)
    if not count or (kind != "class" and np.all(values == values[0])):
        return result | {"note": "no two test images differ in it"}
    if kind == "class":
        value = np.mean(predicted.argmax(axis=1) == values)
        error = np.sqrt(value * (1 - value) / count)
    elif kind == "attribute":
        value, positives = roc_auc_score(values, predicted), int(values.sum())
        error = auc_standard_error(value, positives, count - positives)
    else:
        # The delta method on a ratio of means; see `evaluation.probes.linear_r2`.
        spread = np.square(values - values.mean(dtype=np.float64))
        errors = np.square(values - predicted)
        value = 1 - errors.mean() / spread.mean()
        error = np.std(errors - (1 - value) * spread) / (np.sqrt(count) * spread.mean())
    return result | {"value": float(value), "standard_error": float(error)}


def _check_place(out, overwrite):
    """Refuses a folder that holds a classifier, unless asked, or anything else, always."""
    if not out.is_dir():
        if out.exists():
            raise InputError(f"{out} is a file; give a folder.")
        make_folder(out.parent)
        return
    make_folder(out)
    found = {path.name for path in out.iterdir()}
    others = sorted(found - {MODEL_FILE, DETAILS_FILE})
    if others:
        raise InputError(f"{out} holds other files ({', '.join(others[:3])}); give a new folder.")
    if found and not overwrite:
        raise InputError(f"{out} holds a classifier; --overwrite replaces it.")


@contextlib.contextmanager
def _new_folder(out):
    """Yields a hidden folder beside `out`, which takes its place when the block ends well."""
    hidden, old = (out.with_name(f".{os.getpid()}.{kind}.{out.name}") for kind in ("new", "old"))
    try:
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(parents=True)
        yield hidden
        if out.exists():
            os.rename(out, old)
        os.rename(hidden, out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"Could not write {out}: {error.strerror or error}. Make room or give another folder."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        if old.exists() and not out.exists():
            os.rename(old, out)
