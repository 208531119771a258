"""Divergence, speed and memory: what decides whether a long run ends well."""

import gc
import json

import keras
import numpy as np
import psutil
import pytest

from tf_mmdvlae.common.errors import Diverged, InputError, TrainingStopped
from tf_mmdvlae.training.callbacks import RunCallback
from tf_mmdvlae.training.checkpoints import Checkpoints
from tf_mmdvlae.training.run import make_model
from tf_mmdvlae.training.train import train
from tf_mmdvlae.training.workdir import Workdir


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(run_config, replace, tmp_path):
    config = replace(run_config, "train.learning_rate", 1e30)
    config = replace(config, "train.checkpoint_every", 1)
    with pytest.raises(TrainingStopped, match=r"not finite at step \d+: .*last good checkpoint"):
        train(config, tmp_path / "work", tmp_path / "export")
    model = make_model(config)
    Checkpoints(tmp_path / "work" / "checkpoints").restore(model)
    assert all(np.isfinite(w.numpy()).all() for w in model.trainable_weights)


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone")
def test_a_run_that_diverges_goes_back_with_half_the_learning_rate(
    run_config, replace, tmp_path, monkeypatch
):
    usual, broken = keras.callbacks.CallbackList.on_train_batch_end, []

    def diverging(self, batch, logs=None):
        (step,) = (c.step + 1 for c in self.callbacks if isinstance(c, RunCallback))
        if step == 6 and len(broken) < 2:
            broken.append(step)
            logs = {**logs, "loss": np.nan, "mmd_1": np.nan}
        usual(self, batch, logs)

    monkeypatch.setattr(keras.callbacks.CallbackList, "on_train_batch_end", diverging)
    config = replace(run_config, "train.on_divergence", "rollback")
    result = train(config, tmp_path / "work", tmp_path / "export")
    assert result.metrics["rollbacks"] == 2
    steps = [json.loads(s)["step"] for s in (tmp_path / "work" / "history.jsonl").open()]
    assert steps == [4, 8, 12]
    model = keras.saving.load_model(tmp_path / "work" / "model.keras")
    rate = model.optimizer.get_config()["learning_rate"]["config"]["learning_rate"]
    assert rate == config.train.learning_rate / 4
    # A run that is killed now goes on with the rate that it had.
    assert Checkpoints(tmp_path / "work" / "checkpoints").newest() == (12, 2)


@pytest.mark.slow
def test_a_run_that_diverges_again_and_again_stops(run_config, replace, tmp_path, capsys):
    config = replace(run_config, "train.learning_rate", 1e30)
    config = replace(config, "train.on_divergence", "rollback")
    with pytest.raises(Diverged, match=r"not finite at step \d+: .*Try a lower"):
        train(config, tmp_path / "work", tmp_path / "export")
    assert "Rolling back, 3 of 3 times: learning rate 1.25e+29" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone")
def test_several_steps_in_one_execution_are_the_same_run(
    finished_run, run_config, replace, tmp_path, weights
):
    config = replace(run_config, "train.steps_per_execution", 3)
    train(config, tmp_path / "work", tmp_path / "export")
    for mine, theirs in zip(weights(tmp_path / "work"), weights(finished_run[0]), strict=True):
        assert np.array_equal(mine, theirs)
    history = [json.loads(line) for line in (tmp_path / "work" / "history.jsonl").open()]
    # Logs and checkpoints wait for the end of an execution.
    assert [record["step"] for record in history] == [6, 9, 12]
    assert Checkpoints(tmp_path / "work" / "checkpoints").steps() == [9, 12]


@pytest.mark.usefixtures("without_figures")
def test_a_checkpoint_between_executions_is_refused(run_config, replace, tmp_path):
    checkpoints = Checkpoints(tmp_path / "work" / "checkpoints")
    model = make_model(run_config)
    model.optimizer.build(model.trainable_variables)
    Workdir(tmp_path / "work").claim(run_config)
    checkpoints.save(model, 4)
    config = replace(run_config, "train.steps_per_execution", 3)
    with pytest.raises(InputError, match="of step 4, and 8 steps are left.*=3 does not divide"):
        train(config, tmp_path / "work", tmp_path / "export")


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_compiled_by_xla_in_half_precision(run_config, replace, images, tmp_path):
    config = replace(run_config, "train.precision", "mixed_bfloat16")
    config = replace(config, "train.xla", "on")
    config = replace(config, "train.steps", 4)
    train(config, tmp_path / "work", tmp_path / "export")
    model = keras.saving.load_model(tmp_path / "work" / "model.keras")
    whole = make_model(run_config)
    whole.set_weights(model.get_weights())
    codes = model.encode(images)[0]
    for name, values in whole.encode(images)[0].items():
        assert np.array_equal(codes[name], values)
    assert np.array_equal(model.decode(codes), whole.decode(codes))
    assert model.optimizer.iterations.numpy() == 4
    # The optimizer's averages came along.
    assert all(np.any(v.numpy()) for v in model.optimizer.variables if "velocity" in v.path)
    assert keras.config.dtype_policy().name == "float32"


def test_half_precision_without_a_gpu_is_refused(run_config, replace, tmp_path):
    config = replace(run_config, "train.precision", "mixed_float16")
    with pytest.raises(InputError, match="needs a GPU.*--precision=mixed_bfloat16"):
        train(config, tmp_path / "work", tmp_path / "export")


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone")
def test_memory_does_not_grow_with_the_steps(run_config, replace, tmp_path, when_logged):
    """Logs, checkpoints and data included; what grows by 30 KB a step would show."""
    process, bytes_held = psutil.Process(), []

    def watch(step):
        if step % 100 == 0:
            gc.collect()
            bytes_held.append(process.memory_info().rss)

    when_logged(watch)
    config = replace(run_config, "train.steps", 300)
    config = replace(config, "train.log_every", 20)
    config = replace(config, "train.checkpoint_every", 60)
    train(config, tmp_path / "work", tmp_path / "export")
    assert bytes_held[2] - bytes_held[1] < 3e6, bytes_held
