"""What a run's callback does where its folder fails it."""

import signal

import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import Diverged, InputError, TrainingStopped
from tf_mmdvlae.training.callbacks import RunCallback, StopRequest
from tf_mmdvlae.training.checkpoints import Checkpoints
from tf_mmdvlae.training.workdir import Workdir

VALUES = {"loss": 3.0, "reconstruction": 0.5, "mmd_1": 0.25, "mmd_2": 0.125}


@pytest.fixture
def callback(run_config, tmp_path):
    workdir = Workdir(tmp_path)
    return RunCallback(workdir, Checkpoints(workdir.checkpoints), run_config, 0, StopRequest())


def curves(callback):
    """name -> steps that TensorBoard would show."""
    found = {}
    for file in sorted(callback.workdir.tensorboard.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    return found


def log(callback, *steps):
    callback.on_train_begin()
    for step in steps:
        callback.step = step
        callback._log(VALUES)
    callback.on_train_end()


def test_a_run_from_the_start_has_no_older_curves(callback, run_config):
    log(callback, 4, 8)
    assert curves(callback) == {name: [4, 8] for name in VALUES}
    callback.step = 8
    log(callback, 12)
    assert curves(callback) == {name: [4, 8, 12] for name in VALUES}
    callback.step = 0
    log(callback, 4)
    assert curves(callback) == {name: [4] for name in VALUES}


def test_a_file_where_tensorboard_s_folder_belongs(callback):
    callback.workdir.tensorboard.touch()
    with pytest.raises(InputError, match="tensorboard: Not a directory. Make room there"):
        log(callback, 4)


@pytest.mark.parametrize("when", ["scalar", "image", "close"])
def test_a_full_disk(callback, monkeypatch, when):
    def full(*arguments, **settings):
        raise tf.errors.OutOfRangeError(None, None, "events; No space left on device\nmore")

    callback.on_train_begin()
    callback.set_model(type("Model", (), {"sample": lambda self, n: [[[[0.5]]]] * n})())
    if when == "close":
        monkeypatch.setattr(callback, "writer", type("Writer", (), {"close": full})())
    else:
        monkeypatch.setattr(tf.summary, when, full)
    actions = {
        "scalar": lambda: callback._log(VALUES),
        "image": callback._draw,
        "close": callback.on_train_end,
    }
    with pytest.raises(InputError, match="tensorboard: events; No space left on device. Make room"):
        actions[when]()


def test_a_loss_that_runs_away_stops_the_run(callback):
    callback.on_train_begin()
    callback._log(VALUES)
    callback._log({**VALUES, "loss": 29.0})
    with pytest.raises(
        Diverged, match="loss, 31, is over 10 times that of the first steps, 3, at step 0: mmd_1 28"
    ):
        callback._log({**VALUES, "loss": 31.0, "mmd_1": 28.0})


def test_a_run_of_a_million_steps_leaves_a_bounded_number_of_lines(run_config, replace, tmp_path):
    config = replace(run_config, "train.steps", 1_000_000)
    workdir = Workdir(tmp_path)
    callback = RunCallback(workdir, Checkpoints(workdir.checkpoints), config, 0, StopRequest())
    assert config.train.steps / callback.log_every <= 2_000
    assert config.train.steps / callback.pictures_every <= 10


def test_one_of_several_workers_stops_at_once(callback):
    callback.worker, callback.workers = 1, 2
    callback.stop_request.signal = signal.SIGTERM
    with pytest.raises(TrainingStopped, match="Worker 1 of 2 stopped at step 1") as stopped:
        callback.on_train_batch_end(0, VALUES)
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert not callback.workdir.tensorboard.exists()
