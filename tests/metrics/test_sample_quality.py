import json
import math

import numpy as np
import pytest
from scipy import linalg, spatial

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.sample_quality import (
    frechet_distance,
    kernel_distance,
    precision_recall_density_coverage,
    sample_quality,
)


def noise(rows, dims=3, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dims))


def white(rows, dims, seed=0):
    """Rows whose sample mean is 0 and whose sample covariance is the identity, to rounding."""
    rows = noise(rows, dims, seed)
    rows -= rows.mean(axis=0)
    return rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T


def values_of(results):
    return {name: result["value"] for name, result in results.items()}


def claimed_and_scatter(measure, worlds):
    results = [measure(world) for world in range(worlds)]
    claimed = np.mean([result["standard_error"] for result in results])
    return claimed, np.std([result["value"] for result in results], ddof=1)


# ---- Fréchet distance ------------------------------------------------------------------------


def test_frechet_distance_of_axis_aligned_gaussians_by_hand():
    real = white(50, 3) * [1.0, 2.0, 3.0] + [0.0, 0.0, 5.0]
    generated = white(40, 3, seed=1) * [4.0, 2.0, 2.5] + [1.0, 0.0, 3.0]
    # The squares of what the means differ by, and of what the deviations do.
    expected = (1 + 0 + 4) + (9 + 0 + 0.25)
    result = frechet_distance(real, generated)
    assert result["value"] == pytest.approx(expected, rel=1e-12)
    assert (result["count"], result["real_count"], result["bootstrap_draws"]) == (40, 50, 100)


def test_frechet_distance_matches_scipys_matrix_root():
    real = noise(300, 6) @ noise(6, 6, seed=1)
    generated = noise(200, 6, seed=2) @ noise(6, 6, seed=3) + 1
    first, second = np.cov(real.T), np.cov(generated.T)
    expected = np.square(real.mean(axis=0) - generated.mean(axis=0)).sum() + np.trace(
        first + second - 2 * linalg.sqrtm(first @ second).real
    )
    assert frechet_distance(real, generated)["value"] == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_stays_when_features_gain_constant_and_dependent_columns():
    real, generated = noise(60, 4), 0.3 + 2 * noise(50, 4, seed=1)
    expected = frechet_distance(real, generated)
    turn, _ = np.linalg.qr(noise(90, 90, seed=2))
    wide = [side @ turn[:4] + 100 * turn[4] for side in (real, generated)]
    result = frechet_distance(*wide)
    assert result["value"] == pytest.approx(expected["value"], rel=1e-9)
    assert result["standard_error"] == pytest.approx(expected["standard_error"], rel=1e-9)


def test_frechet_distance_of_sets_that_share_no_direction_is_all_of_both_variances():
    flat = np.zeros((30, 2))
    real = np.hstack([white(30, 2), flat])
    generated = np.hstack([flat, 3 * white(30, 2, seed=1)])
    assert frechet_distance(real, generated)["value"] == pytest.approx(2 + 18, rel=1e-12)
    nothing = np.full((30, 4), 0.1)
    assert frechet_distance(nothing, nothing)["value"] == 0
    assert frechet_distance(nothing, real)["value"] == pytest.approx(2 + 4 * 0.1**2)


def test_frechet_distance_of_a_set_from_itself_is_zero():
    for rows, dims in ((500, 8), (20, 60)):
        features = 10 * noise(rows, dims) ** 3
        scale = features.var(axis=0).sum()
        assert frechet_distance(features, features)["value"] == pytest.approx(0, abs=1e-8 * scale)


def test_frechet_distance_of_one_distribution_is_bias_that_falls_with_the_count():
    few = frechet_distance(noise(100, 10), noise(100, 10, seed=1))["value"]
    many = frechet_distance(noise(3000, 10), noise(3000, 10, seed=1))["value"]
    assert few == pytest.approx(30 * many, rel=0.3)


def test_frechet_bootstrap_redraws_the_rows_of_both_sides():
    sides = noise(30, 2), noise(20, 2, seed=1) + 2
    generator = np.random.default_rng(5)
    redrawn = [
        frechet_distance(*(x[generator.integers(0, len(x), len(x))] for x in sides))["value"]
        for _ in range(100)
    ]
    result = frechet_distance(*sides, seed=5)
    assert result["standard_error"] == pytest.approx(np.std(redrawn, ddof=1))


def test_frechet_standard_error_is_the_scatter_between_samples():
    def measure(world):
        generated = 1.3 * noise(150, 4, 1000 + world) + 0.5
        return frechet_distance(noise(200, 4, world), generated)

    claimed, scatter = claimed_and_scatter(measure, 80)
    assert claimed == pytest.approx(scatter, rel=0.25)


