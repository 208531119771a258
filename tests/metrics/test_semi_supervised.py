import json
import math

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.semi_supervised import semi_supervised_errors
from tf_mmdvlae.model import latents


def draws(rows, seed):
    return latents.sample_prior((2, 1), rows, seed)


def both_positive_or_both_negative(codes):
    return codes["z_1"][:, 1] * codes["z_2"][:, 0] > 0


def test_classes_that_lie_apart_need_few_labels():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 500)
    means = {"z_1": 10 * np.eye(4)[labels] + random.standard_normal((500, 4))}
    result = semi_supervised_errors(
        latents.take(means, slice(300)),
        labels[:300],
        latents.take(means, slice(300, None)),
        labels[300:],
        label_counts=(20, 101),
        repeats=3,
    )
    assert result == {
        f"labels_{count}": {
            "value": 0.0,
            "standard_error": 0.0,
            "count": 200,
            "labels": used,
            "repeats": 3,
            "chance": 0.75,
        }
        for count, used in ((20, 20), (101, 100))
    }


def test_codes_without_a_class_leave_a_guess():
    train, test = draws(2000, 0), draws(3000, 1)
    labels = np.random.default_rng(2).integers(0, 3, 5000)
    result = semi_supervised_errors(train, labels[:2000], test, labels[2000:], (60, 300), repeats=5)
    for estimate in result.values():
        assert estimate["chance"] == pytest.approx(2 / 3)
        assert 0 < estimate["standard_error"] < 0.03
        error = 4 * estimate["standard_error"]
        assert estimate["value"] == pytest.approx(2 / 3, abs=error)
    json.dumps(result, allow_nan=False)


def test_a_rare_class_gets_as_many_labels_as_the_others():
    rare = np.arange(2000) % 20 == 0
    # Nothing is to be learned: labelled by its share, the rare class would never be guessed.
    result = semi_supervised_errors(
        draws(2000, 0), rare, draws(500, 1), np.ones(500, bool), (100,), repeats=8
    )["labels_100"]
    assert result["value"] == pytest.approx(0.5, abs=4 * result["standard_error"])
    assert result["value"] < 0.75


def test_labels_are_drawn_from_all_of_train():
    labels = np.arange(400) % 2
    sides = {"z_1": (2.0 * labels - 1)[:, None] + 0.1 * draws(400, 0)["z_2"]}
    wrong_at_first = np.where(np.arange(400) < 40, 1 - labels, labels)
    result = semi_supervised_errors(sides, wrong_at_first, sides, labels, (40,), repeats=5)
    assert result["labels_40"]["value"] == 0


def test_all_layers_are_read_together_and_no_line_has_to_part_them():
    train, test = draws(1500, 0), draws(1000, 1)
    result = semi_supervised_errors(
        train,
        both_positive_or_both_negative(train),
        test,
        both_positive_or_both_negative(test),
        (40, 600),
        repeats=4,
    )
    assert result["labels_600"]["value"] < 0.1
    assert result["labels_600"]["value"] < result["labels_40"]["value"] < 0.5


def test_a_dimension_of_another_scale_counts_as_much():
    train, test = draws(800, 0), draws(500, 1)
    labels = [codes["z_2"][:, 0] > 0 for codes in (train, test)]
    for codes in (train, test):
        codes["z_1"] *= 1e4
    result = semi_supervised_errors(train, labels[0], test, labels[1], (400,), repeats=2)
    assert result["labels_400"]["value"] < 0.1


def test_the_classifier_is_scikit_learns_with_one_of_four_regularisations():
    train, test = draws(200, 0), draws(700, 1)
    labels = [both_positive_or_both_negative(codes) for codes in (train, test)]
    # As many of each class as there are, so that every draw is all of them.
    keep = np.concatenate([np.flatnonzero(labels[0] == label)[:80] for label in (False, True)])
    train = latents.take(train, keep)
    scaler = StandardScaler().fit(latents.join(train))
    codes = [scaler.transform(latents.join(part)) for part in (train, test)]
    errors = [
        np.mean(SVC(C=c).fit(codes[0], labels[0][keep]).predict(codes[1]) != labels[1])
        for c in (0.1, 1.0, 10.0, 100.0)
    ]
    assert len(set(errors)) == 4
    result = semi_supervised_errors(train, labels[0][keep], test, labels[1], (160,), repeats=4)
    result = result["labels_160"]
    assert min(errors) <= result["value"] < sorted(errors)[2]
    # What is left is the luck of the test codes.
    binomial = math.sqrt(result["value"] * (1 - result["value"]) / 700)
    assert result["standard_error"] == pytest.approx(binomial, rel=0.2)


