import json
import math

import numpy as np
import pytest
from scipy import stats

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.evaluation import families
from tf_mmdvlae.metrics import probes
from tf_mmdvlae.metrics.prior_match import prior_match
from tf_mmdvlae.metrics.reconstruction import reconstruction_errors
from tf_mmdvlae.model import latents


def test_metrics_are_found_by_name():
    for name in families.METRICS:
        assert callable(families.metric(name))
    with pytest.raises(InputError, match="reconstruction, samples, prior"):
        families.metric("fid")


# ---- reconstruction --------------------------------------------------------------------------


def test_reconstruction_by_hand_with_a_short_last_batch():
    images = np.zeros((3, 2, 2, 1), np.float32)
    outputs = images.copy()
    outputs[0] = 0.5
    outputs[1, 0, 0, 0] = 1.0
    served = iter([outputs[:2], outputs[2:]])
    result = reconstruction_errors(lambda batch: next(served), [images[:2], images[2:]])
    # Images' L1: 1/2, 1/4, 0; squared: 1/4, 1/4, 0.
    assert result["l1"]["value"] == pytest.approx(0.25)
    assert result["l1"]["standard_error"] == pytest.approx(stats.sem([0.5, 0.25, 0.0]))
    assert result["mse"]["value"] == pytest.approx(1 / 6)
    assert result["mse"]["standard_error"] == pytest.approx(stats.sem([0.25, 0.25, 0.0]))
    assert result["l1"]["count"] == result["mse"]["count"] == 3


def test_reconstruction_of_a_perfect_model_and_of_a_constant():
    images = np.random.default_rng(0).random((400, 4, 4, 3), np.float32)
    batches = np.array_split(images, 7)
    perfect = reconstruction_errors(lambda batch: batch, batches)
    assert perfect["l1"]["value"] == perfect["mse"]["value"] == 0
    # |u - 1/2| of a uniform u is 1/4 on average, its square 1/12.
    grey = reconstruction_errors(lambda batch: np.full_like(batch, 0.5), batches)
    assert grey["l1"]["value"] == pytest.approx(1 / 4, abs=4 * grey["l1"]["standard_error"])
    assert grey["mse"]["value"] == pytest.approx(1 / 12, abs=4 * grey["mse"]["standard_error"])
    assert 0 < grey["l1"]["standard_error"] < 0.01
    json.dumps(grey, allow_nan=False)


def test_reconstruction_of_one_image_has_no_standard_error():
    result = reconstruction_errors(lambda batch: batch, [np.ones((1, 2, 2, 1))])
    assert math.isnan(result["l1"]["standard_error"])
    assert "one image" in result["l1"]["note"]


def test_reconstruction_refuses():
    with pytest.raises(InputError, match="no images"):
        reconstruction_errors(lambda batch: batch, [])
    with pytest.raises(InputError, match="shape"):
        reconstruction_errors(lambda batch: batch[:1], [np.ones((2, 2, 2, 1))])


# ---- prior match -----------------------------------------------------------------------------


def squared_norm(codes):
    return np.square(codes).sum(axis=1).mean()


def test_prior_match_sees_posterior_samples_of_each_layer_and_of_all_joined():
    rows = 4096
    means = {"z_1": np.full((rows, 2), 3.0), "z_2": np.zeros((rows, 5))}
    deviations = {"z_1": np.full((rows, 2), 0.5), "z_2": np.ones((rows, 5))}
    result = prior_match(means, deviations, squared_norm)
    assert list(result) == ["mmd_1", "mmd_2", "mmd_joint"]
    # E |z|^2 = d (mean^2 + deviation^2).
    for name, expected in (("mmd_1", 2 * 9.25), ("mmd_2", 5), ("mmd_joint", 23.5)):
        assert result[name]["batches"] == 32
        assert result[name]["batch_size"] == 128
        assert result[name]["standard_error"] > 0
        error = 4 * result[name]["standard_error"]
        assert result[name]["value"] == pytest.approx(expected, abs=error)
    json.dumps(result, allow_nan=False)


