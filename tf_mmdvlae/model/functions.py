"""Functions on NumPy arrays of any length: a few rows at a time, and a model's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_mmdvlae.model.latents import Latents

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import ModelConfig
    from tf_mmdvlae.model.mmdvlae import MMDVLAE

BATCH = 256


def batches(
    arrays: Any, size: int = BATCH, progress: Callable[[int, int], None] | None = None
) -> Iterator[Any]:
    """Yields `size` rows at a time, in order; the last batch has what is left.

    Args:
      arrays: an array [n, ...], or a dict of arrays that all have n rows. No rows at all (n = 0)
        are one batch of none, so that whatever is computed of it has a shape.
      progress: called as progress(done, n) after each batch has been used.
    """
    count = len(next(iter(arrays.values())) if isinstance(arrays, dict) else arrays)
    for start in range(0, max(count, 1), size):
        rows = slice(start, start + size)
        if isinstance(arrays, dict):
            yield {name: array[rows] for name, array in arrays.items()}
        else:
            yield arrays[rows]
        if progress:
            progress(min(start + size, count), count)


def joined(parts: list[Any]) -> Any:
    """Concatenates what a function gave for each batch, and returns it in NumPy arrays.

    The parts are arrays or tensors [n_i, ...], or dicts or tuples of these, all of one structure.
    """
    first = parts[0]
    if isinstance(first, dict):
        return {name: joined([part[name] for part in parts]) for name in first}
    if isinstance(first, (tuple, list)):
        return tuple(joined(list(members)) for members in zip(*parts, strict=True))
    return np.concatenate([np.asarray(part) for part in parts])


def in_batches(
    function: Callable[[Any], Any],
    arrays: Any,
    size: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """What `function` gives for all rows of `arrays`, computed as `batches` yields them, in NumPy.

    The function gives, one row per row, an array or a tensor, or a dict or a tuple of these, such
    as a latent dict or the two of an encoder.
    """
    # Each part goes to NumPy at once: a GPU holds the results of one batch only.
    return joined([joined([function(rows)]) for rows in batches(arrays, size, progress)])


def numpy_functions(
    model: MMDVLAE,
) -> tuple[Callable[[np.ndarray], tuple[Latents, Latents]], Callable[[Latents], np.ndarray]]:
    """Makes `encode` and `decode` functions of a model, compiled once and run batch by batch.

    `encode(images)` takes [n, height, width, channels] in [0, 1] and gives (means, deviations), two
    latent dicts; `decode(latents)` gives images.
    """
    from tf_mmdvlae.model.devices import compiled

    compiled_encode, compiled_decode = compiled(model.encode), compiled(model.decode)

    def encode(images):
        return in_batches(compiled_encode, np.asarray(images, np.float32))

    def decode(latents):
        codes = {name: np.asarray(layer, np.float32) for name, layer in latents.items()}
        return in_batches(compiled_decode, codes)

    return encode, decode


def mmd_to_prior(config: ModelConfig, seed: int = 0) -> Callable[[np.ndarray], float]:
    """Makes a function that gives the squared MMD of codes from N(0, I), as training measures it.

    It takes codes [n, d], n >= 2, and has the config's kernel, estimator and prior. The estimator
    "auto" is the unbiased one here, however many codes there are. The seed decides the prior's
    draws, the frequencies of random features and the order of the rows, where these matter.
    """
    from tf_mmdvlae.model import mmd
    from tf_mmdvlae.model.devices import compiled

    generator = np.random.default_rng([seed, 1])
    estimator = "unbiased" if config.estimator == "auto" else config.estimator

    @functools.cache
    def compiled_for(dimension):
        kernel = mmd.kernel_for_dimension(config.kernel, config.scales, dimension)
        settings = {"kernel": kernel, "estimator": estimator}
        return compiled(functools.partial(mmd.mmd_squared_to_prior, **settings))

    def mmd_squared(codes):
        dimension, draws = codes.shape[1], {}
        if estimator == "linear_time":
            # Neighbours may be alike, as in a test set in the order of its classes.
            codes = generator.permutation(codes)
        if config.prior == "sampled":
            draws["prior"] = generator.standard_normal(codes.shape, np.float32)
        elif estimator == "random_features":
            shape = (config.frequencies, dimension + 2)
            draws["noise"] = generator.standard_normal(shape, np.float32)
        return float(compiled_for(dimension)(codes, **draws))

    return mmd_squared
