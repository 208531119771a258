"""Mutual information, MIG and MIG-sup."""

import math

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn import metrics

from tf_mmdvlae.metrics.disentanglement import mutual_information
from tf_mmdvlae.metrics.disentanglement.factor_table import equal_width_bins, top_two_gap
from tf_mmdvlae.metrics.estimates import bootstrap_weights


def test_information_of_dimensions_is_that_of_scikit_learn(drawn_factors, copied, noise, table_of):
    factors = drawn_factors(600, 2)
    table = table_of({"z_1": copied(factors)["z_2"] + 0.3 * noise(600, 2)}, factors)
    bins = equal_width_bins(table.codes)
    weights = np.vstack([np.ones(600), bootstrap_weights(600, 1, np.random.default_rng(1))])
    results = mutual_information.binned_information(bins, table.classes, weights)
    for times, result in zip(weights, results, strict=True):
        rows = np.repeat(np.arange(600), times.astype(int))
        for j in range(2):
            for f in range(4):
                expected = metrics.mutual_info_score(bins[rows, j], table.classes[rows, f])
                assert result[j, f] == pytest.approx(expected, abs=1e-9)
    heat = mutual_information.mutual_information(table, np.random.default_rng(1))["table"]
    assert heat["entropy"][1] == pytest.approx(stats.entropy([0.4, 0.6]), abs=0.02)


def test_independent_dimensions_show_the_information_that_counting_makes_up():
    random = np.random.default_rng(0)
    bins, classes = random.integers(0, 20, (2000, 20)), random.integers(0, 20, (2000, 3))
    result = mutual_information.binned_information(bins, classes, np.ones((1, 2000)))
    assert result.mean() == pytest.approx(19 * 19 / (2 * 2000), rel=0.1)


def test_mig_and_mig_sup_by_hand(table_of):
    a, b = np.repeat([0, 1], 40), np.tile([0, 1], 40)
    # The first dimension is a, the second agrees with it three times in four, and neither knows b:
    # I(z_1; a) = log 2, I(z_2; a) = log 2 - H(1/4).
    often = np.where(np.arange(80) % 8 < 2, 1 - a, a)
    table = table_of({"z_1": np.stack([a, often], axis=1)}, {"a": a, "b": b})
    result = mutual_information.mutual_information(table, np.random.default_rng(0))["dimensions"]
    lost = stats.entropy([0.25, 0.75], base=2)
    assert result["mig"]["value"] == pytest.approx((lost + 0) / 2)
    assert result["mig_sup"]["value"] == pytest.approx((1 + 1 - lost) / 2)
    assert top_two_gap(np.array([[3.0, 1, 2], [5, 5, 0]]), axis=1).tolist() == [1, 0]


def test_the_bound_for_layers_comes_near_the_truth_and_not_above_it(noise, table_of):
    random = np.random.default_rng(0)
    rows = 3000
    sign, light = random.random(rows) < 0.5, random.uniform(-1, 1, rows)
    codes = noise(rows, 4, seed=1)
    codes[:, 0] += np.where(sign, 1.0, -1.0)
    codes[:, 1] = np.exp(light)
    turn = stats.ortho_group.rvs(4, random_state=2)
    table = table_of({"z_1": codes @ turn}, {"sign": sign, "light": light})
    ratios = mutual_information.layer_log_ratios(table.codes, table)
    value, error = ratios.mean(axis=0), ratios.std(axis=0) / math.sqrt(rows)

    def information_density(z):
        truth, mixed = stats.norm.pdf(z, 1), (stats.norm.pdf(z, 1) + stats.norm.pdf(z, -1)) / 2
        return truth * np.log(truth / mixed)

    truth = integrate.quad(information_density, -9, 9)[0]
    assert truth - 0.03 < value[0] + 4 * error[0]
    assert value[0] - 4 * error[0] < truth
    assert 0.75 * math.log(20) < value[1] < math.log(20)


def test_the_bound_for_layers_finds_nothing_in_many_dimensions_of_noise(
    drawn_factors, noise, table_of
):
    factors = drawn_factors(300, 0)
    table = table_of({"z_1": noise(300, 25)}, factors)
    assert mutual_information.layer_log_ratios(table.codes, table).mean(axis=0).max() < 0.02
