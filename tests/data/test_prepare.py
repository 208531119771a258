"""Files downloaded by hand -> TFDS data sets, with small files made here."""

import gzip
import io
import logging
import pathlib
import socket
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as celeb_a
from tensorflow_datasets.image_classification import mnist

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.data.description import describe
from tf_mmdvlae.data.prepare import FILES, MNIST_IMAGES, prepare

COUNT = 12


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments, **settings):
        raise AssertionError("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def small_mnist(monkeypatch):
    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", 7)
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", 5)
    for part, count in (("train", 7), ("t10k", 5)):
        monkeypatch.setitem(MNIST_IMAGES, part, count)


def idx(values):
    header = bytes([0, 0, 8, values.ndim])
    return header + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


def digits(count):
    return np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)


@pytest.fixture
def mnist_files(tmp_path):
    folder = tmp_path / "mnist files"
    folder.mkdir()
    for part, count in (("train", 7), ("t10k", 5)):
        labels = np.arange(count, dtype=np.uint8)
        for kind, values in (("images-idx3", digits(count)), ("labels-idx1", labels)):
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(values)))
    return folder


@pytest.fixture
def celeb_a_files(tmp_path):
    folder = tmp_path / "celeba files"
    folder.mkdir()
    names = [f"{number:06d}.jpg" for number in range(1, COUNT + 1)]
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for number, name in enumerate(names):
            file = io.BytesIO()
            Image.new("RGB", (178, 218), (20 * number,) * 3).save(file, "JPEG")
            archive.writestr(f"img_align_celeba/{name}", file.getvalue())
    attributes = [" ".join(celeb_a.ATTR_HEADINGS)]
    for number, name in enumerate(names):
        values = ["1" if (number + at) % 3 == 0 else "-1" for at in range(40)]
        attributes.append(f"{name} {' '.join(values)}")
    landmarks = [" ".join(celeb_a.LANDMARK_HEADINGS)] + [f"{n} {'5 ' * 10}" for n in names]
    texts = {
        "list_attr_celeba.txt": [str(COUNT), *attributes],
        "list_landmarks_align_celeba.txt": [str(COUNT), *landmarks],
        "list_eval_partition.txt": [
            f"{n} {(0, 0, 0, 1, 2, 0)[i % 6]}" for i, n in enumerate(names)
        ],
        "identity_CelebA.txt": [f"{n} {i}" for i, n in enumerate(names)],
    }
    for name, lines in texts.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def nothing_left(data_dir):
    return not data_dir.exists() or not list(data_dir.rglob("*.*"))


def test_mnist(mnist_files, tmp_path, caplog, capsys):
    target = tmp_path / "tfds"
    with caplog.at_level(logging.WARNING):
        folder = prepare("mnist", mnist_files, target)
    assert folder == str(target / "mnist" / "3.0.1")
    assert sum("not byte for byte" in record.msg for record in caplog.records) == 4
    data = DataConfig(dataset="mnist", data_dir=str(target), cache="memory")
    for which, count in (("train", 7), ("test", 5)):
        split = pipeline.load_split(data, (28, 28, 1), which)
        order = np.argsort(split.labels["label"])
        np.testing.assert_array_equal(split.labels["label"][order], np.arange(count))
        np.testing.assert_array_equal(split.images[order][..., 0], digits(count))
    assert {path.name for path in target.iterdir()} == {"mnist"}
    assert [path.name for path in (target / "mnist").iterdir()] == ["3.0.1"]
    capsys.readouterr()
    assert prepare("mnist", tmp_path / "not looked at", target) == folder
    assert "prepared already" in capsys.readouterr().out


