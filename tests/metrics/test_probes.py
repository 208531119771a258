"""What layers know of labels, by neighbours and by a line."""

import json
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics import probes
from tf_mmdvlae.metrics.probes import layer_knowledge, probe_layers
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
    # The search for neighbours differs between two dimensions and ten.
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


def test_one_predictor_of_each_label_gives_the_numbers_of_layer_knowledge():
    (train, train_labels), (test, test_labels) = layered(700, 4, (2, 8)), layered(300, 5, (2, 8))
    train_labels["light"][::3] = test_labels["light"][:20] = np.nan
    arguments = train, train_labels, test, test_labels
    both, one = layer_knowledge(*arguments), probe_layers(*arguments)
    for label, predictor in (("digit", "neighbours"), ("smiling", "linear"), ("light", "linear")):
        assert one[label] == {
            "measure": both[label]["measure"],
            "chance": both[label]["chance"],
            "layers": both[label][predictor],
        }


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


@pytest.mark.parametrize("label", ["digit", "smiling"])
def test_rows_without_a_class_or_an_attribute_are_left_out(label):
    train, train_labels = layered(600, 6)
    test, test_labels = layered(300, 7)
    known = latents.take(train, slice(100, None)), latents.take(test, slice(250))
    kept = layer_knowledge(
        known[0], {label: train_labels[label][100:]}, known[1], {label: test_labels[label][:250]}
    )[label]
    kind = np.int64 if label == "digit" else np.int8
    train_labels, test_labels = (part[label].astype(kind) for part in (train_labels, test_labels))
    train_labels[:100] = test_labels[250:] = -1
    result = layer_knowledge(train, {label: train_labels}, test, {label: test_labels})[label]
    assert (result["measure"], result["chance"]) == (kept["measure"], kept["chance"])
    for predictor in ("neighbours", "linear"):
        for layer, estimate in result[predictor].items():
            assert "50 of 300 test rows have no label" in estimate.pop("note")
            assert estimate == pytest.approx(kept[predictor][layer])
    nothing = layer_knowledge(train, {label: train_labels}, test, {label: 0 * test_labels - 1})
    assert math.isnan(nothing[label]["linear"]["all"]["value"])


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
    shapes, fit = [], NearestNeighbors.fit

    def counting_fit(search, codes):
        shapes.append(codes.shape)
        return fit(search, codes)

    monkeypatch.setattr(NearestNeighbors, "fit", counting_fit)
    (train, train_labels), rest = layered(200, 0), layered(100, 1)
    layer_knowledge(train, train_labels, *rest)
    assert shapes == [(200, 2), (200, 3), (200, 5)]
    shapes.clear()
    train_labels["light"][:30] = np.nan
    layer_knowledge(train, train_labels, *rest)
    assert sorted(shapes) == [(170, 2), (170, 3), (170, 5), (200, 2), (200, 3), (200, 5)]


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
    with pytest.raises(InputError, match="40 train codes and labels of shape \\[39\\]"):
        layer_knowledge(train, {**labels, "light": labels["light"][:-1]}, test, test_labels)
    with pytest.raises(InputError, match="no test codes"):
        layer_knowledge(train, labels, *layered(0, 1))
    broken = {**test, "z_2": np.full((20, 3), np.nan)}
    with pytest.raises(InputError, match="test codes hold values that are not finite"):
        layer_knowledge(train, labels, broken, test_labels)


# ---- one label, one layer --------------------------------------------------------------------


def noise(rows, dims=3, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dims))


def probe(train_codes, train_label, test_codes, test_label):
    """What `probe_layers` says of one label and one layer of codes [n, d]."""
    results = probe_layers(
        {"z_1": train_codes}, {"label": train_label}, {"z_1": test_codes}, {"label": test_label}
    )
    return results["label"]["layers"]["z_1"]


def test_nearest_neighbours_perfect_and_null():
    classes = np.random.default_rng(3).integers(0, 4, 1000)
    train, test = classes[:600], classes[600:]
    apart = 10 * np.eye(4)[classes] + 0.1 * noise(1000, 4)
    perfect = probe(apart[:600], train, apart[600:], test)
    assert perfect == {"value": 1.0, "standard_error": 0.0, "count": 400, "neighbours": 15}
    null = probe(noise(600), train, noise(400, seed=1), test)
    assert null["value"] == pytest.approx(0.25, abs=4 * null["standard_error"])
    assert null["standard_error"] == pytest.approx(
        math.sqrt(null["value"] * (1 - null["value"]) / 400)
    )


