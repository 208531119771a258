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


def test_more_files_than_the_disk_holds_are_refused(run_command, tmp_path):
    export, out = "--export=exports/mnist", tmp_path / "all"
    code, _, errors = run_command("sample", export, f"--count={2**45}", f"--out={out}")
    assert code == 1
    assert "35,184,372,088,832 files need 144,115,188.1 GB at least" in errors
    assert not out.exists()
