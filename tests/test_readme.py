"""What the README says can be typed."""

import base64
import concurrent.futures
import http.server
import importlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tf_mmdvlae.config import get_config, known_datasets, presets_of
from tf_mmdvlae.config import settings as configs

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
MODULES = {
    path.name: importlib.import_module(
        "benchmarks.command" if path.name == "benchmark" else f"tf_mmdvlae.cli.{path.name}"
    )
    for path in (ROOT / "bin").iterdir()
    if path.name.isidentifier()
}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("bin/")]


def test_the_readme_has_commands():
    assert {shlex.split(line)[0].removeprefix("bin/") for line in commands()} == set(MODULES)


@pytest.mark.parametrize("line", commands())
def test_commands_are_understood(line, monkeypatch):
    """Flags and config fields exist; the commands themselves run on real data in CI."""
    command, *arguments = shlex.split(line)
    module = MODULES[command.removeprefix("bin/")]
    seen = []
    monkeypatch.setattr(module, "_call", lambda *given: seen.append(given))
    monkeypatch.setattr(sys, "argv", [command, *arguments])
    assert module.main() == 0
    assert len(seen) == 1
    if command == "bin/train":
        values, overrides = seen[0]
        if values.dataset in known_datasets():
            configs.override(get_config(values.dataset, values.preset), overrides)


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """An empty folder but for the exports, to which snippets write."""
    (tmp_path / "exports").symlink_to(ROOT / "exports")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("code", [block for block in blocks("python") if "grpc" not in block])
def test_python_runs(code, checkout):
    exec(compile(code, "README.md", "exec"), {})


# The others take too long here, or need data.
QUICK = [
    line
    for line in commands()
    if "--export=exports/synthetic_faces" in line and not line.startswith("bin/benchmark")
]


@pytest.mark.parametrize("line", QUICK)
def test_commands_on_the_export_in_the_repository(line, checkout, monkeypatch):
    command, *arguments = shlex.split(line)
    monkeypatch.setattr(sys, "argv", [command, *arguments])
    assert MODULES[command.removeprefix("bin/")].main() == 0
    for flag in arguments:
        if flag.startswith("--out="):
            with Image.open(flag.removeprefix("--out=")) as picture:
                assert picture.size[0] > 500


@pytest.fixture(scope="module")
def signatures():
    model = tf.saved_model.load(str(ROOT / "exports" / "synthetic_faces" / "1"))
    yield model.signatures
    del model


def edited(folder):
    with Image.open(folder / "edited.png") as picture:
        return np.asarray(picture, np.float32)


def expected(signatures):
    picture = (ROOT / "exports" / "examples" / "face.png").read_bytes()
    given = signatures["edit_bytes"](
        image_bytes=tf.constant([picture]),
        attribute=tf.constant(["skin_tone"]),
        strength=tf.constant([2.0]),
        layer_weights=tf.ones([1, 4]),
    )["edited_bytes"]
    return tf.io.decode_png(given[0]).numpy()


def test_the_curl_line_is_answered(checkout, signatures):
    """A server that reads a request by TensorFlow Serving's published REST rules."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/models/faces:predict"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            function = signatures[body["signature_name"]]
            specification = function.structured_input_signature[1]
            inputs = {
                name: tf.constant(
                    [
                        base64.b64decode(value["b64"]) if isinstance(value, dict) else value
                        for value in values
                    ],
                    specification[name].dtype,
                )
                for name, values in body["inputs"].items()
            }
            # One output alone is not named in the answer.
            (value,) = function(**inputs).values()
            outputs = [{"b64": base64.b64encode(item).decode()} for item in value.numpy()]
            answer = json.dumps({"outputs": outputs}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    (snippet,) = (block for block in blocks("sh") if "curl" in block)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        snippet = snippet.replace("localhost:8501", f"127.0.0.1:{server.server_port}")
        subprocess.run(["bash", "-ec", snippet], check=True, timeout=60)
    finally:
        server.shutdown()
    assert np.array_equal(edited(checkout), expected(signatures))


def test_the_grpc_snippet_is_answered(checkout, signatures):
    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            assert request.model_spec.name == "faces"
            inputs = {
                name: tf.constant(tf.make_ndarray(proto).tolist())
                if proto.dtype == tf.string.as_datatype_enum
                else tf.constant(tf.make_ndarray(proto))
                for name, proto in request.inputs.items()
            }
            answer = predict_pb2.PredictResponse()
            for name, value in signatures[request.model_spec.signature_name](**inputs).items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return answer

    (snippet,) = (block for block in blocks("python") if "grpc" in block)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        snippet = snippet.replace("localhost:8500", f"127.0.0.1:{port}")
        exec(compile(snippet, "README.md", "exec"), {})
    finally:
        server.stop(None)
    assert np.array_equal(edited(checkout), expected(signatures))


def test_the_shell_line_runs(checkout):
    (snippet,) = (block for block in blocks("sh") if "saved_model_cli" in block)
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-ec", snippet], check=True, timeout=120, env={**os.environ, "PATH": path}
    )
    assert np.load(checkout / "samples" / "sample.npy").shape == (4, 64, 64, 3)


def test_docker_is_given_what_is_there():
    (snippet,) = (block for block in blocks("sh") if "docker" in block)
    places = re.findall(r"=/models/(\S+)", snippet)
    assert places == ["synthetic_faces", "batching.txt"]
    for place in places:
        assert (ROOT / "exports" / place).exists()


def test_every_preset_is_in_the_table():
    rows = [line.split("|")[1:3] for line in README.splitlines() if line.startswith("| `")]
    listed = {
        (dataset, preset)
        for cells in rows
        for dataset in re.findall(r"`(\w+)`", cells[0])
        for preset in re.findall(r"`(\w+)`", cells[1])
    }
    for dataset in known_datasets():
        for preset in presets_of(dataset):
            assert (dataset, preset) in listed


def test_links_lead_somewhere():
    targets = re.findall(
        r"(?:\]\(|src=\")([^)\"#:]+)[)\"]", re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    )
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target
        if target.endswith(".png"):
            with Image.open(ROOT / target) as picture:
                picture.load()
