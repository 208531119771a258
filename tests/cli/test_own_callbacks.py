"""Callbacks by the names of functions, and what is said of wrong ones."""

import re
import sys
from importlib.machinery import PathFinder

import keras
import pytest

from tf_mmdvlae.cli.own_callbacks import find_function, make_callbacks
from tf_mmdvlae.config.settings import Config

MODULE = """
import keras

value = 3

class Noted(keras.callbacks.Callback):
    def __init__(self, config):
        super().__init__()
        self.config = config

def several(config):
    return [Noted(config), keras.callbacks.TerminateOnNaN()]

def nothing(config):
    pass

def fails(config):
    raise KeyError("no account")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_logs_of_a_test.py").write_text(MODULE)
    (tmp_path / "broken_logs_of_a_test.py").write_text("import no_such_package")
    monkeypatch.chdir(tmp_path)
    # The command adds the current folder to the list.
    monkeypatch.setattr("sys.path", sys.path.copy())


def test_a_function_gets_the_config_and_returns_callbacks(folder):
    config = Config()
    noted, other = make_callbacks("my_logs_of_a_test:several", config)
    assert noted.config is config
    assert isinstance(other, keras.callbacks.TerminateOnNaN)
    (alone,) = make_callbacks("my_logs_of_a_test:Noted", config)
    assert isinstance(alone, keras.callbacks.Callback)


def test_a_file_of_the_folder_hides_no_other_module(folder, tmp_path):
    (tmp_path / "calendar.py").touch()
    find_function("my_logs_of_a_test:nothing")
    assert PathFinder.find_spec("calendar").origin != str(tmp_path / "calendar.py")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_logs", "--callbacks=my_logs must be module:function"),
        ("no_logs_here:f", "the module no_logs_here can't be imported .*No module named"),
        ("broken_logs_of_a_test:f", "can't be imported .*No module named 'no_such_package'"),
        ("my_logs_of_a_test:f", "my_logs_of_a_test has no f"),
        ("my_logs_of_a_test:value", "my_logs_of_a_test has no function value"),
        ("my_logs_of_a_test:fails", "fails failed: 'no account'"),
        ("my_logs_of_a_test:nothing", "gave a NoneType, which is no Keras callback"),
    ],
)
def test_a_wrong_function_is_told_before_anything_is_made(
    run_command, folder, tmp_path, name, message
):
    before = sorted(tmp_path.iterdir())
    code, _, errors = run_command("train", "--dataset=mnist", f"--callbacks={name}")
    assert code == 1
    (line,) = errors.splitlines()
    assert re.search(message, line)
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "__pycache__"] == before
