"""Commands, Python, paths and links in README and the documentation are right."""

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

from tf_mmdvlae import __version__
from tf_mmdvlae.config import known_datasets, presets_of
from tf_mmdvlae.config.choices import Choices, settings_for
from tf_mmdvlae.config.overrides import fields_by_section
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data.pipeline import Description

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "exports" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
}
MODULES = {
    path.name: importlib.import_module(
        "benchmarks.command" if path.name == "benchmark" else f"tf_mmdvlae.cli.{path.name}"
    )
    for path in (ROOT / "bin").iterdir()
    if path.name.isidentifier()
}
COMMAND = re.compile(r"(?:^|\s)(?:bin/|mmdvlae-)(\w+( .*)?)$")


def blocks(*languages):
    """The code blocks of all pages in these languages, each once."""
    fence = re.compile(rf"```(?:{'|'.join(languages)})\n(.*?)```", re.DOTALL)
    return list(dict.fromkeys(code for text in PAGES.values() for code in fence.findall(text)))


def phrases():
    """What the pages show as code within sentences and tables, each once."""
    prose = "\n".join(PAGES.values())
    prose = re.sub(r"^ *```.*?^ *```", "", prose, flags=re.DOTALL | re.MULTILINE)
    return sorted(set(re.findall(r"`([^`\n]+)`", prose)))


def commands():
    """The commands of all pages, without "bin/" or "mmdvlae-" in front."""
    lines = "\n".join(blocks("sh", "bash", "yaml")).replace("\\\n", " ").splitlines()
    matches = [COMMAND.search(line.partition(" #")[0].rstrip()) for line in lines]
    shown = dict.fromkeys(" ".join(match[1].split()) for match in matches if match)
    return [line for line in shown if not line.endswith(" --help")]


def test_every_command_is_shown():
    assert {shlex.split(line)[0] for line in commands()} == set(MODULES)


@pytest.mark.parametrize("line", commands())
def test_commands_are_understood(line):
    """Flags and config fields exist; the commands themselves run on real data in CI."""
    command, *arguments = shlex.split(line)
    flags = MODULES[command].main.parse(arguments)
    pictures = Description((64, 64, 3), {"train": 1000}, lambda split: 1000, 0.1)
    if command == "train" and flags.dataset in known_datasets():
        choices = Choices(
            flags.image_size, flags.channels, fields=fields_by_section(flags.overrides)
        )
        settings_for(flags.dataset, flags.preset, choices, lambda data: pictures)


def test_flags_of_commands_in_sentences_exist():
    """A sentence names the flags that it speaks of, not all that the command needs."""
    for phrase in phrases():
        if match := re.match(r"(?:bin/|mmdvlae-)(\w+) --", phrase):
            names = set(re.findall(r"--(\w+)", phrase))
            assert names <= {*MODULES[match[1]].main.table, "config", "help"}, phrase


def test_flags_in_sentences_exist():
    flags = {f"--{name}" for module in MODULES.values() for name in module.main.table}
    fields = {
        f"--config.{section}.{field}"
        for section, values in Config().to_dict().items()
        for field in values
    }
    mentioned = {
        match[0] for phrase in phrases() if (match := re.match(r"--[\w.]+(?=$|=| )", phrase))
    }
    assert mentioned
    # Of every command, of the config as a whole, and of Slurm.
    assert mentioned <= flags | fields | {"--help", "--config", "--requeue"}


def test_paths_in_sentences_exist():
    folders = r"(?:\.ci|benchmarks|bin|docs|tests|tf_mmdvlae)/"
    paths = [phrase for phrase in phrases() if re.fullmatch(folders + r"[\w./]*", phrase)]
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_python_names_in_sentences_exist():
    names = [
        match[0]
        for phrase in phrases()
        if (match := re.match(r"(?:tf_mmdvlae|benchmarks)(?:\.[A-Za-z]\w*)+", phrase))
    ]
    assert names
    for name in names:
        value = importlib.import_module(name.partition(".")[0])
        for part in name.split(".")[1:]:
            if not hasattr(value, part):
                importlib.import_module(f"{value.__name__}.{part}")
            value = getattr(value, part)


