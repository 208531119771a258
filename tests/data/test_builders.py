"""Finding a TFDS builder by its name, and preparing its data where there are none."""

import io
import shutil
import threading
import urllib.error
import urllib.request

import pytest
import tensorflow_datasets as tfds

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import known_datasets
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.data.builders import ensure_prepared, find_builder
from tf_mmdvlae.data.description import describe
from tf_mmdvlae.data.faces.builder import SyntheticFaces

SHAPE = (8, 8, 3)


def test_unknown_and_unfit_data_sets(data_dir):
    with pytest.raises(InputError, match=r"'mnits' is not known. Close: .*mnist.*image_folder"):
        pipeline.load_split(DataConfig(dataset="mnits", data_dir=data_dir), SHAPE, "train")
    with pytest.raises(InputError, match=r"tiny_sounds has no 8-bit image .*: loudness"):
        pipeline.load_split(DataConfig(dataset="tiny_sounds", data_dir=data_dir), SHAPE, "train")
    data = DataConfig(dataset="cifar10_corrupted/no_such", data_dir=data_dir)
    with pytest.raises(InputError, match="TFDS can't open 'cifar10_corrupted/no_such'"):
        pipeline.load_split(data, SHAPE, "train")
    data = DataConfig(dataset="mnist:9.9.9", data_dir=data_dir)
    with pytest.raises(InputError, match=r"TFDS can't open 'mnist:9\.9\.9': .*3\.0\.1"):
        pipeline.load_split(data, SHAPE, "train")


def test_damaged_data_are_refused_with_their_folder(data_dir, tmp_path):
    folder = tmp_path / "tiny_pictures" / "1.0.0"
    data = DataConfig(dataset="tiny_pictures", data_dir=str(tmp_path), cache="memory")

    def require_refusal(name, change, match):
        shutil.copytree(f"{data_dir}/tiny_pictures", folder.parent)
        (path,) = folder.glob(name)
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(InputError, match=match) as error:
            pipeline.load_split(data, SHAPE, "test")
        assert str(tmp_path) in str(error.value)
        assert len(str(error.value).splitlines()) == 1
        shutil.rmtree(folder.parent)

    refused = f"{folder} can't be read: .*Remove that folder"
    test_records = "*test.tfrecord*"
    require_refusal(test_records, lambda content: content[:-1] + b"x", refused)
    require_refusal(test_records, lambda content: b"", refused)
    require_refusal("dataset_info.json", lambda content: content[:99], "TFDS can't open 'tiny_pict")
    require_refusal(
        "dataset_info.json", lambda content: content.replace(b"{SHARD", b"{SHARE"), refused
    )


def test_the_error_for_an_unknown_data_set_lists_the_configured_ones():
    with pytest.raises(InputError) as error:
        find_builder(DataConfig(dataset="mnits"))
    configured = str(error.value).partition("Configured: ")[2].partition(";")[0].split(", ")
    assert configured == known_datasets()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MNIST", "mnist"),
        ("Mnist:3.0.1", "mnist:3.0.1"),
        ("CelebA", "celeb_a"),
        ("Synthetic_Faces", "synthetic_faces"),
        ("IMAGE_FOLDER", "image_folder"),
        ("Cifar10Corrupted/Some_1", "cifar10_corrupted/Some_1"),
    ],
)
def test_names_of_data_sets_are_lower_case(data_dir, name, meant):
    with pytest.raises(InputError, match=f"lower case; did you mean {meant}\\?$"):
        describe(DataConfig(dataset=name, data_dir=data_dir))


def test_a_config_keeps_its_case(data_dir):
    with pytest.raises(InputError, match="'Mnits' is not known. Close: .*mnist"):
        find_builder(DataConfig(dataset="Mnits", data_dir=data_dir))
    data = DataConfig(dataset="cifar10_corrupted/Brightness_1", data_dir=data_dir)
    with pytest.raises(InputError, match="TFDS can't open 'cifar10_corrupted/Brightness_1'"):
        find_builder(data)


@pytest.fixture
def downloads(monkeypatch):
    """Every server answers; `downloads` is a list of what is called in place of a download."""
    actions = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda *arguments, **settings: io.BytesIO())
    monkeypatch.setattr(
        tfds.core.DatasetBuilder, "download_and_prepare", lambda builder: actions[0](builder)
    )
    return actions


def test_not_prepared_without_a_network(tmp_path, monkeypatch, downloads):
    def refuse(*arguments, **settings):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    # TFDS would try for minutes.
    downloads.append(lambda builder: pytest.fail("a download was tried"))
    data = DataConfig(dataset="celeb_a", data_dir=str(tmp_path))
    with pytest.raises(InputError) as error:
        pipeline.load_split(data, SHAPE, "train")
    for part in (
        "img_align_celeba.zip, list_attr_celeba.txt, list_eval_partition.txt, ",
        "list_landmarks_align_celeba.txt, identity_CelebA.txt",
        f"bin/prepare --dataset=celeb_a --source=THAT_FOLDER --data_dir={tmp_path}",
        "Google Drive's daily quota",
    ):
        assert part in str(error.value)
    data = DataConfig(dataset="cifar10", data_dir=str(tmp_path))
    with pytest.raises(InputError, match="run `tfds build cifar10`, then copy"):
        pipeline.load_split(data, SHAPE, "train")
    assert not list(tmp_path.iterdir())


