"""Accuracy, area under the curve and R^2 of predictions, by hand and against their scatter."""

import math

import numpy as np
import pytest
from scipy import stats

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics import label_scores


def test_accuracy_by_hand():
    result = label_scores.accuracy(np.array([0, 1, 0, 1]), np.array([0, 1, 1, 1]))
    assert (result["value"], result["count"]) == (0.75, 4)
    assert result["standard_error"] == pytest.approx(math.sqrt(0.75 * 0.25 / 4))


def test_auc_standard_error_by_hand():
    # A = 0.8, p = 3, n = 2: Q1 = 2/3, Q2 = 1.28/1.8.
    expected = (0.16 + 2 * (2 / 3 - 0.64) + 1 * (1.28 / 1.8 - 0.64)) / 6
    assert label_scores.auc_standard_error(0.8, 3, 2) == pytest.approx(math.sqrt(expected))
    assert label_scores.auc_standard_error(1.0, 50, 50) == 0


def test_auc_by_hand_with_a_tie():
    scores, attribute = np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, False, True, True])
    result = label_scores.area_under_curve(scores, attribute)
    # Of the four pairs three are in order, and one is a tie.
    assert (result["value"], result["count"], result["positives"]) == (3.5 / 4, 4, 2)


def test_auc_standard_error_is_the_scatter_between_samples():
    random = np.random.default_rng(8)
    attribute = np.arange(200) % 4 == 0
    results = [
        label_scores.area_under_curve(random.standard_normal(200) + attribute, attribute)
        for _ in range(200)
    ]
    values = [result["value"] for result in results]
    # The area of two unit normals that lie one apart is Phi(1 / sqrt 2).
    assert np.mean(values) == pytest.approx(stats.norm.cdf(1 / math.sqrt(2)), abs=0.01)
    claimed = np.mean([result["standard_error"] for result in results])
    assert claimed == pytest.approx(np.std(values), rel=0.25)


def test_r2_by_hand():
    # Errors 0, 0, 1, 0; squares about the mean of 1.75: 3.0625, .5625, 1.5625, 1.5625.
    result = label_scores.r_squared(np.array([0.0, 1, 2, 3]), np.array([0, 1, 3, 3]))
    assert result["value"] == pytest.approx(1 - 1 / 6.75)
    influence = np.array([0, 0, 1, 0]) - np.array([3.0625, 0.5625, 1.5625, 1.5625]) / 6.75
    assert result["standard_error"] == pytest.approx(influence.std() / (2 * 6.75 / 4))


def test_r2_standard_error_is_the_scatter_between_samples():
    random = np.random.default_rng(7)
    results = []
    for _ in range(300):
        predicted = random.standard_normal(200)
        results.append(label_scores.r_squared(predicted, predicted + random.standard_normal(200)))
    values = np.array([result["value"] for result in results])
    assert values.mean() == pytest.approx(0.5, abs=0.02)
    claimed = np.mean([result["standard_error"] for result in results])
    assert claimed == pytest.approx(values.std(), rel=0.2)


def test_the_type_of_a_label_decides_its_measure():
    bools, numbers, floats = np.zeros(3, bool), np.zeros(3, np.int32), np.zeros(3, np.float32)
    assert label_scores.measure_for("hat", bools, bools) == "auc"
    assert label_scores.measure_for("digit", numbers, numbers.astype(np.uint8)) == "accuracy"
    assert label_scores.measure_for("light", floats, floats) == "r2"
    for train, test in ((bools, numbers), (numbers, floats), (numbers.astype(str),) * 2):
        with pytest.raises(InputError, match="'hat' is"):
            label_scores.measure_for("hat", train, test)


def test_chance_of_a_class_is_what_trains_most_frequent_one_reaches_on_test():
    train, test = np.array([3, 3, 5]), np.array([3, 5, 5, 5])
    assert label_scores.chance("accuracy", train, test) == 0.25
    assert label_scores.chance("auc", train, test) == 0.5
    assert label_scores.chance("r2", train, test) == 0


def test_obstacles():
    mixed, worn = np.array([True, False]), np.ones(2, bool)
    assert label_scores.obstacle("auc", mixed, mixed) == ""
    assert "one class only in train" in label_scores.obstacle("auc", worn, mixed)
    assert "one class only in test" in label_scores.obstacle("auc", mixed, ~worn)
    assert "one value only" in label_scores.obstacle("r2", np.arange(2.0), np.full(2, 0.1))
    assert label_scores.obstacle("accuracy", np.ones(2, int), np.ones(2, int)) == ""
