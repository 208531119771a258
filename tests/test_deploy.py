"""The files in deploy/ parse, name what is there, and fit each other, the exports, the server."""

import json
import pathlib
import re
import shlex
import types

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.config import model_server_config_pb2

from tests.client import servers
from tf_mmdvlae import __version__
from tf_mmdvlae.cli import explore, train
from tf_mmdvlae.explorer import runtime

ROOT = pathlib.Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
OBJECTS = {
    (each["kind"], each["metadata"]["name"]): each["spec"]
    for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
}
PODS = {
    name: spec["template"]["spec"] for (kind, name), spec in OBJECTS.items() if kind == "Deployment"
}
SERVERS_PORTS = {"grpc": 8500, "http": 8501}


def stages():
    """The Dockerfile: stage -> (base, [(instruction, its words)]), and the arguments before."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line]
    arguments, table, steps = {}, {}, None
    for instruction, rest in lines:
        if instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\w+)", rest).groups()
            table[name] = base, (steps := [])
        elif steps is None:
            arguments |= dict([rest.split("=")])
        else:
            words = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
            steps.append((instruction, words))
    return table, arguments


STAGES, ARGUMENTS = stages()
# monitoring_config.proto and the part of session_bundle_config.proto of TensorFlow Serving that is
# used here, which tensorflow-serving-api lacks. Numbers of fields do not matter to text.
PROTOS = """
name: "serving.proto" dependency: "google/protobuf/wrappers.proto"
message_type {
  name: "PrometheusConfig"
  field { name: "enable" number: 1 type: TYPE_BOOL }
  field { name: "path" number: 2 type: TYPE_STRING }
}
message_type {
  name: "MonitoringConfig"
  field { name: "prometheus_config" number: 1 type_name: "PrometheusConfig" }
}
message_type {
  name: "BatchingParameters"
  field { name: "max_batch_size" number: 1 type_name: ".google.protobuf.Int64Value" }
  field { name: "batch_timeout_micros" number: 2 type_name: ".google.protobuf.Int64Value" }
  field { name: "max_enqueued_batches" number: 3 type_name: ".google.protobuf.Int64Value" }
  field { name: "num_batch_threads" number: 4 type_name: ".google.protobuf.Int64Value" }
  field { name: "max_execution_batch_size" number: 8 type_name: ".google.protobuf.Int64Value" }
  field { name: "enable_large_batch_splitting" number: 9 type_name: ".google.protobuf.BoolValue" }
}
"""


def copies(stage):
    """Place in the image -> path in the repository, of what a stage copies from there."""
    place = "/"
    for instruction, words in STAGES[stage][1]:
        if instruction == "WORKDIR":
            place = words[0]
        elif instruction == "COPY" and not words[0].startswith("--from="):
            *sources, target = words
            folder = pathlib.PurePosixPath(place, target)
            for source in sources:
                is_inside = target.endswith("/") and (ROOT / source).is_file()
                yield folder / pathlib.Path(source).name if is_inside else folder, ROOT / source


def in_serving(path):
    """The file of the repository that the server finds at a path of its image."""
    for place, source in copies("serving"):
        if pathlib.PurePosixPath(path).is_relative_to(place):
            return source / pathlib.PurePosixPath(path).relative_to(place)
    raise AssertionError(f"The image has nothing at {path}.")


def parsed(path, name):
    """A file of text as the message of that name."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(text_format.Parse(PROTOS, descriptor_pb2.FileDescriptorProto()))
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    return text_format.Parse(path.read_text(), message())


