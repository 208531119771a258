"""Feature spaces in which generated images are compared with real ones.

An `image_shape` is height, width, channels. Images are [n, *image_shape] in [0, 1], for any n, also
0. Images of another shape, models that take another shape, and files that can't be read are an
`InputError`.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.files import digest, read_json
from tf_mmdvlae.common.network import network_reachable
from tf_mmdvlae.common.paths import expanded
from tf_mmdvlae.model.functions import BATCH, in_batches

FEATURES = "features"
"""The layer of a Keras model, or the output of a SavedModel, that is preferred to all others."""

_DETAILS = {
    "labels": {str: {"kind": str}},
    "train_images": int,
    "data": {"dataset": str, "crop": float},
}

# A classifier's folder; see `classifier.train_classifier`.
MODEL_FILE, DETAILS_FILE = "classifier.keras", "classifier.json"

ImageShape = tuple[int, ...]

# Sides of grey and of coloured images: covariances of more than a thousand dimensions take
# minutes, and those of as many dimensions as images are singular.
_PIXEL_SIDES = {1: 32, 3: 16}
_INCEPTION_SIDE = 299
_INCEPTION_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
_INCEPTION_MD5 = "bcbd6486424b2319ff4ef7d526e38f63"
_INCEPTION_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/" + _INCEPTION_FILE
)


@dataclasses.dataclass(frozen=True)
class FeatureSpace:
    """A function from images to features [n, d], float64. Distances in two spaces do not compare.

    `function` takes `batch_size` float32 images at a time and gives one row of features per image.
    The `description` is a part of a sentence of the report.
    """

    name: str
    description: str
    image_shape: ImageShape
    function: Callable[[np.ndarray], Any] = dataclasses.field(repr=False)
    batch_size: int = BATCH

    def __call__(self, images: np.ndarray) -> np.ndarray:
        features = on_images(self.function, images, self.image_shape, self.batch_size)
        width = math.prod(features.shape[1:])
        return features.reshape(len(features), width).astype(np.float64)


def feature_space(name: str, image_shape: ImageShape) -> FeatureSpace:
    """Opens a feature space, or raises an `InputError` that lists what `name` may be.

    "pixels" are the images themselves. "inception" is InceptionV3 of keras.applications, with
    weights from Keras's cache or downloaded to it; "inception:FILE" takes them from a file. Another
    name is the path of a folder of `classifier.train_classifier`, of a Keras model (its layer
    "features", else the input of its last layer) or of a SavedModel (signature `serving_default`,
    else the first; its output "features", else its only one).
    """
    image_shape = tuple(image_shape)
    if name == "pixels":
        return _pixels(image_shape)
    if name == "inception" or name.startswith("inception:"):
        return _inception(name, image_shape)
    path = expanded(name)
    if (path / "saved_model.pb").is_file():
        return _saved_model(name, path, image_shape)
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        reason = "no file or folder has that path"
        if path.exists():
            reason = "the folder has neither classifier.keras nor saved_model.pb"
        raise InputError(
            f"There is no feature space {name!r}: {reason}. Known: pixels, "
            "inception, and the path of a classifier; bin/train_classifier makes one."
        )
    model = read_keras_model(file)
    _require_shape(file, model.inputs[0].shape, image_shape)
    description = f"the Keras model {file} ({_version(file)})"
    if path.is_dir():
        details = read_details(path)
        description += (
            f", trained to predict {', '.join(details['labels'])} on {details['train_images']:,} "
            f"images of {details['data']['dataset']}, crop {details['data']['crop']:.4g}"
        )
    return FeatureSpace(name, description, image_shape, keras_features(model, file))


def on_images(
    function: Callable[[np.ndarray], Any],
    images: np.ndarray,
    image_shape: ImageShape,
    size: int = BATCH,
) -> Any:
    """Applies a function to `size` float32 images at a time, and gives all rows in NumPy.

    The function gives an array of one row per image, or a dict of such arrays.
    """
    images = np.asarray(images, np.float32)
    if images.shape[1:] != tuple(image_shape):
        needed = ", ".join(map(str, image_shape))
        raise InputError(f"The images have shape {list(images.shape)}; [n, {needed}] is needed.")
    if len(images):
        return in_batches(function, images, size)
    # Convolutions fail on an empty batch, so one black image gives the shape of the result.
    row = in_batches(function, np.zeros((1, *image_shape), np.float32))
    return keras.tree.map_structure(lambda values: values[:0], row)


def read_details(folder: pathlib.Path) -> dict[str, Any]:
    """Reads the `classifier.json` of a classifier's folder."""
    advice = "Make the folder anew with bin/train_classifier --overwrite."
    return read_json(folder / DETAILS_FILE, advice, _DETAILS)


def read_keras_model(path: pathlib.Path | str) -> keras.Model:
    """Loads a Keras model that is made of layers from one input of images."""
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its readers and a file's classes ran into.
        raise InputError(f"{path} can't be read as a Keras model: {first_line(error)}") from error
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise InputError(
            f"{path} is a Keras model of its own class, which hides its layers. Save a "
            "functional or sequential one, or a SavedModel."
        )
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs)
        raise InputError(f"{path} takes inputs of shape {shapes}; one batch of images is needed.")
    return model


