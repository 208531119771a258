"""How like real images generated ones are, as sets: distances and overlaps of their features.

Every measure takes features, [n, d] of real and [m, d] of generated images, from one and the same
feature space (pixels, or a classifier's last hidden layer). Numbers from different feature spaces,
crops or image counts don't compare.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.estimates import Estimate, bootstrap, estimate

BLOCK_ROWS = 1_000
QUARTERS = 20
# Threads that wait for each other on busy cores make small products up to ten times slower.
_one_thread = threadpool_limits.wrap(limits=1)


def sample_quality(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> dict[str, Estimate]:
    """All measures of this file with their defaults, on features [n, d] and [m, d].

    Returns:
      {"frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"}.

    Raises:
      InputError: as `frechet_distance`.
    """
    return {
        "frechet_distance": frechet_distance(real, generated, seed),
        "kernel_distance": kernel_distance(real, generated, seed=seed),
        **precision_recall_density_coverage(real, generated, seed=seed),
    }


@_one_thread
def frechet_distance(
    real: np.ndarray, generated: np.ndarray, seed: int = 0, bootstrap_draws: int | None = None
) -> Estimate:
    """Squared Wasserstein-2 distance between Gaussians fitted to both sets (Heusel et al. 2017).

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^(1/2) S2 S1^(1/2))^(1/2)) with sample means and covariances
    (arXiv 1706.08500); 0 is best. Inception features made it known as the FID. It is biased
    upward, the more the fewer the images and the more dimensions there are (two halves of one data
    set are not at 0), so that only values from equal counts compare. Time grows with d^3.

    Args:
      real, generated: features [n, d], [m, d], at least 4 rows each.
      seed: of the bootstrap.
      bootstrap_draws: at least 2; None is 10,000 / d, but 10 at least and 100 at most.

    Returns:
      The distance in squared units of the features, with the "count" of generated rows, the
      "real_count" and the "bootstrap_draws", for which both sides are redrawn with replacement.
      Where the value is little more than its bias, the standard error is too large, by up to two
      times.

    Raises:
      InputError: for features that are not [rows, dimensions] of the same dimensions, fewer than 4
        rows a side, values that are not finite, or fewer than 2 draws.
    """
    sides = real, generated = _features(real, generated)
    if bootstrap_draws is None:
        bootstrap_draws = min(max(10_000 // real.shape[1], 10), 100)
    if bootstrap_draws < 2:
        raise InputError(f"A bootstrap needs at least 2 draws, not {bootstrap_draws}.")
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(bootstrap_draws):
        times = [
            np.bincount(generator.integers(0, len(x), len(x)), minlength=len(x)) for x in sides
        ]
        draws.append(_gaussian_distance(*map(_moments, sides, times)))
    value = _gaussian_distance(*(_moments(x, np.ones(len(x), int)) for x in sides))
    return bootstrap(value, draws, len(generated), real_count=len(real))


@_one_thread
def kernel_distance(
    real: np.ndarray,
    generated: np.ndarray,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Squared MMD with a cubic kernel, averaged over subsets: KID (Binkowski et al. 2018).

    The unbiased MMD^2 with k(x, y) = (x . y / d + 1)^3 (arXiv 1801.01401) between equally large
    subsets of both sets. Its expectation is 0 for sets of one distribution, whatever the counts, so
    that it may fall below 0.

    Args:
      real, generated: features [n, d], [m, d], at least 4 rows each.
      subsets: how many pairs of subsets, at least 2.
      subset_size: rows in each, at least 2, drawn without replacement; at most half of the rows of
        the smaller set are used.
      seed: of the subsets.

    Returns:
      The mean over subsets, with the "count" of generated rows, the "real_count", and the number of
      "subsets" and the "subset_size" as used. Subsets share rows, so that the deviation s between
      them says both too little and too much; with f the share of the smaller set that a subset
      holds, the standard error is s sqrt(f / (1 - f) + 1 / subsets). It is too large, by up to
      f^(-1/2) times, for sets that can't be told apart.

    Raises:
      InputError: as `frechet_distance`, or for fewer than 2 subsets or rows in them.
    """
    real, generated = _features(real, generated)
    if subsets < 2 or subset_size < 2:
        raise InputError(
            f"A kernel distance needs at least 2 subsets of 2 rows, not {subsets} of {subset_size}."
        )
    rows = min(len(real), len(generated))
    size = min(subset_size, rows // 2)
    generator = np.random.default_rng(seed)
    values = [
        _cubic_mmd_squared(_part(real, size, generator), _part(generated, size, generator))
        for _ in range(subsets)
    ]
    error = np.std(values, ddof=1) * np.sqrt(size / (rows - size) + 1 / subsets)
    used: dict[str, Any] = {"subsets": subsets, "subset_size": size}
    return estimate(np.mean(values), error, len(generated), real_count=len(real), **used)


@_one_thread
def precision_recall_density_coverage(
    real: np.ndarray, generated: np.ndarray, neighbours: int = 5, seed: int = 0
) -> dict[str, Estimate]:
    """How far the two sets lie within each other, by balls that reach to the k-th neighbour.

    Around each row lies a ball up to the k-th nearest other row of its own set (Euclidean).

    - precision: the share of generated rows inside a real row's ball; recall: that of real rows
      inside a generated row's ball (Kynkaanniemi et al. 2019, arXiv 1904.06991).
    - density: the mean number, over k, of real rows' balls around a generated row, about 1 for sets
      of one distribution; coverage: the share of real rows whose ball holds a generated row, about
      1 - 2^-k for equally large sets of one distribution (Naeem et al. 2020, arXiv 2002.09797).

    At most 10,000 rows a side are used (5,000 of more than 256 dimensions), drawn by the seed.

    Args:
      real, generated: features [n, d], [m, d], at least 4 rows each.
      neighbours: k >= 1; all others of its set where a side has no more rows than that.
      seed: of all draws.

    Returns:
      {"precision", "recall", "density", "coverage"}, density >= 0 and the others in [0, 1], with
      the numbers of generated rows ("count"), real rows ("real_count") and "neighbours" that were
      used. For the standard error, 20 quarters of both sides are measured; their deviation s gives
      s / sqrt(3), as a quarter's variance is four times the whole's, a quarter of which quarters of
      one set share. Where a quarter has too few rows for k neighbours it is NaN, with a "note".

    Raises:
      InputError: as `frechet_distance`, or for no neighbours.
    """
    real, generated = _features(real, generated)
    if neighbours < 1:
        raise InputError(f"Balls reach to the first neighbour at least, not to {neighbours}.")
    # Near the origin distances lose the fewest digits to their matrix product.
    centre = real.mean(axis=0)
    generator = np.random.default_rng(seed)
    most = 10_000 if real.shape[1] <= 256 else 5_000
    real, generated = (
        _part(side - centre, min(len(side), most), generator) for side in (real, generated)
    )
    rows = min(len(real), len(generated))
    neighbours = min(neighbours, rows - 1)
    values = _overlaps(real, generated, neighbours)
    errors, note = dict.fromkeys(values, np.nan), ""
    if rows // 4 > neighbours:
        quarters = [
            _overlaps(
                _part(real, len(real) // 4, generator),
                _part(generated, len(generated) // 4, generator),
                neighbours,
            )
            for _ in range(QUARTERS)
        ]
        for name in values:
            errors[name] = np.std([quarter[name] for quarter in quarters], ddof=1) / np.sqrt(3)
    else:
        note = f"too few rows for quarters of more than {neighbours}: no standard error"
    used: dict[str, Any] = {"real_count": len(real), "neighbours": neighbours}
    return {
        name: estimate(value, errors[name], len(generated), note, **used)
        for name, value in values.items()
    }


def _features(real, generated):
    arrays = []
    for side, features in (("real", real), ("generated", generated)):
        features = np.asarray(features, np.float64)
        if features.ndim != 2 or len(features) < 4 or not features.shape[1]:
            raise InputError(
                f"The {side} features have shape {list(features.shape)}; they must be "
                "[rows, dimensions] with at least 4 rows."
            )
        if not np.isfinite(features).all():
            raise InputError(f"The {side} features hold values that are not finite.")
        arrays.append(features)
    if arrays[0].shape[1] != arrays[1].shape[1]:
        raise InputError(
            f"Real features have {arrays[0].shape[1]} dimensions and generated ones "
            f"{arrays[1].shape[1]}; both must come from the same feature space."
        )
    return arrays


def _part(features, size, generator):
    return features[generator.choice(len(features), size, replace=False)]


def _moments(features, times):
    """Mean and covariance of a set in which each row is there so many times."""
    rows, times = features[times > 0], times[times > 0]
    mean = times @ rows / times.sum()
    rows -= mean
    rows *= np.sqrt(times)[:, None]
    return mean, rows.T @ rows / (times.sum() - 1)


def _gaussian_distance(real, generated):
    (mean, covariance), (other_mean, other_covariance) = real, generated
    values, vectors = np.linalg.eigh(covariance)
    # In a constant column and wherever else the set has no extent there are rounding errors only,
    # and the root would make 1e-8 of 1e-16.
    extended = values > len(values) * np.finfo(float).eps * values[-1]
    root = vectors[:, extended] * np.sqrt(values[extended])
    product = np.linalg.eigvalsh(root.T @ other_covariance @ root)
    distance = (
        np.square(mean - other_mean).sum()
        + np.trace(covariance)
        + np.trace(other_covariance)
        - 2 * np.sqrt(np.maximum(product, 0)).sum()
    )
    return max(float(distance), 0.0)


def _cubic_mmd_squared(x, y):
    size, dimensions = x.shape

    def kernel_sum(a, b):
        base = a @ b.T
        base /= dimensions
        base += 1
        return np.vdot(base * base, base)

    def own_pairs(a):
        diagonal = np.sum((np.square(a).sum(axis=1) / dimensions + 1) ** 3)
        return (kernel_sum(a, a) - diagonal) / (size * (size - 1))

    return own_pairs(x) + own_pairs(y) - 2 * kernel_sum(x, y) / size**2


def _overlaps(real, generated, neighbours):
    # The distance between equal rows comes out as up to 1e-8 of their norms.
    slack = 1e-7 * max(np.linalg.norm(side, axis=1).max() for side in (real, generated))
    real_radii, radii = (_radii(side, neighbours) + slack for side in (real, generated))
    balls = np.zeros(len(generated), int)
    recalled = covered = 0
    for block in gen_batches(len(real), BLOCK_ROWS):
        distances = euclidean_distances(real[block], generated)
        inside = distances <= real_radii[block, None]
        balls += inside.sum(axis=0)
        covered += int(inside.any(axis=1).sum())
        recalled += int((distances <= radii).any(axis=1).sum())
    return {
        "precision": float((balls > 0).mean()),
        "recall": recalled / len(real),
        "density": float(balls.mean() / neighbours),
        "coverage": covered / len(real),
    }


def _radii(features, neighbours):
    search = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(features)
    return search.kneighbors()[0][:, -1]
