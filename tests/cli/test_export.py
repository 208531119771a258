"""bin/export on a finished run."""

import json

import pytest


@pytest.mark.slow
def test_export_adds_a_version(run_command, finished_run, tmp_path):
    arguments = f"--workdir={finished_run[0]}", f"--export_dir={tmp_path}"
    for version in ("1", "2"):
        code, out, errors = run_command("export", *arguments)
        assert code == 0, errors
        assert f"SavedModel:  {tmp_path / version}" in out
        assert (tmp_path / version / "saved_model.pb").exists()
    manifest = json.loads((tmp_path / "2" / "assets.extra" / "manifest.json").read_text())
    assert manifest["attributes"] == ["class=even", "class=odd"]
    assert not (tmp_path / "2" / "assets.extra" / "tflite").exists()
