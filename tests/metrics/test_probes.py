import json
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics import probes
from tf_mmdvlae.metrics.layer_knowledge import layer_knowledge
from tf_mmdvlae.model import latents


def layered(rows, seed, dims=(2, 3)):
    """Codes of two layers, and labels that the first, the second or both know."""
    codes = latents.sample_prior(dims, rows, seed)
    low, high = codes["z_1"], codes["z_2"]
    return codes, {
        "digit": (high[:, 0] > 0).astype(np.int64) + 2 * (high[:, 1] > 0.8),
        "smiling": low[:, 0] + high[:, 2] > 0,
        "light": 2 * low[:, 1] + high[:, 2],
        # Known to neighbours alone: no line separates inside from outside.
        "middle": np.hypot(low[:, 0], low[:, 1]) < 1,
    }


def test_labels_are_found_in_the_layers_that_they_lie_in():
    result = layer_knowledge(*layered(4000, 0), *layered(1500, 1))
    measures = {name: label["measure"] for name, label in result.items()}
    assert measures == {"digit": "accuracy", "smiling": "auc", "light": "r2", "middle": "auc"}
    for label in result.values():
        for predictor in ("neighbours", "linear"):
            assert list(label[predictor]) == ["z_1", "z_2", "all"]
            assert all(estimate["count"] == 1500 for estimate in label[predictor].values())
    for predictor in ("neighbours", "linear"):
        values = {
            name: {layer: estimate["value"] for layer, estimate in label[predictor].items()}
            for name, label in result.items()
        }
        chance = result["digit"]["chance"]
        assert values["digit"]["z_1"] == pytest.approx(chance, abs=0.06)
        assert values["digit"]["z_2"] > 0.9
        assert values["smiling"]["all"] > 0.98
        # 4 P(x > x', x + y > 0, x' + y' < 0) of standard normals: 4 (1/8 + 1/12) = 5/6.
        assert values["smiling"]["z_1"] == pytest.approx(5 / 6, abs=0.04)
        # The light's variance is 4 from the first layer and 1 from the second.
        assert values["light"]["z_1"] == pytest.approx(0.8, abs=0.04)
        assert values["light"]["z_2"] == pytest.approx(0.2, abs=0.08)
    assert values["light"]["all"] == pytest.approx(1)
    assert values["middle"]["z_1"] == pytest.approx(0.5, abs=0.06)
    assert result["middle"]["neighbours"]["z_1"]["value"] > 0.99
    json.dumps(result, allow_nan=False)


def test_estimates_are_those_of_scikit_learn():
    # Neighbours in two dimensions and in ten are found in different ways.
    train, train_labels = layered(900, 2, dims=(2, 8))
    test, test_labels = layered(500, 3, dims=(2, 8))
    result = layer_knowledge(train, train_labels, test, test_labels)
    for layer in ("z_1", "all"):
        codes, queries = (
            latents.join(part) if layer == "all" else part[layer] for part in (train, test)
        )
        scaler = StandardScaler().fit(codes)
        line = LogisticRegression(tol=1e-8, max_iter=1000)
        line.fit(scaler.transform(codes), train_labels["digit"])
        expected = {
            ("digit", "linear"): line.score(scaler.transform(queries), test_labels["digit"]),
            ("digit", "neighbours"): KNeighborsClassifier(15)
            .fit(codes, train_labels["digit"])
            .score(queries, test_labels["digit"]),
            ("middle", "neighbours"): roc_auc_score(
                test_labels["middle"],
                KNeighborsClassifier(50)
                .fit(codes, train_labels["middle"])
                .predict_proba(queries)[:, 1],
            ),
            ("light", "neighbours"): r2_score(
                test_labels["light"],
                KNeighborsRegressor(15).fit(codes, train_labels["light"]).predict(queries),
            ),
        }
        for (label, predictor), value in expected.items():
            # Two test codes of 500 may lie so near the line that rounding decides.
            tolerance = 0.004 if label == "digit" else 1e-6
            estimate = result[label][predictor][layer]["value"]
            assert estimate == pytest.approx(value, abs=tolerance), (label, predictor)


def test_estimates_are_those_of_the_single_probes():
    train, train_labels = layered(700, 4, dims=(2, 8))
    test, test_labels = layered(300, 5, dims=(2, 8))
    train_labels["light"][::3] = test_labels["light"][:20] = np.nan
    result = layer_knowledge(train, train_labels, test, test_labels)
    for label, predictor, probe in (
        ("digit", "neighbours", probes.nearest_neighbour_accuracy),
        ("smiling", "linear", probes.logistic_auc),
        ("light", "linear", probes.linear_r2),
    ):
        alone = probe(train["z_2"], train_labels[label], test["z_2"], test_labels[label])
        assert result[label][predictor]["z_2"] == alone


