"""How far the codes of real images are from the prior: distances beside their chance level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics import estimates
from tf_mmdvlae.metrics.estimates import Estimate
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.latents import Latents

ACTIVE_VARIANCE = 0.01
BOOTSTRAP_DRAWS = 100


def prior_match(
    means: Latents,
    deviations: Latents,
    mmd_squared: Callable[[np.ndarray], float],
    batch_size: int = 128,
    seed: int = 0,
) -> dict[str, Estimate]:
    """The squared MMD from N(0, I) of each layer and of all layers joined.

    Codes are `latents.posterior_samples`, shuffled: in the order of a split that is sorted by
    class, no batch would be like the whole. Rows that do not fill a batch are left out, because an
    MMD of fewer rows is noisier and, if its estimator is biased, larger.

    Args:
      mmd_squared: takes codes [batch, d] float32 and gives their squared MMD from N(0, I); called
        for each layer's d and for the d of all layers together.
      batch_size: codes in each MMD, at least 2. With fewer rows than that, all are one batch.

    Returns:
      {"mmd_1", ..., "mmd_L", "mmd_joint"}, each {"value", "standard_error", "batches",
      "batch_size"}: the mean over batches, its standard error, the number of batches and their
      size. One batch alone has no standard error.

    Raises:
      InputError: for a batch size or a number of rows below 2.
    """
    codes, size = _posterior_sets(means, deviations, batch_size, seed)
    results = {}
    for name, layer in codes.items():
        result = estimates.mean(_batch_mmds(layer, mmd_squared, size), "batch")
        result["batches"], result["batch_size"] = result.pop("count"), size
        results["mmd_joint" if name == "all" else name.replace("z_", "mmd_")] = result
    return results


def prior_distance(
    means: Latents,
    deviations: Latents,
    mmd_squared: Callable[[np.ndarray], float],
    batch_size: int = 256,
    null_draws: int = 2000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """The MMD of `prior_match` beside what chance alone gives, and other distances.

    Args:
      mmd_squared, batch_size: as in `prior_match`.
      null_draws: how many batches of N(0, I) make up the null distribution of a dimension.

    Returns:
      {"z_1", ..., "z_L", "all"} -> a dict of
        "mmd_squared": estimate, the mean over `count` batches;
        "null": {"mean", "deviation", "quantile_95", "draws"} of MMD^2 between the prior and
        batches of the same size that were drawn from it;
        "effect_size": estimate of (mean MMD^2 - null mean) / null deviation, and "rejected": the
        share of batches whose MMD^2 lies above the null's 95% quantile; 0 and 0.05 for codes that
        follow the prior, and "rejected" is 1 where a test on any one batch rejects it;
        "mean_distance": |mean of z| / sqrt(d) and "covariance_distance": |cov z - I|_F / sqrt(d),
        estimates by bootstrap over codes, both 0 for the prior but for chance;
        "active_units": {"value", "of", "count"}: the number of dimensions that are `active`.
    """
    codes, size = _posterior_sets(means, deviations, batch_size, seed)
    all_means = {**latents.check(means), "all": latents.join(means)}
    dimensions = sorted({values.shape[1] for values in codes.values()})
    nulls = {}
    for index, dimension in enumerate(dimensions):
        generator = np.random.default_rng([seed, 2, dimension])
        nulls[dimension] = null = np.empty(null_draws)
        for draw in range(null_draws):
            prior = generator.standard_normal((size, dimension), np.float32)
            null[draw] = mmd_squared(prior)
            if progress:
                progress(index * null_draws + draw + 1, len(dimensions) * null_draws)
    results = {}
    for name, layer in codes.items():
        null = nulls[layer.shape[1]]
        mean, deviation = float(null.mean()), float(null.std(ddof=1))
        edge = float(np.quantile(null, 0.95))
        facts = {"mean": mean, "deviation": deviation, "quantile_95": edge, "draws": null_draws}
        mmds = _batch_mmds(layer, mmd_squared, size)
        units, dimension = int(active(all_means[name]).sum()), layer.shape[1]
        results[name] = {
            "mmd_squared": estimates.mean(mmds, "batch"),
            "null": facts,
            "effect_size": estimates.mean((mmds - mean) / deviation, "batch"),
            "rejected": estimates.share(mmds > edge),
            **_moment_distances(layer, np.random.default_rng([seed, 3])),
            "active_units": {"value": units, "of": dimension, "count": len(layer)},
        }
    return results


def active(means: np.ndarray) -> np.ndarray:
    """Which dimensions carry something, bool [d]: the variance of their posterior means [n, d]
    over images is above 0.01 (Burda, Grosse and Salakhutdinov 2016, arXiv 1509.00519)."""
    return means.var(axis=0) > ACTIVE_VARIANCE


def _posterior_sets(means, deviations, batch_size, seed):
    """Posterior samples of each layer and of "all" joined, and the size of a batch of them."""
    codes = latents.posterior_samples(means, deviations, seed)
    rows = latents.row_count(codes)
    if min(rows, batch_size) < 2:
        raise InputError(f"An MMD needs at least 2 codes, not {rows} in batches of {batch_size}.")
    return {**codes, "all": latents.join(codes)}, min(batch_size, rows)


def _batch_mmds(codes, mmd_squared, size):
    starts = range(0, len(codes) - size + 1, size)
    return np.array([float(mmd_squared(codes[at : at + size])) for at in starts])


def _moment_distances(codes, generator):
    count = len(codes)
    samples = [codes[generator.integers(0, count, count)] for _ in range(BOOTSTRAP_DRAWS)]
    names = "mean_distance", "covariance_distance"
    distances = zip(*map(_distances, [codes, *samples]), strict=True)
    return {
        name: estimates.bootstrap(value, draws, count)
        for name, (value, *draws) in zip(names, distances, strict=True)
    }


def _distances(codes):
    """How far mean and covariance are from those of the prior."""
    covariance, scale = np.atleast_2d(np.cov(codes, rowvar=False)), np.sqrt(codes.shape[1])
    off = covariance - np.eye(len(covariance))
    return np.linalg.norm(codes.mean(axis=0)) / scale, np.linalg.norm(off) / scale
