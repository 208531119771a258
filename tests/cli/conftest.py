"""A command run in the process of the tests, and pictures for it."""

import importlib

import pytest


@pytest.fixture
def run_command(capsys):
    """`run_command("train", "--dataset=x")`: (exit code, standard output, standard error)."""

    def run(name, *arguments):
        module = "benchmarks.command" if name == "benchmark" else f"tf_mmdvlae.cli.{name}"
        code = importlib.import_module(module).main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def files(picture_folder):
    return sorted(picture_folder.rglob("*.png"))
