"""The classifier: what it learns, writes and refuses."""

import csv
import dataclasses
import json
import shutil
import sys
import types
import zipfile

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

from tf_mmdvlae.cli import train_classifier as command
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.evaluation.classifier import judge, load_classifier, train_classifier
from tf_mmdvlae.evaluation.features import feature_space

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def data(picture_folder, images, tmp_path_factory):
    """The bars with a class (how wide), an attribute (in the right half) and a factor (light).

    The factor is in units of a thousand and is not known of every third image.
    """
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    lit = images[..., 0] > 0
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "width", "right", "light"])
        for index, picture in enumerate(lit):
            columns = np.flatnonzero(picture.any(axis=0))
            width = ("narrow", "middle", "wide")[len(columns) - 1]
            light = "" if index % 3 == 0 else f"{5000 + 1000 * images[index].mean():.3f}"
            rows.writerow([f"{index:03d}.png", width, columns[0] >= 3, light])
    return DataConfig(
        dataset="image_folder",
        image_dir=str(picture_folder),
        labels=str(path),
        test_fraction=0.3,
        cache="none",
    )


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """(folder, details) of a classifier trained on them."""
    folder = tmp_path_factory.mktemp("classifiers") / "bars"
    return folder, train_classifier(data, SHAPE, folder, steps=80, batch_size=16)


@pytest.fixture(scope="module")
def splits(data):
    memory = dataclasses.replace(data, cache="memory")
    return {which: pipeline.load_split(memory, SHAPE, which) for which in ("train", "test")}


def floats(split):
    return split.images / np.float32(255)


def test_classes_attributes_and_factors_are_learned(trained, splits):
    train = splits["train"]
    predicted = load_classifier(trained[0]).predict(floats(train))
    assert predicted["width"].shape == (train.size, 3)
    np.testing.assert_allclose(predicted["width"].sum(axis=1), 1, rtol=1e-5)
    assert accuracy_score(train.labels["width"], predicted["width"].argmax(axis=1)) > 0.9
    assert predicted["right"].shape == predicted["light"].shape == (train.size,)
    assert roc_auc_score(train.labels["right"], predicted["right"]) > 0.95
    lit = np.isfinite(train.labels["light"])
    assert r2_score(train.labels["light"][lit], predicted["light"][lit]) > 0.5


def test_the_numbers_are_those_of_the_test_split(trained, splits):
    folder, details = trained
    assert json.loads((folder / "classifier.json").read_text()) == details
    test = splits["test"]
    predicted = load_classifier(folder).predict(floats(test))
    labels = details["labels"]
    assert {name: label["kind"] for name, label in labels.items()} == {
        "width": "class",
        "right": "attribute",
        "light": "factor",
    }
    assert labels["width"]["class_names"] == test.class_names["width"]
    lit = np.isfinite(test.labels["light"])
    assert not lit.all()
    accuracy = accuracy_score(test.labels["width"], predicted["width"].argmax(axis=1))
    expected = {
        "width": ("accuracy", accuracy, test.size),
        "right": ("auc", roc_auc_score(test.labels["right"], predicted["right"]), test.size),
        "light": (
            "r2",
            r2_score(test.labels["light"][lit], predicted["light"][lit]),
            lit.sum(),
        ),
    }
    for name, (measure, value, count) in expected.items():
        estimate = labels[name]["test"]
        assert estimate["measure"] == measure
        assert estimate["value"] == pytest.approx(value, abs=1e-5)
        assert estimate["count"] == count
        assert estimate["standard_error"] >= 0
    spread = np.sqrt(accuracy * (1 - accuracy) / test.size)
    assert labels["width"]["test"]["standard_error"] == pytest.approx(spread)
    assert (details["train_images"], details["test_images"]) == (splits["train"].size, test.size)
    assert (details["steps"], details["seed"]) == (80, 0)
    assert details["versions"]["keras"] == keras.__version__


def test_the_error_of_r2_is_the_spread_over_repeated_draws():
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(300):
        values = generator.standard_normal(400)
        predicted = values + 0.7 * generator.standard_normal(400)
        draws.append(judge("factor", predicted, values))
    spread = np.std([draw["value"] for draw in draws])
    assert np.mean([draw["standard_error"] for draw in draws]) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("kind", ["attribute", "factor"])
def test_a_label_that_does_not_vary_has_no_number(kind):
    values = np.ones(5, bool if kind == "attribute" else np.float32)
    estimate = judge(kind, np.linspace(0, 1, 5), values)
    assert np.isnan(estimate["value"])
    assert estimate["note"]


def test_any_number_of_images_gets_the_same_answers(trained):
    model = load_classifier(trained[0])
    many = np.random.default_rng(0).random((300, *SHAPE), np.float32)
    features, predicted = model.features(many), model.predict(many)
    assert features.shape == (300, 128)
    assert (features >= 0).all()
    assert features.std() > 0
    np.testing.assert_allclose(model.features(many[290:291]), features[290:291], atol=1e-5)
    np.testing.assert_allclose(model.predict(many[:3])["light"], predicted["light"][:3], rtol=1e-5)
    assert model.features(many[:0]).shape == (0, 128)
    assert model.predict(many[:0])["width"].shape == (0, 3)
    with pytest.raises(InputError, match=r"\[2, 9, 9, 1\]; \[n, 8, 8, 1\]"):
        model.predict(np.zeros((2, 9, 9, 1)))


