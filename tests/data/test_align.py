"""A folder of photographs becomes a folder of aligned pictures, and a table."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.layouts import LAYOUTS, Layout
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data import align, detector
from tf_mmdvlae.data.align import align_folder, layout_of_data

LAYOUT = Layout(12, 10, ((3.0, 4.0), (6.0, 4.0), (3.0, 8.0), (6.0, 8.0)))
# In a photograph that lies as the layout does, from its pixel (5, 6) on.
POINTS = [8, 10, 11, 10, 8, 14, 11, 14]
NAMES = ["file", *align._POINTS]


@pytest.fixture
def photographs(tmp_path):
    """Three photographs in two folders; one lies on its side, as its EXIF says."""
    folder = tmp_path / "photographs"
    generator = np.random.default_rng(0)
    for name in ("a/one.png", "b/two.png", "b/turned.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (30, 24, 3), np.uint8)
        exif = Image.Exif()
        if name == "b/turned.png":
            pixels, exif[0x0112] = np.rot90(pixels), 6
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / name, exif=exif)
    return folder


@pytest.fixture
def table(tmp_path):
    """`table(row, ...)` writes a file of points, each row a name and eight numbers."""

    def write(*rows, heading=NAMES, separator=","):
        path = tmp_path / "points.csv"
        lines = (separator.join(map(str, row)) for row in (heading, *rows))
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


def _rows(out):
    with open(out / "align.csv", newline="") as file:
        return list(csv.DictReader(file))


def _pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_pictures_keep_their_names_and_lie_as_the_points_say(photographs, table, tmp_path):
    out = tmp_path / "new" / "out"
    points = table(["a/one.png", *POINTS], ["turned.png", *POINTS])
    results = align_folder(photographs, out, LAYOUT, points=points)
    assert results == {"aligned": 2, "no points": 1}
    upright = {"a/one.png": 0, "b/turned.png": -1}
    for name, turns in upright.items():
        expected = np.rot90(_pixels(photographs / name), turns)[6:18, 5:15]
        np.testing.assert_allclose(_pixels(out / name).astype(int), expected, atol=1)
    assert not (out / "b/two.png").exists()
    rows = {row["file"]: row for row in _rows(out)}
    assert rows["a/one.png"]["left_eye_x"] == "8.00"
    assert rows["b/two.png"]["result"] == "no points"
    data = DataConfig(dataset="image_folder", image_dir=str(out))
    assert layout_of_data(data) == LAYOUT
    assert layout_of_data(DataConfig(dataset="image_folder", image_dir=str(photographs))) is None
    assert layout_of_data(DataConfig(dataset="celeb_a")) == LAYOUTS["celeb_a"]


def test_a_second_call_does_only_what_is_new(photographs, table, tmp_path, monkeypatch):
    out, read = tmp_path / "out", []
    decode_whole = align.decode_whole

    def note(path, *arguments):
        read.append(path.name)
        return decode_whole(path, *arguments)

    monkeypatch.setattr(align, "decode_whole", note)
    rows = [[name, *POINTS] for name in ("a/one.png", "b/two.png", "b/turned.png")]
    for expected in (["one.png", "turned.png", "two.png"], []):
        align_folder(photographs, out, LAYOUT, points=table(*rows))
        assert sorted(read) == expected
        read.clear()
    # One has other points, one none any more, one is a new photograph.
    moved = [rows[0][0], *(number + 1 for number in POINTS)]
    shutil.copy(photographs / "a/one.png", photographs / "b/turned.png")
    os.utime(photographs / "b/turned.png", (2e9, 2e9))
    assert align_folder(photographs, out, LAYOUT, points=table(moved, rows[2])) == {
        "aligned": 2,
        "no points": 1,
    }
    assert sorted(read) == ["one.png", "turned.png", "two.png"]
    assert not (out / "b/two.png").exists()
    expected = _pixels(photographs / "a/one.png")[7:19, 6:16]
    np.testing.assert_allclose(_pixels(out / "a/one.png").astype(int), expected, atol=1)


def test_a_killed_call_goes_on(photographs, table, tmp_path, monkeypatch):
    out, points = tmp_path / "out", table(["one.png", *POINTS], ["two.png", *POINTS])
    done = []

    def write(path, picture, write=align._write):
        if done:
            raise KeyboardInterrupt
        done.append(path)
        write(path, picture)

    monkeypatch.setattr(align, "_write", write)
    monkeypatch.setattr(align, "processors", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        align_folder(photographs, out, LAYOUT, points=points)
    assert _rows(out)[0]["file"] == "a/one.png"
    monkeypatch.undo()
    assert align_folder(photographs, out, LAYOUT, points=points)["aligned"] == 2


def test_a_full_disk_ends_the_call(photographs, table, tmp_path, monkeypatch):
    def fail(path, picture):
        raise InputError("Could not write")

    monkeypatch.setattr(align, "_write", fail)
    with pytest.raises(InputError, match="Could not write"):
        align_folder(photographs, tmp_path / "out", LAYOUT, points=table(["one.png", *POINTS]))


def test_the_largest_face_or_all(photographs, tmp_path, monkeypatch):

    def find(picture, small=False):
        faces = [detector.Face(np.reshape(POINTS, (4, 2)), 0.9), detector.Face(another, 0.8)]
        return faces if asked else []

    another, asked = np.reshape(POINTS, (4, 2)) / 2 + 5, [True]
    monkeypatch.setattr(detector, "find_faces", find)
    monkeypatch.setattr(detector, "require", lambda: None)
    results = align_folder(photographs, tmp_path / "one", LAYOUT)
    assert results == {"aligned": 3, "smaller": 3}
    results = align_folder(photographs, tmp_path / "all", LAYOUT, faces="all")
    assert results == {"aligned": 6}
    assert (tmp_path / "all" / "b" / "two_face2.png").exists()
    assert [row["score"] for row in _rows(tmp_path / "all")[:2]] == ["0.9000", "0.8000"]
    asked.clear()
    (photographs / "b" / "broken.jpg").write_bytes(b"no picture")
    results = align_folder(photographs, tmp_path / "none", LAYOUT)
    assert results == {"no face": 3, "can't be read": 1}
    # A table that a person corrected does what the detector could not.
    path = tmp_path / "none" / "align.csv"
    lines = path.read_text().splitlines()
    lines[1] = ",".join(["a/one.png", "1", *map(str, POINTS), "", ""])
    path.write_text("\n".join(lines))
    results = align_folder(photographs, tmp_path / "none", LAYOUT, points=str(path))
    assert results["aligned"] == 1


def test_a_grey_photograph_stays_grey_and_formats_stay(photographs, table, tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (30, 24), np.uint8)
    Image.fromarray(grey).save(photographs / "grey.png")
    Image.fromarray(grey).convert("RGB").save(photographs / "photo.JPG", quality=95)
    rows = [["grey.png", *POINTS], ["photo.JPG", *POINTS]]
    align_folder(photographs, tmp_path / "out", LAYOUT, points=table(*rows))
    np.testing.assert_allclose(
        _pixels(tmp_path / "out" / "grey.png").astype(int), grey[6:18, 5:15], atol=1
    )
    with Image.open(tmp_path / "out" / "photo.JPG") as picture:
        assert (picture.format, picture.size) == ("JPEG", (10, 12))


def test_points_with_decimal_commas(photographs, table, tmp_path):
    rows = ["a/one.png", *(f"{number},0" for number in POINTS)]
    points = table(rows, separator=";")
    assert align_folder(photographs, tmp_path / "out", LAYOUT, points=points)["aligned"] == 1


@pytest.mark.parametrize(
    ("row", "heading", "message"),
    [
        (["one.png", *POINTS[:7], "x"], NAMES, "line 2: 'x' is no number"),
        (["one.png", *POINTS[:7], ""], NAMES, "line 2: '' is no number"),
        (["one.png", *POINTS[:7]], NAMES[:-1], "lacks the column 'right_mouth_y'"),
        (["other.png", *POINTS], NAMES, "No row"),
        (["one.png", *[""] * 8], NAMES, "No row"),
    ],
)
def test_a_wrong_table_is_refused(photographs, table, tmp_path, row, heading, message):
    with pytest.raises(InputError, match=message):
        align_folder(photographs, tmp_path / "out", LAYOUT, points=table(row, heading=heading))
    assert not (tmp_path / "out").exists()


def test_points_that_fit_no_face_are_listed(photographs, table, tmp_path):
    wrong = [["one.png", *[5] * 8], ["two.png", *(number + 900 for number in POINTS)]]
    results = align_folder(photographs, tmp_path / "out", LAYOUT, points=table(*wrong))
    assert results == {"left out": 2, "no points": 1}
    assert "outside the picture" in _rows(tmp_path / "out")[2]["result"]


def test_folders_that_can_not_be_used(photographs, table, tmp_path):
    points = table(["one.png", *POINTS])
    for out in (photographs, photographs / "out", tmp_path):
        with pytest.raises(InputError, match="one within the other"):
            align_folder(photographs, out, LAYOUT, points=points)
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").touch()
    with pytest.raises(InputError, match="holds other files"):
        align_folder(photographs, other, LAYOUT, points=points)
    (other / "mine.txt").unlink()
    with pytest.raises(InputError, match="holds no image"):
        align_folder(other, tmp_path / "out", LAYOUT, points=points)
    align_folder(photographs, other, LAYOUT, points=points)
    assert json.loads((other / "align.json").read_text())["faces"] == "largest"
    with pytest.raises(InputError, match="another layout"):
        align_folder(photographs, other, LAYOUTS["celeb_a"], points=points)
