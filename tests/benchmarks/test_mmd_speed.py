"""The measurement of the MMD's estimators: each cell measured, or left out with a reason."""

import os

import pytest

from benchmarks import mmd_speed
from tf_mmdvlae.common.errors import InputError


def test_cells_are_measured_in_processes_of_their_own():
    estimators = [("dense", None), ("random_features", 6)]
    rows = mmd_speed.mmd_speed((64, 1024), (2,), 2, estimators)
    found = [(row["estimator"], row["frequencies"], row["batch"]) for row in rows]
    assert found == [(*estimator, batch) for estimator in estimators for batch in (64, 1024)]
    for row in rows:
        assert (row["dimensions"], row["left_out"]) == (2, None)
        taken = row["milliseconds"]
        assert 0 < taken["low"] <= taken["median"] <= taken["high"]
    assert rows[0]["deviation"] > 0
    # One table of 1,024^2 float64 is 8 MB; several are held.
    assert rows[0]["peak_megabytes"] < 10
    assert rows[1]["peak_megabytes"] == pytest.approx(55, abs=30)


def test_what_would_not_fit_is_left_out_with_what_it_would_need(monkeypatch):
    def measured(cell, rounds):
        return {"milliseconds": {"low": 1e-4 * cell["batch"] ** 2}}

    monkeypatch.setattr(mmd_speed, "_in_a_fork", measured)
    rows = list(mmd_speed._rows((100, 1000, 1_000_000), (2,), 1, mmd_speed.ESTIMATORS))
    left_out = {(row["estimator"], row["batch"]): row["left_out"] for row in rows}
    assert left_out["dense", 1_000_000] == "needs 44000.0 GB"
    assert left_out["blocks", 1_000_000] == "needs about 100000 s"
    assert [key for key, why in left_out.items() if why] == [
        ("dense", 1_000_000),
        ("blocks", 1_000_000),
    ]
    large = next(row for row in rows if row["left_out"])
    assert large["milliseconds"] is large["peak_megabytes"] is large["deviation"] is None


def test_a_failed_cell_is_named(monkeypatch):
    cell = {"estimator": "dense", "frequencies": None, "batch": 64, "dimensions": 2}
    monkeypatch.setattr(mmd_speed, "_measure", lambda **_: os.kill(os.getpid(), 9))
    with pytest.raises(InputError, match=r"^dense of 64 x 2 failed \(killed by SIGKILL\)$"):
        mmd_speed._in_a_fork(cell, 1)
    monkeypatch.setattr(mmd_speed, "_measure", lambda **_: [][0])
    with pytest.raises(InputError, match="exit code 1.: IndexError: list index out of range"):
        mmd_speed._in_a_fork(cell, 1)


def test_what_a_cell_said_comes_through():
    with pytest.raises(InputError, match=r"exit code 1\): linear of 64 x 2 failed .*linear"):
        mmd_speed.mmd_speed((64,), (2,), 1, [("linear", None)])
