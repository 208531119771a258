"""Checkpoints are whole or not there, and the newest whole one is used."""

import errno
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.common import files
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.training.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def model(tiny_config, images):
    keras.utils.set_random_seed(0)
    model = MMDVLAE(tiny_config)
    model.compile(keras.optimizers.Adam(1e-2))
    # A size that the graph knows, as in training: it is traced faster.
    model.fit(tf.data.Dataset.from_tensor_slices(images).batch(16, drop_remainder=True), verbose=0)
    return model


def changed(model):
    """The same network with other weights and an optimizer that has not begun."""
    keras.utils.set_random_seed(1)
    other = MMDVLAE(model.config)
    other.compile(keras.optimizers.Adam(1e-2))
    return other


def state(model):
    return [v.numpy() for v in (*model.weights, *model.optimizer.variables)]


def test_weights_optimizer_and_step_come_back(model, tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.restore(model) == 0
    checkpoints.save(model, 3)
    other = changed(model)
    assert checkpoints.restore(other) == 3
    assert other.optimizer.iterations.numpy() == 3
    for mine, theirs in zip(state(model), state(other), strict=True):
        assert np.array_equal(mine, theirs)


def test_only_the_newest_stay(model, tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3, 4):
        checkpoints.save(model, step)
    assert checkpoints.steps() == [3, 4]
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    "damage", ["truncated", "flipped", "no_record", "foreign_record", "deep_record", "rollbacks"]
)
def test_a_broken_checkpoint_is_named_and_the_one_before_is_used(model, tmp_path, caplog, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)
    checkpoints.save(model, 2)
    newest = tmp_path / "step_00000002.weights.h5"
    contents = bytearray(newest.read_bytes())
    if damage == "truncated":
        newest.write_bytes(contents[:-100])
    elif damage == "flipped":
        contents[len(contents) // 2] ^= 1
        newest.write_bytes(contents)
    elif damage == "foreign_record":
        (tmp_path / "step_00000002.json").write_text("[]")
    elif damage == "deep_record":
        (tmp_path / "step_00000002.json").write_text("[" * 100_000)
    elif damage == "rollbacks":
        record = {"sha256": files.digest(newest), "rollbacks": 10**30}
        files.write_json(tmp_path / "step_00000002.json", record)
    else:
        (tmp_path / "step_00000002.json").unlink()
    with caplog.at_level("WARNING"):
        assert checkpoints.restore(model) == 1
    assert "step 2" in caplog.text
    assert checkpoints.steps() == [1]


def test_a_full_disk_leaves_the_checkpoint_before_whole(model, tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)
    contents = (tmp_path / "step_00000001.weights.h5").read_bytes()

    def full(path, *args, **kwargs):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_weights", full)
    with pytest.raises(InputError, match="step 2.*No space left.*step 1 is whole"):
        checkpoints.save(model, 2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step_00000001.json",
        "step_00000001.weights.h5",
    ]
    assert (tmp_path / "step_00000001.weights.h5").read_bytes() == contents


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EFBIG])
def test_a_quota_is_seen_before_anything_is_written(model, tmp_path, monkeypatch, number):
    """The disk has room, but not for this user or this file; HDF5 would end the process."""

    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    monkeypatch.setattr(model, "save_weights", lambda path: pytest.fail("wrote"))
    with pytest.raises(InputError, match=f"MB can't be written .*: {os.strerror(number)}. .*whole"):
        checkpoints.save(model, 2)
    assert checkpoints.steps() == [1]


def test_no_space_is_seen_before_anything_is_written(model, tmp_path, monkeypatch):
    """HDF5 ends the process when a disk fills up while it writes."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, 1)
    usage = files.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: usage)
    monkeypatch.setattr(model, "save_weights", lambda path: pytest.fail("wrote"))
    with pytest.raises(InputError, match="No space left.*step 1 is whole"):
        checkpoints.save(model, 2)
    assert checkpoints.steps() == [1]