def test_frechet_bootstrap_takes_fewer_draws_of_many_dimensions():
    result = frechet_distance(noise(30, 400), noise(30, 400, seed=1))
    assert result["bootstrap_draws"] == 25
    assert result["standard_error"] > 0


# ---- kernel distance -------------------------------------------------------------------------


def cubic(x, y):
    return (sum(float(a) * float(b) for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3


def test_kernel_distance_of_many_subsets_is_that_of_all_pairs():
    real, generated = noise(8, 3), 1.5 * noise(8, 3, seed=1) + 0.3
    different = [(i, j) for i in range(8) for j in range(8) if i != j]
    expected = (
        sum(cubic(real[i], real[j]) + cubic(generated[i], generated[j]) for i, j in different) / 56
        - 2 * sum(cubic(x, y) for x in real for y in generated) / 64
    )
    results = [kernel_distance(real, generated, seed) for seed in range(50)]
    assert (results[0]["subsets"], results[0]["subset_size"]) == (100, 4)
    # Subsets of one half: the standard error is the deviation between subsets.
    between = np.mean([result["standard_error"] for result in results]) / math.sqrt(5000)
    assert abs(expected) > 10 * between
    value = np.mean([result["value"] for result in results])
    assert value == pytest.approx(expected, abs=4 * between)


def test_kernel_distance_of_two_points_by_hand():
    # k = ((x . y) / 2 + 1)^3: 8 and 27 within, 8 between.
    result = kernel_distance(np.tile([1.0, 1.0], (9, 1)), np.tile([2.0, 0.0], (6, 1)))
    assert result["value"] == pytest.approx(8 + 27 - 2 * 8)
    assert result["standard_error"] == pytest.approx(0, abs=1e-12)
    assert (result["count"], result["real_count"], result["subset_size"]) == (6, 9, 3)


def test_kernel_distance_of_one_distribution_is_around_zero():
    results = [
        kernel_distance(noise(200, 4, seed), noise(150, 4, 1000 + seed)) for seed in range(40)
    ]
    values = np.array([result["value"] for result in results])
    assert values.mean() == pytest.approx(0, abs=4 * values.std() / math.sqrt(40))
    assert (values < 0).any()
    assert np.mean([abs(r["value"]) < 3 * r["standard_error"] for r in results]) > 0.9


def test_kernel_standard_error_is_the_scatter_between_samples():
    def measure(world):
        real, generated = noise(300, 4, world), noise(300, 4, 1000 + world) + 0.6
        return kernel_distance(real, generated, subset_rows=60)

    claimed, scatter = claimed_and_scatter(measure, 100)
    assert claimed == pytest.approx(scatter, rel=0.25)


# ---- precision, recall, density, coverage ----------------------------------------------------


def test_overlaps_by_hand():
    real = np.array([-50.0, 0, 1, 2, 10])[:, None]  # balls reach 50, 1, 1, 1, 8
    generated = np.array([0.5, 3, 3.5, 30, 31, 32])[:, None]  # 2.5, 0.5, 0.5, 1, 1, 1
    result = precision_recall_density_coverage(real, generated, neighbours=1)
    # The first three lie in 2, 2 (3 on the edge of 2's ball) and 1 real balls, the others in none.
    assert values_of(result) == {
        "precision": 3 / 6,
        "recall": 3 / 5,
        "density": pytest.approx(5 / 6),
        "coverage": 4 / 5,
    }
    far = precision_recall_density_coverage(real + 1e8, generated + 1e8, neighbours=1)
    assert values_of(far) == values_of(result)
    assert "too few rows" in result["recall"]["note"]
    assert math.isnan(result["recall"]["standard_error"])
    # Up to the second neighbour the real balls reach 51, 2, 1, 2 and 9.
    wider = precision_recall_density_coverage(real, generated, neighbours=2)
    assert wider["density"]["value"] == pytest.approx((1 + 1 + 1 + 3 + 2) / (2 * 6))


def test_overlaps_match_all_distances_at_once():
    real, generated = noise(1300, 4), 0.8 * noise(900, 4, seed=1) + 0.4
    result = precision_recall_density_coverage(real, generated, neighbours=3)
    # The nearest of a set's own rows is the row itself.
    radii = np.sort(spatial.distance.cdist(generated, generated))[:, 3]
    real_radii = np.sort(spatial.distance.cdist(real, real))[:, 3]
    distances = spatial.distance.cdist(real, generated)
    inside = distances <= real_radii[:, None]
    assert values_of(result) == pytest.approx(
        {
            "precision": inside.any(axis=0).mean(),
            "recall": (distances <= radii).any(axis=1).mean(),
            "density": inside.sum() / (3 * 900),
            "coverage": inside.any(axis=1).mean(),
        },
        rel=1e-12,
    )
    assert result["density"]["count"] == 900
    assert result["density"]["real_count"] == 1300
    assert result["density"]["neighbours"] == 3


def test_overlaps_of_one_distribution():
    result = precision_recall_density_coverage(noise(1500), noise(1500, seed=1))
    for name, expected in (("density", 1), ("coverage", 1 - 2**-5)):
        error = 4 * result[name]["standard_error"]
        assert 0 < error < 0.2
        assert result[name]["value"] == pytest.approx(expected, abs=error)
    for name in ("precision", "recall"):
        assert 0.9 < result[name]["value"] < 1


def test_overlaps_of_equal_and_of_distant_sets():
    # Far from the origin, where distances lose digits.
    features = noise(300) + 1000
    equal = precision_recall_density_coverage(features, features)
    assert values_of(equal) | {"density": 1} == dict.fromkeys(equal, 1)
    apart = precision_recall_density_coverage(features, features + 100)
    for result in apart.values():
        assert (result["value"], result["standard_error"]) == (0, 0)


def test_overlaps_of_a_generator_that_makes_one_picture():
    real = noise(200, 5)
    # The same row again and again: its balls have no size, and yet it lies in its own.
    result = precision_recall_density_coverage(real, np.tile(real[7], (200, 1)))
    assert result["precision"]["value"] == 1
    assert result["recall"]["value"] == 1 / 200
    assert result["coverage"]["value"] < 0.1
    constant = precision_recall_density_coverage(np.ones((40, 2)), np.ones((40, 2)))
    assert constant["precision"]["value"] == constant["coverage"]["value"] == 1


def test_overlap_standard_errors_are_the_scatter_between_samples():
    results = [
        precision_recall_density_coverage(noise(240, 6, w), 0.9 * noise(240, 6, 1000 + w) + 0.2)
        for w in range(40)
    ]
    for name in results[0]:
        claimed = np.mean([result[name]["standard_error"] for result in results])
        scatter = np.std([result[name]["value"] for result in results], ddof=1)
        assert claimed == pytest.approx(scatter, rel=0.4), name


@pytest.mark.slow
def test_overlaps_use_a_part_of_very_many_rows():
    few = noise(40, 1)
    result = precision_recall_density_coverage(noise(10_050, 1), few)["recall"]
    assert (result["real_count"], result["count"]) == (10_000, 40)
    wide = np.repeat(few, 257, axis=1)
    result = precision_recall_density_coverage(wide, np.tile(wide, (126, 1)))["recall"]
    assert (result["real_count"], result["count"]) == (40, 5_000)


# ---- all of them -----------------------------------------------------------------------------


def test_sample_quality_has_every_measure_and_follows_its_seed():
    real, generated = noise(120), noise(100, seed=1) + 1
    result = sample_quality(real.astype(np.float32), generated.astype(np.float32), seed=3)
    names = ["frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"]
    assert list(result) == names
    for estimate in result.values():
        assert (estimate["count"], estimate["real_count"]) == (100, 120)
        assert estimate["standard_error"] > 0
    json.dumps(result, allow_nan=False)
    rounded = [side.astype(np.float32).astype(np.float64) for side in (real, generated)]
    assert result == sample_quality(*rounded, seed=3)
    other = sample_quality(*rounded, seed=4)
    for name in names:
        assert result[name]["standard_error"] != other[name]["standard_error"]


def test_better_samples_win_in_every_measure():
    real = noise(400)
    good = values_of(sample_quality(real, noise(400, seed=1) + 0.1))
    bad = values_of(sample_quality(real, 0.3 * noise(400, seed=1) + 1.5))
    for name in ("frechet_distance", "kernel_distance"):
        assert good[name] < bad[name]
    for name in ("precision", "recall", "density", "coverage"):
        assert good[name] > bad[name]


def test_sample_measures_refuse():
    features = noise(10)
    broken = features.copy()
    broken[2, 1] = np.nan
    for measure in (frechet_distance, kernel_distance, precision_recall_density_coverage):
        with pytest.raises(InputError, match="real features have shape \\[2, 2, 2\\]"):
            measure(np.zeros((2, 2, 2)), features)
        with pytest.raises(InputError, match="generated features have shape \\[3, 3\\].*4 rows"):
            measure(features, features[:3])
        with pytest.raises(InputError, match="3 dimensions and generated ones 2"):
            measure(features, features[:, :2])
        with pytest.raises(InputError, match="generated features hold.*not finite"):
            measure(features, broken)
    with pytest.raises(InputError, match="first neighbour"):
        precision_recall_density_coverage(features, features, neighbours=0)