def test_rows_without_a_label_are_left_out_of_that_label_only():
    train, train_labels = layered(600, 6)
    test, test_labels = layered(300, 7)
    whole = layer_knowledge(train, train_labels, test, test_labels)
    kept = layer_knowledge(
        latents.take(train, slice(100, None)),
        {"light": train_labels["light"][100:]},
        latents.take(test, slice(250)),
        {"light": test_labels["light"][:250]},
    )
    train_labels["light"][:100] = np.nan
    test_labels["light"][250:] = np.inf
    result = layer_knowledge(train, train_labels, test, test_labels)
    light = result.pop("light")
    assert result == {name: whole[name] for name in result}
    for predictor in ("neighbours", "linear"):
        for layer, estimate in light[predictor].items():
            note = estimate.pop("note")
            assert "100 of 600 train rows" in note
            assert "50 of 300 test rows" in note
            assert estimate == pytest.approx(kept["light"][predictor][layer])


def test_codes_that_do_not_vary_know_nothing():
    (_, train_labels), (_, test_labels) = layered(600, 8), layered(300, 9)
    result = layer_knowledge(
        {"z_1": np.ones((600, 2))}, train_labels, {"z_1": np.ones((300, 2))}, test_labels
    )
    assert result["digit"]["linear"]["z_1"]["value"] == result["digit"]["chance"]
    assert result["light"]["linear"]["z_1"]["value"] == pytest.approx(0, abs=0.02)
    for predictor in ("neighbours", "linear"):
        assert result["smiling"][predictor]["all"]["value"] == 0.5
        assert result["light"][predictor]["all"]["value"] < 0.01


def test_labels_that_do_not_vary():
    train, test = latents.sample_prior((2, 1), 40, 0), latents.sample_prior((2, 1), 30, 1)

    def constant(rows):
        return {
            "digit": np.full(rows, 7),
            "hat": np.zeros(rows, bool),
            "light": np.full(rows, 0.3, np.float32),
            "lost": np.full(rows, np.nan),
        }

    result = layer_knowledge(train, constant(40), test, constant(30))
    reasons = {"hat": "one class only", "light": "one value only", "lost": "no label"}
    for predictor in ("neighbours", "linear"):
        assert result["digit"][predictor]["z_2"]["value"] == result["digit"]["chance"] == 1
        for name, reason in reasons.items():
            estimate = result[name][predictor]["z_2"]
            assert math.isnan(estimate["value"])
            assert math.isnan(estimate["standard_error"])
            assert reason in estimate["note"]
    assert result["hat"]["neighbours"]["all"]["neighbours"] == 40
    assert result["lost"]["neighbours"]["all"]["neighbours"] == 0


def test_one_search_a_layer_serves_all_labels_that_the_same_rows_have(monkeypatch):
    searched = []

    def counting(train_codes, test_codes, count):
        searched.append(train_codes.shape)
        return search(train_codes, test_codes, count)

    search = probes.nearest_rows
    monkeypatch.setattr(probes, "nearest_rows", counting)
    (train, train_labels), rest = layered(200, 0), layered(100, 1)
    layer_knowledge(train, train_labels, *rest)
    assert searched == [(200, 2), (200, 3), (200, 5)]
    searched.clear()
    train_labels["light"][:30] = np.nan
    layer_knowledge(train, train_labels, *rest)
    assert sorted(searched) == [(170, 2), (170, 3), (170, 5), (200, 2), (200, 3), (200, 5)]


def test_neighbours_are_drawn_from_all_of_a_train_set_that_is_too_large():
    # All of the second class come last.
    rows = 20_200
    classes = np.repeat([0, 1], [20_000, 200])
    random = np.random.default_rng(0)
    train = {"z_1": random.standard_normal((rows, 1)) + 3 * classes[:, None]}
    test = {"z_1": np.linspace(1, 5, 60)[:, None]}
    noise = random.standard_normal(rows)
    labels = {"digit": classes, "noise": noise}
    test_labels = {"digit": np.ones(60, int), "noise": noise[:60]}

    def estimates(seed):
        return layer_knowledge(train, labels, test, test_labels, seed=seed)

    first, again, other = estimates(1), estimates(1), estimates(2)
    assert first == again
    assert first["digit"]["neighbours"]["z_1"]["value"] > 0.3
    assert first["noise"]["neighbours"] != other["noise"]["neighbours"]
    assert first["noise"]["linear"] == other["noise"]["linear"]


def test_the_majority_is_the_most_frequent_class_or_the_lowest_that_ties():
    votes = np.random.default_rng(0).integers(-2, 5, (500, 6))
    assert probes.majority(votes).tolist() == stats.mode(votes, axis=1).mode.tolist()


def test_what_does_not_match_is_refused():
    train, labels = layered(40, 0)
    test, test_labels = layered(20, 1)
    with pytest.raises(InputError, match="one of train and test only: hat"):
        layer_knowledge(train, {**labels, "hat": labels["light"]}, test, test_labels)
    with pytest.raises(InputError, match="different layers"):
        layer_knowledge(train, labels, {"z_1": test["z_1"]}, test_labels)
    with pytest.raises(InputError, match="'digit' is"):
        layer_knowledge(train, labels, test, {**test_labels, "digit": test_labels["light"]})
    with pytest.raises(InputError, match="train codes have shape"):
        layer_knowledge(train, {**labels, "light": labels["light"][:-1]}, test, test_labels)
    with pytest.raises(InputError, match="no test codes"):
        layer_knowledge(train, labels, *layered(0, 1))
