"""What commands say where things go wrong that are not in `test_cli`."""

import pathlib
import sys

import pytest
import tensorflow as tf

from benchmarks import command as benchmark
from tf_mmdvlae import cli
from tf_mmdvlae.cli import command, figures, train
from tf_mmdvlae.data import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """`say(train, "--dataset=x")` runs a command in this process: (exit code, what it said)."""
    monkeypatch.chdir(tmp_path)

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        return module.main(), capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("module", "arguments", "code", "message"),
    [
        (benchmark, ["--training", "--rounds=0"], 2, "--rounds=0"),
        (train, ["--config.model.latent_dims={[1]}"], 1, "whole numbers with commas"),
        (train, ["--config.train.learning_rate=1e999"], 1, "inf; it must be a finite number"),
    ],
)
def test_values_that_cannot_be(say, module, arguments, code, message):
    if module is train:
        arguments = ["--dataset=mnist", *arguments]
    found, errors = say(module, *arguments)
    assert found == code
    assert message in errors


def test_a_config_file_that_holds_no_settings(say, tmp_path):
    (tmp_path / "config.json").write_text('{"data": null}')
    code, errors = say(figures, f"--workdir={tmp_path}")
    assert code == 1
    assert "config.data is None; it must hold dataset, data_dir" in errors


@pytest.mark.parametrize("flag", ["--config.train.lr=1", "--config.data.crop=2", "--steps=0"])
def test_a_bad_setting_is_refused_before_a_data_set_is_downloaded(say, monkeypatch, flag):
    monkeypatch.setattr(pipeline, "describe", lambda data: pytest.fail("downloaded"))
    code, errors = say(train, "--dataset=some_set", flag)
    assert code == 1
    assert errors.startswith("error: ")


@pytest.mark.parametrize("name", ["keras.ops", "PIL"])
def test_a_missing_module_is_named_with_what_installs_it(monkeypatch, capsys, name):
    def fail():
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(figures, "main", fail)
    assert cli.start("tf_mmdvlae.cli.figures") == 1
    errors = capsys.readouterr().err
    assert f"module {name} is missing" in errors
    assert "pip install ." in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("level", [None, "0"])
def test_no_command_takes_all_memory_of_a_gpu(monkeypatch, level):
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda *given: grown.append(given)
    )
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    if level is not None:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    else:
        # The command sets it; this puts it back afterwards.
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    command._load_tensorflow()
    assert grown == [("GPU", True)]
