"""Whether codes of real images can be told from the prior: distances beside their chance level."""

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model import latents

# A mean that varies less than this over images says next to nothing (Burda et al. 2015).
ACTIVE_VARIANCE = 0.01
_BOOTSTRAP_DRAWS = 100


def prior_distance(
    means, deviations, mmd_squared, batch_size=256, null_draws=2000, seed=0, progress=None
):
    """How far each layer, and all layers joined, are from N(0, I), beside what chance alone gives.

    Codes are posterior samples, z = mean + deviation * e with e from N(0, I).

    Args:
      means: posterior means, a latent dict [n, d_l].
      deviations: posterior standard deviations, of the same shapes, >= 0.
      mmd_squared: codes [batch, d] float32 -> the squared MMD from N(0, I) as one number; it is
        called for each layer's d and for the d of all layers together.
      batch_size: codes in each MMD, at least 2.
      null_draws: how many batches of N(0, I) the null distribution of a dimension is made of.
      seed: of all draws.
      progress: None, or called as progress(done, total).

    Returns:
      {"z_1", ..., "z_L", "all"} -> a dict of
        "mmd_squared": {"value", "standard_error", "count"}, the mean over `count` batches;
        "null": {"mean", "deviation", "quantile_95", "draws"}, of MMD^2 between the prior and
        batches that were drawn from it, of the same size;
        "effect_size": {"value", "standard_error", "count"}: (mean MMD^2 - null mean) / null
        deviation; 0 for codes that follow the prior;
        "rejected": {"value", "standard_error", "count"}: share of batches whose MMD^2 lies above
        the null's 95% quantile; 0.05 for codes that follow the prior, 1 for codes that a test on
        one batch always tells from it;
        "mean_distance": |mean of z| / sqrt(d) and "covariance_distance": |cov z - I|_F / sqrt(d),
        both 0 for the prior but for chance, with a bootstrap's standard error and the number of
        codes;
        "active_units": {"value", "of", "count"}: dimensions whose posterior mean has a variance
        above 0.01 over images (Burda, Grosse and Salakhutdinov 2015, arXiv 1509.00519).

    Raises:
      InputError: for a batch size or a number of rows below 2, or shapes that do not match.
    """
    codes = latents.posterior_samples(means, deviations, seed)
    rows = latents.row_count(codes)
    if min(rows, batch_size) < 2:
        raise InputError(
            f"An MMD needs at least 2 codes a batch; there are {rows} codes and the batch size "
            f"is {batch_size}."
        )
    size = min(batch_size, rows)
    sets = {**codes, "all": latents.join(codes)}
    wide = {**latents.check(means), "all": latents.join(means)}
    dimensions = sorted({values.shape[1] for values in sets.values()})
    nulls = {}
    for index, dimension in enumerate(dimensions):
        generator = np.random.default_rng([seed, 2, dimension])
        values = np.empty(null_draws)
        for draw in range(null_draws):
            prior = generator.standard_normal((size, dimension), np.float32)
            values[draw] = np.asarray(mmd_squared(prior))
            if progress:
                progress(index * null_draws + draw + 1, len(dimensions) * null_draws)
        nulls[dimension] = values
    return {
        name: _distances(values, wide[name], nulls[values.shape[1]], mmd_squared, size, seed)
        for name, values in sets.items()
    }


def _distances(codes, means, null, mmd_squared, size, seed):
    batches = [codes[start : start + size] for start in range(0, len(codes) - size + 1, size)]
    found = np.array([float(np.asarray(mmd_squared(batch))) for batch in batches])
    deviation = null.std(ddof=1)
    edge = np.quantile(null, 0.95)
    share = float(np.mean(found > edge))
    generator = np.random.default_rng([seed, 3])
    drawn = [codes[generator.integers(0, len(codes), len(codes))] for _ in range(_BOOTSTRAP_DRAWS)]
    result = {
        "mmd_squared": _mean(found),
        "null": {
            "mean": float(null.mean()),
            "deviation": float(deviation),
            "quantile_95": float(edge),
            "draws": len(null),
        },
        "effect_size": _mean((found - null.mean()) / deviation),
        "rejected": {
            "value": share,
            "standard_error": float(np.sqrt(share * (1 - share) / len(found))),
            "count": len(found),
        },
        "active_units": {
            "value": int(np.sum(means.var(axis=0) > ACTIVE_VARIANCE)),
            "of": codes.shape[1],
            "count": len(means),
        },
    }
    for name, measure in (
        ("mean_distance", _mean_distance),
        ("covariance_distance", _covariance_distance),
    ):
        spread = np.std([measure(rows) for rows in drawn], ddof=1)
        result[name] = {
            "value": measure(codes),
            "standard_error": float(spread),
            "count": len(codes),
            "bootstrap_draws": _BOOTSTRAP_DRAWS,
        }
    return result


def _mean_distance(codes):
    return float(np.linalg.norm(codes.mean(axis=0)) / np.sqrt(codes.shape[1]))


def _covariance_distance(codes):
    covariance = np.atleast_2d(np.cov(codes, rowvar=False))
    return float(np.linalg.norm(covariance - np.eye(len(covariance))) / np.sqrt(len(covariance)))


def _mean(values):
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    result = {
        "value": float(np.mean(values)),
        "standard_error": float(error),
        "count": len(values),
    }
    return result if len(values) > 1 else {**result, "note": "one batch only: no standard error"}
