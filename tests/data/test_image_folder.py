"""A folder of images as a data set: what is found, split, labelled, turned and refused."""

import dataclasses
import logging
import os

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data import image_folder, pipeline
from tf_mmdvlae.data.description import describe

SHAPE = (4, 4, 3)


def write(path, number, size=(4, 4), kind=None, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (number, 0, 255 - number)).save(path, kind, **settings)


def config(folder, **settings):
    return DataConfig(dataset="image_folder", image_dir=str(folder), cache="memory", **settings)


def load(folder, which="train", shape=SHAPE, **settings):
    return pipeline.load_split(config(folder, **settings), shape, which)


def numbers(split):
    batches = [np.asarray(batch) for batch in pipeline.evaluation_batches(split, 7)]
    return np.rint(np.concatenate(batches)[:, 0, 0, 0] * 255).astype(int).tolist()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """120 images in three classes, at several depths, in several formats."""
    root = tmp_path_factory.mktemp("images")
    for number in range(120):
        place = root / ("cat", "dog", "owl")[number % 3] / ("deep/er" if number % 2 else "")
        write(place / f"{number:03d}{('.png', '.PNG', '.Png')[number % 3]}", number)
    (root / "cat" / "notes.txt").write_text("no image")
    (root / "cat" / "._000.png").write_text("a file system's leftovers")
    return root


def test_every_image_is_in_one_split(folder):
    train, test = load(folder), load(folder, "test")
    assert sorted(numbers(train) + numbers(test)) == list(range(120))
    assert 3 <= test.size <= 25
    assert numbers(load(folder)) == numbers(train)
    assert train.class_names == test.class_names == {"class": ["cat", "dog", "owl"]}
    for split in (train, test):
        np.testing.assert_array_equal(split.labels["class"], np.array(numbers(split)) % 3)


def test_share_of_the_test_split(folder):
    assert 45 <= load(folder, "test", test_fraction=0.5).size <= 75
    tenth = set(numbers(load(folder, "test")))
    assert tenth < set(numbers(load(folder, "test", test_fraction=0.5)))


def test_new_files_move_no_others(tmp_path):
    for number in range(40):
        write(tmp_path / f"{number}.png", number)
    before = set(numbers(load(tmp_path, test_fraction=0.4)))
    assert load(tmp_path).labels == {}
    for number in range(40, 60):
        write(tmp_path / "a" / f"{number}.png", number)
    after = set(numbers(load(tmp_path, test_fraction=0.4)))
    assert {number for number in after if number < 40} == before
    assert load(tmp_path).class_names == {"class": [".", "a"]}


