"""The classifier's loss and the order of its training images."""

import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.data.pipeline import Split
from tf_mmdvlae.evaluation.classifier_network import Label, batches, find_labels, loss


def test_missing_labels_change_nothing():
    labels = [
        Label("a", "class", ("x", "y", "z")),
        Label("b", "attribute"),
        Label("c", "factor", (), 10.0, 2.0),
    ]
    ids = labels[0].targets(np.array([2, -1, 0, 1]))
    yes = labels[1].targets(np.array([True, False, True, False]))
    numbers = labels[2].targets(np.array([12.0, np.nan, np.inf, 8.0]))
    np.testing.assert_array_equal(ids, [2, np.nan, 0, 1])
    np.testing.assert_array_equal(numbers, [1, np.nan, np.nan, -1])
    raw = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    weights = tf.Variable(raw)
    with tf.GradientTape() as tape:
        mean = loss(labels, np.stack([ids, yes, numbers], 1), weights)
    gradient = tape.gradient(mean, weights).numpy()
    wide = raw.astype(np.float64)
    logs = wide[:, :3] - np.log(np.exp(wide[:, :3]).sum(axis=1, keepdims=True))
    signs = np.where(yes == 1, 1, -1)
    by_hand = (
        -np.mean([logs[0, 2], logs[2, 0], logs[3, 1]])
        + np.log1p(np.exp(-signs * wide[:, 3])).mean()
        + np.mean([(wide[0, 4] - 1) ** 2, (wide[3, 4] + 1) ** 2])
    ) / 3
    assert float(mean) == pytest.approx(by_hand, rel=1e-5)
    assert np.isfinite(gradient).all()
    assert not gradient[1, :3].any()
    assert not gradient[1:3, 4].any()


def test_an_attribute_that_some_images_lack():
    values = np.array([1, -1, 0], np.int8)
    split = Split("train", None, {"smiling": values}, {}, 3)
    (label,) = find_labels(split)
    assert label.kind == "attribute"
    np.testing.assert_array_equal(label.targets(values), np.array([1, np.nan, 0], np.float32))


def test_an_epoch_holds_every_image_once_with_its_labels():
    # Each image is of its number throughout, the left half brighter than the right.
    pictures = np.repeat(np.arange(0, 12, dtype=np.uint8), 16).reshape(12, 4, 4, 1) * 10
    pictures[:, :, :2] += 5
    targets = np.arange(12, dtype=np.float32)[:, None]

    def epochs(flip, seed=0):
        data = batches(pictures, targets, flip, 9, 4, seed)
        return [np.concatenate(part) for part in zip(*data.as_numpy_iterator(), strict=True)]

    images, numbers_seen = epochs(flip=True)
    order = numbers_seen[:, 0]
    assert sorted(order[:12]) == sorted(order[12:24]) == list(range(12))
    assert list(order[:12]) != list(order[12:24])
    right = np.round(images[:, 0, 3, 0] * 255)
    mirrored = right % 10 == 5
    assert 8 < mirrored.sum() < 28
    np.testing.assert_array_equal(right // 10, order)
    np.testing.assert_array_equal(epochs(flip=True)[0], images)
    assert not np.array_equal(epochs(flip=True, seed=1)[1], numbers_seen)
    assert not (np.round(epochs(flip=False)[0][:, 0, 3, 0] * 255) % 10).any()
