"""A run that is stopped or killed goes on, and ends as if it had not been."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import h5py
import keras
import numpy as np
import pytest

from tf_mmdvlae.cli.train import main
from tf_mmdvlae.common.errors import InputError, TrainingStopped
from tf_mmdvlae.training.checkpoints import Checkpoints
from tf_mmdvlae.training.train import train
from tf_mmdvlae.training.workdir import Workdir


def arrays_of_checkpoint(workdir, step):
    arrays = {}
    with h5py.File(workdir / "checkpoints" / f"step_{step:08d}.weights.h5") as file:
        file.visititems(
            lambda name, entry: (
                arrays.update({name: entry[()]}) if isinstance(entry, h5py.Dataset) else None
            )
        )
    return arrays


ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone")
def test_resuming_between_steps_ends_in_the_same_weights(
    finished_run, run_config, replace, tmp_path, when_logged, weights
):
    """Stops at a step that is no checkpoint's, then goes on."""
    config = replace(run_config, "train.log_every", 3)

    def stop(step):
        if step == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    when_logged(stop)
    with pytest.raises(TrainingStopped, match="Stopped at step 6 of 12") as stopped:
        train(config, tmp_path / "work", tmp_path / "export")
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    assert not (tmp_path / "work" / "metrics.json").exists()
    train(config, tmp_path / "work", tmp_path / "export")
    for mine, theirs in zip(weights(tmp_path / "work"), weights(finished_run[0]), strict=True):
        assert np.array_equal(mine, theirs)
    history = Workdir(tmp_path / "work").read_history()
    assert [record["step"] for record in history] == [3, 6, 9, 12]
    whole = Workdir(finished_run[0]).read_history()
    for name in ("train_reconstruction", "val_reconstruction"):
        assert history[-1][name] == whole[-1][name]


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone", "without_figures")
def test_a_picture_that_vanishes_ends_a_run_in_a_line_and_its_step_is_saved(
    run_config, replace, picture_folder, tmp_path, when_logged
):
    shutil.copytree(picture_folder, tmp_path / "pictures")
    settings = {"data.image_dir": str(tmp_path / "pictures"), "data.cache": "none"}
    settings |= {"train.steps": 200, "train.log_every": 1, "train.checkpoint_every": 100}
    config = run_config
    for name, value in settings.items():
        config = replace(config, name, value)

    lost = sorted((tmp_path / "pictures").rglob("*.png"))
    when_logged(lambda step: step == 3 and [path.unlink(missing_ok=True) for path in lost])
    with pytest.raises(InputError, match="can be read no more: .*No such file") as error:
        train(config, tmp_path / "work", tmp_path / "export")
    assert len(str(error.value).splitlines()) == 1
    (step,) = Checkpoints(tmp_path / "work" / "checkpoints").steps()
    assert step >= 3
    assert f"after step {step:,}, and step {step:,} is saved" in str(error.value)
    # What is saved is what a run with all of its pictures has at that step.
    when_logged(lambda logged: logged == step and os.kill(os.getpid(), signal.SIGTERM))
    whole = replace(config, "data.image_dir", str(picture_folder))
    with pytest.raises(TrainingStopped):
        train(whole, tmp_path / "whole", tmp_path / "export")
    mine, theirs = (arrays_of_checkpoint(tmp_path / name, step) for name in ("work", "whole"))
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone")
def test_a_finished_run_goes_on_with_more_steps(
    finished_run, run_config, replace, tmp_path, when_logged, weights, capsys
):
    for name in ("whole", "stopped"):
        shutil.copytree(finished_run[0], tmp_path / name)
    config = replace(run_config, "train.steps", 20)
    result = train(config, tmp_path / "whole", tmp_path / "export")
    assert result.metrics["steps"] == 20
    assert "The run of 12 steps goes on to 20: the learning rate starts anew" in (
        capsys.readouterr().out
    )
    history = Workdir(tmp_path / "whole").read_history()
    assert [record["step"] for record in history] == [4, 8, 12, 16, 20]
    model = keras.saving.load_model(tmp_path / "whole" / "model.keras")
    assert model.optimizer.iterations.numpy() == 20
    assert model.fade_in is None
    rate = model.optimizer._learning_rate
    assert [float(rate(step)) for step in (12, 16, 20)] == pytest.approx([1e-3, 1e-3, 0.0])

    when_logged(lambda step: step == 16 and os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(TrainingStopped, match="Stopped at step 16 of 20"):
        train(config, tmp_path / "stopped", tmp_path / "export")
    assert not Workdir(tmp_path / "stopped").is_finished
    train(config, tmp_path / "stopped", tmp_path / "export")
    assert "Resuming from the checkpoint of step 16" in capsys.readouterr().out
    for mine, theirs in zip(
        weights(tmp_path / "stopped"), weights(tmp_path / "whole"), strict=True
    ):
        assert np.array_equal(mine, theirs)


def command(config, workdir, *more):
    return [
        sys.executable,
        str(ROOT / "bin" / "train"),
        "--dataset=image_folder",
        f"--image_dir={config.data.image_dir}",
        f"--workdir={workdir}",
        f"--export_dir={workdir}/export",
        "--batch_size=8",
        "--config.data.test_fraction=0.3",
        "--config.model.image_shape=8,8,1",
        "--config.model.latent_dims=2,3",
        "--config.model.blocks=(('conv4/2',),('dense8',))",
        *more,
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("training_alone")
def test_kill_at_any_moment_then_the_same_command(run_config, tmp_path, weights, capsys):
    """`kill -9` in the middle; bit-equal to a run in one piece."""
    arguments = command(
        run_config,
        tmp_path / "killed",
        "--steps=120",
        "--config.train.checkpoint_every=10",
        "--config.train.log_every=4",
    )
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
    checkpoints = Checkpoints(tmp_path / "killed" / "checkpoints")
    deadline = time.monotonic() + 120
    while max(checkpoints.steps(), default=0) < 20:
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "metrics.json").exists()
    assert main(arguments[2:]) == 0
    assert "Resuming from the checkpoint of step" in capsys.readouterr().out
    config = Workdir(tmp_path / "killed").read_config()
    train(config, tmp_path / "whole", tmp_path / "whole" / "export")
    for mine, theirs in zip(weights(tmp_path / "killed"), weights(tmp_path / "whole"), strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.slow
def test_sigterm_saves_and_says_how_to_go_on(run_config, tmp_path):
    arguments = command(run_config, tmp_path / "work", "--steps=100000")
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "work" / "history.jsonl").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    last = errors.strip().splitlines()[-1]
    assert "Stopped at step" in last
    assert "The same command again goes on" in last
    assert len(Checkpoints(tmp_path / "work" / "checkpoints").steps()) >= 1


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_run_stopped_while_it_finishes_goes_on_from_there(
    finished_run, run_config, tmp_path, weights, monkeypatch
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    for step in ("keras.Model.save", "numpy.savez", "tensorflow.saved_model.save"):
        with monkeypatch.context() as patch:
            patch.setattr(step, stop)
            with pytest.raises(KeyboardInterrupt):
                train(run_config, tmp_path / "work", tmp_path / "export")
    assert not (tmp_path / "work" / "metrics.json").exists()
    result = train(run_config, tmp_path / "work", tmp_path / "export")
    assert result.export == tmp_path / "export" / "1"
    for mine, theirs in zip(weights(tmp_path / "work"), weights(finished_run[0]), strict=True):
        assert np.array_equal(mine, theirs)


def test_two_processes_in_one_folder(run_config, finished_run):
    with (
        Workdir(finished_run[0]).locked(),
        pytest.raises(InputError, match="Another process is at work"),
    ):
        train(run_config, *finished_run[:2])