def test_make_has_the_targets():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE)
    assert {"install", "demo"} <= set(shown) <= set(targets)


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """An empty folder but for the exports, to which snippets write."""
    (tmp_path / "exports").symlink_to(ROOT / "exports")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("code", [block for block in blocks("python") if "grpc" not in block])
def test_python_runs(code, checkout):
    exec(compile(code, "documentation", "exec"), {})


# The others take too long here, or need data.
QUICK = [
    line
    for line in commands()
    if "--export=exports/synthetic_faces" in line and not line.startswith(("benchmark", "explore"))
]


@pytest.mark.slow
@pytest.mark.parametrize("line", QUICK)
def test_commands_on_the_export_in_the_repository(line, checkout, monkeypatch):
    command, *arguments = shlex.split(line)
    monkeypatch.setattr(sys, "argv", [command, *arguments])
    assert MODULES[command].main() == 0
    for flag in arguments:
        if flag.startswith("--out="):
            with Image.open(flag.removeprefix("--out=")) as picture:
                assert picture.size[0] > 500


@pytest.fixture(scope="module")
def signatures():
    model = tf.saved_model.load(str(ROOT / "exports" / "synthetic_faces" / "1"))
    yield model.signatures
    del model


def with_errors(outputs):
    """The outputs of an export of any version; those before version 0.3 have no `error`."""
    return {"error": tf.constant([""]), **outputs}


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
            outputs = {
                name: [
                    {"b64": base64.b64encode(item).decode()}
                    if name.endswith("_bytes")
                    else item.decode()
                    for item in value.numpy()
                ]
                for name, value in with_errors(function(**inputs)).items()
            }
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
            outputs = signatures[request.model_spec.signature_name](**inputs)
            for name, value in with_errors(outputs).items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return answer

    (snippet,) = (block for block in blocks("python") if "grpc" in block)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        snippet = snippet.replace("localhost:8500", f"127.0.0.1:{port}")
        exec(compile(snippet, "documentation", "exec"), {})
    finally:
        server.stop(None)
    assert np.array_equal(edited(checkout), expected(signatures))


@pytest.mark.slow
def test_the_shell_line_runs(checkout):
    (snippet,) = (block for block in blocks("sh") if "saved_model_cli" in block)
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-ec", snippet], check=True, timeout=120, env={**os.environ, "PATH": path}
    )
    assert np.load(checkout / "samples" / "sample.npy").shape == (4, 64, 64, 3)


def test_docker_is_given_what_is_there():
    snippets = [block for block in blocks("sh") if "docker" in block]
    assert snippets
    for place in re.findall(r"=/models/(\S+)", "".join(snippets)):
        assert (ROOT / "exports" / place).exists()


def test_every_preset_is_in_the_table():
    text = PAGES["docs/train.md"]
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    listed = {
        (dataset, preset)
        for cells in rows
        for dataset in re.findall(r"`(\w+)`", cells[0])
        for preset in re.findall(r"`(\w+)`", cells[1])
    }
    for dataset in known_datasets():
        for preset in presets_of(dataset):
            assert (dataset, preset) in listed


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    for target in re.findall(r"(?:\]\(|src=\")([^)\"#:]+)(?:#[\w-]*)?[)\"]", text):
        place = (ROOT / page).parent / target
        assert place.exists(), target
        if target.endswith(".png"):
            with Image.open(place) as picture:
                picture.load()


def test_every_text_names_the_present_version():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    changes = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert changes[0] == __version__
    assert f"tf_mmdvlae:{__version__}\n" in PAGES["docs/several_machines.md"]


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 180
    assert len(PAGES["README.md"].split()) <= 1800
