"""Programs that do not have this package: C++, REST and gRPC bodies, threads, and `load`."""

import base64
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

import tf_mmdvlae
from tf_mmdvlae.cli import sample
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.figures import run
from tf_mmdvlae.model.functions import numpy_functions
from tf_mmdvlae.model.samplers import Samplers
from tf_mmdvlae.serving.export import export
from tf_mmdvlae.training.run import load_run

HERE = pathlib.Path(__file__).parent
THREAD_SECONDS = 10


@pytest.fixture(scope="module")
def version(finished_run):
    return finished_run[1] / "1"


@pytest.fixture(scope="module")
def loaded(version):
    return tf_mmdvlae.load(version)


@pytest.fixture(scope="module")
def signatures(version):
    model = tf.saved_model.load(str(version))
    # The signatures live as long as what they were loaded with.
    yield model.signatures
    del model


@pytest.fixture(scope="module")
def warmup(version):
    """signature -> {input: array} of the warm-up file, read as TensorFlow Serving reads it."""
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    requests = {}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        requests[request.model_spec.signature_name] = {
            name: tf.make_ndarray(proto) for name, proto in request.inputs.items()
        }
    return requests


def call(function, inputs):
    return {name: value.numpy() for name, value in function(**_tensors(inputs)).items()}


def _tensors(inputs):
    return {
        name: tf.constant(value.tolist() if value.dtype == object else value)
        for name, value in inputs.items()
    }


@pytest.mark.slow
def test_there_is_a_warm_up_request_for_each_signature(warmup, signatures):
    assert set(warmup) == set(signatures) - {"serving_default"}
    for signature, inputs in warmup.items():
        assert call(signatures[signature], inputs)["error"].tolist() == [b""]


# ---- C++ -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The C++ program, built against the TensorFlow that is installed."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++")
    tensorflow = pathlib.Path(tf.__file__).parent
    if not list(tensorflow.glob("libtensorflow_cc.so.2")):
        pytest.skip("this TensorFlow has no libtensorflow_cc.so.2")
    program = tmp_path_factory.mktemp("client") / "serving_client"
    subprocess.run(
        [
            *(compiler, "-w", "-O0", "-std=c++17", HERE / "client.cc", "-o", program),
            *("-D_GLIBCXX_USE_CXX11_ABI=1", "-DEIGEN_MAX_ALIGN_BYTES=64"),
            *(f"-I{tensorflow / 'include'}", f"-L{tensorflow}", "-Wl,--no-as-needed"),
            *("-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"),
            f"-Wl,-rpath,{tensorflow}",
        ],
        check=True,
        timeout=240,
    )
    return program


@pytest.mark.slow
def test_cpp_gives_what_python_gives(client, version, signatures, warmup, images, tmp_path):
    requests = dict(warmup)
    requests["encode.three"] = {"image": images[:3]}
    requests["sample.three"] = {
        "seed": np.array([5, 6, -7]),
        "temperature": np.float32([1, 0.5, 1]),
    }
    requests["sample_fitted.three"] = requests["sample.three"]
    requests["edit.unknown"] = {**warmup["edit"], "attribute": np.array([b"nothing"], object)}
    requests["encode.bright"] = {"image": np.full((1, 8, 8, 1), 255, np.float32)}
    pictures = [b"junk", *warmup["encode_bytes"]["image_bytes"], b"\xff\xd8\xff"]
    requests["encode_bytes.junk"] = {"image_bytes": np.array(pictures, object)}
    refused = {
        "encode.empty": {"image": np.zeros((0, 8, 8, 1), np.float32)},
        "encode.wide": {"image": np.zeros((1, 8, 16, 1), np.float32)},
        "encode.colour": {"image": np.zeros((1, 8, 8, 3), np.float32)},
        # As many pixels as an image of the model has.
        "encode.flat": {"image": np.zeros((1, 4, 16, 1), np.float32)},
        "decode.long": {"z_1": np.zeros((1, 4), np.float32), "z_2": np.zeros((1, 3), np.float32)},
        "arithmetic.weights": {
            **warmup["arithmetic"],
            "layer_weights": np.ones((1, 3), np.float32),
        },
    }
    for folder, inputs in {**requests, **refused}.items():
        (tmp_path / folder).mkdir()
        for name, value in inputs.items():
            (tmp_path / folder / f"{name}.pb").write_bytes(
                tf.make_tensor_proto(value).SerializeToString()
            )
    subprocess.run(
        [client, version, tmp_path], check=True, timeout=120, env={"TF_CPP_MIN_LOG_LEVEL": "2"}
    )
    for folder, inputs in requests.items():
        expected = call(signatures[folder.partition(".")[0]], inputs)
        assert "error" in expected
        for name, value in expected.items():
            proto = tf.make_tensor_proto(0)
            proto.ParseFromString((tmp_path / folder / f"{name}.out.pb").read_bytes())
            result = tf.make_ndarray(proto)
            if value.dtype == object:
                assert result.tolist() == value.tolist()
            else:
                np.testing.assert_allclose(result, value, atol=1e-6)
    for folder in refused:
        assert (tmp_path / folder / "error.txt").exists(), folder
    assert "no row" in (tmp_path / "encode.empty" / "error.txt").read_text()


