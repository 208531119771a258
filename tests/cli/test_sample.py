"""bin/sample on an export."""

import pytest


@pytest.mark.slow
def test_sample_draws_a_grid_or_writes_files(run_command, finished_run, tmp_path):
    export, grid, folder = f"--export={finished_run[1]}", tmp_path / "grid.png", tmp_path / "all"
    assert run_command("sample", export, "--count=5", f"--out={grid}")[0] == 0
    assert grid.exists()
    assert run_command("sample", export, "--count=3", "--seed=7", f"--out={folder}")[0] == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["sample_000007.png", "sample_000008.png", "sample_000009.png"]