@pytest.mark.slow
def test_standard_error_is_the_scatter_between_samples():
    results = []
    for world in range(24):
        train, test = draws(400, world), draws(300, 1000 + world)
        labels = [codes["z_2"][:, 0] + 0.5 * codes["z_1"][:, 0] > 0.3 for codes in (train, test)]
        result = semi_supervised_errors(train, labels[0], test, labels[1], (8,), repeats=2)
        results.append(result["labels_8"])
    claimed = math.sqrt(np.mean([result["standard_error"] ** 2 for result in results]))
    scatter = np.std([result["value"] for result in results], ddof=1)
    assert claimed == pytest.approx(scatter, rel=0.35)


def test_what_has_too_few_labels_is_not_a_number():
    train, test = draws(100, 0), draws(50, 1)
    labels = np.repeat([0, 1, 2], [60, 35, 5])
    result = semi_supervised_errors(train, labels, test, labels[:50], (5, 15, 18, 1000), repeats=2)
    assert result["labels_15"]["value"] > 0
    assert "note" not in result["labels_15"]
    for count, reason in ((5, "fewer than 2 labels"), (18, "5 train codes only; it would need 6")):
        missing = result[f"labels_{count}"]
        assert math.isnan(missing["value"])
        assert math.isnan(missing["standard_error"])
        assert reason in missing["note"]
    assert "would need 333" in result["labels_1000"]["note"]
    alone = semi_supervised_errors(train, np.zeros(100, int), test, labels[:50], (10,))
    assert math.isnan(alone["labels_10"]["value"])
    assert "one class only" in alone["labels_10"]["note"]


def test_codes_that_do_not_vary_leave_a_guess():
    labels = np.arange(40) % 2 == 0
    flat = {"z_1": np.ones((40, 2)), "z_2": np.zeros((40, 1))}
    result = semi_supervised_errors(flat, labels, flat, labels, (20,), repeats=2)["labels_20"]
    assert result["value"] == 0.5


def test_same_seed_same_numbers_and_at_most_10000_test_codes():
    train, test = draws(300, 0), draws(10_050, 1)
    labels = [codes["z_2"][:, 0] + codes["z_1"][:, 0] > 0 for codes in (train, test)]

    def measure(seed):
        return semi_supervised_errors(train, labels[0], test, labels[1], (30,), 2, seed)

    assert measure(1) == measure(1)
    assert measure(1) != measure(2)
    assert measure(1)["labels_30"]["count"] == 10_000


def test_semi_supervised_refuses():
    train, test = draws(20, 0), draws(10, 1)
    attribute, classes = np.arange(20) % 2 == 0, np.arange(20) % 2
    with pytest.raises(InputError, match="20 train codes and labels of shape \\[19\\]"):
        semi_supervised_errors(train, attribute[:19], test, attribute[:10])
    with pytest.raises(InputError, match="no test codes"):
        semi_supervised_errors(train, attribute, draws(0, 0), attribute[:0])
    with pytest.raises(InputError, match="bool in train and float64 in test"):
        semi_supervised_errors(train, attribute, test, np.ones(10))
    with pytest.raises(InputError, match="bool in train and int64 in test"):
        semi_supervised_errors(train, attribute, test, classes[:10])
    with pytest.raises(InputError, match="different layers"):
        semi_supervised_errors(train, attribute, {"z_1": test["z_1"]}, attribute[:10])
    with pytest.raises(InputError, match="at least 2 repeats"):
        semi_supervised_errors(train, attribute, test, attribute[:10], repeats=1)
    train["z_2"][3] = np.inf
    with pytest.raises(InputError, match="train codes hold"):
        semi_supervised_errors(train, attribute, test, attribute[:10])
