"""The separated attribute predictability score."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from tf_mmdvlae.metrics.disentanglement import sap
from tf_mmdvlae.metrics.estimates import bootstrap_weights


def test_squared_correlations_and_balanced_accuracies_are_those_of_the_libraries(noise):
    predicted, truth = noise(60, 2).T
    classes, guesses = np.random.default_rng(1).integers(0, 3, (2, 60))
    weights = np.vstack([np.ones(60), bootstrap_weights(60, 2, np.random.default_rng(2))])
    squares = sap.squared_correlations(predicted + 1e4, truth, weights)
    accuracies = sap.balanced_accuracies(guesses, classes, weights)
    for times, square, accuracy in zip(weights, squares, accuracies, strict=True):
        rows = np.repeat(np.arange(60), times.astype(int))
        assert square == pytest.approx(stats.pearsonr(predicted[rows], truth[rows]).statistic ** 2)
        expected = metrics.balanced_accuracy_score(classes[rows], guesses[rows])
        assert accuracy == pytest.approx(expected)
    assert sap.squared_correlations(np.full(60, 0.1), truth, weights).tolist() == [0, 0, 0]
    # Of class 1 no row, of class 0 one of two: the classes that are there count.
    assert (
        sap.balanced_accuracies(np.array([0, 2, 2]), np.array([0, 0, 2]), np.ones((1, 3))) == 0.75
    )


def test_sap_by_hand(noise, table_of):
    # The factor is the sum of two standard normals and a third that no dimension has: squared
    # correlations 1/3 and 1/3 of dimensions, 2/3 of their layer. A class is read by its threshold:
    # Phi(1) of the rows on either side, against one half.
    rows = 4000
    codes = {"z_1": noise(rows, 2), "z_2": noise(rows, 1, seed=1)}
    worn = np.arange(rows) % 5 == 0
    codes["z_2"][:, 0] += np.where(worn, 1.0, -1.0)
    factors = {"light": codes["z_1"].sum(axis=1) + noise(rows, 1, seed=2)[:, 0], "worn": worn}
    result = sap.separated_predictability(table_of(codes, factors), np.random.default_rng(0))
    ahead = stats.norm.cdf(1) - 1 / 2
    for kind, expected in (("dimensions", (0 + ahead) / 2), ("layers", (2 / 3 + ahead) / 2)):
        score = result[kind]["sap"]
        # The best of several is a little ahead of its truth.
        assert score["value"] == pytest.approx(expected, abs=0.03)
        assert score["count"] == 2000


def test_the_error_of_sap_is_the_scatter_between_samples(table_of):
    scores = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        light = random.standard_normal(400)
        codes = random.standard_normal((400, 2))
        codes[:, 0] += light
        table = table_of({"z_1": codes}, {"light": light}, seed)
        scores.append(sap.separated_predictability(table, random)["dimensions"]["sap"])
    scatter = np.std([score["value"] for score in scores], ddof=1)
    claimed = np.mean([score["standard_error"] for score in scores])
    assert claimed == pytest.approx(scatter, rel=0.35)
