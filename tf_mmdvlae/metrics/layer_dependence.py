"""Whether latent layers depend on one another: distance correlation beside its chance level."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial.distance import pdist, squareform

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.estimates import Estimate, estimate, unknown
from tf_mmdvlae.model.latents import Latents, posterior_samples, row_count

LEAST_ROWS = 40
"""The jackknife leaves out a tenth, and a distance correlation of fewer codes is noise."""
MOST_ROWS = 1000
PERMUTATIONS = 200


def layer_dependence(means: Latents, deviations: Latents, seed: int = 0) -> list[Estimate]:
    """The distance correlation of every two layers' posterior samples, of at most 1,000 rows.

    The bias-corrected squared distance correlation (Szekely and Rizzo 2014, arXiv 1310.2926): with
    U-centred distance matrices A and B, (A.B) / sqrt((A.A) (B.B)) where A.B is the mean of the
    products off the diagonal. It is 1 for codes that are equal up to shift, turn and scale; for
    independent ones it is 0 on average, and may fall below. It sees every kind of dependence, not
    only a linear one.

    Returns:
      One estimate per pair of layers, its standard error by a jackknife over ten parts of the
      codes, with "layers": ["z_1", "z_2"], "permutations" (200, of one layer's rows), the
      "null_deviation" between them, and "p_value": (1 + permutations at or above the value) /
      (1 + permutations). A layer that does not vary gives NaN. One layer gives an empty list.

    Raises:
      InputError: for fewer than 40 codes.
    """
    codes = posterior_samples(means, deviations, seed)
    count = row_count(codes)
    if count < LEAST_ROWS:
        raise InputError(f"Distance correlation needs at least {LEAST_ROWS} codes, not {count}.")
    generator = np.random.default_rng([seed, 4])
    chosen = generator.permutation(count)[:MOST_ROWS]
    distances = {
        name: squareform(pdist(values[chosen].astype(float))) for name, values in codes.items()
    }
    return [
        _dependence([first, second], a, b, generator)
        for (first, a), (second, b) in itertools.combinations(distances.items(), 2)
    ]


def _dependence(layers, a, b, generator):
    count = len(a)
    facts = {"layers": layers, "permutations": PERMUTATIONS}
    if not (a.any() and b.any()):
        return unknown(count, "a layer does not vary", **facts)
    centred_a, centred_b = _centred(a), _centred(b)
    scale = np.sqrt(np.sum(centred_a**2) * np.sum(centred_b**2))
    value = np.sum(centred_a * centred_b) / scale
    null = np.empty(PERMUTATIONS)
    for draw in range(PERMUTATIONS):
        order = generator.permutation(count)
        null[draw] = np.sum(centred_a * centred_b[order][:, order]) / scale
    parts = np.arange(count) % 10
    left_out = []
    for part in range(10):
        rest = np.flatnonzero(parts != part)
        some_a, some_b = (_centred(matrix[np.ix_(rest, rest)]) for matrix in (a, b))
        norm = np.sqrt(np.sum(some_a**2) * np.sum(some_b**2))
        left_out.append(np.sum(some_a * some_b) / norm if norm > 0 else value)
    error = np.sqrt(0.9 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    facts["null_deviation"] = float(null.std(ddof=1))
    facts["p_value"] = float((1 + np.sum(null >= value)) / (1 + PERMUTATIONS))
    return estimate(value, error, count, **facts)


def _centred(distances):
    """The matrix less its rows' and columns' means, so that its products have no bias."""
    n = len(distances)
    row = distances.sum(axis=0) / (n - 2)
    centred = distances - row - row[:, None] + distances.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return centred