def test_prior_match_uses_full_batches_of_all_rows_once():
    means = {"z_1": np.arange(10, dtype=np.float32)[:, None]}
    deviations = {"z_1": np.zeros((10, 1))}
    seen = []

    def spy(codes):
        seen.append(codes[:, 0].tolist())
        return len(seen)

    result = prior_match(means, deviations, spy, batch_size=4)["mmd_1"]
    assert [len(batch) for batch in seen[:2]] == [4, 4]
    used = np.concatenate(seen[:2])
    assert len(set(used)) == 8
    assert set(used) <= set(range(10))
    assert used.tolist() != sorted(used)
    assert result["value"] == 1.5
    assert result["standard_error"] == pytest.approx(stats.sem([1, 2]))
    # The joined codes are cut into the same batches.
    assert seen[2:] == seen[:2]


def test_prior_match_follows_its_seed():
    draws = latents.sample_prior((3,), 300, seed=1)
    ones = {"z_1": np.ones((300, 3))}
    first = prior_match(draws, ones, squared_norm, seed=5)
    assert first == prior_match(draws, ones, squared_norm, seed=5)
    assert first != prior_match(draws, ones, squared_norm, seed=6)


def test_prior_match_with_few_rows_says_the_size():
    draws = latents.sample_prior((3,), 7, seed=1)
    result = prior_match(draws, draws, squared_norm)["mmd_1"]
    assert (result["batches"], result["batch_size"]) == (1, 7)
    assert math.isnan(result["standard_error"])
    assert "one batch" in result["note"]


def test_prior_match_refuses():
    draws = latents.sample_prior((3,), 7, seed=1)
    with pytest.raises(InputError, match="at least 2"):
        prior_match(latents.take(draws, [0]), latents.take(draws, [0]), squared_norm)
    with pytest.raises(InputError, match="at least 2"):
        prior_match(draws, draws, squared_norm, batch_size=1)
    with pytest.raises(InputError, match="same layers and shapes"):
        prior_match(draws, latents.take(draws, [0, 1]), squared_norm)


# ---- probes ----------------------------------------------------------------------------------


def noise(rows, dims=3, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, dims))


def test_nearest_neighbours_perfect_and_null():
    classes = np.random.default_rng(3).integers(0, 4, 1000)
    train, test = classes[:600], classes[600:]
    apart = 10 * np.eye(4)[classes] + 0.1 * noise(1000, 4)
    perfect = probes.nearest_neighbour_accuracy(apart[:600], train, apart[600:], test)
    assert perfect == {"value": 1.0, "standard_error": 0.0, "count": 400, "neighbours": 15}
    null = probes.nearest_neighbour_accuracy(noise(600), train, noise(400, seed=1), test)
    assert null["value"] == pytest.approx(0.25, abs=4 * null["standard_error"])
    assert null["standard_error"] == pytest.approx(
        math.sqrt(null["value"] * (1 - null["value"]) / 400)
    )


def test_nearest_neighbours_by_hand():
    train = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
    labels = np.array([0, 0, 1, 1, 1])
    test = np.array([[0.5], [10.5], [1.2], [9.0]])
    result = probes.nearest_neighbour_accuracy(train, labels, test, [0, 1, 1, 1], neighbours=3)
    # The neighbours of 1.2 are 1, 2 and 0: class 0 by two votes, which is wrong.
    assert result["value"] == 0.75
    assert result["standard_error"] == pytest.approx(math.sqrt(0.75 * 0.25 / 4))
    few = probes.nearest_neighbour_accuracy(train, labels, test, [1, 1, 1, 1], neighbours=15)
    assert (few["neighbours"], few["value"]) == (5, 1.0)


def test_auc_standard_error_by_hand():
    # A = 0.8, p = 3, n = 2: Q1 = 2/3, Q2 = 1.28/1.8.
    expected = (0.16 + 2 * (2 / 3 - 0.64) + 1 * (1.28 / 1.8 - 0.64)) / 6
    assert probes.auc_standard_error(0.8, 3, 2) == pytest.approx(math.sqrt(expected))
    assert probes.auc_standard_error(1.0, 50, 50) == 0


def test_auc_matches_the_rank_statistic_of_one_dimension():
    attribute = np.random.default_rng(1).random(900) < 0.3
    codes = noise(900, 1) + attribute[:, None]
    result = probes.logistic_auc(codes[:500], attribute[:500], codes[500:], attribute[500:])
    scores, truth = codes[500:, 0], attribute[500:]
    rank = stats.mannwhitneyu(scores[truth], scores[~truth]).statistic
    assert result["value"] == pytest.approx(rank / truth.sum() / (~truth).sum())
    assert result["positives"] == truth.sum()
    assert result["count"] == 400
    # The area of two unit normals that lie one apart is Phi(1 / sqrt 2).
    assert result["value"] == pytest.approx(
        stats.norm.cdf(1 / math.sqrt(2)), abs=4 * result["standard_error"]
    )


