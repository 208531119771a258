"""What a run's callback does where its folder fails it."""

import signal

import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import Diverged, InputError, TrainingStopped
from tf_mmdvlae.training.callbacks import RunCallback, StopRequest
from tf_mmdvlae.training.run import Run

VALUES = {"loss": 3.0, "reconstruction": 0.5, "mmd_1": 0.25, "mmd_2": 0.125}


class Model:
    """What the callback uses of a Keras model."""

    weights = ()

    def reset_metrics(self):
        pass

    def sample(self, count):
        return [[[[0.5]]]] * count


@pytest.fixture
def make_callback(run_config, tmp_path):
    """`make_callback(start)`: a callback that logs every 4 steps and saves no checkpoint."""

    def make(start=0, held_out=None, **train):
        settings = {"steps": 1000, "checkpoint_every": 1000, **train}
        run = Run(run_config.changed(train=settings), tmp_path)
        callback = RunCallback(run, start, StopRequest(), held_out)
        callback.set_model(Model())
        return callback

    return make


def train(callback, steps, **values):
    """Takes steps without training, each with the same values."""
    callback.on_train_begin()
    for _ in range(steps):
        step(callback, **values)
    callback.on_train_end()


def step(callback, **values):
    callback.on_train_batch_end(callback.step - callback.start, {**VALUES, **values})


def curves(callback):
    """name -> steps that TensorBoard would show."""
    steps = {}
    for file in sorted(callback.run.workdir.tensorboard.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                steps.setdefault(value.tag, []).append(event.step)
    return steps


def test_a_run_from_the_start_has_no_older_curves(make_callback):
    train(make_callback(), 8)
    assert curves(make_callback()) == {name: [4, 8] for name in VALUES}
    train(make_callback(start=8), 4)
    assert curves(make_callback()) == {name: [4, 8, 12] for name in VALUES}
    train(make_callback(), 4)
    assert curves(make_callback()) == {name: [4] for name in VALUES}


class Measured:
    """What the callback uses of `HeldOut`; the error is the step."""

    every = 5

    def measure(self, model, step):
        return {"train_reconstruction": 0.25, "val_reconstruction": float(step)}


def test_held_out_images_are_measured_where_it_logs(make_callback):
    callback = make_callback(held_out=Measured())
    train(callback, 12)
    assert "0.5000, 8.0000 on held-out images (0.2500 on training images)" in callback.details
    assert curves(callback)["val_reconstruction"] == [8]
    # A callback that resumes measures at the same steps.
    train(make_callback(start=12, held_out=Measured()), 8)
    history = callback.run.workdir.read_history()
    measured = {r["step"]: r["val_reconstruction"] for r in history if "val_reconstruction" in r}
    assert measured == {8: 8.0, 16: 16.0}


def test_a_file_where_tensorboard_s_folder_belongs(make_callback):
    callback = make_callback()
    callback.run.workdir.tensorboard.touch()
    with pytest.raises(InputError, match="tensorboard: Not a directory. Make room there"):
        train(callback, 4)


@pytest.mark.parametrize("when", ["scalar", "image", "close"])
def test_a_full_disk(make_callback, monkeypatch, when):
    def full(*arguments, **settings):
        raise tf.errors.OutOfRangeError(None, None, "events; No space left on device\nmore")

    if when == "close":
        writer = type("Writer", (), {"close": full})()
        monkeypatch.setattr(tf.summary, "create_file_writer", lambda path: writer)
    else:
        monkeypatch.setattr(tf.summary, when, full)
    # Pictures are drawn before anything is logged.
    settings = {"checkpoint_every": 2, "steps": 20} if when == "image" else {}
    message = "tensorboard: events; No space left on device. Make room"
    with pytest.raises(InputError, match=message):
        train(make_callback(**settings), 0 if when == "close" else 4)


def test_a_loss_that_runs_away_stops_the_run(make_callback):
    callback = make_callback()
    train(callback, 4)
    train(callback, 4, loss=29.0)
    with pytest.raises(
        Diverged,
        match="loss, 31, is over 10 times that of the first steps, 3, at step 12: mmd_1 28",
    ):
        train(callback, 4, loss=31.0, mmd_1=28.0)


def test_a_run_of_a_million_steps_leaves_a_bounded_number_of_lines(make_callback):
    steps = 1_000_000
    callback = make_callback(steps=steps)
    assert steps / callback.log_every <= 2_000
    assert steps / callback.pictures_every <= 10


def test_one_of_several_workers_stops_at_once(make_callback):
    callback = make_callback()
    callback.run.workers.index, callback.run.workers.count = 1, 2
    callback.stop_request.signal = signal.SIGTERM
    with pytest.raises(TrainingStopped, match="Worker 1 of 2 stopped at step 1") as stopped:
        train(callback, 1)
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert not callback.run.workdir.tensorboard.exists()
