"""The whole run: what it leaves, resuming, stopping, refusing."""

import gc
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import Diverged, InputError, TrainingStopped
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model.functions import numpy_functions
from tf_mmdvlae.model.latents import posterior_samples
from tf_mmdvlae.model.samplers import Samplers
from tf_mmdvlae.training.callbacks import RunCallback
from tf_mmdvlae.training.checkpoints import Checkpoints
from tf_mmdvlae.training.finish import draw_run
from tf_mmdvlae.training.run import load_run, make_model
from tf_mmdvlae.training.train import train
from tf_mmdvlae.training.workdir import Workdir

ROOT = pathlib.Path(__file__).resolve().parents[2]


def weights(workdir):
    return [w.numpy() for w in load_run(workdir).weights]


@pytest.fixture
def when_logged(monkeypatch):
    """`when_logged(action)`: a run calls `action(step)` at each step that it logs."""

    def watch(action):
        usual = tf.summary.scalar

        def scalar(name, *arguments, **settings):
            if name == "loss":
                action(int(tf.summary.experimental.get_step()))
            return usual(name, *arguments, **settings)

        monkeypatch.setattr(tf.summary, "scalar", scalar)

    return watch


def test_what_a_run_leaves(finished_run):
    workdir, export_dir, result = finished_run
    left = {path.name for path in workdir.iterdir()}
    assert left == {
        "config.json",
        "checkpoints",
        "directions.npz",
        "figures",
        "history.jsonl",
        "metrics.json",
        "model.keras",
        "samplers.npz",
        "tensorboard",
    }
    assert result.export == export_dir / "1"
    assert Checkpoints(workdir / "checkpoints").steps() == [8, 12]
    figures = {path.name for path in (workdir / "figures").iterdir()}
    assert {"layers.png", "losses.png", "samples.png", "reconstructions.png"} <= figures
    assert {"manifold_layer_1.png", "traversal_layer_2.png"} <= figures
    history = [json.loads(line) for line in (workdir / "history.jsonl").read_text().splitlines()]
    assert [record["step"] for record in history] == [4, 8, 12]
    assert ["val_reconstruction" in record for record in history] == [False, False, True]


