"""How far the codes of real images are from the prior."""

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents


def prior_match(means, deviations, mmd_squared, batch_size=128, seed=0):
    """MMD^2 between posterior samples and the prior, for each layer and for all layers joined.

    The codes are drawn, z = mean + deviation * e with e from N(0, I), put into an order that
    depends on the seed alone (a split sorted by class would make batches that are not like the
    whole), and cut into batches of one size. Rows that do not fill a batch are left out: with
    fewer rows the estimate is noisier, and if biased, larger.

    Args:
      means: posterior means, a latent dict [n, d_l].
      deviations: posterior standard deviations, of the same shapes, >= 0.
      mmd_squared: codes [batch, d] float32 -> the squared MMD from N(0, I) as one number; it is
        called for each layer's d and for the d of all layers together.
      batch_size: codes a batch, at least 2. With fewer rows than that, all rows are one batch.
      seed: of the draws and the order.

    Returns:
      {"mmd_1": ..., "mmd_L": ..., "mmd_joint": ...}, each {"value", "standard_error", "batches",
      "batch_size"}: the mean over batches, its standard error (deviation between batches /
      sqrt(batches)), the number of batches and the size that was used. One batch alone has no
      standard error: NaN, and a "note".

    Raises:
      InputError: for a batch size or a number of rows below 2, or shapes that do not match.
    """
    codes = latents.posterior_samples(means, deviations, seed)
    rows = latents.row_count(codes)
    if batch_size < 2 or rows < 2:
        raise InputError(
            f"An MMD needs at least 2 codes a batch; there are {rows} codes and the batch size "
            f"is {batch_size}."
        )
    size = min(batch_size, rows)
    layers = {f"mmd_{name.removeprefix('z_')}": layer for name, layer in codes.items()}
    layers["mmd_joint"] = latents.join(codes)
    return {name: _mean_over_batches(layer, mmd_squared, size) for name, layer in layers.items()}


def _mean_over_batches(codes, mmd_squared, size):
    count = len(codes) // size
    values = [
        float(np.asarray(mmd_squared(codes[start : start + size])))
        for start in range(0, count * size, size)
    ]
    result = {
        "value": float(np.mean(values)),
        "standard_error": float("nan"),
        "batches": count,
        "batch_size": size,
    }
    if count > 1:
        result["standard_error"] = float(np.std(values, ddof=1) / np.sqrt(count))
    else:
        result["note"] = "one batch only: no standard error"
    return result