# ---- REST and gRPC -------------------------------------------------------------------------------


def rest(body, signatures):
    """Answers a REST body by TensorFlow Serving's published rules, in columns or rows.

    A {"b64": ...} is decoded to bytes. (The request in docs/serve.md is answered to the end in
    test_documentation.py.)
    """

    def plain(value):
        if isinstance(value, dict) and set(value) == {"b64"}:
            return base64.b64decode(value["b64"])
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items()}
        if isinstance(value, list):
            return [plain(part) for part in value]
        return value

    function = signatures[body.get("signature_name", "serving_default")]
    specification = function.structured_input_signature[1]
    if "instances" in body:
        rows = [plain(row) for row in body["instances"]]
        if len(specification) == 1 and not isinstance(rows[0], dict):
            rows = [{next(iter(specification)): row} for row in rows]
        inputs = {name: [row[name] for row in rows] for name in rows[0]}
    else:
        inputs = plain(body["inputs"])
        if len(specification) == 1 and not isinstance(inputs, dict):
            inputs = {next(iter(specification)): inputs}
    outputs = function(
        **{name: tf.constant(value, specification[name].dtype) for name, value in inputs.items()}
    )
    return {name: value.numpy() for name, value in outputs.items()}


def as_json(inputs):
    """Inputs as a REST client writes them."""
    return json.loads(
        json.dumps(
            {
                name: [
                    {"b64": base64.b64encode(item).decode()}
                    if name.endswith("_bytes")
                    # Words are text in JSON; only names that end in _bytes are base64.
                    else item.decode()
                    for item in value.tolist()
                ]
                if value.dtype == object
                else value.tolist()
                for name, value in inputs.items()
            }
        )
    )


@pytest.mark.slow
def test_rest_bodies_in_columns_and_in_rows(signatures, warmup):
    for signature, inputs in warmup.items():
        expected = call(signatures[signature], inputs)
        columns = as_json(inputs)
        rows = [{name: values[0] for name, values in columns.items()}]
        for body in (
            {"signature_name": signature, "inputs": columns},
            {"signature_name": signature, "instances": rows},
        ):
            result = rest(body, signatures)
            assert set(result) == set(expected)
            for name, value in expected.items():
                if value.dtype == object:
                    assert result[name].tolist() == value.tolist()
                else:
                    np.testing.assert_allclose(result[name], value, atol=1e-6)


def test_every_picture_is_named_so_that_rest_codes_it(signatures):
    """TensorFlow Serving codes as base64 what ends in `_bytes`, and breaks on other bytes.

    The words of `error` are ASCII.
    """
    for function in signatures.values():
        for name, spec in {
            **function.structured_input_signature[1],
            **function.structured_outputs,
        }.items():
            if spec.dtype == tf.string and name not in ("attribute", "error"):
                assert name.endswith("_bytes")


def test_no_output_has_the_name_of_an_input(signatures):
    for name, function in signatures.items():
        if name in ("encode_bytes", "decode_bytes"):
            continue
        assert not set(function.structured_input_signature[1]) & set(function.structured_outputs)


def test_a_grpc_request_survives_the_wire(signatures, warmup):
    for signature, inputs in warmup.items():
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "mnist"
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        received = predict_pb2.PredictRequest.FromString(request.SerializeToString())
        decoded = {name: tf.make_ndarray(proto) for name, proto in received.inputs.items()}
        result = call(signatures[received.model_spec.signature_name], decoded)
        for name, value in call(signatures[signature], inputs).items():
            assert np.array_equal(result[name], value)


# ---- threads -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_eight_threads_at_once(signatures, warmup, images):
    """No error, the same results as alone, no growth of memory."""
    requests = {
        "encode": {"image": images[:4]},
        "sample": {"seed": np.arange(4), "temperature": np.ones(4, np.float32)},
        "edit_bytes": warmup["edit_bytes"],
    }
    expected = {name: call(signatures[name], inputs) for name, inputs in requests.items()}
    failures, until = [], time.monotonic() + THREAD_SECONDS

    def work():
        try:
            while time.monotonic() < until:
                for name, inputs in requests.items():
                    for key, value in call(signatures[name], inputs).items():
                        if value.dtype == object:
                            assert value.tolist() == expected[name][key].tolist()
                        else:
                            np.testing.assert_allclose(value, expected[name][key], atol=1e-6)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    process = psutil.Process()
    for thread in threads:
        thread.start()
    # Buffers are allocated in the first seconds; after that memory may not grow.
    time.sleep(THREAD_SECONDS * 0.4)
    before = process.memory_info().rss
    for thread in threads:
        thread.join()
    assert not failures
    assert process.memory_info().rss - before < 30e6