@pytest.fixture(scope="module")
def models():
    text = (DEPLOY / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return config.model_config_list.config


@pytest.fixture(scope="module")
def signatures():
    """An export's folder -> the inputs and outputs of its signatures, without loading its graph."""

    def read(path):
        saved_model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        table = saved_model.meta_graphs[0].signature_def
        return {name: ({*each.inputs}, {*each.outputs}) for name, each in table.items()}

    return read


def test_the_server_loads_versions_that_are_there(models):
    assert [model.name for model in models] == ["faces", "digits"]
    for model in models:
        assert model.model_platform == "tensorflow"
        folder = in_serving(model.base_path)
        versions = set(model.model_version_policy.specific.versions)
        for version in versions:
            assert (folder / str(version) / "saved_model.pb").exists()
            warmup = folder / str(version) / "assets.extra" / "tf_serving_warmup_requests"
            assert warmup.exists()
        labels = dict(model.version_labels)
        assert set(labels.values()) <= versions
        # The newest version is what is asked without a label.
        assert labels["stable"] == max(versions)
        assert all(re.fullmatch(r"\w+", label) for label in labels)


def test_the_flags_of_the_server_exist_and_name_files_that_parse():
    assert STAGES["serving"][0].startswith("tensorflow/serving:")
    (words,) = (words for instruction, words in STAGES["serving"][1] if instruction == "CMD")
    flags = dict(re.fullmatch(r"--(\w+)=(\S+)", word).groups() for word in words)
    assert set(flags) <= servers.FLAGS
    files = {name: in_serving(value) for name, value in flags.items() if name.endswith("_file")}
    assert files["model_config_file"] == DEPLOY / "models.config"
    monitoring = parsed(files["monitoring_config_file"], "MonitoringConfig").prometheus_config
    assert monitoring.enable
    (scrape,) = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())["scrape_configs"]
    assert scrape["metrics_path"] == monitoring.path
    annotations = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text().split("---")[0])["spec"]
    annotations = annotations["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == monitoring.path
    assert annotations["prometheus.io/port"] == "8501"
    assert [place["targets"] for place in scrape["static_configs"]] == [["serving:8501"]]
    batching = parsed(files["batching_parameters_file"], "BatchingParameters")
    assert batching.max_execution_batch_size.value <= batching.max_batch_size.value
    assert batching.enable_large_batch_splitting.value
    # What memory is needed was computed for two batches at a time, of 1 GB a picture.
    assert batching.num_batch_threads.value == 2
    assert f"{2 * 4 + 2}Gi" == PODS["serving"]["containers"][0]["resources"]["limits"]["memory"]
    assert f"{2 * 4 + 2}g" == COMPOSE["serving"]["mem_limit"]


def test_what_the_images_are_made_of_is_there():
    for name, (base, steps) in STAGES.items():
        assert base in STAGES or ":" in base, name
        assert set(re.findall(r"\$\{(\w+)\}", base)) <= set(ARGUMENTS)
        for _, source in copies(name):
            assert source.exists(), source
        for instruction, words in steps:
            if instruction == "COPY" and words[0].startswith("--from="):
                assert words[0].removeprefix("--from=") in STAGES
            if instruction == "USER":
                assert words[0].isdigit() or name == "page"
    # setup.py reads the first and the names of the commands; the rest is in the licence's terms.
    copied = {source.name for _, source in copies("tools")}
    assert {"setup.py", "README.md", "bin", "tf_mmdvlae", "pyproject.toml", "LICENSE"} <= copied
    assert ARGUMENTS["ONNXRUNTIME"] == runtime.VERSION


def test_the_commands_of_the_images_are_understood(capsys):
    (command,) = (words for instruction, words in STAGES["tools"][1] if instruction == "CMD")
    assert command == ["mmdvlae-train", "--help"]
    assert train.main(command[1:]) == 0
    assert "--dataset" in capsys.readouterr().out
    (words,) = (words for _, words in STAGES["page"][1] if "mmdvlae-explore" in words)
    flags = explore.main.parse(words[1:])
    assert str(flags.out) == "/page"
    assert (ROOT / flags.export).exists()
    extra = re.search(
        r"\[(\w+)\]", next(words for _, words in STAGES["page"][1] if "pip" in words)[-1]
    )
    assert f'"{extra[1]}": ' in (ROOT / "setup.py").read_text()
    assert "COPY --from=page /page " in (DEPLOY / "Dockerfile").read_text()


def test_compose_uses_what_is_there():
    for name, service in COMPOSE.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        if "build" in service:
            assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]) == DEPLOY / "Dockerfile"
            assert service["build"]["target"] in STAGES
            assert service["image"] == f"tf_mmdvlae-{name}:{__version__}"
    mounts = dict(mount.split(":")[:2] for mount in COMPOSE["serving"]["volumes"])
    for place, target in mounts.items():
        # The same files as in the image, so that the flags fit.
        for copied, source in copies("serving"):
            if str(copied).startswith(target):
                rest = copied.relative_to(target)
                assert (DEPLOY / place / rest).resolve() == source
    assert set(COMPOSE["gateway"]["depends_on"]) <= set(COMPOSE)


