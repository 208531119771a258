"""What the README says can be typed."""

import pathlib
import re
import shlex
import sys

import pytest

from tf_mmdvlae import config as configs
from tf_mmdvlae.cli import benchmark, figures, prepare, train
from tf_mmdvlae.configs import get_config, known_datasets

README = (pathlib.Path(__file__).resolve().parents[1] / "README.md").read_text()
MODULES = {"benchmark": benchmark, "figures": figures, "prepare": prepare, "train": train}


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
    if module is train:
        values, overrides = seen[0]
        if values.dataset in known_datasets():
            configs.override(get_config(values.dataset, values.preset), overrides)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


def test_every_preset_is_in_the_table():
    for dataset in known_datasets():
        assert f"`{dataset}`" in README


def test_links_lead_somewhere():
    root = pathlib.Path(__file__).resolve().parents[1]
    targets = re.findall(r"(?:\]\(|src=\")([^)\"#:]+)[)\"]", README)
    assert targets
    for target in targets:
        assert (root / target).exists(), target