def test_failed_download_leaves_nothing(tmp_path, downloads):
    def fail(builder):
        litter = tmp_path / "downloads" / "celeb_a" / "file.tmp.0123"
        litter.mkdir(parents=True)
        raise ConnectionError("quota exceeded\nand more")

    downloads.append(fail)
    data = DataConfig(dataset="celeb_a", data_dir=str(tmp_path))
    with pytest.raises(
        InputError, match=r"download of celeb_a failed: quota exceeded\n(.*\n)*.*bin/prepare"
    ):
        pipeline.load_split(data, SHAPE, "train")
    assert not list(tmp_path.iterdir())
    kept = tmp_path / "downloads" / "celeb_a" / "whole.zip"
    kept.parent.mkdir(parents=True)
    kept.write_text("of an earlier download")
    with pytest.raises(InputError):
        pipeline.load_split(data, SHAPE, "train")
    assert list((tmp_path / "downloads").rglob("*.*")) == [kept]


class Screen(io.StringIO):
    """An output that notices when a process says that it waits."""

    def __init__(self):
        super().__init__()
        self.someone_waits = threading.Event()

    def write(self, text):
        if "Another process is preparing tiny_pictures" in text:
            self.someone_waits.set()
        return super().write(text)


def test_one_process_prepares_and_the_others_wait(tmp_path, monkeypatch, tiny_pictures):
    """As several workers do where nothing is prepared yet."""
    calls, screen = [], Screen()
    begun, goes_on = threading.Event(), threading.Event()
    generate = tiny_pictures._generate_examples

    def slowly(builder, count):
        calls.append(count)
        begun.set()
        assert goes_on.wait(60)
        yield from generate(builder, count)

    monkeypatch.setattr(urllib.request, "urlopen", lambda *arguments, **settings: io.BytesIO())
    monkeypatch.setattr(tiny_pictures, "_generate_examples", slowly)
    monkeypatch.setattr("sys.stdout", screen)
    data = DataConfig(dataset="tiny_pictures", data_dir=str(tmp_path))
    builders = [tiny_pictures(data_dir=tmp_path) for _ in range(2)]
    threads = [
        threading.Thread(target=ensure_prepared, args=(builder, data)) for builder in builders
    ]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    assert screen.someone_waits.wait(60)
    goes_on.set()
    for thread in threads:
        thread.join(60)
    assert all(builder.is_prepared() for builder in builders)
    assert sorted(calls) == [21, 250]
    assert not list(tmp_path.glob(".*"))


def test_synthetic_faces_is_drawn_on_first_use(tmp_path, monkeypatch, capsys):
    sizes = {"train": 6, "validation": 2, "test": 3}
    monkeypatch.setattr(SyntheticFaces, "SPLIT_SIZES", sizes)
    data = DataConfig(dataset="synthetic_faces", data_dir=str(tmp_path))
    split = pipeline.load_split(data, (64, 64, 3), "test")
    assert split.images.shape == (3, 64, 64, 3)
    assert "Drawing synthetic_faces" in capsys.readouterr().out
    pipeline.load_split(data, (64, 64, 3), "train")
    assert "Drawing" not in capsys.readouterr().out
    (tmp_path / "file").write_text("in the way")
    data = DataConfig(dataset="synthetic_faces", data_dir=str(tmp_path / "file"))
    with pytest.raises(InputError, match="synthetic_faces could not be written to"):
        pipeline.load_split(data, (64, 64, 3), "train")


def test_the_first_synthetic_faces_are_read_by_their_version(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(SyntheticFaces, "SPLIT_SIZES", {"train": 4, "validation": 2, "test": 3})
    data = DataConfig(dataset="synthetic_faces:1.0.0", data_dir=str(tmp_path))
    with pytest.raises(InputError) as error:
        pipeline.load_split(data, (64, 64, 3), "train")
    message = f"synthetic_faces:1.0.0 is not prepared in {tmp_path}, and this version of tf_mmdvlae"
    assert str(error.value).startswith(f"{message} draws 2.0.0.\nCopy synthetic_faces/1.0.0 there")
    assert not list(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(SyntheticFaces, "VERSION", tfds.core.Version("1.0.0"))
        patch.setattr(SyntheticFaces, "SPLIT_SEEDS", {"train": 1, "validation": 2, "test": 3})
        SyntheticFaces(data_dir=tmp_path).download_and_prepare()
    first = pipeline.load_split(data, (64, 64, 3), "train")
    assert "Drawing" not in capsys.readouterr().out
    newest = DataConfig(dataset="synthetic_faces", data_dir=str(tmp_path))
    second = pipeline.load_split(newest, (64, 64, 3), "train")
    assert "Drawing" in capsys.readouterr().out
    assert (first.labels["yaw"] != second.labels["yaw"]).all()
    with pytest.raises(InputError, match=r"at version 3\.0\.0, only: 2\.0\.0, 1\.0\.0"):
        find_builder(DataConfig(dataset="synthetic_faces:3.0.0", data_dir=str(tmp_path)))
