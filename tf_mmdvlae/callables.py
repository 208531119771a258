"""A model's encoder and decoder as plain functions on NumPy arrays of any length."""

import numpy as np
import tensorflow as tf


def numpy_functions(model, batch_size=256):
    """Makes `encode` and `decode` functions of a model, compiled once and run batch by batch.

    Args:
      model: an `MMDVLAE`.
      batch_size: rows computed at a time.

    Returns:
      (encode, decode): `encode(images)` takes [n, height, width, channels] float32 in [0, 1] and
      gives (means, deviations), two latent dicts; `decode(latents)` gives images.
    """
    compiled_encode = tf.function(model.encode, reduce_retracing=True)
    compiled_decode = tf.function(model.decode, reduce_retracing=True)

    def encode(images):
        images = np.asarray(images, np.float32)
        parts = [
            tf.nest.map_structure(np.asarray, compiled_encode(images[start : start + batch_size]))
            for start in range(0, len(images), batch_size)
        ]
        means, deviations = zip(*parts, strict=True)
        return _join(means), _join(deviations)

    def decode(latents):
        latents = {name: np.asarray(codes, np.float32) for name, codes in latents.items()}
        count = len(next(iter(latents.values())))
        parts = [
            np.asarray(compiled_decode({n: c[s : s + batch_size] for n, c in latents.items()}))
            for s in range(0, count, batch_size)
        ]
        return np.concatenate(parts)

    return encode, decode


def _join(parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
