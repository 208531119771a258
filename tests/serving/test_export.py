"""The SavedModel: equal outputs, whole versions, no package needed."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import Config, DataConfig
from tf_mmdvlae.data import builders
from tf_mmdvlae.serving import formats
from tf_mmdvlae.serving.export import check_place, export
from tf_mmdvlae.serving.manifest import folder_digest
from tf_mmdvlae.training import finish
from tf_mmdvlae.training.finish import export_run
from tf_mmdvlae.training.run import load_run


def test_weights_are_stored_once(finished_run):
    workdir, export_dir, _ = finished_run
    weights = load_run(workdir).count_params() * 4
    data = sum(p.stat().st_size for p in (export_dir / "1" / "variables").iterdir())
    assert weights <= data < weights + 20_000


@pytest.mark.slow
def test_a_failed_export_leaves_no_version(finished_run, tmp_path, monkeypatch):
    model = load_run(finished_run[0])

    def full(*arguments, **settings):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(InputError, match="No space left.*No version was added"):
        export(model, tmp_path / "exports")
    assert not list(tmp_path.iterdir())


def test_what_was_fitted_lies_beside_the_model(finished_run):
    """A folder of pictures is the user's own: the export shows none of them."""
    workdir, export_dir, _ = finished_run
    extra = export_dir / "1" / "assets.extra"
    for name in ("directions.npz", "samplers.npz"):
        assert (extra / name).read_bytes() == (workdir / name).read_bytes()
    assert not (extra / "examples.png").exists()


@pytest.mark.slow
def test_example_pictures_lie_side_by_side(finished_run, tmp_path, images):
    version = export(load_run(finished_run[0]), tmp_path, examples=images[:3])
    content = (version / "assets.extra" / "examples.png").read_bytes()
    row = tf.io.decode_png(content).numpy() / 255
    np.testing.assert_allclose(row, np.concatenate(images[:3], axis=1), atol=0.5 / 255 + 1e-6)


def test_only_pictures_that_anyone_may_see_are_examples(tiny_config, monkeypatch, capsys, images):
    here = set()
    monkeypatch.setattr(builders, "is_prepared", lambda data: data.dataset in here)
    split = types.SimpleNamespace(name="test")
    monkeypatch.setattr(finish, "_test_split", lambda config, data_dir: split)
    monkeypatch.setattr(finish, "_batches", lambda split, count: iter([images[:count]]))

    def shown(dataset):
        return finish._shown(Config(model=tiny_config, data=DataConfig(dataset=dataset)), None)

    assert shown("mnist:3.0.1") is None
    assert "mnist:3.0.1 is not prepared" in capsys.readouterr().out
    here |= {"mnist:3.0.1", "celeb_a"}
    np.testing.assert_array_equal(shown("mnist:3.0.1"), images[:16])
    assert shown("celeb_a") is None


def test_a_folder_that_cannot_be_written(finished_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write to"):
        export(load_run(finished_run[0]), tmp_path / "file" / "exports")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"image_shape": [64, 64, 3]}, "of images of shape .64, 64, 3., not .28, 28, 1."),
        ({"dataset": "mnist"}, "of mnist, not image_folder"),
        ({"folder": "0123456789abcdef"}, "of another folder of pictures than .*pictures"),
        ({"image_shape": "?"}, "of images of shape ., not"),
        ({"folder": None}, None),
        ({"dataset": None}, None),
    ],
)
def test_the_next_version_is_of_the_same_model(tmp_path, manifest, message):
    data = DataConfig(dataset="image_folder", image_dir=str(tmp_path / "pictures"))
    check_place(tmp_path / "exports", (28, 28, 1), data)
    folder = tmp_path / "exports" / "10" / "assets.extra"
    folder.mkdir(parents=True)
    (tmp_path / "exports" / "9").mkdir()
    check_place(tmp_path / "exports", (28, 28, 1), data)
    same = {"image_shape": [28, 28, 1], "dataset": "image_folder", "folder": folder_digest(data)}
    (folder / "manifest.json").write_text(json.dumps({**same, **manifest}))
    (tmp_path / "link").symlink_to(tmp_path / "pictures")
    linked = DataConfig(dataset="image_folder", image_dir=str(tmp_path / "link"))
    for source in (data, linked):
        if message is None:
            check_place(tmp_path / "exports", (28, 28, 1), source)
        else:
            message = message.replace("than .*pictures", "than .*")
            with pytest.raises(InputError, match=f"10 is a model {message}.*another --export_dir"):
                check_place(tmp_path / "exports", (28, 28, 1), source)


