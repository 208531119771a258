"""An encoder of one's own: a Keras model with one output per latent layer."""

from __future__ import annotations

from typing import Any

import keras

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.config.settings import ModelConfig


def levels(trunk: keras.Model, images: Any, training: bool = False) -> list[Any]:
    """A trunk's outputs for images: a tensor [batch, ...] per latent layer, lowest layer first."""
    outputs = trunk(images, training=training)
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def level_shapes(trunk: keras.Model, config: ModelConfig) -> list[tuple[int, ...]]:
    """The shapes of a trunk's outputs, without the batch; builds a trunk that is not built yet.

    A trunk that does not fit the config's images or layers is an `InputError`.
    """
    layers, image = len(config.latent_dims), (None, *config.image_shape)
    if not isinstance(trunk, keras.Model):
        raise InputError(
            f"trunk is a {type(trunk).__name__}; give a keras.Model with one output per latent "
            "layer, lowest layer first."
        )
    # A model of a class of its own has no shape before its first call.
    takes = getattr(trunk, "input_shape", image)
    if len(takes) != len(image) or any(
        size not in (None, needed) for size, needed in zip(takes, image, strict=True)
    ):
        raise InputError(f"trunk takes {takes}, not images of image_shape {config.image_shape}.")
    try:
        outputs = levels(trunk, keras.Input(config.image_shape))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"trunk does not take images of image_shape {config.image_shape}: {first_line(error)}"
        ) from error
    if len(outputs) != layers or not all(hasattr(output, "shape") for output in outputs):
        raise InputError(
            f"trunk has {len(outputs)} outputs for the {layers} layers of latent_dims="
            f"{config.latent_dims}; give a list of one output per layer, lowest layer first."
        )
    shapes = [tuple(output.shape[1:]) for output in outputs]
    if any(None in shape for shape in shapes):
        raise InputError(f"trunk has outputs of {shapes}, batch left out; None must be a number.")
    return shapes


def own_averages(trunk: keras.Model | None) -> list[keras.Variable]:
    """The moving averages of a trunk that each of several replicas would keep for itself."""
    layers = trunk._flatten_layers() if trunk else ()
    normalizations = [
        layer
        for layer in layers
        if isinstance(layer, keras.layers.BatchNormalization)
        and layer.trainable
        and not layer.synchronized
    ]
    return [v for layer in normalizations for v in (layer.moving_mean, layer.moving_variance)]
