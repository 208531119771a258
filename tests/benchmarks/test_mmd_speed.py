"""The measurement of the MMD's estimators: each cell measured, or left out with a reason."""

import re

import pytest

from benchmarks.mmd_speed import mmd_speed
from tf_mmdvlae.common.errors import InputError

ESTIMATORS = [("dense", None), ("blocks", None), ("random_features", 6)]


@pytest.fixture(scope="module")
def rows():
    """The rows of three estimators: a small batch, and one too large for two of them."""
    return mmd_speed((1024, 1_000_000), (2,), 2, ESTIMATORS)


@pytest.mark.slow
def test_cells_are_measured_in_processes_of_their_own(rows):
    cells = [(row["estimator"], row["frequencies"], row["batch"]) for row in rows]
    batches = (1024, 1_000_000)
    assert cells == [(*estimator, batch) for estimator in ESTIMATORS for batch in batches]
    for row in rows:
        assert row["dimensions"] == 2
        if not row["left_out"]:
            times = row["milliseconds"]
            assert 0 < times["low"] <= times["median"] <= times["high"]
    assert rows[0]["deviation"] > 0
    # One table of 1,024^2 float64 takes 8 MB, and the estimate needs several.
    assert rows[0]["peak_megabytes"] == pytest.approx(55, abs=30)


@pytest.mark.slow
def test_a_cell_that_would_not_fit_is_left_out_with_its_needs(rows):
    large = {row["estimator"]: row for row in rows if row["left_out"]}
    assert {row["batch"] for row in large.values()} == {1_000_000}
    assert list(large) == ["dense", "blocks"]
    assert large["dense"]["left_out"] == "needs 44000.0 GB"
    assert re.fullmatch(r"needs about \d+ s", large["blocks"]["left_out"])
    for row in large.values():
        assert row["milliseconds"] is row["peak_megabytes"] is row["deviation"] is None


@pytest.mark.slow
def test_a_failed_cell_is_named_with_its_error():
    with pytest.raises(InputError, match=r"exit code 1\): linear of 64 x 2 failed .*linear"):
        mmd_speed((64,), (2,), 1, [("linear", None)])
