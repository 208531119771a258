"""bin/figures on a finished run."""

import pytest
from PIL import Image


@pytest.mark.slow
def test_figures_names_the_pictures(run_command, finished_run):
    code, out, _ = run_command("figures", f"--workdir={finished_run[0]}")
    assert code == 0
    assert "manifold_layer_1.png" in out


@pytest.mark.slow
def test_figures_draws_dimensions_that_move(run_command, finished_run, tmp_path):
    command, out = ("figures", f"--workdir={finished_run[0]}"), tmp_path / "dimensions.gif"
    assert run_command(*command, f"--out={out}")[:2] == (0, f"{out}\n")
    with Image.open(out) as picture:
        assert picture.n_frames > 10
    code, _, errors = run_command(*command, f"--out={tmp_path / 'dimensions.png'}")
    assert code == 1
    assert "must end in .gif or .mp4" in errors


def test_a_config_file_that_holds_no_settings(run_command, tmp_path):
    (tmp_path / "config.json").write_text('{"data": null}')
    code, _, errors = run_command("figures", f"--workdir={tmp_path}")
    assert code == 1
    assert "config.data is None; it must hold dataset, data_dir" in errors
