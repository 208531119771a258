"""Runs that end where held-out images are no better, and callbacks of one's own in them."""

import shutil

import keras
import numpy as np
import pytest

from tf_mmdvlae.common.errors import TrainingStopped
from tf_mmdvlae.training import held_out
from tf_mmdvlae.training.checkpoints import Checkpoints
from tf_mmdvlae.training.held_out import HeldOut
from tf_mmdvlae.training.train import train
from tf_mmdvlae.training.workdir import Workdir

# Step -> error of held-out images; the best of step 8 comes twice.
ERRORS = {4: 0.5, 8: 0.3, 12: 0.4, 16: 0.3, 20: 0.1}


class Watcher(keras.callbacks.Callback):
    """Notes what it sees, and stops the run at a step."""

    def __init__(self, stop=0):
        super().__init__()
        self.stop, self.seen, self.logs = stop, [], {}

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append("epoch")

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        self.seen.append(step)
        self.logs[step] = dict(logs)
        if step == self.stop:
            self.model.stop_training = True


@pytest.fixture
def config(run_config, monkeypatch):
    """A run of 40 steps that measures every fourth, and may end at the sixteenth."""
    monkeypatch.setattr(held_out, "_SHARE", 1.0)
    monkeypatch.setattr(
        HeldOut,
        "measure",
        lambda self, model, step: {
            "train_reconstruction": 0.2,
            "val_reconstruction": ERRORS[step],
        },
    )
    return run_config.changed(
        train={"steps": 40, "progressive": False, "stop_after": 2, "checkpoint_every": 100}
    )


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone")
def test_a_run_ends_with_its_best_weights_however_often_it_was_stopped(
    config, tmp_path, weights, capsys
):
    watcher = Watcher()
    whole = train(config, tmp_path / "whole", tmp_path / "export", callbacks=[watcher])
    assert "ends at step 16 of 40: 2 measurements" in (out := capsys.readouterr().out)
    assert "The weights of step 8 are kept" in out
    names = ("steps", "stopped_at", "planned_steps", "chosen_on")
    taken = {name: whole.metrics[name] for name in names}
    assert taken == {"steps": 8, "stopped_at": 16, "planned_steps": 40, "chosen_on": "test"}
    assert watcher.seen == ["epoch", *range(1, 17)]
    seen = [watcher.logs[step].get("val_reconstruction") for step in (3, 4, 7, 8, 11)]
    assert seen == [None, 0.5, 0.5, 0.3, 0.3]
    assert set(watcher.logs[3]) >= {"loss", "reconstruction", "mmd_1"}
    history = Workdir(tmp_path / "whole").read_history()
    best = {record["step"]: record["best_step"] for record in history}
    assert best == {4: 4, 8: 8, 12: 8, 16: 8}

    stopped = tmp_path / "stopped"
    with pytest.raises(TrainingStopped, match="Stopped at step 13 of 40, which is saved"):
        train(config, stopped, tmp_path / "export", callbacks=[Watcher(stop=13)])
    # As if the process had died between the checkpoint of step 8 and the best weights.
    checkpoints = Checkpoints(stopped / "checkpoints")
    assert checkpoints.steps() == [8, 13]
    checkpoints.remove_after(8)
    shutil.rmtree(stopped / "best")
    capsys.readouterr()
    train(config, stopped, tmp_path / "export")
    assert "The weights of step 8 are kept" in capsys.readouterr().out
    assert [record["step"] for record in Workdir(stopped).read_history()] == [4, 8, 12, 16]
    for mine, theirs in zip(weights(stopped), weights(tmp_path / "whole"), strict=True):
        assert np.array_equal(mine, theirs)
    # It is finished; one that died while it wrote its results trains no more.
    assert train(config, stopped, tmp_path / "export").was_finished
    for name in ("metrics.json", "model.keras"):
        (stopped / name).unlink()
    watcher = Watcher()
    again = train(config, stopped, tmp_path / "export", callbacks=[watcher])
    assert (again.metrics["steps"], watcher.seen) == (8, [])
