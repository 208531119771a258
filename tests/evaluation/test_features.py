"""Feature spaces: what they compute, and which models and names they refuse."""

import io
import urllib.request

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.evaluation.features import feature_space

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((300, *SHAPE), np.float32)


def saved(model, path):
    model.save(path)
    return str(path)


def small_network(named):
    """Eight by eight images -> 5 units -> 3 classes; the hidden layer may be named "features"."""
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(5, "tanh", name="features" if named else "hidden"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4, name="logits"),
            keras.layers.Softmax(),
        ]
    )


def test_pixels_are_the_images_themselves(pictures):
    space = feature_space("pixels", SHAPE)
    features = space(pictures)
    assert features.dtype == np.float64
    np.testing.assert_array_equal(features, pictures.reshape(300, 64))
    assert space(pictures[:0]).shape == (0, 64)
    with pytest.raises(InputError, match=r"shape \[300, 8, 8, 1\]; \[n, 28, 28, 1\]"):
        feature_space("pixels", (28, 28, 1))(pictures)


def test_large_images_are_shrunk_to_few_pixels():
    blocks = np.random.default_rng(0).random((5, 16, 16, 3), np.float32)
    space = feature_space("pixels", (64, 64, 3))
    features = space(blocks.repeat(4, axis=1).repeat(4, axis=2))
    np.testing.assert_allclose(features, blocks.reshape(5, 768), rtol=1e-5)
    assert "16x16" in space.description


@pytest.mark.parametrize("named", [True, False])
def test_a_keras_file_gives_its_features_or_what_its_last_layer_takes(named, pictures, tmp_path):
    model = small_network(named)
    space = feature_space(saved(model, tmp_path / "m.keras"), SHAPE)
    hidden, bias, out, out_bias = (np.asarray(weight) for weight in model.weights)
    expected = np.tanh(pictures.reshape(300, 64) @ hidden + bias)
    if not named:
        expected = expected @ out + out_bias
    np.testing.assert_allclose(space(pictures), expected, atol=1e-5)
    assert space(pictures[:0]).shape == (0, 5 if named else 4)


def test_feature_maps_become_vectors(pictures, tmp_path):
    model = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D()]
    )
    features = feature_space(saved(model, tmp_path / "m.keras"), SHAPE)(pictures)
    assert features.shape == (300, 6 * 6 * 2)


class Module(tf.Module):
    """Gives means and extremes of images as two outputs."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], name="images")])
    def both(self, images):
        return {"mean": tf.reduce_mean(images, [1, 2]), "features": tf.reduce_max(images, [1, 2])}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], name="images")])
    def one(self, images):
        return {"mean": tf.reduce_mean(images, [1, 2])}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], name="images")])
    def none(self, images):
        return {"a": images, "b": images}

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 1], name="images")])
    def single(self, images):
        return {"a": images}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def coded(self, image_bytes):
        return {"a": tf.strings.length(image_bytes)}


@pytest.fixture(scope="module")
def save_module(tmp_path_factory):
    """`save_module("one")`: the path of a SavedModel whose default signature is that method."""

    def save(name):
        path = str(tmp_path_factory.mktemp("saved"))
        module = Module()
        tf.saved_model.save(module, path, signatures=getattr(module, name))
        return path

    return save


def test_a_saved_model_gives_the_output_features_or_its_only_one(save_module, pictures):
    features = feature_space(save_module("both"), SHAPE)(pictures)
    np.testing.assert_array_equal(features, pictures.max(axis=(1, 2)))
    features = feature_space(save_module("one"), SHAPE)(pictures)
    np.testing.assert_allclose(features, pictures.mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "gives a, b; name the output to take 'features'"),
        ("single", r"takes inputs \[1, 8, 8, 1\]; the images are \[any, 8, 8, 1\]"),
        ("coded", "takes image_bytes; it must have one input, float32 images"),
    ],
)
def test_a_saved_model_that_does_not_fit_is_refused(save_module, name, message):
    with pytest.raises(InputError, match=message):
        feature_space(save_module(name), SHAPE)


def test_a_name_without_a_feature_space_is_refused(tmp_path):
    for name, message in (
        ("pixel", "no file or folder has that path. Known: pixels, inception"),
        (tmp_path, "the folder has neither"),
    ):
        with pytest.raises(InputError, match=message):
            feature_space(str(name), SHAPE)
    junk = tmp_path / "m.keras"
    junk.write_bytes(b"nothing")
    with pytest.raises(InputError, match="m.keras can't be read as a Keras model"):
        feature_space(str(junk), SHAPE)
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(InputError, match="SavedModel .* can't be read"):
        feature_space(str(tmp_path), SHAPE)


@keras.saving.register_keras_serializable(package="test")
class Own(keras.Model):
    """A model that is no graph of layers."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.dense = keras.layers.Dense(2)

    def build(self, shape):
        self.dense.build((None, shape[-1]))

    def call(self, images):
        return self.dense(images)


