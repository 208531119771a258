"""The whole run: what it leaves, what it does when it has finished, what it refuses."""

import json
import shutil

import keras
import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model.functions import numpy_functions
from tf_mmdvlae.model.latents import posterior_samples
from tf_mmdvlae.model.samplers import Samplers
from tf_mmdvlae.training.checkpoints import Checkpoints
from tf_mmdvlae.training.finish import draw_run
from tf_mmdvlae.training.run import load_run
from tf_mmdvlae.training.train import train


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
def test_a_run_without_labels_after_a_refusal_has_samplers_and_no_directions(
    picture_folder, run_config, replace, tmp_path
):
    config = replace(run_config, "data.image_dir", str(picture_folder / "even"))
    config = replace(config, "train.steps", 4)
    # A refused run does not lock its folder.
    with pytest.raises(InputError, match="training split has"):
        train(replace(config, "train.batch_size", 500), tmp_path / "work", tmp_path / "export")
    result = train(config, tmp_path / "work", tmp_path / "export")
    assert result.metrics["steps"] == 4
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
def test_a_finished_run_does_nothing_unless_asked(
    finished_run, run_config, weights, tmp_path, monkeypatch
):
    workdir, export_dir = tmp_path / "work", finished_run[1]
    shutil.copytree(finished_run[0], workdir)
    result = train(run_config, workdir, export_dir)
    assert result.was_finished
    assert [path.name for path in export_dir.iterdir()] == ["1"]

    # Without checkpoints it is not trained again.
    shutil.rmtree(workdir / "checkpoints")
    monkeypatch.chdir(tmp_path)
    result = train(run_config, "work", "again", overwrite=True)
    assert not result.was_finished
    assert result.export.resolve() == tmp_path / "again" / "1"
    assert not (workdir / "checkpoints").exists()
    model = keras.saving.load_model(workdir / "model.keras")
    for mine, theirs in zip(model.weights, weights(finished_run[0]), strict=True):
        assert np.array_equal(mine, theirs)
    # As the run left it, so that it can be saved again.
    assert model.optimizer.iterations.numpy() == run_config.train.steps
    assert model.fade_in == run_config.train.fade_in(2)

    # Another folder has other names for it.
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    result = train(run_config, "../work", "again")
    assert result.was_finished
    assert result.export == tmp_path / "again" / "1"


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
@pytest.mark.usefixtures("training_alone")
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