def test_a_data_dir_of_the_home_folder(mnist_files, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = prepare("mnist", mnist_files, "~/tfds")
    assert folder == str(tmp_path / "home" / "tfds" / "mnist" / "3.0.1")
    assert not (tmp_path / "~").exists()
    data = DataConfig(dataset="mnist", data_dir="~/tfds", cache="memory")
    assert pipeline.load_split(data, (28, 28, 1), "train").size == 7


def test_the_record_of_tfds_is_as_before(mnist_files, tmp_path):
    builder = tfds.builder("mnist", data_dir=tmp_path)
    before = {url: (info.size, info.checksum) for url, info in builder.url_infos.items()}
    prepare("mnist", mnist_files, tmp_path / "tfds")
    assert before == {url: (info.size, info.checksum) for url, info in builder.url_infos.items()}


def test_mnist_without_gzip_and_under_other_spellings(mnist_files, tmp_path):
    for path in list(mnist_files.iterdir()):
        plain = path.with_name(path.name.removesuffix(".gz").replace("-idx", ".idx"))
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    prepare("mnist", mnist_files, tmp_path / "tfds")
    data = DataConfig(dataset="mnist", data_dir=str(tmp_path / "tfds"), cache="memory")
    assert pipeline.load_split(data, (28, 28, 1), "train").size == 7


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train-images-idx3-ubyte.gz", lambda b: None, r"lacks train-images-idx3-ubyte\.gz"),
        ("train-images-idx3-ubyte.gz", lambda b: b[:-100], "train-images.* truncated or damaged"),
        ("t10k-labels-idx1-ubyte.gz", lambda b: b"<html>", "t10k-labels.* is not a gzip file"),
        (
            "t10k-labels-idx1-ubyte.gz",
            lambda b: gzip.compress(gzip.decompress(b)[:-1]),
            "t10k-labels.* is truncated: 12 bytes unpacked, not 13",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            lambda b: gzip.compress(idx(np.zeros(6, np.uint8))),
            r"t10k-labels.* has shape \[6\]; MNIST's has \[5\]",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            lambda b: gzip.compress(idx(np.zeros(5, np.uint8))),
            "t10k-images.* is not an IDX file of bytes in 3 dimensions",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            lambda b: gzip.compress(idx(np.arange(5, 12, dtype=np.uint8))),
            "train-labels.* holds the label 11; digits go from 0 to 9",
        ),
    ],
)
def test_mnist_files_that_do_not_fit(mnist_files, tmp_path, name, change, message):
    damage(mnist_files / name, change)
    with pytest.raises(InputError, match=message):
        prepare("mnist", mnist_files, tmp_path / "tfds")
    assert nothing_left(tmp_path / "tfds")


@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"])
def test_a_source_that_cannot_be_read_is_named(mnist_files, tmp_path, monkeypatch, name):
    usual = pathlib.Path.read_bytes

    def refuse(path):
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path)

    monkeypatch.setattr(pathlib.Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=f"{name} can't be read: Permission denied"):
        prepare("mnist", mnist_files, tmp_path / "tfds")
    assert nothing_left(tmp_path / "tfds")


