"""Disentanglement, completeness and informativeness."""

import numpy as np
import pytest
from scipy import stats

from tf_mmdvlae.metrics.disentanglement import dci


def test_disentanglement_and_completeness_by_hand():
    # Dimensions by factors. Rows: one factor only; half and half; nothing.
    importances = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]])
    # Weights 1/2 and 1/2 of 1 - 0 and 1 - 1; the third weighs nothing.
    assert dci.disentanglement_of(importances) == pytest.approx(0.5)
    first = 1 - stats.entropy([2 / 3, 1 / 3, 0], base=3)
    assert dci.completeness_of(importances) == pytest.approx((first + 1) / 2)
    assert dci.disentanglement_of(np.ones((3, 4))) == pytest.approx(0)
    assert dci.completeness_of(np.zeros((3, 4))) == pytest.approx(0)


def test_informativeness_is_the_share_of_a_guess_that_is_saved(noise, table_of):
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
