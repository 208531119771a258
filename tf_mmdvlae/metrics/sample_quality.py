"""How like real images generated ones are, as sets: distances and overlaps of their features.

Every measure takes features, [n, d] of real and [m, d] of generated images, at least 4 rows each,
from one and the same feature space (pixels, or a classifier's last hidden layer). Its estimates
have the number of generated rows as "count" and that of real ones as "real_count". Numbers from
different feature spaces, crops or image counts don't compare.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.estimates import Estimate, bootstrap, estimate

BLOCK_ROWS = 1_000
QUARTERS = 20
SUBSETS = 100
# Threads that wait for each other on busy cores make small products up to ten times slower.
_one_thread = threadpool_limits.wrap(limits=1)


def sample_quality(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> dict[str, Estimate]:
    """All measures of this file: {"frechet_distance", "kernel_distance", "precision", "recall",
    "density", "coverage"}."""
    return {
        "frechet_distance": frechet_distance(real, generated, seed),
        "kernel_distance": kernel_distance(real, generated, seed),
        **precision_recall_density_coverage(real, generated, seed=seed),
    }


@_one_thread
def frechet_distance(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> Estimate:
    """Squared Wasserstein-2 distance between Gaussians fitted to both sets (Heusel et al. 2017).

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^(1/2) S2 S1^(1/2))^(1/2)) with sample means and covariances
    (arXiv 1706.08500), in squared units of the features; 0 is best. Inception features made it
    known as the FID. It is biased upward, the more the fewer the images and the more dimensions
    there are (two halves of one data set are not at 0), so that only values from equal counts
    compare. Time grows with d^3. For each of the "bootstrap_draws" (10,000 / d, but 10 at least and
    100 at most) both sides are redrawn with replacement. Where the value is little more than its
    bias, the standard error is too large, by up to two times.
    """
    sides = real, generated = _features(real, generated)
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(min(max(10_000 // real.shape[1], 10), 100)):
        times = [
            np.bincount(generator.integers(0, len(x), len(x)), minlength=len(x)) for x in sides
        ]
        draws.append(_gaussian_distance(*map(_moments, sides, times)))
    value = _gaussian_distance(*(_moments(x, np.ones(len(x), int)) for x in sides))
    return bootstrap(value, draws, len(generated), real_count=len(real))


@_one_thread
def kernel_distance(
    real: np.ndarray, generated: np.ndarray, seed: int = 0, subset_rows: int = 1_000
) -> Estimate:
    """Squared MMD with a cubic kernel, averaged over subsets: KID (Binkowski et al. 2018).

    The unbiased MMD^2 with k(x, y) = (x . y / d + 1)^3 (arXiv 1801.01401) between 100 pairs of
    subsets of `subset_rows` >= 2 rows, or half of the smaller set where that is less, drawn without
    replacement. Its expectation is 0 for sets of one distribution, whatever the counts, so that it
    may fall below 0.

    Subsets share rows, so that the deviation s between them says both too little and too much; with
    f the share of the smaller set that a subset holds, the standard error is
    s sqrt(f / (1 - f) + 1 / 100). It is too large, by up to f^(-1/2) times, for sets that can't be
    told apart. The estimate has the number of "subsets" and their "subset_size".
    """
    real, generated = _features(real, generated)
    rows = min(len(real), len(generated))
    size = min(subset_rows, rows // 2)
    generator = np.random.default_rng(seed)
    values = [
        _cubic_mmd_squared(*(_part(side, size, generator) for side in (real, generated)))
        for _ in range(SUBSETS)
    ]
    error = np.std(values, ddof=1) * np.sqrt(size / (rows - size) + 1 / SUBSETS)
    facts = {"real_count": len(real), "subsets": SUBSETS, "subset_size": size}
    return estimate(np.mean(values), error, len(generated), "", **facts)


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

    At most 10,000 rows per side are used (5,000 of more than 256 dimensions), drawn by the seed.

    Args:
      neighbours: k >= 1; all others of its set where a side has no more rows than that.

    Returns:
      {"precision", "recall", "density", "coverage"}, density >= 0 and the others in [0, 1], with
      the rows that were used as counts, and the "neighbours". For the standard error, 20 quarters
      of both sides are measured; their deviation s gives s / sqrt(3), as a quarter's variance is
      four times the whole's, a quarter of which quarters of one set share. Where a quarter has too
      few rows for k neighbours it is NaN, with a "note".

    Raises:
      InputError: for no neighbours.
    """
    real, generated = _features(real, generated)
    if neighbours < 1:
        raise InputError(f"Balls reach to the first neighbour at least, not to {neighbours}.")
    # Near the origin distances lose the fewest digits to their matrix product.
    centre = real.mean(axis=0)
    generator = np.random.default_rng(seed)
    most = 10_000 if real.shape[1] <= 256 else 5_000
    sides = [_part(side - centre, min(len(side), most), generator) for side in (real, generated)]
    rows = min(map(len, sides))
    neighbours = min(neighbours, rows - 1)
    values = _overlaps(sides, neighbours)
    errors, note = dict.fromkeys(values, np.nan), ""
    if rows // 4 > neighbours:
        quarters = [
            _overlaps([_part(side, len(side) // 4, generator) for side in sides], neighbours)
            for _ in range(QUARTERS)
        ]
        for name in values:
            errors[name] = np.std([quarter[name] for quarter in quarters], ddof=1) / np.sqrt(3)
    else:
        note = f"too few rows for quarters of more than {neighbours}: no standard error"
    real_count, count = map(len, sides)
    facts = {"real_count": real_count, "neighbours": neighbours}
    return {
        name: estimate(value, errors[name], count, note, **facts) for name, value in values.items()
    }


def _features(real, generated):
    real, generated = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    for side, features in (("real", real), ("generated", generated)):
        if features.ndim != 2 or len(features) < 4 or not features.shape[1]:
            raise InputError(
                f"The {side} features have shape {list(features.shape)}; they must be "
                "[rows, dimensions] with at least 4 rows."
            )
        if not np.isfinite(features).all():
            raise InputError(f"The {side} features hold values that are not finite.")
    if real.shape[1] != generated.shape[1]:
        raise InputError(
            f"Real features have {real.shape[1]} dimensions and generated ones "
            f"{generated.shape[1]}; both must come from the same feature space."
        )
    return real, generated


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


def _overlaps(sides, neighbours):
    real, generated = sides
    # The distance between equal rows comes out as up to 1e-8 of their norms.
    slack = 1e-7 * max(np.linalg.norm(side, axis=1).max() for side in sides)
    real_radii, radii = (_radii(side, neighbours) + slack for side in sides)
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