def test_metrics_are_those_of_the_finished_model(finished_run, run_config):
    workdir, _, _ = finished_run
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert metrics["config"] == json.loads(json.dumps(run_config.to_dict()))
    assert set(metrics["test"]) == {"l1", "mse", "mmd_1", "mmd_2", "mmd_joint"}
    assert set(metrics["probes"]) == {"class"}
    assert metrics["versions"]["keras"] == keras.__version__
    assert metrics["train_images"] + metrics["test_images"] == 48
    split = pipeline.load_split(run_config.data, run_config.model.image_shape, "test")
    images = split.images / np.float32(255)
    error = np.abs(load_run(workdir).predict(images, verbose=0) - images)
    assert metrics["test"]["l1"]["value"] == pytest.approx(error.mean(), abs=1e-6)
    assert metrics["test"]["l1"]["count"] == split.size == metrics["test_images"]


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_run_without_labels_has_samplers_and_no_directions(
    picture_folder, run_config, replace, tmp_path
):
    config = replace(run_config, "data.image_dir", str(picture_folder / "even"))
    config = replace(config, "train.steps", 4)
    train(config, tmp_path / "work", tmp_path / "export")
    assert not (tmp_path / "work" / "directions.npz").exists()
    joint = Samplers.load(tmp_path / "work" / "samplers.npz").joint
    split = pipeline.load_split(config.data, config.model.image_shape, "train")
    codes = posterior_samples(
        *numpy_functions(load_run(tmp_path / "work"))[0](split.images / 255.0)
    )
    # So few codes are one component, whose mean is theirs.
    expected = np.concatenate([codes["z_1"], codes["z_2"]], axis=1).mean(axis=0)
    np.testing.assert_allclose(joint.means[0], expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_finished_run_does_nothing_unless_asked(finished_run, run_config, tmp_path):
    workdir, export_dir = tmp_path / "work", finished_run[1]
    shutil.copytree(finished_run[0], workdir)
    result = train(run_config, workdir, export_dir)
    assert result.was_finished
    assert [path.name for path in export_dir.iterdir()] == ["1"]
    result = train(run_config, workdir, tmp_path / "again", overwrite=True)
    assert not result.was_finished
    assert result.export == tmp_path / "again" / "1"


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_finished_run_without_checkpoints_is_not_trained_again(finished_run, tmp_path):
    workdir = tmp_path / "work"
    shutil.copytree(finished_run[0], workdir, ignore=shutil.ignore_patterns("checkpoints"))
    config = Workdir(workdir).read_config()
    train(config, workdir, tmp_path / "export", overwrite=True)
    assert not (workdir / "checkpoints").exists()
    model = keras.saving.load_model(workdir / "model.keras")
    for mine, theirs in zip(model.weights, weights(finished_run[0]), strict=True):
        assert np.array_equal(mine, theirs)
    # As the run left it, so that it can be saved again.
    assert model.optimizer.iterations.numpy() == config.train.steps
    assert model.fade_in == config.train.fade_in(2)


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_run_is_named_from_another_folder(run_config, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    for folder, workdir in ((tmp_path, "work"), (tmp_path / "there", "../work")):
        monkeypatch.chdir(folder)
        result = train(run_config, workdir, "export")
    assert result.was_finished
    assert result.export == tmp_path / "export" / "1"


@pytest.mark.slow
def test_figures_are_drawn_again(finished_run):
    picture = finished_run[0] / "figures" / "samples.png"
    before = picture.read_bytes()
    picture.unlink()
    assert picture in draw_run(finished_run[0])
    assert picture.read_bytes() == before


def test_other_settings_are_refused_with_the_difference(finished_run, run_config, replace):
    with pytest.raises(InputError, match="train.steps: 12 there, 11 now.*another --workdir"):
        train(replace(run_config, "train.steps", 11), finished_run[0], finished_run[1])


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_resuming_between_steps_ends_in_the_same_weights(
    finished_run, run_config, replace, tmp_path, when_logged
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
@pytest.mark.usefixtures("without_figures")
def test_a_finished_run_goes_on_with_more_steps(
    finished_run, run_config, replace, tmp_path, when_logged, capsys
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
        "--config.model.blocks=(('conv4/2',),('conv6/2',),('dense8',))",
        *more,
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_kill_at_any_moment_then_the_same_command(run_config, tmp_path):
    """`kill -9` in the middle; bit-equal to a run in one piece."""
    arguments = command(
        run_config,
        tmp_path / "killed",
        "--steps=300",
        "--config.train.checkpoint_every=10",
        "--config.train.log_every=4",
    )
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
    checkpoints = Checkpoints(tmp_path / "killed" / "checkpoints")
    deadline = time.monotonic() + 120
    while max(checkpoints.steps(), default=0) < 50:
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "metrics.json").exists()
    again = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=200)
    assert "Resuming from the checkpoint of step" in again.stdout
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
def test_a_loss_that_is_not_finite_stops_the_run(run_config, replace, tmp_path):
    config = replace(run_config, "train.learning_rate", 1e30)
    config = replace(config, "train.checkpoint_every", 1)
    with pytest.raises(TrainingStopped, match=r"not finite at step \d+: .*last good checkpoint"):
        train(config, tmp_path / "work", tmp_path / "export")
    model = make_model(config)
    Checkpoints(tmp_path / "work" / "checkpoints").restore(model)
    assert all(np.isfinite(w.numpy()).all() for w in model.trainable_weights)


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_starting_from_trained_weights(finished_run, run_config, replace, tmp_path):
    config = replace(run_config, "train.init_from", str(finished_run[0]))
    # So small a rate changes no weight that is not zero.
    still = replace(config, "train.learning_rate", 1e-30)
    train(still, tmp_path / "work", tmp_path / "export")
    model = keras.saving.load_model(tmp_path / "work" / "model.keras")
    trained = load_run(finished_run[0]).trainable_weights
    for mine, theirs in zip(model.trainable_weights, trained, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-20)
    assert model.fade_in is None
    with pytest.raises(InputError, match="--init_from needs the same one"):
        train(replace(config, "model.latent_dims", (2, 4)), tmp_path / "a", tmp_path / "export")
    with pytest.raises(InputError, match="holds no run"):
        train(replace(config, "train.init_from", str(tmp_path)), tmp_path / "b", tmp_path / "e")


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_run_stopped_while_it_finishes_goes_on_from_there(
    finished_run, run_config, tmp_path, monkeypatch
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


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
def test_a_refused_run_does_not_lock_its_folder(run_config, replace, tmp_path):
    with pytest.raises(InputError, match="training split has"):
        train(replace(run_config, "train.batch_size", 500), tmp_path / "work", tmp_path / "e")
    short = replace(run_config, "train.steps", 4)
    assert train(short, tmp_path / "work", tmp_path / "e").metrics["steps"] == 4


def test_two_processes_in_one_folder(run_config, finished_run):
    with (
        Workdir(finished_run[0]).locked(),
        pytest.raises(InputError, match="Another process is at work"),
    ):
        train(run_config, *finished_run[:2])


def test_a_test_split_that_cannot_be_used_is_refused_before_the_first_step(
    run_config, replace, tmp_path
):
    config = replace(run_config, "data.test_fraction", 0.001)
    with pytest.raises(InputError, match="test"):
        train(config, tmp_path / "work", tmp_path / "export")
    assert not (tmp_path / "work" / "checkpoints").exists()


@pytest.mark.slow
def test_a_loaded_run_trains_on(finished_run, images):
    model = load_run(finished_run[0])
    before = np.array(model.weights[0])
    model.fit(images, batch_size=16, verbose=0)
    assert not np.array_equal(before, model.weights[0])


def test_a_batch_larger_than_the_data(run_config, replace, tmp_path):
    with pytest.raises(InputError, match=r"training split has \d+ images.*--batch_size="):
        train(replace(run_config, "train.batch_size", 500), tmp_path / "work", tmp_path / "e")


# ---- long runs -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures")
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
@pytest.mark.usefixtures("without_figures")
def test_several_steps_in_one_execution_are_the_same_run(
    finished_run, run_config, replace, tmp_path
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
@pytest.mark.usefixtures("without_figures")
def test_memory_does_not_grow_with_the_steps(run_config, replace, tmp_path, when_logged):
    """Logs, checkpoints and data included; what grows by 30 KB a step would show."""
    process, bytes_held = psutil.Process(), []

    def watch(step):
        if step % 300 == 0:
            gc.collect()
            bytes_held.append(process.memory_info().rss)

    when_logged(watch)
    config = replace(run_config, "train.steps", 900)
    config = replace(config, "train.log_every", 20)
    config = replace(config, "train.checkpoint_every", 60)
    train(config, tmp_path / "work", tmp_path / "export")
    assert bytes_held[2] - bytes_held[1] < 9e6, bytes_held
