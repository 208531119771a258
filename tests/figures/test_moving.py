"""GIF and MP4 files are read again."""

import builtins

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.figures import moving


def frames_of(path):
    """The frames of a GIF as [n, H, W, 3], and how long each is shown, in milliseconds."""
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0
        frames, times = [], []
        for index in range(picture.n_frames):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB"), int))
            times.append(picture.info["duration"])
    return np.stack(frames), times


def grey(*values, shape=(4, 6, 1)):
    return np.stack([np.full(shape, value / 255, np.float32) for value in values])


def test_a_gif_goes_there_and_back_at_its_pace(tmp_path):
    path = moving.write_moving(tmp_path / "new" / "a.gif", grey(0, 90, 255), fps=30, scale=3)
    frames, times = frames_of(path)
    assert frames.shape == (4, 12, 18, 3)
    assert frames[:, 0, 0, 0].tolist() == [0, 90, 255, 90]
    # A GIF counts hundredths of a second; the sum is right.
    assert times == [30, 40, 30, 30]
    moving.write_moving(path, grey(0, 90, 255), fps=50, back=False, scale=1)
    frames, times = frames_of(path)
    assert (frames[:, 0, 0, 0].tolist(), times) == ([0, 90, 255], [20, 20, 20])


def test_small_pictures_keep_their_squares_and_larger_ones_are_smooth(tmp_path):
    small, large = np.zeros((2, 1, 28, 28, 1), np.float32), np.zeros((2, 1, 64, 64, 1), np.float32)
    for images, side, shades in ((small, 252, 2), (large, 256, 8)):
        images[0, ..., 10:20, :] = 1
        frames, _ = frames_of(moving.write_moving(tmp_path / "a.gif", images, fps=10))
        assert frames.shape[1:3] == (side, side)
        assert (len(np.unique(frames[0])) <= 2) == (shades == 2)


def test_colours_are_near_and_a_still_background_does_not_flicker(tmp_path):
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    images = np.zeros((5, 64, 64, 3), np.float32)
    images[..., 0], images[..., 1] = ramp[:, None], ramp[None]
    for index, image in enumerate(images):
        image[20 + index : 30 + index, 20:30] = (0.2, 0.3, 0.9)
    path = moving.write_moving(tmp_path / "a.gif", images, fps=10, back=False, scale=1)
    frames, _ = frames_of(path)
    errors = frames - np.round(images * 255)
    assert np.abs(errors).mean() < 4
    assert np.abs(np.diff(errors[:, 40:], axis=0)).mean() < 3


def test_the_white_between_images_stays_white(tmp_path):
    images = np.random.default_rng(0).uniform(0.9, 1, (2, 2, 40, 40, 3))
    frames, _ = frames_of(moving.write_moving(tmp_path / "a.gif", images, fps=10, scale=1))
    assert frames.shape[2] == 82
    assert (frames[:, :, 40:42] == 255).all()


def test_an_mp4_has_even_sides_and_is_what_was_drawn(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    images = np.zeros((3, 33, 35, 3), np.float32)
    for image, colour in zip(
        images, ((0.8, 0.2, 0.2), (0.2, 0.7, 0.3), (0.1, 0.2, 0.9)), strict=True
    ):
        image[:] = colour
    path = moving.write_moving(tmp_path / "a.mp4", images, fps=25, scale=1)
    reader = ffmpeg.read_frames(path)
    about = next(reader)
    assert about["size"] == (36, 34)
    assert about["pix_fmt"].startswith("yuv420p")
    assert about["fps"] == 25
    frames = [np.frombuffer(frame, np.uint8).reshape(34, 36, 3) for frame in reader]
    assert len(frames) == 4
    for frame, index in zip(frames, (0, 1, 2, 1), strict=True):
        np.testing.assert_allclose(frame[16, 16] / 255, images[index, 0, 0], atol=0.03)


def test_what_fails_leaves_the_former_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"former")
    monkeypatch.setattr(moving, "_ffmpeg", lambda: "false")
    with pytest.raises(InputError, match="ffmpeg could not write"):
        moving.write_moving(path, grey(0, 1), fps=10)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"former"]


def test_a_missing_ffmpeg_names_the_extra(monkeypatch):
    find = builtins.__import__

    def without(name, *arguments):
        if name == "imageio_ffmpeg":
            raise ImportError("No module named 'imageio_ffmpeg'")
        return find(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"tf_mmdvlae\[video\].*or give a .gif"):
        moving.require_moving("a.mp4", fps=10)
    moving.require_moving("a.gif", fps=10)