def damage(path, change):
    content = change(path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("line_end", ["\n", ""])
def test_celeb_a(celeb_a_files, tmp_path, line_end):
    for name in ("list_attr_celeba.txt", "identity_CelebA.txt"):
        text = (celeb_a_files / name).read_text().removesuffix("\n")
        (celeb_a_files / name).write_text(text + line_end)
    (celeb_a_files / "Anno").mkdir()
    moved = celeb_a_files / "Anno" / "list_attr_celeba.txt"
    (celeb_a_files / "list_attr_celeba.txt").rename(moved)
    target = tmp_path / "tfds"
    prepare("celeb_a", celeb_a_files, target)
    assert [path.name for path in target.iterdir()] == ["celeb_a"]
    data = DataConfig(dataset="celeb_a", data_dir=str(target), cache="memory", crop=148 / 178)
    found = describe(data)
    assert found.splits == {"train": 8, "validation": 2, "test": 2}
    split = pipeline.load_split(data, (16, 16, 3), "train")
    assert list(split.labels) == sorted(celeb_a.ATTR_HEADINGS)
    shown = np.rint(split.images[:, 0, 0, 0] / 20).astype(int)
    assert sorted(shown) == [0, 1, 2, 5, 6, 7, 8, 11]
    for at, name in enumerate(celeb_a.ATTR_HEADINGS):
        np.testing.assert_array_equal(split.labels[name], (shown + at) % 3 == 0)


def drop_line(at):
    def change(content):
        lines = content.splitlines(keepends=True)
        del lines[at]
        return b"".join(lines)

    return change


def without_last_image(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()[:-1]}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return file.getvalue()


def with_member_field(offset, value):
    """Changes one byte of each member's headers, whose fields lie 2 bytes apart in the two."""

    def change(content):
        content = bytearray(content)
        for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
            at = content.find(signature)
            while at >= 0:
                content[at + offset + shift] = value
                at = content.find(signature, at + 1)
        return bytes(content)

    return change


encrypted = with_member_field(6, 1)
packed_strangely = with_member_field(8, 99)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("identity_CelebA.txt", lambda b: None, r"lacks identity_CelebA\.txt"),
        ("img_align_celeba.zip", lambda b: b[:-500], "zip is truncated or not a zip file"),
        ("img_align_celeba.zip", lambda b: b"<html>quota</html>", "not a zip file"),
        (
            "img_align_celeba.zip",
            lambda b: b[:800] + bytes(9) + b[809:],
            r"is damaged at img_align_celeba/000001\.jpg",
        ),
        ("img_align_celeba.zip", encrypted, "zip can't be unpacked: .*encrypted"),
        ("img_align_celeba.zip", packed_strangely, "zip can't be unpacked: .*compression"),
        ("img_align_celeba.zip", without_last_image, r"lacks 1 of the 12 .*000012\.jpg"),
        ("list_attr_celeba.txt", drop_line(-1), "list_attr_celeba.* has 11 rows, not the 12"),
        ("list_attr_celeba.txt", drop_line(0), "must start with the number of its rows"),
        ("list_attr_celeba.txt", lambda b: b.replace(b"Bald", b"Bold"), "must have these columns"),
        ("list_attr_celeba.txt", lambda b: b[:-9], r"truncated or damaged at 000012\.jpg"),
        ("identity_CelebA.txt", drop_line(3), r"lacks 1 of the 12 images .*000004\.jpg"),
        ("identity_CelebA.txt", lambda b: b"\xff\xfe\xff", "is not a text file"),
        ("list_eval_partition.txt", lambda b: b"<!DOCTYPE html><html>", "is a web page"),
        ("list_eval_partition.txt", lambda b: b.replace(b" 2\n", b" 3\n"), "in part 3"),
        (
            "list_eval_partition.txt",
            lambda b: b.replace(b" 2\n", b" 0\n"),
            r"no image in part 2 \(test\)",
        ),
    ],
)
def test_celeb_a_files_that_do_not_fit(celeb_a_files, tmp_path, name, change, message):
    damage(celeb_a_files / name, change)
    with pytest.raises(InputError, match=message) as error:
        prepare("celeb_a", celeb_a_files, tmp_path / "tfds")
    assert name.split(".")[0] in str(error.value)
    assert nothing_left(tmp_path / "tfds")


def test_celeb_a_repackaged(celeb_a_files, tmp_path):
    (celeb_a_files / "list_attr_celeba.txt").rename(celeb_a_files / "list_attr_celeba.csv")
    with pytest.raises(InputError, match=r"the \.txt files are needed"):
        prepare("celeb_a", celeb_a_files, tmp_path / "tfds")


def test_stopped_run_leaves_nothing(mnist_files, tmp_path, monkeypatch):
    def stopped(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(mnist.MNIST, "_generate_examples", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare("mnist", mnist_files, tmp_path / "tfds")
    assert nothing_left(tmp_path / "tfds")


def test_a_disk_that_fills_up_while_tensorflow_writes_is_named(mnist_files, tmp_path, monkeypatch):
    def full(*arguments, **settings):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(mnist.MNIST, "_generate_examples", full)
    with pytest.raises(InputError, match="tfds can't be written: No space left .* Make room"):
        prepare("mnist", mnist_files, tmp_path / "tfds")
    assert nothing_left(tmp_path / "tfds")


def test_a_home_that_nobody_has_and_brackets_are_refused(mnist_files, tmp_path, monkeypatch):
    for folder in ("~nobody_has_it/data", tmp_path / "a[1]"):
        with pytest.raises(InputError, match="can't be found|brackets"):
            prepare("mnist", mnist_files, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["mnist files"]


def test_what_can_not_be_prepared(tmp_path):
    with pytest.raises(InputError, match=r"'svhn_cropped' can't be .* these can: celeb_a, mnist"):
        prepare("svhn_cropped", tmp_path, tmp_path)
    with pytest.raises(InputError, match=r"--source=.*nowhere is not a folder"):
        prepare("mnist", tmp_path / "nowhere", tmp_path / "tfds")
    (tmp_path / "in the way").write_text("")
    for name in FILES["mnist"]:
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match="in the way can't be written"):
        prepare("mnist", tmp_path, tmp_path / "in the way")
