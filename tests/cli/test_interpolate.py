"""bin/interpolate on an export."""

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.serving.loaded import load


@pytest.fixture
def interpolate(run_command, finished_run, files, tmp_path):
    """`interpolate("walk.gif", ...)`: walks through three pictures to a file of `tmp_path`."""

    def run(out, *flags):
        images = f"--images={files[0]},{files[1]},{files[2]}"
        place = f"--out={tmp_path / out}"
        return run_command("interpolate", f"--export={finished_run[1]}", images, place, *flags)

    return run


@pytest.mark.slow
def test_frames_go_through_the_pictures_themselves(interpolate, finished_run, files, tmp_path):
    code, printed, errors = interpolate("frames", "--frames=2")
    assert code == 0, errors
    assert printed == f"5 frames in {tmp_path / 'frames'}\n"
    names = [f"frame_{index:05d}.png" for index in range(5)]
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == names
    served = load(finished_run[1])
    pictures = served.read(*files[:3])
    between = served.walk(pictures, [0.5, 1.5], detail=1)
    expected = np.insert(pictures, [1, 2], between, axis=0)
    for name, image in zip(names, expected, strict=True):
        with Image.open(tmp_path / "frames" / name) as picture:
            np.testing.assert_allclose(np.asarray(picture) / 255, image[..., 0], atol=0.003)


@pytest.mark.slow
def test_a_walk_moves_or_is_a_strip(interpolate, finished_run, files, tmp_path):
    flags = ["--frames=2", "--layers=2", "--straight", "--detail=0", "--scale=1"]
    code, printed, errors = interpolate("walk.gif", *flags)
    assert (code, printed) == (0, f"{tmp_path / 'walk.gif'}\n"), errors
    served = load(finished_run[1])
    pictures = served.read(*files[:3])
    expected = served.walk(pictures, [0, 0.5, 1, 1.5, 2], [0, 1], straight=True)
    with Image.open(tmp_path / "walk.gif") as picture:
        picture.seek(picture.n_frames // 2)
        assert picture.info["duration"] % 50 == 0
        np.testing.assert_allclose(
            np.asarray(picture.convert("L")) / 255, expected[-1, ..., 0], atol=0.003
        )
    code, printed, errors = interpolate("walk.png")
    assert (code, printed) == (0, f"{tmp_path / 'walk.png'}\n"), errors
    with Image.open(tmp_path / "walk.png") as picture:
        assert picture.size[0] > picture.size[1]


@pytest.mark.slow
def test_a_walk_that_closes_goes_round(interpolate, files, tmp_path):
    closed = f"--images={files[0]},{files[5]},{files[0]}"
    assert interpolate("round.gif", closed, "--frames=2")[0] == 0
    with Image.open(tmp_path / "round.gif") as picture:
        # Both ways between the two pictures are the same one.
        assert picture.n_frames == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("out", "flags", "message"),
    [
        ("x.webm", [], "written as .png, .gif or .mp4"),
        ("x.gif", ["--fps=90"], "at most 50"),
        ("x.gif", ["--frames=1000"], "2,001 frames in the walk through 3 pictures are too many"),
        ("x", ["--frames=1000"], "2,001 frames in the walk through 3 pictures are too many"),
        ("x.png", ["--frames=41"], "41 frames in a row of the picture are too many (at most 40)"),
        ("x.gif", ["--detail=1.5"], "must lie in [0, 1]"),
        ("x.gif", ["--scale=999"], "--scale=999 makes 7,992 pixels a side; at most 4,096 fit"),
        ("x.gif", ["--layers=3"], "from 1 (lowest) to 2"),
        ("x.gif", ["--images=/nowhere.png"], "no file /nowhere.png"),
        ("x.gif", ["--images=/dev/null"], "neither a file nor a folder"),
    ],
)
def test_a_bad_walk_is_refused(interpolate, tmp_path, out, flags, message):
    code, _, errors = interpolate(out, *flags)
    assert code == 1
    assert message in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_one_picture_is_no_walk(interpolate, files):
    assert "two or more" in interpolate("x.gif", f"--images={files[0]}")[2]
