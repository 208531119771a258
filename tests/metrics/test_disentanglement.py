import json
import math

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn import metrics

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.disentanglement import dci, factor_vae, mutual_information, sap
from tf_mmdvlae.metrics.disentanglement.factor_table import (
    bootstrap_weights,
    equal_width_bins,
    factor_table,
    top_two_gap,
)
from tf_mmdvlae.metrics.disentanglement.scores import disentanglement


def drawn_factors(rows, seed):
    random = np.random.default_rng(seed)
    return {
        "light": random.uniform(-70, 70, rows).astype(np.float32),
        "hat": random.random(rows) < 0.4,
        "hair": random.integers(0, 4, rows),
        "yaw": random.uniform(-30, 30, rows),
    }


def copied(factors, turned=False):
    """Codes of two layers, each a copy of two factors, one a dimension or turned by 45 degrees."""
    columns = {name: np.asarray(values, float) for name, values in factors.items()}
    columns = {name: (v - v.mean()) / v.std() for name, v in columns.items()}
    turn = np.array([[1, 1], [-1, 1]]) / math.sqrt(2) if turned else np.eye(2)
    return {
        "z_1": np.stack([columns["light"], columns["hat"]], axis=1) @ turn,
        "z_2": np.stack([columns["hair"], columns["yaw"]], axis=1) @ turn,
    }


def noise(rows, dims, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dims))


