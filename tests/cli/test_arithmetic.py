"""bin/arithmetic on an export."""

import pytest
from PIL import Image


@pytest.mark.slow
def test_arithmetic_draws_rows_or_writes_files(
    run_command, finished_run, files, picture_folder, tmp_path
):
    export = f"--export={finished_run[1]}"
    three = [f"--a={files[0]},{files[1]}", f"--minus={files[2]}", f"--plus={files[3]},{files[4]}"]
    rows = tmp_path / "rows.png"
    code, out, _ = run_command("arithmetic", export, *three, "--layers=2", f"--out={rows}")
    assert code == 0
    assert str(rows) in out
    with Image.open(rows) as picture:
        assert picture.size[0] > 400
    folder = tmp_path / "results"
    three = [f"--a={picture_folder}", f"--minus={files[2]}", f"--plus={files[3]}"]
    assert run_command("arithmetic", export, *three, f"--out={folder}")[0] == 0
    results = sorted(folder.iterdir())
    assert len(results) == len(files)
    with Image.open(results[0]) as picture:
        assert picture.size == (8, 8)
