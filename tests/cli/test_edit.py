"""bin/edit on an export."""

import pytest


@pytest.mark.slow
def test_edit_lists_draws_and_writes(run_command, finished_run, files, picture_folder, tmp_path):
    export, strip, folder = f"--export={finished_run[1]}", tmp_path / "strip.png", tmp_path / "all"
    assert run_command("edit", export, "--list")[1].split() == ["class=even", "class=odd"]
    edit = ["edit", export, "--attribute=class=odd", "--strength=-2:2:5"]
    code, _, errors = run_command(*edit, f"--image={files[0]}", f"--out={strip}")
    assert code == 0, errors
    assert strip.exists()
    assert run_command(*edit, f"--image={picture_folder}", f"--out={folder}")[0] == 0
    assert len(list(folder.iterdir())) == 5 * len(files)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--attribute=Smiling"], "Known: class=even, class=odd"),
        (["--attribute=class=odd", "--strength=1:2"], "start:stop:count"),
        (["--attribute=class=odd", "--layers=3"], "from 1 (lowest) to 2"),
        (["--attribute=class=odd", "--image={folder}"], "too many for one picture"),
    ],
)
def test_a_bad_edit_is_refused(
    run_command, finished_run, picture_folder, files, tmp_path, flags, message
):
    flags = [flag.format(folder=picture_folder) for flag in flags]
    picture = [f"--image={files[0]}", f"--out={tmp_path / 'x.png'}"]
    code, _, errors = run_command("edit", f"--export={finished_run[1]}", *picture, *flags)
    assert code == 1
    assert message in errors
    assert not (tmp_path / "x.png").exists()
