"""How far reconstructions are from their images, over a whole split."""

import numpy as np

from tf_mmdvlae.errors import InputError


def reconstruction_errors(reconstruct, batches):
    """L1 and mean squared error of reconstructions, averaged over all images.

    For each image, the mean over pixels and channels of |x - y| and of (x - y)^2. Each image
    counts the same, also those of a last batch that is short.

    Args:
      reconstruct: images [n, H, W, C] in [0, 1] -> as many images of the same shape; for the
        numbers that the package reports, decode of the posterior means.
      batches: an iterable of float image batches [n, H, W, C] in [0, 1].

    Returns:
      {"l1": ..., "mse": ...}, each {"value", "standard_error", "count"}: the mean over images,
      its standard error (deviation between images / sqrt(count)) and the number of images. One
      image alone has no standard error: NaN, and a "note".

    Raises:
      InputError: if there are no images, or a reconstruction has another shape than its image.
    """
    absolute, squared = [], []
    for batch in batches:
        images = np.asarray(batch, np.float64)
        outputs = np.asarray(reconstruct(batch), np.float64)
        if images.ndim != 4 or outputs.shape != images.shape:
            raise InputError(
                f"Images of shape {list(images.shape)} came back with shape {list(outputs.shape)}; "
                "both must be [images, height, width, channels]."
            )
        difference = outputs - images
        absolute.extend(np.abs(difference).mean(axis=(1, 2, 3)))
        squared.extend(np.square(difference).mean(axis=(1, 2, 3)))
    if not absolute:
        raise InputError("There are no images to reconstruct.")
    return {"l1": _mean(absolute), "mse": _mean(squared)}


def _mean(values):
    result = {"value": float(np.mean(values)), "standard_error": float("nan"), "count": len(values)}
    if len(values) > 1:
        result["standard_error"] = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    else:
        result["note"] = "one image only: no standard error"
    return result
