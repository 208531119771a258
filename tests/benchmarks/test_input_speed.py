"""The speed of a data set's input."""

import os

import numpy as np
import pytest

from benchmarks import tables
from benchmarks.input_speed import first_images, input_speed
from tf_mmdvlae.data import description, pipeline


@pytest.mark.slow
def test_a_round_takes_no_batch_that_was_read_before_it(run_config, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rounds, batches = [], []
    training_batches = pipeline.training_batches

    def next_round(descriptor, *arguments):
        """Makes every pixel on the disk the number of the round that starts."""
        rounds.append(len(rounds))
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        np.lib.format.open_memmap(path, "r+")[:] = len(rounds)

    class Recorded:
        def __init__(self, split, *arguments, **settings):
            self.is_disk = isinstance(split.images, np.memmap)
            self.batches = training_batches(split, *arguments, **settings)

        def __iter__(self):
            for batch in self.batches:
                if self.is_disk:
                    batches.append((round(float(batch[0, 0, 0, 0]) * 255), len(rounds)))
                yield batch

    monkeypatch.setattr(pipeline, "training_batches", Recorded)
    monkeypatch.setattr(os, "posix_fadvise", next_round)
    speed = input_speed(run_config, rounds=3)
    count = speed["images"] // speed["batch_size"]
    assert batches == [(now, now) for now in (1, 2, 3) for _ in range(count)]


@pytest.mark.parametrize(("most", "split"), [(30, "train[:30]"), (40, "train"), (99, "train")])
def test_no_more_images_than_there_are(run_config, monkeypatch, most, split):
    monkeypatch.setattr(
        description, "describe", lambda data: description.Description((8, 8, 1), {"train": 40}, len)
    )
    data = run_config.changed(data={"dataset": "tiny_pictures"}).data
    assert first_images(data, most).train_split == split
    assert first_images(run_config.data, most) == run_config.data


@pytest.mark.slow
def test_input_speed_leaves_no_cache(run_config, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    speed = input_speed(run_config, rounds=2)
    assert list(speed["rows"]) == ["cold", "disk", "memory"]
    for row in speed["rows"].values():
        assert all(0 < spread["low"] <= spread["high"] for spread in row.values())
    assert not list(tmp_path.rglob("images.npy"))
    assert "image_folder, cold" in tables.input_table({"image_folder": speed})
