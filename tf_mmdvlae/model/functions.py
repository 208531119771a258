"""A model's encoder, decoder and MMD as plain functions on NumPy arrays of any length."""

import functools

import numpy as np
import tensorflow as tf

from tf_mmdvlae.model import mmd


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


def mmd_to_prior(config, seed=0):
    """Makes a function that gives the squared MMD of codes from N(0, I), as training measures it.

    The estimator "auto" is the unbiased one here, however many codes there are.

    Args:
      config: a `ModelConfig`, whose kernel, estimator and prior are taken.
      seed: of the prior's draws, where it is sampled, of the frequencies of random features, and of
        the order of the rows, where it matters.

    Returns:
      A function: codes [n, d] float32, n >= 2 -> a float.
    """
    generator = np.random.default_rng([seed, 1])
    estimator = "unbiased" if config.estimator == "auto" else config.estimator

    @functools.cache
    def compiled(dimension):
        kernel = mmd.kernel_for_dimension(config.kernel, config.scales, dimension)

        def to_normal(codes, noise=None):
            frequencies = None if noise is None else kernel.frequencies(noise)
            return mmd.mmd_squared_to_normal(codes, kernel, estimator, frequencies)

        def to_draws(codes, prior):
            return mmd.mmd_squared(codes, prior, kernel, estimator)

        function = to_draws if config.prior == "sampled" else to_normal
        return tf.function(function, reduce_retracing=True)

    def mmd_squared(codes):
        given = [codes]
        if estimator == "linear_time":
            # Neighbours may be alike, as in a test set in the order of its classes.
            given = [generator.permutation(codes)]
        if config.prior == "sampled":
            given.append(generator.standard_normal(codes.shape, np.float32))
        elif estimator == "random_features":
            shape = (config.frequencies, codes.shape[1] + 2)
            given.append(generator.standard_normal(shape, np.float32))
        return float(compiled(codes.shape[1])(*map(tf.constant, given)))

    return mmd_squared
