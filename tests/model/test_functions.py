"""A few rows at a time: the same rows in the same order, whatever the structure."""

import subprocess
import sys

import numpy as np
import pytest

from tf_mmdvlae.model.functions import batches, in_batches, joined


@pytest.fixture
def images():
    return np.random.default_rng(0).random((7, 3, 3, 1), np.float32)


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_arrays(images, size):
    np.testing.assert_array_equal(in_batches(lambda rows: 2 * rows, images, size), 2 * images)


def test_the_function_sees_a_few_rows_at_a_time(images):
    sizes = []

    def count(rows):
        sizes.append(len(rows))
        return rows

    in_batches(count, images, 3)
    assert sizes == [3, 3, 1]


def test_latent_dicts_in_and_tuples_of_them_out():
    codes = {"z_1": np.arange(10.0).reshape(5, 2), "z_2": np.arange(5.0).reshape(5, 1)}

    def encode(rows):
        return rows, {name: -layer for name, layer in rows.items()}

    means, deviations = in_batches(encode, codes, 2)
    assert means.keys() == deviations.keys() == codes.keys()
    for name, layer in codes.items():
        np.testing.assert_array_equal(means[name], layer)
        np.testing.assert_array_equal(deviations[name], -layer)


def test_tensors_come_out_as_arrays(images):
    import tensorflow as tf

    result = in_batches(lambda rows: {"logits": tf.constant(rows)}, images, 4)["logits"]
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, images)


def test_no_rows_keep_their_shape(images):
    assert in_batches(lambda rows: rows[..., 0], images[:0], 4).shape == (0, 3, 3)


def test_progress_follows_the_rows(images):
    steps = []
    in_batches(lambda rows: rows, images, 3, lambda done, total: steps.append((done, total)))
    assert steps == [(3, 7), (6, 7), (7, 7)]


def test_batches_joined_are_the_rows(images):
    np.testing.assert_array_equal(joined(list(batches(images, 2))), images)


def test_importing_it_does_not_import_tensorflow():
    code = "import sys, tf_mmdvlae.model.functions; print('tensorflow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
