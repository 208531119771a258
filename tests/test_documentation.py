"""Commands, Python, paths and links in README and the documentation are right."""

import base64
import functools
import importlib
import io
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tf_mmdvlae
from tests.client import servers
from tf_mmdvlae import __version__
from tf_mmdvlae.config import known_datasets, presets_of
from tf_mmdvlae.config.choices import Choices, settings_for
from tf_mmdvlae.config.overrides import fields_by_section
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data.description import Description

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
        settings_for(flags.dataset, flags.preset or "default", choices, lambda data: pictures)


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
    # Of every command, of the config as a whole, of Slurm, and of TensorFlow Serving.
    others = {"--help", "--config", "--requeue", *(f"--{name}" for name in servers.FLAGS)}
    assert mentioned <= flags | fields | others


def test_paths_in_sentences_exist():
    folders = r"(?:\.ci|benchmarks|bin|deploy|docs|tests|tf_mmdvlae)/"
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


# A server and a service that are not here.
ELSEWHERE = re.compile("localhost|wandb")


@pytest.mark.slow
@pytest.mark.parametrize("code", [code for code in blocks("python") if not ELSEWHERE.search(code)])
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
                assert picture.size[0] > 500 or picture.n_frames > 10


@pytest.fixture(scope="module")
def faces():
    # Requests are run a few times only; optimizing the graphs takes longer.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield tf_mmdvlae.load(ROOT / "exports" / "synthetic_faces" / "2")
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture(scope="module")
def servers_at(faces):
    """The address in the documentation -> that of a server of the tests, which asks the export."""
    models = servers.Models({"faces": {2: faces}}, {"faces": {"stable": 2}})
    answer = functools.partial(servers.answered, models)
    with servers.rest(answer) as rest, servers.rpc(models) as rpc:
        places = {"localhost:8501": rest, "localhost:8080": rest, "localhost:8500": rpc}
        yield {place: address.partition("://")[2] for place, address in places.items()}


@pytest.fixture
def answered(servers_at):
    def moved(code):
        for place, address in servers_at.items():
            code = code.replace(place, address)
        return code

    return moved


def as_pixels(content):
    with Image.open(content if isinstance(content, pathlib.Path) else io.BytesIO(content)) as image:
        return np.asarray(image, np.float32)


def require_edits(folder, faces):
    """The pictures in a folder are the edits that their names say; returns their names."""
    picture = (ROOT / "exports" / "examples" / "face.png").read_bytes()
    edits = {"edited.png": ("skin_tone", 2.0), "smiling.png": ("smile", 1.5)}
    written = {path.name for path in folder.glob("*.png")}
    for name in written:
        (expected,) = faces.edit(picture, *edits[name])
        assert np.array_equal(as_pixels(folder / name), as_pixels(expected))
    return written


@pytest.mark.parametrize("code", [code for code in blocks("sh") if "curl" in code])
def test_curl_lines_are_answered(code, checkout, faces, answered):
    command = ["bash", "-ec", answered(code)]
    output = subprocess.run(command, check=True, timeout=60, capture_output=True).stdout
    if require_edits(checkout, faces) == set():
        images = faces.sample([1, 2], [1.0, 0.7])
        for row, image in zip(json.loads(output)["predictions"], images, strict=True):
            assert row["error"] == ""
            content = base64.b64decode(row["sample_bytes"]["b64"])
            np.testing.assert_allclose(as_pixels(content), image * 255, atol=0.51)


@pytest.mark.parametrize("code", [code for code in blocks("python") if "localhost" in code])
def test_snippets_that_ask_a_server_are_answered(code, checkout, faces, answered, capsys):
    exec(compile(answered(code), "documentation", "exec"), {})
    if require_edits(checkout, faces) == set():
        first, second = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"picture 0: a PNG of \d+ bytes", first)
        assert second.startswith("picture 1: image_bytes can't be read as a picture")


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