def test_nearest_neighbours_by_hand():
    train = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
    labels = np.array([0, 0, 1, 1, 1])
    test = np.array([[0.5], [10.5], [1.2], [9.0]])
    nearest = probes.nearest_rows(train, test, 3)
    assert nearest[2].tolist() == [1, 2, 0]
    assert probes.majority(labels[nearest]).tolist() == [0, 1, 0, 1]
    few = probe(train, labels, test, np.array([1, 1, 1, 1]))
    assert (few["neighbours"], few["value"]) == (5, 1.0)


def test_auc_matches_the_rank_statistic_of_one_dimension():
    attribute = np.random.default_rng(1).random(900) < 0.3
    codes = noise(900, 1) + attribute[:, None]
    result = probe(codes[:500], attribute[:500], codes[500:], attribute[500:])
    scores, truth = codes[500:, 0], attribute[500:]
    rank = stats.mannwhitneyu(scores[truth], scores[~truth]).statistic
    assert result["value"] == pytest.approx(rank / truth.sum() / (~truth).sum())
    assert result["positives"] == truth.sum()
    assert result["count"] == 400
    # The area of two unit normals that lie one apart is Phi(1 / sqrt 2).
    assert result["value"] == pytest.approx(
        stats.norm.cdf(1 / math.sqrt(2)), abs=4 * result["standard_error"]
    )


def test_auc_perfect_null_and_degenerate():
    attribute = np.random.default_rng(2).random(1000) < 0.5
    halves = (slice(600), slice(600, None))
    codes = noise(1000)
    codes[:, 1] = 1000 * (attribute + 0.1 * codes[:, 1])
    train, test = halves
    perfect = probe(codes[train], attribute[train], codes[test], attribute[test])
    assert (perfect["value"], perfect["standard_error"]) == (1.0, 0.0)
    null = probe(noise(600), attribute[train], noise(400, seed=9), attribute[test])
    assert null["value"] == pytest.approx(0.5, abs=4 * null["standard_error"])
    constant = probe(np.ones((600, 2)), attribute[train], np.ones((400, 2)), attribute[test])
    assert constant["value"] == 0.5
    for degenerate in (
        probe(codes[train], np.ones(600, bool), codes[test], attribute[test]),
        probe(codes[train], attribute[train], codes[test], np.zeros(400, bool)),
    ):
        assert math.isnan(degenerate["value"])
        assert math.isnan(degenerate["standard_error"])
        assert "one class" in degenerate["note"]


def test_r2_perfect_null_and_degenerate():
    codes = noise(1000)
    values = codes @ [1.0, -2.0, 0.5] + 4
    perfect = probe(codes[:600], values[:600], codes[600:], values[600:])
    assert perfect["value"] == pytest.approx(1)
    assert perfect["standard_error"] == pytest.approx(0, abs=1e-9)
    null = probe(noise(600, seed=5), values[:600], noise(400, seed=6), values[600:])
    assert null["value"] == pytest.approx(0, abs=0.05)
    flat = probe(codes[:600], values[:600], codes[600:], np.full(400, 0.1))
    assert math.isnan(flat["value"])
    assert "one value" in flat["note"]


def test_rows_without_a_label_are_left_out():
    def factor(codes):
        return (codes @ [1.0, -2.0, 0.5]).astype(np.float32)

    train, test = noise(200), noise(100, seed=1)
    expected = probe(train[7:], factor(train[7:]), test[:-3], factor(test[:-3]))
    assert "note" not in expected
    train_labels, test_labels = factor(train), factor(test)
    train_labels[:7] = [np.nan] * 6 + [np.inf]
    test_labels[-3:] = np.nan
    result = probe(train, train_labels, test, test_labels)
    for part in ("7 of 200 train rows", "3 of 100 test rows"):
        assert part in result["note"]
    assert result.pop("note").count("left out") == 2
    assert result == pytest.approx(expected, abs=1e-6)
    assert result["count"] == 97
    nothing = np.full(200, np.nan)
    for labels, count in (((nothing, test_labels), 97), ((train_labels, nothing[:100]), 0)):
        result = probe(train, labels[0], test, labels[1])
        assert math.isnan(result["value"])
        assert math.isnan(result["standard_error"])
        assert result["count"] == count
        assert "have no label" in result["note"]


def test_probe_layers_with_a_factor_that_some_rows_lack():
    train, train_labels = layered(400, 0)
    test, test_labels = layered(200, 1)
    train_labels["light"][::2] = test_labels["light"][:50] = np.nan
    result = probe_layers(train, train_labels, test, test_labels)
    assert result["light"]["layers"]["all"]["value"] == pytest.approx(1)
    assert result["light"]["layers"]["all"]["count"] == 150
    assert "note" not in result["smiling"]["layers"]["all"]
    test_labels["light"][:] = np.nan
    result = probe_layers(train, train_labels, test, test_labels)["light"]["layers"]
    assert all(math.isnan(layer["value"]) for layer in result.values())
