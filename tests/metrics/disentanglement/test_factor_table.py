"""Which rows, classes and bins the scores are computed from, and what is refused."""

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.metrics.disentanglement.factor_table import equal_width_bins, factor_table
from tf_mmdvlae.metrics.disentanglement.scores import disentanglement


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


def test_bins_are_those_of_a_histogram(noise):
    columns = noise(500, 3)
    columns[:, 2] = 4
    bins = equal_width_bins(columns)
    for j in (0, 1):
        assert np.bincount(bins[:, j]).tolist() == np.histogram(columns[:, j], 20)[0].tolist()
    assert set(bins[:, 2]) == {0}


def test_disentanglement_refuses(noise):
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
