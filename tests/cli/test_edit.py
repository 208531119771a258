"""bin/edit on an export."""

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.serving.loaded import load


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
def test_edits_keep_the_picture_unless_detail_is_zero(run_command, finished_run, files, tmp_path):
    edit = ["edit", f"--export={finished_run[1]}", "--attribute=class=odd", "--strength=2"]
    served = load(finished_run[1])
    given = served.read(files[0])
    for detail, expected in (
        (None, served.retouch(given, "class=odd", 2)),
        ("0", served.edit(given, "class=odd", 2)),
    ):
        folder, flags = tmp_path / f"{detail}", [f"--detail={detail}"] if detail else []
        code, _, errors = run_command(*edit, f"--image={files[0]}", f"--out={folder}", *flags)
        assert code == 0, errors
        with Image.open(*folder.iterdir()) as picture:
            np.testing.assert_allclose(np.asarray(picture) / 255, expected[0, ..., 0], atol=0.002)


@pytest.mark.slow
def test_a_moving_edit_has_a_frame_per_strength(run_command, finished_run, files, tmp_path):
    edit = ["edit", f"--export={finished_run[1]}", "--attribute=class=odd", "--strength=-90:90:3"]
    moving = tmp_path / "two.gif"
    flags = [f"--image={files[0]},{files[1]}", "--fps=10", "--scale=2", f"--out={moving}"]
    code, printed, errors = run_command(*edit, *flags)
    assert (code, printed) == (0, f"{moving}\n"), errors
    served = load(finished_run[1])
    given = served.read(*files[:2])
    with Image.open(moving) as picture:
        assert picture.n_frames == 4
        for frame, strength in enumerate((-90, 0, 90, 0)):
            picture.seek(frame)
            shown = np.asarray(picture.convert("L"), float) / 255
            edits = served.retouch(given, "class=odd", strength)[..., 0]
            for place, edited in zip((slice(None, 16), slice(20, None)), edits, strict=True):
                expected = edited.repeat(2, axis=0).repeat(2, axis=1)
                np.testing.assert_allclose(shown[:, place], expected, atol=0.003)


@pytest.mark.slow
def test_full_size_changes_the_whole_photograph(run_command, finished_run, images, tmp_path):
    photograph, out = tmp_path / "photograph.png", tmp_path / "edited.png"
    small = Image.fromarray(np.uint8(images[0, ..., 0] * 255))
    small.resize((80, 60), Image.Resampling.BICUBIC).save(photograph)
    edit = ["edit", f"--export={finished_run[1]}", "--attribute=class=odd", "--full_size"]
    # The tiny model was trained for a moment only, so that its directions are short.
    picture = [f"--image={photograph}", "--strength=100"]
    code, printed, errors = run_command(*edit, *picture, f"--out={out}")
    assert code == 0, errors
    assert printed.split()[-1] == str(out)
    before, after = (np.asarray(Image.open(path), int) for path in (photograph, out))
    assert before.shape == after.shape == (60, 80)
    # The centre is a square of 60; what lies beside it stays to the bit.
    assert np.array_equal(before[:, :10], after[:, :10])
    assert np.array_equal(before[:, 70:], after[:, 70:])
    assert np.abs(before - after)[:, 20:60].max() > 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--attribute=Smiling"], "Known: class=even, class=odd"),
        (["--attribute=class=odd", "--strength=1:2"], "start:stop:count"),
        (["--attribute=class=odd", "--layers=3"], "from 1 (lowest) to 2"),
        (["--attribute=class=odd", "--image={folder}"], "too many for one picture"),
        (["--attribute=class=odd", "--strength=1", "--out={out}.gif"], "several strengths"),
        (["--attribute=class=odd", "--full_size", "--out={out}.gif"], "no --full_size"),
        (["--attribute=class=odd", "--full_size"], "one file per photograph and strength"),
        (
            ["--attribute=class=odd", "--full_size", "--image=/dev/null"],
            "neither a file nor a folder",
        ),
    ],
)
def test_a_bad_edit_is_refused(
    run_command, finished_run, picture_folder, files, tmp_path, flags, message
):
    flags = [flag.format(folder=picture_folder, out=tmp_path / "x") for flag in flags]
    picture = [f"--image={files[0]}", f"--out={tmp_path / 'x.png'}"]
    code, _, errors = run_command("edit", f"--export={finished_run[1]}", *picture, *flags)
    assert code == 1
    assert message in errors
    assert not list(tmp_path.iterdir())
