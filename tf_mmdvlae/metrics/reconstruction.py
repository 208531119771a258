"""How far reconstructions are from their images, over a whole split."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.estimates import Estimate, mean


def reconstruction_errors(
    reconstruct: Callable[[np.ndarray], np.ndarray], batches: Iterable[np.ndarray]
) -> dict[str, Estimate]:
    """L1 and mean squared error of reconstructions, averaged over all images: {"l1", "mse"}.

    For each image, the mean over pixels and channels of |x - y| and of (x - y)^2. Each image
    counts the same, also those of a last batch that is short.

    Args:
      reconstruct: takes images [n, H, W, C] in [0, 1] and gives images of the same shape; for the
        numbers that the package reports, it decodes the posterior means.
      batches: float image batches [n, H, W, C] in [0, 1].
    """
    return _measure(_errors, reconstruct, batches)


def reconstruction_quality(
    reconstruct: Callable[[np.ndarray], np.ndarray], batches: Iterable[np.ndarray]
) -> dict[str, Estimate]:
    """The errors above, and two measures that are larger the better: {"l1", "mse", "psnr", "ssim"}.

    PSNR is -10 log10 of an image's mean squared error, in decibels; the mean over images is taken
    of the decibels. SSIM is the structural similarity with a Gaussian window of 11 pixels and
    deviation 1.5 (Wang et al. 2004, doi 10.1109/TIP.2003.819861; `tf.image.ssim`), 1 for equal
    images; a smaller image has a window of its own size. An image that comes back without any error
    has no finite PSNR: it is left out, and a "note" says how many were.
    """
    return _measure(_quality, reconstruct, batches)


def _measure(measure, reconstruct, batches):
    values = collections.defaultdict(list)
    for batch in batches:
        images = np.asarray(batch, np.float64)
        outputs = np.asarray(reconstruct(batch), np.float64)
        if images.ndim != 4 or outputs.shape != images.shape:
            raise InputError(
                f"Images of shape {list(images.shape)} came back with shape {list(outputs.shape)}; "
                "both must be [images, height, width, channels]."
            )
        for name, per_image in measure(images, outputs).items():
            values[name].extend(per_image)
    if not any(values.values()):
        raise InputError("There are no images to reconstruct.")
    missing = "they came back without any error"
    return {name: mean(per_image, "image", missing) for name, per_image in values.items()}


def _errors(images, outputs):
    pixels = outputs - images
    absolute, squared = (f(pixels).mean(axis=(1, 2, 3)) for f in (np.abs, np.square))
    return {"l1": absolute, "mse": squared}


def _quality(images, outputs):
    import tensorflow as tf

    errors = _errors(images, outputs)
    with np.errstate(divide="ignore"):
        decibels = -10 * np.log10(errors["mse"])
    size = min(11, *images.shape[1:3])
    pair = (tf.constant(values, tf.float32) for values in (images, outputs))
    similarities = tf.image.ssim(*pair, max_val=1.0, filter_size=size).numpy()
    return {**errors, "psnr": decibels, "ssim": similarities}
