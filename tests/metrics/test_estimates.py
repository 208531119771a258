"""Estimates by hand, and what the note says where something is missing."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from tf_mmdvlae.metrics import estimates


def test_a_mean_has_the_standard_error_of_the_mean():
    values = [1.0, 2.0, 6.0]
    result = estimates.mean(values)
    assert result == {"value": 3.0, "standard_error": pytest.approx(stats.sem(values)), "count": 3}
    json.dumps(result, allow_nan=False)


def test_a_mean_of_one_case_has_no_standard_error_and_names_the_case():
    result = estimates.mean([4.0], "image")
    assert (result["value"], result["count"]) == (4, 1)
    assert math.isnan(result["standard_error"])
    assert result["note"] == "one image only: no standard error"


def test_a_mean_leaves_out_what_is_not_finite_where_a_reason_is_known():
    values = [1.0, np.nan, 3.0, np.inf]
    result = estimates.mean(values, missing="they are perfect")
    assert (result["value"], result["standard_error"], result["count"]) == (2, 1, 2)
    assert result["note"] == "2 of 4 left out: they are perfect"
    assert math.isnan(estimates.mean(values)["value"])
    one = estimates.mean(values[:2], missing="they are perfect")
    assert one["note"] == "1 of 2 left out: they are perfect; one case only: no standard error"
    nothing = estimates.mean(values[1:2], missing="they are perfect")
    assert math.isnan(nothing["value"])
    assert nothing["count"] == 0


def test_a_share_has_the_binomial_standard_error():
    result = estimates.share(np.array([True, True, True, False]))
    assert result["value"] == 0.75
    assert result["standard_error"] == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    assert estimates.share(np.ones(9, bool))["standard_error"] == 0


def test_the_standard_error_of_a_ratio_is_its_scatter_between_samples():
    def result(seed):
        x, y = np.random.default_rng(seed).gamma(2, 1, (2, 400))
        return estimates.ratio(x + 0.5 * y, y)

    results = [result(seed) for seed in range(300)]
    values = np.array([result["value"] for result in results])
    assert values.mean() == pytest.approx(1.5, abs=0.02)
    claimed = np.mean([result["standard_error"] for result in results])
    assert claimed == pytest.approx(values.std(), rel=0.1)


def test_ratios_of_one_case_and_of_none():
    one = estimates.ratio(np.array([3.0]), np.array([2.0]), case="triple")
    assert (one["value"], one["count"]) == (1.5, 1)
    assert math.isnan(one["standard_error"])
    assert one["note"] == "one triple only: no standard error"
    none = estimates.ratio(np.array([]), np.array([]), "all were left out")
    assert math.isnan(none["value"])
    assert (none["count"], none["note"]) == (0, "all were left out")


def test_a_bootstrap_gives_the_deviation_between_its_draws():
    generator = np.random.default_rng(0)
    values = generator.standard_normal(500)
    weights = estimates.bootstrap_weights(500, 400, generator)
    assert weights.shape == (400, 500)
    assert set(weights.sum(axis=1)) == {500}
    result = estimates.bootstrap(values.mean(), weights @ values / 500, 500, ceiling=1.0)
    assert result["standard_error"] == pytest.approx(stats.sem(values), rel=0.1)
    assert (result["count"], result["bootstrap_draws"], result["ceiling"]) == (500, 400, 1)
    assert math.isnan(estimates.bootstrap(np.nan, [1.0, 2.0], 5)["standard_error"])


def test_what_is_unknown_says_why_and_keeps_its_other_entries():
    result = estimates.unknown(7, "one class only", positives=0)
    assert math.isnan(result.pop("value"))
    assert math.isnan(result.pop("standard_error"))
    assert result == {"count": 7, "positives": 0, "note": "one class only"}