def table_of(codes, factors, seed=0):
    return factor_table(codes, factors, 10_000, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def perfect():
    factors = drawn_factors(1500, 0)
    return disentanglement(copied(factors), factors)


def test_a_dimension_a_factor_is_perfect_in_every_score_of_dimensions(perfect):
    scores = perfect["dimensions"]
    assert scores["factor_vae"]["value"] > 0.98
    assert scores["factor_vae"]["ceiling"] == 1
    for name in ("mig", "mig_sup"):
        assert scores[name]["value"] > 0.9, name
    # A class that is guessed is right one time in K.
    assert scores["sap"]["ceiling"] == (1 + 1 / 2 + 3 / 4 + 1) / 4
    assert scores["sap"]["value"] == pytest.approx(scores["sap"]["ceiling"], abs=0.03)
    for name in ("dci_disentanglement", "dci_completeness", "dci_informativeness"):
        assert scores[name]["value"] > 0.97, name
    assert scores["mig_sup"]["active"] == 4
    assert perfect["active"] == {"z_1": 2, "z_2": 2}
    assert perfect["left_out"] == []


def test_layers_that_share_out_the_factors_are_perfect_but_where_one_a_layer_is_asked(perfect):
    scores = perfect["layers"]
    assert scores["layer_from_factor"]["value"] > 0.98
    assert scores["layer_from_factor"]["chance"] < 0.7
    for name in ("mig", "sap", "dci_completeness"):
        assert scores[name]["value"] > 0.85 * scores[name].get("ceiling", 1), name
    # Two factors a layer: as good as each other, and one named of the two.
    assert scores["mig_sup"]["value"] < 0.15
    assert scores["dci_disentanglement"]["value"] == pytest.approx(0.5, abs=0.02)
    assert scores["factor_vae"]["ceiling"] == 0.5
    assert scores["factor_vae"]["value"] == pytest.approx(
        0.5, abs=4 * scores["factor_vae"]["standard_error"]
    )


def test_every_score_has_its_error_and_count_and_goes_into_json(perfect):
    for kind in ("dimensions", "layers"):
        for name, score in perfect[kind].items():
            assert 0 <= score["standard_error"] < 0.1, name
            assert score["count"] == {"s": 750, "f": 800, "l": 800}.get(name[0], 1500)
    heat = perfect["mutual_information"]
    assert heat["factors"] == ["light", "hat", "hair", "yaw"]
    assert heat["dimensions"]["names"] == ["z_1[0]", "z_1[1]", "z_2[0]", "z_2[1]"]
    assert heat["layers"]["names"] == ["z_1", "z_2"]
    for block in (heat["dimensions"], heat["layers"]):
        assert np.allclose(np.array(block["nats"]) / heat["entropy"], block["normalised"])
        assert np.shape(block["standard_error"]) == (len(block["names"]), 4)
        assert block["count"] == 1500
    # A dimension that is the factor knows all of it; of an independent one nearly nothing.
    own, others = np.eye(4, dtype=bool), np.array(heat["dimensions"]["normalised"])
    assert np.allclose(others[own], 1)
    assert others[~own].max() < 0.1
    json.dumps(perfect, allow_nan=False)


def test_turning_a_layer_spoils_its_dimensions_and_not_the_layer(perfect):
    factors = drawn_factors(1500, 0)
    turned = disentanglement(copied(factors, turned=True), factors)
    for name in ("mig", "sap", "dci_disentanglement", "dci_completeness", "mig_sup"):
        assert turned["dimensions"][name]["value"] < perfect["dimensions"][name]["value"] - 0.3
    for name in ("mig", "sap", "dci_completeness", "layer_from_factor"):
        value = perfect["layers"][name]["value"]
        assert turned["layers"][name]["value"] == pytest.approx(value, abs=0.05), name


def test_codes_that_know_nothing_score_nothing():
    factors = drawn_factors(1500, 0)
    result = disentanglement({"z_1": noise(1500, 3), "z_2": noise(1500, 2, seed=1)}, factors)
    for kind in ("dimensions", "layers"):
        scores = result[kind]
        for name in sorted(set(scores) - {"factor_vae", "layer_from_factor"}):
            assert scores[name]["value"] < 0.05, (kind, name)
        error = 4 * scores["factor_vae"]["standard_error"]
        assert scores["factor_vae"]["value"] == pytest.approx(1 / 4, abs=error)
    reverse = result["layers"]["layer_from_factor"]
    assert reverse["value"] == pytest.approx(reverse["chance"], abs=4 * reverse["standard_error"])
    assert np.max(result["mutual_information"]["layers"]["nats"]) < 0.01


def test_constant_codes_score_nothing_or_cannot_be_scored():
    factors = drawn_factors(700, 0)
    result = disentanglement({"z_1": np.full((700, 2), 0.1), "z_2": np.zeros((700, 1))}, factors)
    assert result["active"] == {"z_1": 0, "z_2": 0}
    for kind in ("dimensions", "layers"):
        for name in ("mig", "sap", "dci_completeness", "dci_disentanglement"):
            assert result[kind][name]["value"] == pytest.approx(0, abs=1e-9), name
        for name in ("mig_sup", "factor_vae"):
            assert math.isnan(result[kind][name]["value"])
            assert result[kind][name]["note"] == "no active dimension"


def test_a_dead_layer_takes_nothing_from_the_others():
    factors = drawn_factors(700, 0)
    result = disentanglement({**copied(factors), "z_3": np.zeros((700, 2))}, factors)
    assert result["active"] == {"z_1": 2, "z_2": 2, "z_3": 0}
    assert result["dimensions"]["mig_sup"]["active"] == 4
    assert result["dimensions"]["factor_vae"]["value"] > 0.95
    assert result["layers"]["layer_from_factor"]["value"] > 0.95
    assert result["layers"]["mig"]["value"] > 0.75


def test_one_layer_one_dimension_and_one_factor_have_no_second_to_be_ahead_of():
    light = drawn_factors(700, 0)["light"]
    result = disentanglement(
        {"z_1": light[:, None]}, {"light": light, "fixed": np.zeros(700, int)}, seed=3
    )
    assert result["left_out"] == ["fixed"]
    assert result["dimensions"].pop("dci_informativeness")["value"] > 0.97
    for kind in ("dimensions", "layers"):
        for name, score in result[kind].items():
            assert math.isnan(score["value"]), name
            assert math.isnan(score["standard_error"])
            assert "only" in score["note"] or "fewer than two factors" in score["note"]
    assert result["mutual_information"]["dimensions"]["normalised"] == [[pytest.approx(1)]]


def test_fewer_rows_than_bins_give_numbers_and_say_what_they_lack():
    factors = drawn_factors(12, 4)
    result = disentanglement(copied(factors), factors)
    for kind in ("dimensions", "layers"):
        for name in ("mig", "mig_sup", "sap", "dci_completeness"):
            assert 0 <= result[kind][name]["value"] <= 1 + 1e-9
            assert result[kind][name]["count"] in (6, 12)
    assert "too few rows" in result["dimensions"]["dci_completeness"]["note"]


def test_same_seed_same_numbers():
    factors = drawn_factors(200, 0)
    codes = {name: z + 0.5 * noise(200, 2) for name, z in copied(factors).items()}
    first = disentanglement(codes, factors, seed=5)
    assert json.dumps(first) == json.dumps(disentanglement(codes, factors, seed=5))
    assert json.dumps(first) != json.dumps(disentanglement(codes, factors, seed=6))


# ---- rows and factors ------------------------------------------------------------------------


def test_the_table_keeps_rows_together_and_draws_them_once():
    numbers = np.arange(50.0)
    codes = {"z_1": numbers[:, None], "z_2": np.stack([-numbers, 2 * numbers], axis=1)}
    factors = {"value": numbers, "class": numbers.astype(int) + 3}
    table = factor_table(codes, factors, 30, np.random.default_rng(0))
    assert len(table) == len(set(table.values[0])) == 30
    assert table.values[0].tolist() != sorted(table.values[0])
    assert np.array_equal(table.codes, table.values[0][:, None] * [1, -1, 2])
    assert table.layers == {"z_1": slice(0, 1), "z_2": slice(1, 3)}
    assert table.continuous.tolist() == [True, False]
    # Classes are numbered in their order, bins without a row left out.
    assert np.array_equal(np.argsort(table.values[0]), np.argsort(table.classes[:, 1]))
    assert set(table.classes[:, 0]) == set(range(table.classes[:, 0].max() + 1))


def test_bins_are_those_of_a_histogram():
    columns = noise(500, 3)
    columns[:, 2] = 4
    bins = equal_width_bins(columns)
    for j in (0, 1):
        assert np.bincount(bins[:, j]).tolist() == np.histogram(columns[:, j], 20)[0].tolist()
    assert set(bins[:, 2]) == {0}


def test_disentanglement_refuses():
    codes, rows = {"z_1": noise(40, 2)}, np.arange(40)
    for factors, message in (
        ({"light": rows[:39] * 0.1}, "'light' has shape"),
        ({"light": rows.astype(str)}, "'light' is <U"),
        ({"light": np.where(rows > 5, rows, np.nan)}, "'light' holds values"),
        ({"light": np.ones(40)}, "factor that varies"),
        ({}, "factor that varies"),
    ):
        with pytest.raises(InputError, match=message):
            disentanglement(codes, factors)
    with pytest.raises(InputError, match="at least 8 rows"):
        disentanglement({"z_1": noise(7, 2)}, {"light": noise(7, 1)[:, 0]})
    with pytest.raises(InputError, match="codes hold"):
        disentanglement({"z_1": np.full((40, 2), np.nan)}, {"light": rows * 0.1})
    with pytest.raises(InputError, match="101 classes"):
        disentanglement({"z_1": noise(101, 2)}, {"light": np.arange(101)})


# ---- mutual information ----------------------------------------------------------------------


def test_information_of_dimensions_is_that_of_scikit_learn():
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
    entropies = mutual_information.class_entropies(table.classes)
    assert entropies[1] == pytest.approx(stats.entropy([0.4, 0.6]), abs=0.02)


def test_independent_dimensions_show_the_information_that_counting_makes_up():
    random = np.random.default_rng(0)
    bins, classes = random.integers(0, 20, (2000, 20)), random.integers(0, 20, (2000, 3))
    result = mutual_information.binned_information(bins, classes, np.ones((1, 2000)))
    assert result.mean() == pytest.approx(19 * 19 / (2 * 2000), rel=0.1)


def test_mig_and_mig_sup_by_hand():
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


def test_the_bound_for_layers_comes_near_the_truth_and_not_above_it():
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


def test_the_bound_for_layers_finds_nothing_in_many_dimensions_of_noise():
    factors = drawn_factors(300, 0)
    table = table_of({"z_1": noise(300, 25)}, factors)
    assert mutual_information.layer_log_ratios(table.codes, table).mean(axis=0).max() < 0.02


# ---- SAP -------------------------------------------------------------------------------------


def test_squared_correlations_and_balanced_accuracies_are_those_of_the_libraries():
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


def test_sap_by_hand():
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


def test_the_error_of_sap_is_the_scatter_between_samples():
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


# ---- DCI -------------------------------------------------------------------------------------


def test_disentanglement_and_completeness_by_hand():
    # Dimensions by factors. Rows: one factor only; half and half; nothing.
    importances = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]])
    # Weights 1/2 and 1/2 of 1 - 0 and 1 - 1; the third weighs nothing.
    assert dci.disentanglement_of(importances) == pytest.approx(0.5)
    first = 1 - stats.entropy([2 / 3, 1 / 3, 0], base=3)
    assert dci.completeness_of(importances) == pytest.approx((first + 1) / 2)
    assert dci.disentanglement_of(np.ones((3, 4))) == pytest.approx(0)
    assert dci.completeness_of(np.zeros((3, 4))) == pytest.approx(0)


