"""Words of flags that name pictures, layers, strengths and files."""

import os
import pathlib
import types

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.cli import images
from tf_mmdvlae.common.errors import InputError

EXPORT = types.SimpleNamespace(latent_dims=(2, 3, 4))


def test_files_with_commas_folders_and_names_that_hold_commas(tmp_path):
    for name in ("b.png", "a.JPG", "deep/c.jpeg", ".hidden.png", "notes.txt", "x,y.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    b, comma = tmp_path / "b.png", tmp_path / "x,y.png"
    assert images.find(f"{b},{tmp_path / 'deep'}", "a") == [b, tmp_path / "deep" / "c.jpeg"]
    assert images.find(str(comma), "a") == [comma]
    names = [path.name for path in images.find(str(tmp_path), "a")]
    assert names == ["a.JPG", "b.png", "c.jpeg", "x,y.png"]


def test_a_folder_is_listed_as_for_training(tmp_path):
    for name in ("album.png/1.png", "2.webp", "@eaDir/3.png", "z/4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.png")
    found = images.find(str(tmp_path), "image_dir")
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        *("2.webp", "album.png/1.png", "z/4.png"),
    ]
    with pytest.raises(InputError, match="pipe.png is neither a file nor a folder"):
        images.find(str(tmp_path / "pipe.png"), "image")


@pytest.mark.parametrize(
    ("text", "message"),
    [("/nowhere.png", "no file /nowhere.png"), (",", "no file"), ("{folder}", "holds no image")],
)
def test_what_is_no_picture(tmp_path, text, message):
    with pytest.raises(InputError, match=f"--image.*{message}"):
        images.find(text.format(folder=tmp_path), "image")


def test_strengths():
    assert images.strengths("1.5") == [1.5]
    assert images.strengths("-2:2:5") == [-2, -1, 0, 1, 2]
    for text in ("much", "1:2", "1:1:3", "0:1:0", "0:1:41", "0:1:1000000000000", "nan", "1e999"):
        with pytest.raises(InputError, match="start:stop:count"):
            images.strengths(text)


def test_layers():
    assert images.layer_weights(None, EXPORT) == (None, None)
    assert images.layer_weights("3,1", EXPORT) == ([1.0, 0.0, 1.0], [1, 3])
    for text in ("0", "4", "one", ""):
        with pytest.raises(InputError, match="from 1 \\(lowest\\) to 3"):
            images.layer_weights(text, EXPORT)


def test_detail_is_one_unless_the_export_is_too_old():
    older, newer = (types.SimpleNamespace(signatures=names) for names in ({}, {"retouch": 0}))
    assert images.detail(None, newer, "retouch") == 1
    assert images.detail(None, older, "retouch") == 0
    assert images.detail(None, older, "retouch", needed=True) == 1
    assert images.detail(0.5, older, "retouch") == 0.5


def test_a_name_fits_a_file_system_and_its_parts_stay_apart():
    assert images.file_name("00001", "a/b\n", "+0.5") == "00001_a_b__+0.5.png"
    long = images.file_name("00001", "\N{SNOWMAN}" * 99, "x" * 300, "+0.5")
    assert len(long.encode()) < 200
    assert long.endswith("x_+0.5.png")


def test_one_picture_or_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert images.is_one_picture("new/rows.PNG", images.MOST_ROWS)
    assert not images.is_one_picture("new/rows", 10_000)
    (tmp_path / "file").touch()
    for out in ("file", "file/rows.png"):
        with pytest.raises(InputError, match="Cannot write"):
            images.is_one_picture(out, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(InputError, match="too many for one picture"):
        images.is_one_picture("rows.png", images.MOST_ROWS + 1)
    with pytest.raises(InputError, match="written as .png"):
        images.is_one_picture("rows.jpg", 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_survives_its_file(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, channels))
    path = pathlib.Path(tmp_path) / "new" / "picture.png"
    images.write(path, pixels / np.float32(255))
    with Image.open(path) as picture:
        assert (np.asarray(picture).reshape(pixels.shape) == pixels).all()