def test_auc_standard_error_is_the_scatter_between_samples():
    random = np.random.default_rng(8)
    results = []
    train = np.arange(1000) % 2 == 0
    test = np.arange(200) % 4 == 0
    for _ in range(100):
        codes = random.standard_normal((200, 1)) + test[:, None]
        results.append(probes.logistic_auc(train[:, None] + noise(1000, 1), train, codes, test))
    scatter = np.std([result["value"] for result in results])
    claimed = np.mean([result["standard_error"] for result in results])
    assert claimed == pytest.approx(scatter, rel=0.25)


def test_auc_perfect_null_and_degenerate():
    attribute = np.random.default_rng(2).random(1000) < 0.5
    halves = (slice(600), slice(600, None))
    codes = noise(1000)
    codes[:, 1] = 1000 * (attribute + 0.1 * codes[:, 1])
    train, test = halves
    perfect = probes.logistic_auc(codes[train], attribute[train], codes[test], attribute[test])
    assert (perfect["value"], perfect["standard_error"]) == (1.0, 0.0)
    null = probes.logistic_auc(noise(600), attribute[train], noise(400, seed=9), attribute[test])
    assert null["value"] == pytest.approx(0.5, abs=4 * null["standard_error"])
    constant = probes.logistic_auc(
        np.ones((600, 2)), attribute[train], np.ones((400, 2)), attribute[test]
    )
    assert constant["value"] == 0.5
    for degenerate in (
        probes.logistic_auc(codes[train], np.ones(600, bool), codes[test], attribute[test]),
        probes.logistic_auc(codes[train], attribute[train], codes[test], np.zeros(400, bool)),
    ):
        assert math.isnan(degenerate["value"])
        assert math.isnan(degenerate["standard_error"])
        assert "one class" in degenerate["note"]


def test_r2_perfect_null_and_degenerate():
    codes = noise(1000)
    values = codes @ [1.0, -2.0, 0.5] + 4
    perfect = probes.linear_r2(codes[:600], values[:600], codes[600:], values[600:])
    assert perfect["value"] == pytest.approx(1)
    assert perfect["standard_error"] == pytest.approx(0, abs=1e-9)
    null = probes.linear_r2(noise(600, seed=5), values[:600], noise(400, seed=6), values[600:])
    assert null["value"] == pytest.approx(0, abs=0.05)
    flat = probes.linear_r2(codes[:600], values[:600], codes[600:], np.full(400, 0.1))
    assert math.isnan(flat["value"])
    assert "one value" in flat["note"]


def test_r2_by_hand():
    # f = x: errors 0, 0, 1, 0; squares about the mean of 1.75: 3.0625, .5625, 1.5625, 1.5625.
    train = np.array([[0.0], [1.0], [2.0]])
    result = probes.linear_r2(
        train, train[:, 0], np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 3, 3]
    )
    assert result["value"] == pytest.approx(1 - 1 / 6.75)
    influence = np.array([0, 0, 1, 0]) - np.array([3.0625, 0.5625, 1.5625, 1.5625]) / 6.75
    assert result["standard_error"] == pytest.approx(influence.std() / (2 * 6.75 / 4))


def test_r2_standard_error_is_the_scatter_between_samples():
    random = np.random.default_rng(7)
    train = random.standard_normal((5000, 2))
    train_values = train[:, 0] + random.standard_normal(5000)
    results = []
    for _ in range(300):
        codes = random.standard_normal((200, 2))
        values = codes[:, 0] + random.standard_normal(200)
        results.append(probes.linear_r2(train, train_values, codes, values))
    values = np.array([result["value"] for result in results])
    assert values.mean() == pytest.approx(0.5, abs=0.02)
    claimed = np.mean([result["standard_error"] for result in results])
    assert claimed == pytest.approx(values.std(), rel=0.2)


def test_probes_refuse_what_cannot_be_fitted():
    with pytest.raises(InputError, match="train codes have shape"):
        probes.linear_r2(noise(5), np.zeros(4), noise(5), np.zeros(5))
    with pytest.raises(InputError, match="no test codes"):
        probes.linear_r2(noise(5), np.zeros(5), noise(0), np.zeros(0))
    broken = noise(5)
    broken[2, 1] = np.nan
    with pytest.raises(InputError, match="not finite"):
        probes.nearest_neighbour_accuracy(broken, np.zeros(5, int), noise(5), np.zeros(5, int))


