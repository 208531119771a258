"""The benchmark measures what it says, on a model that takes no time."""

from tf_mmdvlae.benchmark import training_speed


def test_training_speed(run_config):
    row = training_speed(run_config, rounds=2)
    assert row["batch_size"] == 8
    for name in ("images_per_second", "mmd_share", "input_images_per_second", "input_ratio"):
        assert 0 < row[name]["low"] <= row[name]["median"] <= row[name]["high"]