def test_its_features_are_a_feature_space(trained, images, tmp_path):
    space = feature_space(str(trained[0]), SHAPE)
    np.testing.assert_allclose(
        space(images), load_classifier(trained[0]).features(images), atol=1e-6
    )
    assert "width, right, light" in space.description
    copy = shutil.copytree(trained[0], tmp_path / "copy")
    (copy / "classifier.json").unlink()
    with pytest.raises(InputError, match="classifier.json cannot be read"):
        feature_space(str(copy), SHAPE)


def test_the_keras_file_loads_without_this_package(trained):
    with zipfile.ZipFile(trained[0] / "classifier.keras") as archive:
        assert "tf_mmdvlae" not in archive.read("config.json").decode()
    model = keras.saving.load_model(trained[0] / "classifier.keras")
    assert set(model.output) == {"width", "right", "light"}
    assert model.get_layer("features").output.shape == (None, 128)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_classifier(data, tmp_path):
    weights = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train_classifier(data, SHAPE, tmp_path / name, steps=3, batch_size=8, seed=seed)
        model = keras.saving.load_model(tmp_path / name / "classifier.keras")
        weights.append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 0.01


@pytest.mark.slow
def test_a_classifier_is_replaced_on_request_and_whole(data, tmp_path, monkeypatch):
    out = tmp_path / "c"
    train_classifier(data, SHAPE, out, steps=1, seed=1)
    with pytest.raises(InputError, match="--overwrite"):
        train_classifier(data, SHAPE, out)
    train_classifier(data, SHAPE, out, steps=1, seed=2, overwrite=True)
    assert load_classifier(out).details["seed"] == 2
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=0))
        with pytest.raises(InputError, match="No space left"):
            train_classifier(data, SHAPE, out, steps=1, overwrite=True)
    assert load_classifier(out).details["seed"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    (out / "notes.txt").touch()
    with pytest.raises(InputError, match=r"other files \(notes.txt\)"):
        train_classifier(data, SHAPE, out, overwrite=True)


def test_impossible_settings_are_refused_before_training(data, images, tmp_path):
    unlabelled = tmp_path / "flat"
    unlabelled.mkdir()
    for index, picture in enumerate(np.uint8(images[:9] * 255)):
        keras.utils.save_img(unlabelled / f"{index}.png", picture, scale=False)
    flat = DataConfig(dataset="image_folder", image_dir=str(unlabelled), test_fraction=0.4)
    with pytest.raises(InputError, match="no labels to learn"):
        train_classifier(flat, SHAPE, tmp_path / "out")
    with pytest.raises(InputError, match="steps"):
        train_classifier(data, SHAPE, tmp_path / "out", steps=0)
    with pytest.raises(InputError, match=r"a batch of 1 take [\d,.]+ GB .* a smaller --image_size"):
        train_classifier(data, (2**20, 2**20, 3), tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        train_classifier(data, SHAPE, tmp_path / "file")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_classifier_is_refused(tmp_path):
    with pytest.raises(InputError, match="bin/train_classifier makes one"):
        load_classifier(tmp_path)
    (tmp_path / "classifier.keras").write_bytes(b"nothing")
    with pytest.raises(InputError, match="classifier.json cannot be read"):
        load_classifier(tmp_path)
    details = {"labels": {}, "train_images": 1, "data": {"dataset": "mnist", "crop": 1}}
    (tmp_path / "classifier.json").write_text(json.dumps(details))
    with pytest.raises(InputError, match="can't be read as a Keras model"):
        load_classifier(tmp_path)


@pytest.mark.slow
def test_the_command_prints_what_it_wrote(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--dataset=image_folder", f"--image_dir={data.image_dir}", f"--labels={data.labels}"]
    monkeypatch.setattr(sys, "argv", ["train_classifier", *flags, "--steps=2"])
    assert command.main() == 0
    output = capsys.readouterr().out
    for words in ("width", "auc", "classifiers/image_folder", "bin/evaluate --workdir=runs/image"):
        assert words in output
    (out,) = (tmp_path / "classifiers").iterdir()
    details = load_classifier(out).details
    assert details["steps"] == 2
    assert details["image_shape"] == [28, 28, 1]
    assert command.main() == 1
    assert "--overwrite replaces it" in capsys.readouterr().err


def test_a_classifier_reads_the_labels_by_the_names_of_the_directions(trained):
    model = load_classifier(trained[0])
    pictures = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    labels, directions = model.predict(pictures), model.predict_directions(pictures)
    assert set(directions) == {"width=narrow", "width=middle", "width=wide", "right"}
    np.testing.assert_array_equal(directions["right"], labels["right"])
    assert sum(directions[name] for name in directions if "=" in name) == pytest.approx(
        np.ones(3), abs=1e-5
    )


def test_images_that_lack_an_attribute_are_not_judged():
    predictions, values = np.array([0.1, 0.9, 0.4, 0.8]), np.array([0, 1, -1, 0], np.int8)
    # Of the two pairs of yes and no, both are in order.
    assert judge("attribute", predictions, values)["value"] == 1.0
    assert judge("attribute", predictions, values)["count"] == 3
