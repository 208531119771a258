"""Feature spaces in which generated images are compared with real ones."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.network import network_reachable
from tf_mmdvlae.evaluation.feature_models import (
    digest,
    first_line,
    in_batches,
    keras_features,
    read_keras_model,
    require_shape,
    saved_model_features,
)

# Of grey and of coloured images: covariances of more dimensions than a thousand take minutes, and
# of as many as there are images they say nothing.
_PIXEL_SIDES = {1: 32, 3: 16}
_INCEPTION_SIDE = 299
_INCEPTION_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
_INCEPTION_MD5 = "bcbd6486424b2319ff4ef7d526e38f63"
_INCEPTION_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/" + _INCEPTION_FILE
)


@dataclasses.dataclass(frozen=True)
class FeatureSpace:
    """A function from images to features. Distances in two different spaces do not compare.

    Call: images [n, height, width, channels] in [0, 1], n >= 0, give features [n, d], float64; it
    raises `InputError` for images of another shape.

    Attributes:
      name: as it was asked for.
      description: what it is, in a sentence for a report.
      image_shape: height, width, channels of the images that it takes.
      function: float32 images [n, height, width, channels] -> features of n rows, for n >= 1.
      batch_size: images that it is given at a time.
    """

    name: str
    description: str
    image_shape: tuple[int, int, int]
    function: Callable = dataclasses.field(repr=False)
    batch_size: int = 256

    def __call__(self, images):
        features = in_batches(self.function, images, self.image_shape, self.batch_size)
        width = math.prod(features.shape[1:])
        return features.reshape(len(features), width).astype(np.float64)


def feature_space(name, image_shape):
    """The feature space of that name.

    Args:
      name: "pixels"; "inception", InceptionV3 of keras.applications with weights from Keras's
        cache or downloaded to it, or "inception:FILE" with weights from a file; or the path of
        a folder of `classifier.train_classifier`, of a Keras model (its layer "features", else the
        input of its last layer) or of a SavedModel (signature `serving_default`, else the first;
        its output "features", else its only one). Models get images in [0, 1].
      image_shape: height, width, channels of the images.

    Returns:
      A `FeatureSpace`.

    Raises:
      InputError: if there is nothing of that name, it can't be read or had, or takes other images.
    """
    image_shape = tuple(image_shape)
    if name == "pixels":
        return _pixels(image_shape)
    if name == "inception" or name.startswith("inception:"):
        return _inception(name, image_shape)
    path = pathlib.Path(name).expanduser()
    if (path / "saved_model.pb").is_file():
        function, output = saved_model_features(path, image_shape)
        file = path / "saved_model.pb"
        description = f"the output {output} of the SavedModel {path} ({digest(file)})"
    elif (path / "classifier.keras").is_file():
        function, description = _keras_model(path / "classifier.keras", image_shape)
        description += _about_classifier(path)
    elif path.is_file():
        function, description = _keras_model(path, image_shape)
    else:
        what = "a folder without classifier.keras or saved_model.pb" if path.exists() else "missing"
        raise InputError(
            f"There is no feature space {name!r}: as a path it is {what}. Known: pixels, "
            "inception, and the path of a classifier; bin/train_classifier makes one."
        )
    return FeatureSpace(name, description, image_shape, function)


def _pixels(image_shape):
    side = _PIXEL_SIDES[image_shape[2]]
    if max(image_shape[:2]) <= side:
        return FeatureSpace("pixels", "the pixels, in [0, 1]", image_shape, lambda images: images)
    import tensorflow as tf

    def shrunk(images):
        return tf.image.resize(images, (side, side), method="area").numpy()

    description = f"the pixels, in [0, 1], of images shrunk to {side}x{side} (area)"
    return FeatureSpace("pixels", description, image_shape, shrunk)


def _keras_model(file, image_shape):
    model = read_keras_model(file)
    require_shape(file, model.inputs[0].shape, image_shape)
    return keras_features(model, file), f"the Keras model {file} ({digest(file)})"


def _about_classifier(folder):
    try:
        details = json.loads((folder / "classifier.json").read_text())
        return (
            f", trained to tell {', '.join(details['labels'])} on {details['train_images']:,} "
            f"images of {details['data']['dataset']}, crop {details['data']['crop']:.4g}"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / 'classifier.json'} can't be read ({error}); make the folder anew with "
            "bin/train_classifier --overwrite."
        ) from error


def _inception(name, image_shape):
    import keras
    import tensorflow as tf

    file = pathlib.Path(name.partition(":")[2]).expanduser()
    if name == "inception":
        file = _inception_weights()
    elif not file.is_file():
        raise InputError(f"There is no file of InceptionV3's weights at {file}.")
    try:
        network = keras.applications.InceptionV3(include_top=False, pooling="avg", weights=None)
        network.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
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
        f"{file.name}, {digest(file)}) of images resized to {_INCEPTION_SIDE}x{_INCEPTION_SIDE}; "
        "published Frechet inception distances are made with other weights"
    )
    return FeatureSpace(name, description, image_shape, features, batch_size=32)


def _inception_weights():
    """The file of weights in Keras's cache, downloaded if it is not there."""
    import keras

    home = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    file = home / "models" / _INCEPTION_FILE
    if file.is_file():
        return file
    reason = "the server can't be reached"
    if network_reachable(_INCEPTION_URL):
        try:
            return pathlib.Path(
                keras.utils.get_file(
                    _INCEPTION_FILE,
                    _INCEPTION_URL,
                    cache_dir=home,
                    cache_subdir="models",
                    file_hash=_INCEPTION_MD5,
                )
            )
        except Exception as error:  # Keras raises plain exceptions for failed downloads.
            reason = first_line(error)
    raise InputError(
        f"The weights of InceptionV3 are not on this machine, and {reason}. Fetch\n"
        f"{_INCEPTION_URL}\nand put it at {file}, or give its place: --features=inception:FILE."
    )
