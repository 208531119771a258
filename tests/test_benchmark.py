"""The benchmark measures what it says, on a model that takes no time."""

import numpy as np
import pytest

from tf_mmdvlae.benchmarks import training_speed


def test_training_speed(run_config, monkeypatch):
    times = []
    usual = training_speed.seconds

    def noted(call, count):
        times.append(usual(call, count))
        return times[-1]

    monkeypatch.setattr(training_speed, "seconds", noted)
    row = training_speed.training_speed(run_config, rounds=2)
    assert row.pop("batch_size") == 8
    step, penalties, reading = np.array(times).reshape(2, 3).T
    expected = {
        "images_per_second": 8 / step,
        "mmd_share": penalties / step,
        "input_images_per_second": 8 / reading,
        "input_ratio": step / reading,
    }
    assert set(row) == set(expected)
    for name, values in expected.items():
        assert row[name]["median"] == pytest.approx(np.median(values))
        assert 0 < row[name]["low"] == pytest.approx(min(values))
        assert row[name]["high"] == pytest.approx(max(values))
    assert row["mmd_share"]["low"] < 1
