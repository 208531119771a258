"""bin/export on a finished run."""

import json
import shutil

import numpy as np
import pytest

from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model.directions import find_directions
from tf_mmdvlae.model.functions import numpy_functions
from tf_mmdvlae.training import finish
from tf_mmdvlae.training.workdir import Workdir


@pytest.mark.slow
def test_export_adds_a_version(run_command, finished_run, tmp_path):
    arguments = (
        f"--workdir={finished_run[0]}",
        f"--export_dir={tmp_path}",
        "--max_megapixels=7",
    )
    for version in ("1", "2"):
        code, out, errors = run_command("export", *arguments)
        assert code == 0, errors
        assert f"SavedModel:  {tmp_path / version}" in out
        assert (tmp_path / version / "saved_model.pb").exists()
    manifest = json.loads((tmp_path / "2" / "assets.extra" / "manifest.json").read_text())
    assert manifest["attributes"] == ["class=even", "class=odd"]
    assert manifest["max_megapixels"] == 7
    assert not (tmp_path / "2" / "assets.extra" / "tflite").exists()


@pytest.mark.slow
def test_labels_for_a_finished_run(run_command, finished_run, tmp_path, monkeypatch):
    rows = [f"{n:03d}.png,{'NA' if n == 7 else n % 3 // 2},{n / 7}" for n in range(44)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,third,place", *rows]))
    before = {path: path.stat().st_mtime_ns for path in finished_run[0].glob("*.*")}
    exports = []
    monkeypatch.setattr(finish, "export", lambda *arguments: exports.append(arguments))
    for labels in (tmp_path / "labels.csv", "none"):
        place = f"--workdir={finished_run[0]}", f"--export_dir={finished_run[1]}"
        code, out, errors = run_command("export", *place, f"--labels={labels}")
        assert ("has no labels, so the export cannot edit" in out) == (labels == "none")
        assert code == 0, errors
    (model, export_dir, _, directions, metrics, *_), (_, _, _, no_directions, no_metrics, *_) = (
        exports
    )
    assert (no_directions, no_metrics["probes"]) == (None, {})
    assert export_dir == str(finished_run[1])
    assert {name: probe["measure"] for name, probe in metrics["probes"].items()} == {
        "third": "auc",
        "place": "r2",
    }
    # The codes are those of the training images that have a label.
    config = Workdir(finished_run[0]).read_config()
    data = config.changed(data={"labels": str(tmp_path / "labels.csv")}).data
    split = pipeline.load_split(data, (8, 8, 1), "train")
    assert 20 < split.size < 44
    means, _ = numpy_functions(model)[0](split.images / 255.0)
    expected = find_directions(means, split.labels)
    assert directions.names == expected.names == ("third", "place")
    for layer, vectors in expected.vectors.items():
        np.testing.assert_allclose(directions.vectors[layer], vectors, atol=1e-4)
    # The run stays as it is.
    assert {path: path.stat().st_mtime_ns for path in finished_run[0].glob("*.*")} == before


def test_labels_are_for_folders(run_command, finished_run, tmp_path):
    shutil.copytree(finished_run[0], tmp_path / "run")
    config = Workdir(tmp_path / "run").read_config().changed(data={"dataset": "mnist"})
    (tmp_path / "run" / "config.json").write_text(json.dumps(config.to_dict()))
    arguments = f"--workdir={tmp_path / 'run'}", f"--export_dir={tmp_path / 'exports'}"
    code, _, errors = run_command("export", *arguments, "--labels=none")
    assert (code, "--labels is for runs on image folders, not on mnist" in errors) == (1, True)