def test_informativeness_is_the_share_of_a_guess_that_is_saved():
    rows = 3000
    codes = noise(rows, 2)
    factors = {
        "light": codes[:, 0] + noise(rows, 1, seed=1)[:, 0],
        "hat": np.random.default_rng(2).random(rows) < 0.2,
    }
    table = table_of({"z_1": codes}, factors)
    score = dci.importance_scores(table, 0)["dimensions"]["dci_informativeness"]
    # R^2 of one half for the one, nothing saved for the other.
    assert score["value"] == pytest.approx((0.5 + 0) / 2, abs=0.04)
    assert (score["count"], score["parts"]) == (3000, 6)


# ---- FactorVAE's score -----------------------------------------------------------------------


def test_majority_votes_by_hand():
    # Factors by blocks. The first block goes to factor 0, the second to factor 2; by factor they go
    # to blocks 0, 1 and 1.
    settling = np.array([[5, 1], [2, 3], [0, 4]])
    scoring = np.array([[4, 2], [1, 3], [2, 8]])
    assert factor_vae.factor_from_block(settling, scoring) == (4 + 8) / 20
    assert factor_vae.block_from_factor(settling, scoring) == (4 + 3 + 8) / 20


def test_rows_that_happen_to_lie_close_together_win_no_votes():
    # Two classes a factor, whose variances are chance: settled and scored on the same rows, the
    # votes would tell the factor.
    random = np.random.default_rng(0)
    factors = {name: random.random(100) < 0.5 for name in "abcdefghij"}
    table = table_of({"z_1": noise(100, 30)}, factors)
    result = factor_vae.majority_vote_scores(table, random)["dimensions"]["factor_vae"]
    assert result["value"] < 0.4


def test_votes_do_not_depend_on_the_scale_of_a_dimension():
    factors = drawn_factors(400, 0)
    codes = {name: z + noise(400, 2, seed=1) for name, z in copied(factors).items()}
    scaled = {name: z * np.float32([1, 16]) for name, z in codes.items()}
    first, second = (
        factor_vae.majority_vote_scores(table_of(z, factors), np.random.default_rng(0))
        for z in (codes, scaled)
    )
    assert first == second
    assert 0.4 < first["dimensions"]["factor_vae"]["value"] < 1