# ---- tf_mmdvlae.load -----------------------------------------------------------------------------


def test_load_takes_the_newest_version(version, tmp_path):
    for number in (1, 2, 10):
        (tmp_path / str(number)).symlink_to(version.resolve())
    assert tf_mmdvlae.load(tmp_path).path.name == "10"


def test_encode_and_decode_stand_in_for_a_live_model(loaded, finished_run, images, tmp_path):
    encode, decode = numpy_functions(load_run(finished_run[0]))
    for served, live in zip(loaded.encode(images), encode(images), strict=True):
        assert list(served) == list(live)
        for name, value in live.items():
            np.testing.assert_allclose(served[name], value, atol=1e-6)
    codes = encode(images)[0]
    np.testing.assert_allclose(loaded.decode(codes), decode(codes), atol=1e-6)
    paths = run.draw_all(tmp_path, loaded.encode, loaded.decode, images[:9])
    assert all(path.exists() for path in paths)


def test_one_row_serves_all_and_more_than_a_batch_is_split(loaded, images):
    many = np.concatenate([images] * 6)
    result = loaded.arithmetic(many, images[:1], images[1:2], layer_weights=[1, 0])
    assert result.shape == many.shape
    np.testing.assert_allclose(result[: len(images)], result[-len(images) :], atol=1e-6)
    # The tiny model was trained for a moment only, so that its directions are short.
    edited = loaded.edit(images[:1], "class=odd", [0, 50, 100])
    np.testing.assert_allclose(edited[:1], loaded.reconstruct(images[:1]), atol=1e-6)
    assert np.abs(edited[1] - edited[0]).max() > 1e-4
    # A number of detail serves all rows; the picture is kept where its code stays.
    kept = loaded.retouch(images[:1], "class=odd", [0, 50, 100])
    np.testing.assert_allclose(kept[:1], images[:1], atol=1e-6)
    assert np.array_equal(loaded.retouch(images[:1], "class=odd", [0, 50, 100], detail=0), edited)
    same = loaded.arithmetic(images[:2], images[2:3], images[2:3], detail=1)
    np.testing.assert_allclose(same, images[:2], atol=1e-6)
    between = loaded.interpolate(images[:1], images[1:2], [0, 1])
    np.testing.assert_allclose(between, loaded.reconstruct(images[:2]), atol=1e-6)
    assert loaded.sample([1, 2, 3], temperature=0).std(axis=0).max() < 1e-6


def test_a_walk_goes_through_the_images_and_keeps_layers(loaded, images):
    three = images[:3]
    at_images = loaded.walk(three, [0, 1, 2])
    np.testing.assert_allclose(at_images, loaded.reconstruct(three), atol=1e-6)
    np.testing.assert_allclose(loaded.walk(three, [0, 1, 2], detail=1), three, atol=1e-6)
    straight = loaded.walk(three, [0.25, 1.5], straight=True)
    expected = loaded.interpolate(three[:2], three[1:], [0.25, 0.5])
    np.testing.assert_allclose(straight, expected, atol=1e-6)
    assert np.abs(loaded.walk(three, [0.25, 1.5]) - straight).max() > 1e-5
    highest = loaded.walk(three, [0, 1], layer_weights=[0, 1])
    expected = loaded.arithmetic(three[:1], three[:1], three[:2], layer_weights=[0, 1])
    np.testing.assert_allclose(highest, expected, atol=1e-6)
    with pytest.raises(InputError, match="from 0 to 1"):
        loaded.walk(three, [0], detail=2)


@pytest.mark.slow
def test_samples_of_the_fitted_mixture(loaded, finished_run, monkeypatch, tmp_path):
    mixture = Samplers.load(finished_run[0] / "samplers.npz").joint
    samples = loaded.sample(range(3), temperature=0, fitted=True)
    centre = loaded.decode(mixture.sample(1, seed=0, temperature=0))
    np.testing.assert_allclose(samples, np.repeat(centre, 3, axis=0), atol=1e-6)
    arguments = [f"--export={finished_run[1]}", "--count=2", "--fitted", f"--out={tmp_path}"]
    monkeypatch.setattr(sys, "argv", ["sample", *arguments])
    assert sample.main() == 0
    paths = sorted(tmp_path.iterdir())
    for image, path in zip(loaded.sample([0, 1], fitted=True), paths, strict=True):
        with Image.open(path) as picture:
            np.testing.assert_allclose(np.asarray(picture)[..., None] / 255, image, atol=1 / 255)