def keras_features(model: keras.Model, path: pathlib.Path | str) -> Callable[[np.ndarray], Any]:
    """A function from images to a Keras model's layer "features", else its last layer's input.

    A last layer with several inputs is an `InputError`, which names the model's file, `path`.
    """
    named = [layer.output for layer in model.layers if layer.name == FEATURES]
    output = named[0] if named else model.layers[-1].input
    if not hasattr(output, "shape"):
        raise InputError(
            f"The last layer of {path} has several inputs; name the one to take {FEATURES!r}."
        )
    inner = keras.Model(model.inputs, output)
    return tf.function(lambda images: inner(images, training=False), reduce_retracing=True)


def _pixels(image_shape):
    side = _PIXEL_SIDES[image_shape[2]]
    if max(image_shape[:2]) <= side:
        return FeatureSpace("pixels", "the pixels, in [0, 1]", image_shape, lambda images: images)

    def shrink(images):
        return tf.image.resize(images, (side, side), method="area")

    description = f"the pixels, in [0, 1], of images shrunk to {side}x{side} (area)"
    return FeatureSpace("pixels", description, image_shape, shrink)


def _saved_model(name, folder, image_shape):
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises whatever its parsers ran into.
        raise InputError(f"The SavedModel {folder} can't be read: {first_line(error)}") from error
    if not loaded.signatures:
        raise InputError(f"The SavedModel {folder} has no signature.")
    default = "serving_default"
    signature = default if default in loaded.signatures else next(iter(loaded.signatures))
    function = loaded.signatures[signature]
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    argument, spec = next(iter(inputs.items()), (None, None))
    if len(inputs) != 1 or spec.dtype != tf.float32:
        names = ", ".join(sorted(inputs)) or "no input"
        raise InputError(
            f"The signature {signature} of {folder} takes {names}; it must have one input, float32 "
            "images."
        )
    if spec.shape.rank is not None:
        _require_shape(folder, spec.shape.as_list(), image_shape)
    output = FEATURES if FEATURES in outputs else next(iter(outputs))
    if output != FEATURES and len(outputs) > 1:
        raise InputError(
            f"The signature {signature} of {folder} gives {', '.join(sorted(outputs))}; name the "
            f"output to take {FEATURES!r}."
        )

    def features(images, owner=loaded):
        # A signature fails once the object that it was loaded with is deleted.
        del owner
        return function(**{argument: tf.constant(images)})[output]

    version = _version(folder / "saved_model.pb")
    description = f"the output {output} of the SavedModel {folder} ({version})"
    return FeatureSpace(name, description, image_shape, features)


def _require_shape(path, shape, image_shape):
    """Refuses a model whose input's `shape`, with n first, is not that of any number of images."""
    target = (None, *image_shape)
    fits = len(shape) == 4 and shape[0] is None
    if not fits or any(a not in (None, b) for a, b in zip(shape, target, strict=True)):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        ours = ", ".join(map(str, image_shape))
        raise InputError(f"{path} takes inputs [{sizes}]; the images are [any, {ours}].")


def _version(file):
    return f"sha256 {digest(file)[:12]}"


def _inception(name, image_shape):
    file = expanded(name.partition(":")[2])
    if name == "inception":
        file = _inception_weights()
    elif not file.is_file():
        raise InputError(f"There is no file of InceptionV3's weights at {file}.")
    try:
        network = keras.applications.InceptionV3(include_top=False, pooling="avg", weights=None)
        network.load_weights(file)
    except Exception as error:  # h5py and Keras raise whatever their readers ran into.
        raise InputError(
            f"{file} can't be read as the weights of InceptionV3 without its classes "
            f"({_INCEPTION_FILE}): {first_line(error)}"
        ) from error

    @tf.function(reduce_retracing=True)
    def features(images):
        if image_shape[-1] == 1:
            images = tf.repeat(images, 3, axis=-1)
        images = tf.image.resize(images, (_INCEPTION_SIDE, _INCEPTION_SIDE), antialias=True)
        return network(images * 2.0 - 1.0, training=False)

    description = (
        f"the 2,048 pooled features of InceptionV3 (keras.applications, ImageNet; weights "
        f"{file.name}, {_version(file)}) of images resized to {_INCEPTION_SIDE}x{_INCEPTION_SIDE}; "
        "published Frechet inception distances are made with other weights"
    )
    return FeatureSpace(name, description, image_shape, features, batch_size=32)


def _inception_weights():
    """The file of weights in Keras's cache, downloaded if it is missing."""
    home = expanded(os.environ.get("KERAS_HOME", "~/.keras"))
    file = home / "models" / _INCEPTION_FILE
    if file.is_file():
        return file
    reason = "the server can't be reached"
    if network_reachable(_INCEPTION_URL):
        try:
            place = {"cache_dir": home, "cache_subdir": "models"}
            path = keras.utils.get_file(
                file.name, _INCEPTION_URL, file_hash=_INCEPTION_MD5, **place
            )
            return pathlib.Path(path)
        except Exception as error:  # Keras raises plain exceptions for failed downloads.
            reason = first_line(error)
    raise InputError(
        f"The weights of InceptionV3 are not on this machine, and {reason}. Fetch\n"
        f"{_INCEPTION_URL}\nand put it at {file}, or give its place: --features=inception:FILE."
    )
