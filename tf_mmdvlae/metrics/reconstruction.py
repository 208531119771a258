"""How far reconstructions are from their images, over a whole split."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.estimates import Estimate, mean


def reconstruction_errors(
    reconstruct: Callable[[np.ndarray], np.ndarray], batches: Iterable[np.ndarray]
) -> dict[str, Estimate]:
    """L1 and mean squared error of reconstructions, averaged over all images.

    For each image, the mean over pixels and channels of |x - y| and of (x - y)^2. Each image
    counts the same, also those of a last batch that is short.

    Args:
      reconstruct: takes images [n, H, W, C] in [0, 1] and gives images of the same shape; for the
        numbers that the package reports, it decodes the posterior means.
      batches: float image batches [n, H, W, C] in [0, 1].

    Returns:
      {"l1", "mse"} -> estimate over images.

    Raises:
      InputError: if there are no images, or a reconstruction has another shape than its image.
    """
    return _measure({"l1": _absolute, "mse": _squared}, reconstruct, batches)


def reconstruction_quality(
    reconstruct: Callable[[np.ndarray], np.ndarray], batches: Iterable[np.ndarray]
) -> dict[str, Estimate]:
    """The errors above, and two measures that are larger the better.

    PSNR is -10 log10 of an image's mean squared error, in decibels; the mean over images is taken
    of the decibels. SSIM is the structural similarity with a Gaussian window of 11 pixels and
    deviation 1.5 (Wang et al. 2004, doi 10.1109/TIP.2003.819861; `tf.image.ssim`), 1 for equal
    images; a smaller image has a window of its own size.

    Args:
      reconstruct, batches: as in `reconstruction_errors`.

    Returns:
      {"l1", "mse", "psnr", "ssim"} -> estimate over images. An image that comes back without any
      error has no finite PSNR: it is left out, and a "note" says how many were.

    Raises:
      InputError: as in `reconstruction_errors`.
    """
    measures = {"l1": _absolute, "mse": _squared, "psnr": _decibels, "ssim": _similarity}
    return _measure(measures, reconstruct, batches)


def _measure(measures, reconstruct, batches):
    values = {name: [] for name in measures}
    for batch in batches:
        images = np.asarray(batch, np.float64)
        outputs = np.asarray(reconstruct(batch), np.float64)
        if images.ndim != 4 or outputs.shape != images.shape:
            raise InputError(
                f"Images of shape {list(images.shape)} came back with shape {list(outputs.shape)}; "
                "both must be [images, height, width, channels]."
            )
        for name, measure in measures.items():
            values[name].extend(measure(images, outputs))
    if not all(values.values()):
        raise InputError("There are no images to reconstruct.")
    missing = "they came back without any error"
    return {name: mean(per_image, "image", missing) for name, per_image in values.items()}


def _absolute(images, outputs):
    return np.abs(outputs - images).mean(axis=(1, 2, 3))


def _squared(images, outputs):
    return np.square(outputs - images).mean(axis=(1, 2, 3))


def _decibels(images, outputs):
    with np.errstate(divide="ignore"):
        return -10 * np.log10(_squared(images, outputs))


def _similarity(images, outputs):
    import tensorflow as tf

    size = min(11, *images.shape[1:3])
    pair = (tf.constant(values, tf.float32) for values in (images, outputs))
    return tf.image.ssim(*pair, max_val=1.0, filter_size=size).numpy()