def test_versions_of_a_data_set_are_one_data_set(tmp_path):
    (tmp_path / "1" / "assets.extra").mkdir(parents=True)
    manifest = {"image_shape": [64, 64, 3], "dataset": "synthetic_faces:1.0.0"}
    (tmp_path / "1" / "assets.extra" / "manifest.json").write_text(json.dumps(manifest))
    check_place(tmp_path, (64, 64, 3), DataConfig(dataset="synthetic_faces"))
    check_place(tmp_path, (64, 64, 3))


def versions(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.isdigit())


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_whole_versions_only(finished_run, tmp_path):
    program = (
        "import sys\n"
        "from tf_mmdvlae.training.finish import export_run\n"
        "while True:\n"
        "    export_run(sys.argv[1], sys.argv[2])\n"
    )
    names = {path.name for path in (finished_run[1] / "1").rglob("*")}
    process = subprocess.Popen(
        [sys.executable, "-c", program, finished_run[0], tmp_path],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=pathlib.Path(__file__).parents[2],
    )
    until = time.monotonic() + 120
    while not versions(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    # It is at its second export now.
    time.sleep(0.7)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert versions(tmp_path)
    for version in versions(tmp_path):
        assert {path.name for path in (tmp_path / version).rglob("*")} == names
    # The next export clears away what the killed ones left.
    assert export(load_run(finished_run[0]), tmp_path).name.isdigit()
    assert all(path.name.isdigit() for path in tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_without_samplers_is_exported_without_their_signatures(
    finished_run, tmp_path, capsys
):
    """As a run of an earlier version left it; versions count up and leftovers go."""
    shutil.copytree(finished_run[0], tmp_path / "work")
    (tmp_path / "work" / "samplers.npz").unlink()
    exports = tmp_path / "export"
    (exports / "7").mkdir(parents=True)
    # A killed export left its folder and its lock.
    (exports / ".0123abcd.incomplete").mkdir()
    (exports / ".0123abcd.incomplete.lock").touch()
    version = export_run(tmp_path / "work", exports)
    assert version == exports / "8"
    assert sorted(path.name for path in exports.iterdir()) == ["7", "8"]
    assert "no samplers.npz, so the export has no sample_fitted" in capsys.readouterr().out
    manifest = json.loads((version / "assets.extra" / "manifest.json").read_text())
    assert "sample" in manifest["signatures"]
    assert not {"sample_fitted", "sample_fitted_bytes"} & set(manifest["signatures"])


@pytest.mark.slow
def test_other_formats_equal_the_savedmodel(finished_run, tmp_path):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnxruntime")
    version = export_run(finished_run[0], tmp_path, ["tflite", "onnx"])
    extra = {path.name for path in (version / "assets.extra").iterdir()}
    assert {"model_float32.tflite", "model_float16.tflite"} <= extra
    assert {f"{name}.onnx" for name in formats.SIGNATURES} <= extra


@pytest.mark.slow
def test_a_format_that_computes_something_else_is_not_written(finished_run, tmp_path, monkeypatch):
    runtime = pytest.importorskip("onnxruntime")
    usual = runtime.InferenceSession.run

    def wrong(self, *arguments):
        return [output + 0.1 for output in usual(self, *arguments)]

    monkeypatch.setattr(runtime.InferenceSession, "run", wrong)
    with pytest.raises(InputError, match=r"onnx encode differs from the SavedModel by 0\.1"):
        export_run(finished_run[0], tmp_path, ["onnx"])
    assert list(tmp_path.iterdir()) == []


def test_a_format_whose_package_is_missing(finished_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(InputError, match=r"pip install --editable '\.\[onnx\]'"):
        export_run(finished_run[0], tmp_path, ["onnx"])
    with pytest.raises(InputError, match="Known: tflite, onnx"):
        formats.other_formats(["coreml"], None, None)