def test_kubernetes_fits_itself_and_is_closed():
    for name, pod in PODS.items():
        deployment, service = OBJECTS["Deployment", name], OBJECTS["Service", name]
        labels = deployment["template"]["metadata"]["labels"]
        assert deployment["selector"]["matchLabels"] == service["selector"] == labels
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["image"].endswith(f"/tf_mmdvlae-{name}:{__version__}")
        assert name in STAGES
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["ports"]} == set(ports)
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
        for probe in (value for key, value in container.items() if key.endswith("Probe")):
            (action,) = (probe[kind] for kind in ("httpGet", "tcpSocket") if kind in probe)
            assert action["port"] in ports
        if name == "serving":
            assert ports == SERVERS_PORTS


def test_probes_are_answered_by_the_server(models, signatures):
    container = PODS["serving"]["containers"][0]
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")}
    assert paths == {re.search(r"GET (\S+)", COMPOSE["serving"]["healthcheck"]["test"][-1])[1]}
    loaded = {
        model.name: {
            version: types.SimpleNamespace(path=in_serving(model.base_path) / str(version))
            for version in model.model_version_policy.specific.versions
        }
        for model in models
    }
    server = servers.Models(loaded, {model.name: dict(model.version_labels) for model in models})
    for path in paths:
        status, answer = servers.answered(server, "GET", path, {}, b"")
        assert status == 200
        assert answer["model_spec"]["version"] == "2"
        table = answer["metadata"]["signature_def"]["signature_def"]
        assert set(signatures(loaded["faces"][2].path)) == set(table)


def test_the_gateway_passes_on_what_is_there():
    text = re.sub(r"#.*", "", (DEPLOY / "gateway.conf").read_text())
    assert text.count("{") == text.count("}")
    statements = [line.strip() for line in text.splitlines() if line.strip()]
    assert all(line[-1] in ";{}" for line in statements)
    (upstream,) = re.findall(r"proxy_pass http://([\w.]+):(\d+);", text)
    assert upstream == ("serving", str(SERVERS_PORTS["http"]))
    assert upstream[0] in COMPOSE
    ports = OBJECTS["Service", "serving"]["ports"]
    assert {"name": "http", "port": SERVERS_PORTS["http"], "targetPort": "http"} in ports
    (listening,) = re.findall(r"listen (\d+);", text)
    assert COMPOSE["gateway"]["ports"] == [f"{listening}:{listening}"]
    (port,) = PODS["gateway"]["containers"][0]["ports"]
    assert port["containerPort"] == int(listening)
    assert (
        f"location = {PODS['gateway']['containers'][0]['readinessProbe']['httpGet']['path']} {{"
        in text
    )
    assert (f"root {STAGES['gateway'][1][0][1][-1]};") in text
    (most,) = re.findall(r"client_max_body_size (\d+)m;", text)
    # A picture of 20 MB as base64, with JSON around it.
    assert int(most) * 2**20 > 20e6 * 4 / 3 + 1e4
    # The server's own limit, 30 seconds by default, ends a request first.
    assert int(re.search(r"proxy_read_timeout (\d+)s;", text)[1]) > 30


def test_the_documentation_builds_and_starts_what_is_there(signatures):
    page = (ROOT / "docs" / "production.md").read_text()
    texts = [page, *((DEPLOY / name).read_text() for name in ("Dockerfile", "compose.yaml"))]
    commands = re.findall(r"(?:docker|kubectl) [^\n]*--\S[^\n]*", "\n".join(texts))
    assert len(commands) > 6
    for command in commands:
        for path in re.findall(r"--file(?:name)?=(\S+)", command):
            assert (ROOT / path).exists(), command
        for name, tag in re.findall(r"--target=(\w+) --tag=\S*tf_mmdvlae(\S*)", command):
            assert name in STAGES
            assert tag == ("" if name == "tools" else f"-{name}") + f":{__version__}"
        for name, value in re.findall(r"--build-arg=(\w+)=(\w+)", command):
            assert (name, value) == ("EXTRA", "cuda")
        if profile := re.search(r"--profile=(\w+)", command):
            assert any(profile[1] in each.get("profiles", ()) for each in COMPOSE.values())
    known = set(signatures(ROOT / "exports" / "synthetic_faces" / "2"))
    for title in "Which signatures for whom", "Batching":
        table = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
        rows = [line for line in table.splitlines() if line.startswith("| ")]
        named = {name for row in rows for name in re.findall(r"`([a-z]\w+)`", row)}
        assert named
        assert named <= known
