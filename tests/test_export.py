"""The SavedModel: equal outputs, whole versions, no package needed."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.errors import InputError
from tf_mmdvlae.export import export
from tf_mmdvlae.training import load_run


def test_signatures_equal_the_live_model_without_this_package(finished_run, images, tmp_path):
    workdir, export_dir, _ = finished_run
    np.save(tmp_path / "images.npy", images[:6])
    program = (
        "import sys, numpy as np, tensorflow as tf\n"
        "loaded = tf.saved_model.load(sys.argv[1])\n"
        "encode, decode = loaded.signatures['encode'], loaded.signatures['decode']\n"
        "codes = encode(image=tf.constant(np.load('images.npy')))\n"
        "image = decode(z_1=codes['z_1'], z_2=codes['z_2'])['image']\n"
        "np.savez('out.npz', image=image, **codes)\n"
        "assert 'tf_mmdvlae' not in sys.modules\n"
        "same = loaded.signatures['serving_default'](image=tf.constant(np.load('images.npy')))\n"
        "assert np.array_equal(same['z_2'], codes['z_2'])\n"
    )
    subprocess.run(
        [sys.executable, "-I", "-c", program, str((export_dir / "1").resolve())],
        cwd=tmp_path,
        check=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=120,
    )
    model = load_run(workdir)
    means, deviations = model.encode(images[:6])
    with np.load(tmp_path / "out.npz") as out:
        assert set(out) == {"z_1", "z_2", "std_1", "std_2", "image"}
        for name, mean in means.items():
            np.testing.assert_allclose(out[name], mean, atol=1e-6)
            np.testing.assert_allclose(out[name.replace("z", "std")], deviations[name], atol=1e-6)
        np.testing.assert_allclose(out["image"], model.decode(means), atol=1e-6)
        assert all(out[name].dtype == np.float32 for name in out)


def test_keras_can_call_it_as_a_layer(finished_run, images):
    _, export_dir, _ = finished_run
    encode = keras.layers.TFSMLayer(str(export_dir / "1"), call_endpoint="encode")
    decode = keras.layers.TFSMLayer(str(export_dir / "1"), call_endpoint="decode")
    codes = encode(images[:3])
    pictures = decode({name: codes[name] for name in ("z_1", "z_2")})["image"]
    assert pictures.shape == (3, 8, 8, 1)


def test_weights_are_stored_once(finished_run):
    workdir, export_dir, _ = finished_run
    weights = load_run(workdir).count_params() * 4
    data = sum(p.stat().st_size for p in (export_dir / "1" / "variables").iterdir())
    assert weights <= data < weights + 20_000


def test_versions_count_up_and_leftovers_go(finished_run, tmp_path):
    model = load_run(finished_run[0])
    (tmp_path / "7").mkdir()
    leftover = tmp_path / ".incomplete_999999999"
    leftover.mkdir()
    assert export(model, tmp_path) == tmp_path / "8"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8"]


def test_a_failed_export_leaves_no_version(finished_run, tmp_path, monkeypatch):
    model = load_run(finished_run[0])

    class Full:
        def write_out(self, path, **kwargs):
            tf.io.gfile.makedirs(path)
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr("tf_mmdvlae.export._archive", lambda model: Full())
    with pytest.raises(InputError, match="No space left.*No version was added"):
        export(model, tmp_path / "exports")
    assert list((tmp_path / "exports").iterdir()) == []


def test_a_folder_that_cannot_be_written(finished_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Could not export"):
        export(load_run(finished_run[0]), tmp_path / "file" / "exports")
