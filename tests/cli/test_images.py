"""Words of flags that name pictures, layers, strengths and files."""

import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.cli import images
from tf_mmdvlae.common.errors import InputError

MANIFEST = {"latent_dims": [2, 3, 4]}


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
    assert images.strengths("\N{MINUS SIGN}2:+2: 3") == [-2, 0, 2]
    wrong = ("much", "1:2", "1:1:3", "0:1:0", "0:1:41", "0:1:1000000000000", "nan", "1e999")
    for text in (*wrong, "1_0", "\N{ARABIC-INDIC DIGIT TWO}", "0:1:0x3", "-1e999:0:3", "1e39"):
        with pytest.raises(InputError, match="start:stop:count"):
            images.strengths(text)


def test_layers():
    assert images.layer_weights(None, MANIFEST) == (None, None)
    assert images.layer_weights("3, 1", MANIFEST) == ([1.0, 0.0, 1.0], [1, 3])
    for text in ("0", "4", "one", "", "0_1"):
        with pytest.raises(InputError, match="from 1 \\(lowest\\) to 3"):
            images.layer_weights(text, MANIFEST)


def test_detail_is_one_unless_the_export_is_too_old():
    older, newer = ({}, {"signatures": ["edit", "retouch"]})
    assert images.detail(None, newer, "retouch") == 1
    assert images.detail(None, older, "retouch") == 0
    assert images.detail(None, older, "retouch", needed=True) == 1
    assert images.detail(0.5, older, "retouch") == 0.5
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"must lie in \[0, 1\]"):
            images.detail(value, newer, "retouch")


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
    for name in ("rows.jpg", "rows.gif", "rows.mp4"):
        with pytest.raises(InputError, match="written as .png; or"):
            images.is_one_picture(name, 1)


def test_moving_pictures_are_for_commands_that_have_frames_a_second(tmp_path):
    assert images.is_one_picture(f"{tmp_path}/rows.GIF", 1, fps=50)
    assert not images.is_one_picture(f"{tmp_path}/rows", 1, fps=20)
    with pytest.raises(InputError, match="written as .png, .gif or .mp4; or"):
        images.is_one_picture("rows.webm", 1, fps=20)
    with pytest.raises(InputError, match="--fps=51 .* at most 50"):
        images.is_one_picture(f"{tmp_path}/rows.gif", 1, fps=51)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_survives_its_file(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, channels))
    path = pathlib.Path(tmp_path) / "new" / "picture.png"
    images.write(path, pixels / np.float32(255))
    with Image.open(path) as picture:
        assert (np.asarray(picture).reshape(pixels.shape) == pixels).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("edit --image=x.png --attribute=Smiling --out=o.png --layers=9", "--layers=9 must be"),
        ("edit --image=x.png --attribute=Smiling --out=o.png --detail=2", "--detail=2 must lie"),
        ("edit --image=x.png --attribute=Grin --out=o.png", "'Grin' is not known. Known: Smiling"),
        ("edit --image=x.png --attribute=cafe\u0301 --out=o.png", "there is no file x.png"),
        (
            "arithmetic --a=x.png --minus=x.png --plus=x.png --out=o.png --layers=0",
            "--layers=0 must",
        ),
        (
            "arithmetic --a=x.png --minus=x.png --plus=x.png --out=o.png --detail=-1",
            "--detail=-1 m",
        ),
        ("sample --out=o.png --fitted", "export was exported without a fitted mixture"),
        ("sample --out=o.png --temperature=-1", "--temperature=-1 must be a number of at least 0"),
    ],
)
def test_what_a_manifest_tells_is_refused_before_the_model_is_loaded(
    run_command, tmp_path, monkeypatch, line, message
):
    monkeypatch.chdir(tmp_path)
    manifest = {
        **{"image_shape": [8, 8, 1], "latent_dims": [2, 3], "attributes": ["Smiling", "caf\u00e9"]},
        **{"crop": 1.0, "signatures": ["edit", "retouch", "arithmetic_retouched"]},
    }
    (tmp_path / "export" / "1" / "assets.extra").mkdir(parents=True)
    (tmp_path / "export" / "1" / "assets.extra" / "manifest.json").write_text(json.dumps(manifest))
    # A model that can't be loaded.
    (tmp_path / "export" / "1" / "saved_model.pb").touch()
    name, *arguments = line.split()
    code, _, errors = run_command(name, "--export=export", *arguments)
    assert code == 1
    assert message in errors
