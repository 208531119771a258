"""What is read from a run's folder is that run's, or refused in a line."""

import shutil

import keras
import numpy as np
import pytest

from tf_mmdvlae.cli import export as export_command
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import read_json, write_json
from tf_mmdvlae.training.finish import export_run
from tf_mmdvlae.training.run import load_run
from tf_mmdvlae.training.train import train
from tf_mmdvlae.training.workdir import Workdir


@pytest.fixture
def copied_run(finished_run, tmp_path):
    files = shutil.ignore_patterns("checkpoints", "figures", "tensorboard")
    return Workdir(shutil.copytree(finished_run[0], tmp_path / "work", ignore=files))


class Stranger(keras.layers.Layer):
    """Of a class that Keras does not find again."""


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "of_another_class", "of_no_known_class", "folder"]
)
def test_a_model_that_is_damaged_or_foreign_is_refused(copied_run, damage):
    content = copied_run.model_file.read_bytes()
    copied_run.model_file.unlink()
    if damage == "folder":
        copied_run.model_file.mkdir()
    elif damage.startswith("of"):
        layer = keras.layers.Dense(1) if damage == "of_another_class" else Stranger()
        keras.Sequential([keras.Input((2,)), layer]).save(copied_run.model_file)
    else:
        copied_run.model_file.write_bytes(content[: len(content) // 2 * (damage == "truncated")])
    with pytest.raises(InputError, match="model.keras cannot be read") as error:
        load_run(copied_run.path)
    assert len(str(error.value).splitlines()) == 1


def test_a_model_and_fits_of_another_network_are_refused(copied_run):
    layers = np.load(copied_run.samplers_file)
    np.savez(copied_run.samplers_file, **{**layers, "latent_dims": [3, 2]})
    with pytest.raises(InputError, match="samplers.npz"):
        export_run(copied_run.path, copied_run.path / "export")
    record = read_json(copied_run.config_file)
    record["model"]["latent_dims"] = [3, 2]
    write_json(copied_run.config_file, record)
    with pytest.raises(InputError, match=r"layers of \(2, 3\), not .* \(3, 2\) as config.json"):
        load_run(copied_run.path)
    assert not (copied_run.path / "export").exists()


def test_an_export_goes_only_where_its_user_says(copied_run, tmp_path, monkeypatch, capsys):
    metrics = read_json(copied_run.metrics_file)
    write_json(copied_run.metrics_file, {**metrics, "export": str(tmp_path / "victim" / "1")})
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert export_command.main([f"--workdir={copied_run.path}"]) == 1
    errors = capsys.readouterr().err
    assert f"was exported to {tmp_path / 'victim'}, which is not a default" in errors
    assert f"--export_dir={tmp_path / 'victim'}" in errors
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("place", ["file/exports", "pattern[1]"])
def test_a_folder_that_no_export_can_have_is_refused_before_the_first_step(
    run_config, tmp_path, place
):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write to|brackets"):
        train(run_config, tmp_path / "new" / "work", tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