@pytest.mark.parametrize(
    ("probe", "values"),
    [
        (probes.linear_r2, lambda codes: codes @ [1.0, -2.0, 0.5]),
        (probes.logistic_auc, lambda codes: codes[:, 0] > 0.3),
        (probes.nearest_neighbour_accuracy, lambda codes: np.floor(codes[:, 0])),
    ],
)
def test_probes_leave_out_rows_without_a_label(probe, values):
    train, test = noise(200), noise(100, seed=1)
    expected = probe(train[7:], values(train[7:]), test[:-3], values(test[:-3]))
    assert "note" not in expected
    train_labels, test_labels = values(train).astype(np.float32), values(test).astype(np.float32)
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
    result = probes.probe_layers(train, train_labels, test, test_labels)
    assert result["light"]["layers"]["all"]["value"] == pytest.approx(1)
    assert result["light"]["layers"]["all"]["count"] == 150
    assert "note" not in result["smiling"]["layers"]["all"]
    test_labels["light"][:] = np.nan
    result = probes.probe_layers(train, train_labels, test, test_labels)["light"]["layers"]
    assert all(math.isnan(layer["value"]) for layer in result.values())


def layered(rows, seed):
    random = np.random.default_rng(seed)
    codes = {"z_1": random.standard_normal((rows, 2)), "z_2": random.standard_normal((rows, 3))}
    labels = {
        "digit": (codes["z_2"][:, 0] > 0).astype(np.int64) + 2 * (codes["z_2"][:, 1] > 0.8),
        "smiling": codes["z_1"][:, 0] + codes["z_2"][:, 2] > 0,
        "light": 2 * codes["z_1"][:, 1] + codes["z_2"][:, 2],
    }
    return codes, labels


def test_probe_layers_finds_each_label_where_it_lies():
    train, train_labels = layered(2000, 0)
    test, test_labels = layered(800, 1)
    result = probes.probe_layers(train, train_labels, test, test_labels)
    assert {name: label["measure"] for name, label in result.items()} == {
        "digit": "accuracy",
        "smiling": "auc",
        "light": "r2",
    }
    for label in result.values():
        assert list(label["layers"]) == ["z_1", "z_2", "all"]
    digit = result["digit"]
    assert digit["chance"] == pytest.approx(0.5 * stats.norm.cdf(0.8), abs=0.05)
    assert digit["layers"]["z_2"]["value"] > 0.9
    assert digit["layers"]["z_1"]["value"] < digit["chance"] + 0.05
    smiling = result["smiling"]
    assert smiling["chance"] == 0.5
    assert smiling["layers"]["all"]["value"] > 0.99
    # 4 P(x > x', x + y > 0, x' + y' < 0) of standard normals, an orthant: 4 (1/8 + 1/12) = 5/6.
    assert smiling["layers"]["z_1"]["value"] == pytest.approx(5 / 6, abs=0.05)
    light = result["light"]["layers"]
    assert light["z_1"]["value"] == pytest.approx(0.8, abs=0.04)
    assert light["z_2"]["value"] == pytest.approx(0.2, abs=0.08)
    assert light["all"]["value"] == pytest.approx(1)
    json.dumps(result, allow_nan=False)


def test_probe_layers_votes_among_the_first_20000_train_codes_only():
    rows = 20_000
    train = {"z_1": np.concatenate([np.zeros((rows, 1)), np.full((50, 1), 9.0)])}
    labels = {"digit": np.repeat([0, 1], [rows, 50])}
    result = probes.probe_layers(train, labels, {"z_1": [[9.0]]}, {"digit": np.array([1])})
    assert result["digit"]["layers"]["z_1"]["value"] == 0


def test_probe_layers_refuses():
    train, labels = layered(40, 0)
    test, test_labels = layered(20, 1)
    with pytest.raises(InputError, match="one of train and test only: hat"):
        probes.probe_layers(train, {**labels, "hat": labels["light"]}, test, test_labels)
    with pytest.raises(InputError, match="different layers"):
        probes.probe_layers(train, labels, {"z_1": test["z_1"]}, test_labels)
    with pytest.raises(InputError, match="'digit' is"):
        probes.probe_layers(
            train, {"digit": labels["digit"].astype(str)}, test, {"digit": test_labels["digit"]}
        )