def test_the_first_images_are_of_every_class(tmp_path):
    for number in range(120):
        write(tmp_path / "abc"[number // 40] / f"{number}.png", number)
    for which, first in (("train", 30), ("test", 15)):
        split = load(tmp_path, which, test_fraction=0.4)
        np.testing.assert_array_equal(split.labels["class"], np.array(numbers(split)) // 40)
        # Of independent draws: the chance that one class is missing among 15 is 0.7%, and the order
        # is fixed.
        assert set(split.labels["class"][:first]) == {0, 1, 2}
        assert numbers(split) != sorted(numbers(split))
        assert numbers(split) == numbers(load(tmp_path, which, test_fraction=0.4))
    # A new file goes in between and leaves the others in their order.
    before = numbers(load(tmp_path))
    write(tmp_path / "a" / "new.png", 200)
    assert [number for number in numbers(load(tmp_path)) if number != 200] == before


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_caches_agree(folder, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = load(folder)
    for _ in range(2):
        split = pipeline.load_split(
            dataclasses.replace(config(folder), cache=cache), SHAPE, "train"
        )
        assert numbers(split) == numbers(expected)
        np.testing.assert_array_equal(split.labels["class"], expected.labels["class"])
    batches = [
        np.asarray(list(pipeline.training_batches(split, 16, 1, start_step=start).take(20 - start)))
        for start in (0, 11)
    ]
    np.testing.assert_array_equal(batches[0][11:], batches[1])
    assert len(list(tmp_path.glob("tf_mmdvlae/*"))) == (cache == "disk")


def test_disk_cache_follows_changed_files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(10):
        write(tmp_path / "images" / f"{number}.png", number)
    data = dataclasses.replace(config(tmp_path / "images", test_fraction=0.3), cache="disk")
    before = numbers(pipeline.load_split(data, SHAPE, "train"))
    write(tmp_path / "images" / f"{before[0]}.png", 99)
    assert numbers(pipeline.load_split(data, SHAPE, "train")) == [99, *before[1:]]


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_link_to_nothing_is_left_out(tmp_path, monkeypatch, caplog, cache):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "images"
    for number in range(120):
        write(folder / f"{number}.png", number)
    (folder / "70.png").rename(tmp_path / "away.png")
    (folder / "70.png").symlink_to(tmp_path / "back.png")
    data = dataclasses.replace(config(folder, test_fraction=1e-4), cache=cache)
    split = pipeline.load_split(data, SHAPE, "train")
    assert (split.size, split.skipped) == (119, 1)
    assert f"{folder / '70.png'} can't be read and is left out" in caplog.text
    assert sorted(numbers(split)) == [number for number in range(120) if number != 70]
    (tmp_path / "away.png").rename(tmp_path / "back.png")
    assert sorted(numbers(pipeline.load_split(data, SHAPE, "train"))) == list(range(120))


def test_exif_rotation_is_applied(tmp_path):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned a quarter clockwise: the top becomes the right.
    for number in range(30):
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", exif=exif, quality=95)
    images = load(tmp_path, shape=(16, 16, 1)).images.astype(int)
    assert (images[:, :, 9:] > 250).all()
    assert (images[:, :, :7] < 5).all()


def test_exif_rotation_of_a_large_photograph(tmp_path):
    pixels = np.zeros((900, 1200, 3), np.uint8)
    pixels[:, :420] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # The left becomes the top: rows 0-419 of 1200, 0-269 of the middle 900.
    for number in range(3):
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", exif=exif, quality=95)
    images = load(tmp_path, shape=(10, 10, 1), test_fraction=0.01).images[..., 0].astype(int)
    assert (images[:, :2] > 250).all()
    assert (images[:, 4:] < 5).all()
    # The filter reaches as far over the border from above as from below.
    np.testing.assert_allclose(images[:, 2], 255 - images[:, 3], atol=4)
    assert (images[:, 2] > 200).all()


def test_unreadable_file_is_named_and_left_out(tmp_path, caplog):
    for number in range(150):
        write(tmp_path / f"{number:03d}.jpg", number, size=(32, 32))
    whole = (tmp_path / "070.jpg").read_bytes()
    (tmp_path / "070.jpg").write_bytes(whole[: len(whole) // 2])
    rows = "".join(f"{number:03d}.jpg,{number + 0.5}\n" for number in range(150))
    (tmp_path / "labels.csv").write_text(f"file,number\n{rows}")
    settings = {"test_fraction": 0.0001, "labels": str(tmp_path / "labels.csv")}
    with caplog.at_level(logging.WARNING):
        split = load(tmp_path, **settings)
    assert str(tmp_path / "070.jpg") in caplog.text
    assert (split.size, split.skipped) == (149, 1)
    expected = [number for number in range(150) if number != 70]
    np.testing.assert_array_equal(np.sort(split.labels["number"]), np.array(expected) + 0.5)
    (tmp_path / "071.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"2 images of .* more than 1% of its 150"):
        load(tmp_path, **settings)


def test_labels_from_a_file(tmp_path, caplog):
    for number in range(30):
        write(tmp_path / "some" / f"{number}.png", number)
    rows = ["name,smiles,glasses,hat,hair,age,height"]
    for number in range(28):
        place = "some/" if number % 2 else ""
        rows.append(
            f"{place}{number}.png,{number % 2},{1 if number % 3 else -1},"
            f"{'True' if number % 4 else 'false'},{('fair', 'dark')[number % 2]},{number % 5 + 20},"
            f"{'' if number == 5 else number / 7}"
        )
    rows.append("missing.png,1,1,true,fair,20,1.0")
    path = tmp_path / "labels.csv"
    path.write_text("\ufeff" + "\n".join(rows) + "\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        split = load(tmp_path, labels=str(path))
    assert "1 rows of" in caplog.text
    assert "2 images have no row" in caplog.text
    shown = np.array(numbers(split))
    assert set(shown) <= set(range(28))
    assert list(split.labels) == ["smiles", "glasses", "hat", "hair", "age", "height"]
    np.testing.assert_array_equal(split.labels["smiles"], shown % 2 == 1)
    np.testing.assert_array_equal(split.labels["glasses"], shown % 3 > 0)
    np.testing.assert_array_equal(split.labels["hat"], shown % 4 > 0)
    np.testing.assert_array_equal(split.labels["hair"], 1 - shown % 2)
    np.testing.assert_array_equal(split.labels["age"], shown % 5)
    height = np.where(shown == 5, np.nan, shown / 7).astype(np.float32)
    np.testing.assert_array_equal(split.labels["height"], height)
    assert split.class_names == {
        "hair": ["dark", "fair"],
        "age": ["20", "21", "22", "23", "24"],
    }
    assert [split.labels[name].dtype for name in ("smiles", "age", "height")] == [
        np.bool_,
        np.int64,
        np.float32,
    ]


def test_empty_column_is_left_out(tmp_path, caplog):
    for number in range(10):
        write(tmp_path / f"{number}.png", number)
    rows = "".join(f"{number}.png,,{number % 2}, ,nan\n" for number in range(10))
    (tmp_path / "labels.csv").write_text(f"name,age,smiles,hair,height\n{rows}")
    split = load(tmp_path, labels=str(tmp_path / "labels.csv"), test_fraction=0.01)
    assert list(split.labels) == ["smiles"]
    for column in ("age", "hair", "height"):
        assert f"column '{column}' has no value and is left out" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("name,smiles\n", "has no row below"),
        ("1.png,0\n2.png,1\n", "has no heading; its first row is of the image 1.png"),
        ("name\n1.png\n", "needs a column of file names and then"),
        ("name,smiles\nx.png,0\n", "No row of .* names an image .* the first has 'x.png'"),
        ("name,smiles\n1.png,0,1\n", "line 2: 3 fields with commas between them, not 2"),
        (b"\xff\xfe\x00name", "is not a CSV file"),
        (None, "can't be read: No such file"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, content, message):
    for number in range(10):
        write(tmp_path / f"{number}.png", number)
    path = tmp_path / "labels.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as error:
        load(tmp_path, labels=str(path))
    assert str(error.value).count("\n") <= 1


def test_folders_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="needs --image_dir=DIR"):
        pipeline.load_split(DataConfig(dataset="image_folder"), SHAPE, "train")
    with pytest.raises(InputError, match=r"--image_dir=.*nowhere is missing"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds nothing, and no image"):
        load(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"notes.txt is not a folder"):
        load(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="holds 1 files but no image"):
        load(tmp_path)
    write(tmp_path / "1.png", 1)
    with pytest.raises(InputError, match=r"holds 1 picture; at least 4 are needed, 2 to train"):
        load(tmp_path)
    write(tmp_path / "2.png", 2)
    with pytest.raises(InputError, match=r"None of the 2 images .* test split .*test_fraction"):
        load(tmp_path, "test", test_fraction=1e-9)


def test_describe(folder):
    found = describe(config(folder))
    assert found.image_shape == (4, 4, 3)
    assert found.splits == {"train": load(folder).size, "test": load(folder, "test").size}
    assert found.count("train") == load(folder).size
    assert found.test_fraction == 0.1


@pytest.mark.parametrize(
    ("sizes", "modes", "crop", "shape"),
    [
        # Two of four reach 20 pixels a side, three of them 12.
        ([(20, 20), (30, 20), (12, 40), (8, 8)], "LLLL", 1.0, (12, 12, 1)),
        ([(20, 20), (30, 20), (12, 40), (8, 8)], ["L", "RGB", "1", "L"], 1.0, (12, 12, 3)),
        ([(28, 28)] * 4, ["L", "I;16", "LA", "1"], 1.0, (28, 28, 1)),
        ([(100, 200)] * 5, ["RGB"] * 5, 0.6, (60, 60, 3)),
    ],
)
def test_the_size_and_the_channels_that_most_pictures_have(tmp_path, sizes, modes, crop, shape):
    for number, (size, mode) in enumerate(zip(sizes, modes, strict=True)):
        Image.new(mode, size, number // 2).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_text("no image")
    assert describe(config(tmp_path, crop=crop)).image_shape == shape


@pytest.mark.parametrize("side", [60, 1200])
@pytest.mark.parametrize(("height", "width"), [(12, 36), (36, 12)])
def test_a_shape_that_is_no_square_cuts_and_never_squashes(tmp_path, side, height, width):
    """Of a square picture the middle third is kept, also where a JPEG is reduced while decoded."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    down = np.broadcast_to(ramp[:, None], (side, side))
    for number in range(4):
        pixels = np.stack([down, down.T, np.full_like(down, number)], axis=-1)
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", quality=95, subsampling=0)
    images = load(tmp_path, shape=(height, width, 3), test_fraction=1e-9).images.astype(float)
    for axis, count in ((1, height), (2, width)):
        shown = images[..., axis - 1].mean(axis=(0, 3 - axis))
        kept = count / max(height, width)
        expected = 255 * (0.5 + kept * ((np.arange(count) + 0.5) / count - 0.5))
        np.testing.assert_allclose(shown[1:-1], expected[1:-1], atol=4)


@pytest.mark.parametrize("count", [4, 5, 12])
@pytest.mark.parametrize("wanted", [1e-9, 0.1, 0.999])
def test_a_test_fraction_that_fits_few_pictures(tmp_path, count, wanted):
    for number in range(count):
        write(tmp_path / f"{number}.png", number)
    found = describe(config(tmp_path, test_fraction=wanted))
    splits = {
        which: load(tmp_path, which, test_fraction=found.test_fraction).size
        for which in ("train", "test")
    }
    assert found.splits == splits
    assert min(splits.values()) >= 2
    assert sum(splits.values()) == count


def test_pictures_that_are_too_few_for_two_splits(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.png", number)
    with pytest.raises(InputError, match="3 pictures; at least 4 .* 2 to train on and 2 to test"):
        describe(config(tmp_path))


def test_copies_of_a_picture_stay_in_one_split(tmp_path, caplog):
    for number in range(40):
        write(tmp_path / f"{number}.png", number)
        write(tmp_path / "more" / f"{number}.png", number)
        write(tmp_path / f"other_{number}.png", 100 + number)
    train, test = (numbers(load(tmp_path, which, test_fraction=0.5)) for which in ("train", "test"))
    assert not set(train) & set(test)
    assert len(train) + len(test) == 120
    assert f"40 of the 120 pictures in {tmp_path} are copies of others" in caplog.text
    # Without the rule they were in both; one that belongs into the training split takes all there.
    settings = {"test_fraction": 0.5, "listing": "0.2"}
    before = [numbers(load(tmp_path, which, **settings)) for which in ("train", "test")]
    assert set(before[0]) & set(before[1])
    assert set(train) == set(before[0])
    assert [number for number in test if number >= 100] == [n for n in before[1] if n >= 100]
    found = describe(config(tmp_path, test_fraction=0.5))
    assert found.splits == {"train": len(train), "test": len(test)}


def test_pictures_that_are_all_copies(tmp_path):
    for number in range(6):
        write(tmp_path / f"{number}.png", number // 5)
    with pytest.raises(InputError, match="6 pictures in .* are copies of 2; at least 4 different"):
        describe(config(tmp_path))


def test_a_copy_that_changes_is_one_no_longer(tmp_path):
    for number in range(8):
        write(tmp_path / f"{number}.png", 7)
    assert len(set(_places(tmp_path))) == 1
    for number in range(8):
        write(tmp_path / f"{number}.png", number)
    assert len(set(_places(tmp_path))) == 8


def _places(folder):
    return image_folder._contents(config(folder)).places.tolist()


def test_a_folder_is_read_again_where_it_changed(tmp_path, monkeypatch):
    for number in range(40):
        write(tmp_path / "ab"[number % 2] / f"{number}.png", number)
    table = tmp_path / "table.csv"
    table.write_text("file,kind\n" + "".join(f"{number}.png,1\n" for number in range(40)))
    times, read = [], image_folder.list_pictures
    monkeypatch.setattr(
        image_folder, "list_pictures", lambda *given: times.append(given) or read(*given)
    )

    def count(**settings):
        data = config(tmp_path, test_fraction=0.3, **settings)
        return sum(image_folder.FolderSource(data, which).count for which in ("train", "test"))

    assert (count(), len(times)) == (40, 2)
    # Changes of the last moments may not show in the times of folders.
    for path in (tmp_path, tmp_path / "a", tmp_path / "b", table):
        os.utime(path, (10**9, 10**9))
    assert (count(), len(times)) == (40, 3)
    assert (count(labels="none"), len(times)) == (40, 4)
    assert (count(labels=str(table)), len(times)) == (40, 5)
    table.write_text("file,kind\n1.png,1\n3.png,1\n5.png,1\n7.png,1\n")
    assert (count(labels=str(table)), len(times)) == (4, 7)
    assert (count(), len(times)) == (40, 8)
    write(tmp_path / "a" / "new.png", 100)
    assert (count(), len(times)) == (41, 10)


def test_an_old_run_keeps_its_files(tmp_path):
    """Those of version 0.2: hidden folders, no WebP, no links to folders, copies anywhere."""
    for number in range(20):
        write(tmp_path / "a" / f"{number}.png", number)
        write(tmp_path / "a" / ".thumbnails" / f"{number}.png", number)
        write(tmp_path / "b" / f"{number}.webp", 50 + number, lossless=True)
    (tmp_path / "c").symlink_to(tmp_path / "b")
    old = [load(tmp_path, which, listing="0.2", test_fraction=0.4) for which in ("train", "test")]
    assert sorted(numbers(old[0]) + numbers(old[1])) == sorted([*range(20)] * 2)
    new = [load(tmp_path, which, test_fraction=0.4) for which in ("train", "test")]
    assert sorted(numbers(new[0]) + numbers(new[1])) == [*range(20), *range(50, 70)]
    assert new[0].class_names == {"class": ["a", "b"]}


def test_no_labels(folder):
    split = load(folder, labels="none")
    assert (split.labels, split.class_names) == ({}, {})
    assert numbers(split) == numbers(load(folder))


def test_a_class_has_one_name(tmp_path):
    for number, name in enumerate(("caf\u00e9", "cafe\u0301", "bar", " bar ")):
        write(tmp_path / name / f"{number}.png", number)
    old = [" bar ", "bar", "cafe\u0301", "caf\u00e9"]
    for listing, names in (("0.3", ["bar", "caf\u00e9"]), ("0.2", old)):
        split = load(tmp_path, test_fraction=0.5, listing=listing)
        assert split.class_names == {"class": names}


def test_too_many_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "_MOST_CLASSES", 5)
    for number in range(6):
        write(tmp_path / f"{number}" / "1.png", number)
    with pytest.raises(
        InputError, match="6 sub-folders, and 5 classes are the most.\n?.*=none tra"
    ):
        load(tmp_path)
    assert load(tmp_path, labels="none").size == 5
    assert len(load(tmp_path, listing="0.2").class_names["class"]) == 6


def test_pictures_are_known_by_their_content(tmp_path):
    for number in range(12):
        kind = ("PNG", "WEBP", "JPEG")[number % 3]
        write(tmp_path / f"{number}.{('webp', 'png', 'jfif')[number // 4]}", 20 * number, kind=kind)
    split = load(tmp_path, test_fraction=0.01)
    assert split.skipped == 0
    np.testing.assert_allclose(np.sort(numbers(split)), np.arange(12) * 20, atol=8)


def test_what_is_left_out_is_named_where_nothing_is_left(tmp_path):
    (tmp_path / "1.heic").touch()
    with pytest.raises(InputError, match=r"1 files but no image .* There are 1 \.heic file\(s\)"):
        load(tmp_path)


def test_missing_values_go_through_the_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(10):
        write(tmp_path / "images" / f"{number}.png", number)
    rows = "".join(f"{n}.png,{n % 2 if n else 'NA'},{'ab?'[n % 3]}\n" for n in range(10))
    path = tmp_path / "labels.csv"
    path.write_text(f"file,smile,hair\n{rows}")
    data = config(tmp_path / "images", labels=str(path), test_fraction=0.01)
    for cache in ("memory", "disk", "disk"):
        split = pipeline.load_split(dataclasses.replace(data, cache=cache), SHAPE, "train")
        order = np.array(numbers(split))
        smile, hair = split.labels["smile"], split.labels["hair"]
        np.testing.assert_array_equal(smile, np.where(order == 0, -1, order % 2))
        np.testing.assert_array_equal(hair, np.where(order % 3 == 2, -1, order % 3))
        assert (smile.dtype, split.class_names) == (np.int8, {"hair": ["a", "b"]})
