"""The speed of training, on a model that takes no time."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import tables, training_speed
from tf_mmdvlae.common.errors import InputError


@pytest.mark.slow
def test_shares_and_ratios_are_taken_within_a_round(run_config, monkeypatch):
    times = {}

    def two_rounds(calls, rounds):
        for call in calls.values():
            tf.nest.map_structure(np.asarray, call())
        calls["fed"].waits = [9, 9, 0.5, 1.5, 1.0, 2.0]
        times.update({name: np.array([1.0, 2.0]) * (i + 1) for i, name in enumerate(calls)})
        return times

    monkeypatch.setattr(training_speed, "alternate", two_rounds)
    policies = ("float32", "mixed_bfloat16")
    config = run_config.changed(model={"latent_dims": (2,), "blocks": (("conv4/2", "dense8"),)})
    row = training_speed.training_speed(config, 2, policies)
    step, operations = times["float32"], row["gigaflops_per_step"]
    assert row["batch_size"] == 8
    expected = {
        "mmd": times["mmd"] / step,
        "optimizer": times["optimizer"] / step,
        "waiting": np.array([1.0, 1.5]) / times["fed"],
    }
    assert set(row["shares"]) == set(expected)
    for name, values in expected.items():
        assert row["shares"][name]["median"] == pytest.approx(np.median(values))
        assert row["shares"][name]["high"] == pytest.approx(max(values))
    second = row["precisions"]["mixed_bfloat16"]
    assert second["images_per_second"]["low"] == pytest.approx(8 / max(times["mixed_bfloat16"]))
    assert second["ratio"]["median"] == pytest.approx(np.median(step / times["mixed_bfloat16"]))
    ceiling = second["ceilings"]["convolution"]["high"]
    speed = operations / min(times["mixed_bfloat16"])
    assert second["convolution_share"]["median"] == pytest.approx(speed / ceiling)
    assert row["plain"]["ratio"]["median"] == pytest.approx(np.median(times["plain"] / step))
    assert row["pythae"] is None
    for one in row["precisions"].values():
        one["memory"] = {"peak_megabytes": 1}
    assert "tiny, mixed_bfloat16" in tables.training_tables({"tiny": row})


def test_pythae_missing_says_what_to_install(monkeypatch, run_config):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --editable '\.\[benchmark\]'"):
        training_speed.training_speed(run_config, 1, pythae=True)