@pytest.mark.slow
def test_an_export_without_a_mixture_says_so(finished_run, tmp_path):
    older = tf_mmdvlae.load(export(load_run(finished_run[0]), tmp_path))
    assert older.sample([1]).shape == (1, 8, 8, 1)
    with pytest.raises(InputError, match="without a fitted mixture"):
        older.sample([1], fitted=True)


@pytest.mark.slow
def test_an_export_older_than_retouch_says_so():
    older = tf_mmdvlae.load(HERE.parents[1] / "exports" / "synthetic_faces" / "1")
    faces = older.sample([1, 2, 3])
    # Such an export fails where a row is wrong.
    with pytest.raises(InputError, match="must hold finite values in"):
        older.encode(faces * np.float32([0, 9, 1])[:, None, None, None])
    for call in (
        lambda: older.retouch(faces, "skin_tone"),
        lambda: older.arithmetic(faces, faces, faces, detail=1),
    ):
        with pytest.raises(InputError, match="older than the signature.*--detail=0"):
            call()


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("encode", [np.zeros((1, 9, 8, 1))], r"takes \[n, 8, 8, 1\]"),
        ("encode", [np.zeros((1, 8, 8, 1), np.uint8)], "8-bit pixels / 255"),
        ("encode", [np.full((1, 8, 8, 1), 9.0)], "^image must hold finite values in"),
        (
            "encode",
            [np.arange(300).reshape(300, 1, 1, 1) // 299 * 2.0 + np.zeros((300, 8, 8, 1))],
            "^Row 299: image must hold finite values in",
        ),
        ("encode", [np.zeros((0, 8, 8, 1))], "no row"),
        ("decode", [{"z_1": np.zeros((1, 2))}], "z_2"),
        (
            "edit",
            [np.zeros((1, 8, 8, 1)), "Smiling"],
            "'Smiling' is not.*Known: class=even, class=",
        ),
        ("edit", [np.zeros((1, 8, 8, 1)), "class=odd", 1e39], "strength holds a value that is not"),
        (
            "edit",
            [np.zeros((1, 8, 8, 1)), "class=odd", 1e20, [1e20, 0]],
            "The result is not finite",
        ),
        ("retouch", [np.zeros((1, 8, 8, 1)), "class=odd", 1, None, 1.5], "detail must lie in"),
        ("retouch", [np.zeros((2, 8, 8, 1)), "class=odd", 1, None, [1, 0, 0]], "2 and 3 rows"),
        ("sample", [[1], -1.0], "must not be negative"),
        ("arithmetic", [np.zeros((2, 8, 8, 1))] * 2 + [np.zeros((3, 8, 8, 1))], "2 and 3 rows"),
        ("arithmetic", [np.zeros((1, 8, 8, 1))] * 3 + [[1.0]], "a weight for each of the 2 layers"),
    ],
)
def test_bad_input_to_load_is_an_input_error(loaded, method, arguments, message):
    with pytest.raises(InputError, match=message):
        getattr(loaded, method)(*arguments)


def test_load_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        tf_mmdvlae.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no version.*bin/train"):
        tf_mmdvlae.load(tmp_path)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    with pytest.raises(InputError, match="manifest.json"):
        tf_mmdvlae.load(tmp_path)


def test_load_names_what_lies_near(finished_run):
    with pytest.raises(InputError, match=f"There is .*{finished_run[1].name}"):
        tf_mmdvlae.load(finished_run[1].parent)


def test_pictures_are_read_for_it(loaded, picture_folder, images, tmp_path):
    paths = sorted(picture_folder.rglob("*.png"))[:2]
    read = loaded.read(*paths)
    np.testing.assert_allclose(read, images[[0, 2]], atol=1 / 255)
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"x\.png can't be read as a picture: it is neither JPEG"):
        loaded.read(paths[0], tmp_path / "x.png")
    loaded = tf_mmdvlae.load(loaded.path)
    loaded.max_megapixels = 0.00006
    with pytest.raises(InputError, match=r"it is 8x8 pixels, more than 6e-05 megapixels"):
        loaded.read(paths[0])


@pytest.mark.slow
def test_the_public_names_stay_what_they_are():
    """A module of the same name must not take a function's place once it is imported."""
    program = (
        "import tf_mmdvlae\n"
        "for name in tf_mmdvlae.__all__:\n"
        "    assert getattr(tf_mmdvlae, name) is getattr(tf_mmdvlae, name), name\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=HERE.parents[1])
