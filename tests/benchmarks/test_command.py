"""bin/benchmark: where it writes its figures, and when."""

import json
import sys

import pytest

from benchmarks import command, input_speed, mmd_speed
from tf_mmdvlae.common.errors import InputError

SPEED = {"training_images_per_second": {"median": 2.0}, "rows": {}}


def test_figures_are_written_after_each_part(tmp_path, monkeypatch, capsys):
    def failing(rounds):
        raise InputError("no more")

    monkeypatch.setattr(input_speed, "input_speed", lambda *arguments: SPEED)
    monkeypatch.setattr(mmd_speed, "mmd_speed", failing)
    path = tmp_path / "new" / "figures.json"
    flags = ["--input", "--mmd", "--datasets=mnist", f"--out={path}"]
    monkeypatch.setattr(sys, "argv", ["benchmark", *flags])
    assert command.main() == 1
    assert "error: no more" in capsys.readouterr().err
    assert json.loads(path.read_text())["input"] == {"mnist": SPEED}


@pytest.mark.parametrize("out", ["folder", "file/figures.json"])
def test_a_place_for_figures_is_proved_before_measuring(tmp_path, monkeypatch, capsys, out):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setattr(mmd_speed, "mmd_speed", lambda rounds: pytest.fail("measured"))
    monkeypatch.setattr(sys, "argv", ["benchmark", "--mmd", f"--out={tmp_path / out}"])
    assert command.main() == 1
    assert str(tmp_path / "f") in capsys.readouterr().err
