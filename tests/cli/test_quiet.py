"""The first import of TensorFlow, and what it prints."""

import importlib.util
import sys

from tf_mmdvlae.cli.quiet import _QuietFinder, prepare_tensorflow

MODULE = """
import os
from types import SimpleNamespace

os.write(2, b"a line from C++")
config = SimpleNamespace(list_physical_devices=lambda kind: [])
"""


def test_the_import_is_quiet_after_a_look_for_the_module(tmp_path, monkeypatch, capfd):
    (tmp_path / "tensorflow.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    others = [finder for finder in sys.meta_path if not isinstance(finder, _QuietFinder)]
    monkeypatch.setattr(sys, "meta_path", others.copy())
    # Set first, so that the end of the test brings back what was there, or nothing.
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    prepare_tensorflow()
    for _ in range(2):
        assert importlib.util.find_spec("tensorflow").origin == str(tmp_path / "tensorflow.py")
    importlib.import_module("tensorflow")
    assert capfd.readouterr().err == ""
    assert sys.meta_path == others