def test_a_keras_model_that_does_not_fit_is_refused(tmp_path):
    path = saved(small_network(named=True), tmp_path / "small.keras")
    with pytest.raises(InputError, match=r"inputs \[any, 8, 8, 1\]; the images are \[any, 28, 28"):
        feature_space(path, (28, 28, 1))
    two = [keras.Input(SHAPE), keras.Input(SHAPE)]
    model = keras.Model(two, keras.layers.Add()(two))
    with pytest.raises(InputError, match="one batch of images is needed"):
        feature_space(saved(model, tmp_path / "two.keras"), SHAPE)
    image = keras.Input(SHAPE)
    branches = [keras.layers.Conv2D(2, 3)(image) for _ in range(2)]
    model = keras.Model(image, keras.layers.Add()(branches))
    with pytest.raises(InputError, match="last layer .* has several inputs"):
        feature_space(saved(model, tmp_path / "branches.keras"), SHAPE)
    own = Own()
    own(np.zeros((1, *SHAPE), np.float32))
    with pytest.raises(InputError, match="of its own class"):
        feature_space(saved(own, tmp_path / "own.keras"), SHAPE)


# ---- Inception -----------------------------------------------------------------------------------


@pytest.fixture
def small_inception(monkeypatch):
    """The mean of each channel stands in for InceptionV3, which takes seconds to build."""
    seen = []

    class Network:
        def load_weights(self, file):
            if file.read_bytes() != b"weights":
                raise ValueError("Layer count mismatch\nand more")

        def __call__(self, images, training):
            seen.append(images.shape)
            assert not training
            return tf.reduce_mean(images, [1, 2])

    def make(include_top, pooling, weights):
        assert (include_top, pooling, weights) == (False, "avg", None)
        return Network()

    monkeypatch.setattr(keras.applications, "InceptionV3", make)
    return seen


@pytest.mark.parametrize("channels", [1, 3])
def test_inception_gets_images_as_it_was_trained_on(small_inception, channels, tmp_path):
    (tmp_path / "w.h5").write_bytes(b"weights")
    space = feature_space(f"inception:{tmp_path / 'w.h5'}", (8, 8, channels))
    shades = np.array([0.0, 0.25, 1.0], np.float32)
    features = space(np.ones((3, 8, 8, channels), np.float32) * shades[:, None, None, None])
    np.testing.assert_allclose(features, np.repeat(2 * shades[:, None] - 1, 3, axis=1), atol=1e-5)
    assert small_inception[0][1:] == (299, 299, 3)
    assert "w.h5" in space.description


def test_files_without_inceptions_weights_are_refused(small_inception, tmp_path):
    with pytest.raises(InputError, match="no file of InceptionV3's weights at /nowhere"):
        feature_space("inception:/nowhere", SHAPE)
    (tmp_path / "w.h5").write_bytes(b"others")
    with pytest.raises(InputError, match=r"inception_v3_weights.*_notop.h5\): Layer count mis"):
        feature_space(f"inception:{tmp_path / 'w.h5'}", SHAPE)


@pytest.fixture
def network(monkeypatch, tmp_path):
    """`network(answers)` decides whether servers answer, and lists the calls."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def connect(answers):
        calls = []

        def urlopen(request, timeout):
            calls.append(request.full_url)
            if not answers:
                raise OSError("unreachable")
            return io.BytesIO()

        monkeypatch.setattr(urllib.request, "urlopen", urlopen)
        return calls

    return connect


def test_without_a_network_inception_says_what_to_put_where(network, monkeypatch, tmp_path):
    calls = network(answers=False)
    monkeypatch.setattr(keras.utils, "get_file", lambda *a, **k: pytest.fail("a download"))
    with pytest.raises(InputError) as raised:
        feature_space("inception", SHAPE)
    assert calls == ["https://storage.googleapis.com/"]
    name = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    assert f"inception_v3/{name}\n" in str(raised.value)
    assert str(tmp_path / "models" / name) in str(raised.value)
    assert "--features=inception:FILE" in str(raised.value)


def test_inception_takes_the_cache_or_downloads_to_it(small_inception, network, monkeypatch):
    network(answers=True)

    def broken(*names, **settings):
        raise Exception("URL fetch failure\non it")

    monkeypatch.setattr(keras.utils, "get_file", broken)
    with pytest.raises(InputError, match="and URL fetch failure. Fetch"):
        feature_space("inception", SHAPE)

    def download(name, url, cache_dir, cache_subdir, file_hash):
        assert url.endswith(name)
        assert len(file_hash) == 32
        path = cache_dir / cache_subdir / name
        path.parent.mkdir()
        path.write_bytes(b"weights")
        return str(path)

    monkeypatch.setattr(keras.utils, "get_file", download)
    assert feature_space("inception", SHAPE)(np.zeros((2, *SHAPE))).shape == (2, 3)
    monkeypatch.setattr(keras.utils, "get_file", broken)
    assert feature_space("inception", SHAPE).name == "inception"
