"""Features of other people's models: Keras models and SavedModels that take images."""

import hashlib
import zipfile

import numpy as np

from tf_mmdvlae.common.errors import InputError, first_line

FEATURES = "features"
"""The layer of a Keras model, or the output of a SavedModel, that is taken where it is there."""


def in_batches(function, images, image_shape, size=256):
    """Applies a function to images, some at a time.

    Args:
      function: float32 images [k, *image_shape] -> an array of k rows, or a dict of them; k >= 1.
      images: [n, *image_shape], n >= 0.
      image_shape: height, width, channels.
      size: images at a time.

    Returns:
      What `function` gives, n rows in NumPy.

    Raises:
      InputError: if the images have another shape.
    """
    import keras

    images = np.asarray(images, np.float32)
    if images.shape[1:] != tuple(image_shape):
        raise InputError(
            f"The images have shape {list(images.shape)}; [n, "
            f"{', '.join(map(str, image_shape))}] is needed."
        )
    # No convolution takes a batch of none, and what comes out for one tells the shape.
    rows = images if len(images) else np.zeros((1, *image_shape), np.float32)
    parts = [function(rows[start : start + size]) for start in range(0, len(rows), size)]
    return keras.tree.map_structure(lambda *found: np.concatenate(found)[: len(images)], *parts)


def read_keras_model(path):
    """Loads a Keras model of images.

    Raises:
      InputError: if it can't be read, or is not made of layers from one input of images.
    """
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} can't be read as a Keras model: {first_line(error)}") from error
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise InputError(
            f"{path} is a Keras model of its own class; its layers can't be told apart. Save a "
            "functional or sequential one, or a SavedModel."
        )
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in inputs)
        raise InputError(f"{path} takes inputs of shape {shapes}; one batch of images is needed.")
    return model


def keras_features(model, path):
    """The features in a Keras model: of its layer "features", else the input of the last layer.

    Args:
      model: of `read_keras_model`.
      path: where it is from, for messages.

    Returns:
      A function, float32 images [n, H, W, C] -> a tensor of n rows.

    Raises:
      InputError: if the last layer has several inputs and none is named "features".
    """
    import keras
    import tensorflow as tf

    found = [layer.output for layer in model.layers if layer.name == FEATURES]
    output = found[0] if found else model.layers[-1].input
    if not hasattr(output, "shape"):
        raise InputError(
            f"The last layer of {path} has several inputs; name the one to take {FEATURES!r}."
        )
    inner = keras.Model(model.inputs, output)
    return tf.function(lambda images: inner(images, training=False), reduce_retracing=True)


def saved_model_features(folder, image_shape):
    """The features that a SavedModel gives: its output "features", else its only one.

    Args:
      folder: the SavedModel; its signature `serving_default` is called, else its first.
      image_shape: height, width, channels of the images.

    Returns:
      (function, output): the function takes float32 images [n, *image_shape] and gives a tensor of
      n rows, the output of that name.

    Raises:
      InputError: if it can't be read, takes something else, or gives several outputs of which none
        is named "features".
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise InputError(f"The SavedModel {folder} can't be read: {first_line(error)}") from error
    if not loaded.signatures:
        raise InputError(f"The SavedModel {folder} has no signature.")
    default = next(iter(loaded.signatures))
    signature = "serving_default" if "serving_default" in loaded.signatures else default
    function = loaded.signatures[signature]
    inputs, outputs = function.structured_input_signature[1], function.structured_outputs
    argument, given = next(iter(inputs.items()), (None, None))
    if len(inputs) != 1 or given.dtype != tf.float32:
        raise InputError(
            f"The signature {signature} of {folder} takes "
            f"{', '.join(sorted(inputs)) or 'no input'}; one batch of float32 images is needed."
        )
    if given.shape.rank is not None:
        require_shape(folder, given.shape.as_list(), image_shape)
    if FEATURES not in outputs and len(outputs) > 1:
        raise InputError(
            f"The signature {signature} of {folder} gives {', '.join(sorted(outputs))}; name the "
            f"output to take {FEATURES!r}."
        )
    output = FEATURES if FEATURES in outputs else next(iter(outputs))

    def features(images, owner=loaded):
        # The signature lives as long as the object that it was loaded with.
        del owner
        return function(**{argument: tf.constant(images)})[output]

    return features, output


def require_shape(path, shape, image_shape):
    """Refuses a model that does not take any number of our images; `shape` has the batch first."""
    wanted = (None, *image_shape)
    fits = len(shape) == 4 and shape[0] is None
    if not fits or any(a not in (None, b) for a, b in zip(shape, wanted, strict=True)):
        taken = ", ".join("any" if size is None else str(size) for size in shape)
        ours = ", ".join(map(str, image_shape))
        raise InputError(f"{path} takes inputs [{taken}]; the images are [any, {ours}].")


def digest(file):
    """The first digits of a file's SHA-256, as a report shows them."""
    with open(file, "rb") as content:
        return f"sha256 {hashlib.file_digest(content, 'sha256').hexdigest()[:12]}"
