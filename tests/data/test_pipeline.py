"""Splits, batches and caches, on small TFDS data sets whose pixels tell which example they are."""

import errno
import http.server
import io
import logging
import os
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import known_datasets
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data import cache, pipeline, tfds_source
from tf_mmdvlae.data.decode import decode
from tf_mmdvlae.data.faces import builder as synthetic_faces

SHAPE = (8, 8, 3)
UNREADABLE = (17, 140)


def picture(number):
    """Red is the example's number, green tells left from right."""
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[..., 0] = number
    pixels[:, :4, 1] = 255
    return pixels


class TinyPictures(tfds.core.GeneratorBasedBuilder):
    """250 pictures to train on, two of them unreadable, and 21 to test on."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "title": tfds.features.Text(),
                    "photo": tfds.features.Image(shape=SHAPE),
                    "parity": tfds.features.ClassLabel(names=["even", "odd"]),
                    "attributes": {"Large": np.bool_, "Third": np.bool_},
                    "landmarks": {"nose": np.int64},
                    "number": np.float32,
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(250), "test": self._generate_examples(21)}

    def _generate_examples(self, count):
        for number in range(count):
            unreadable = count == 250 and number in UNREADABLE
            yield (
                number,
                {
                    "title": str(number),
                    "photo": io.BytesIO(b"not a picture") if unreadable else picture(number),
                    "parity": number % 2,
                    "attributes": {"Large": number > 100, "Third": number % 3 == 0},
                    "landmarks": {"nose": number},
                    "number": number,
                },
            )


class BrokenPictures(TinyPictures):
    """One in 25 can't be read."""

    def _split_generators(self, dl_manager):
        return {"train": self._broken()}

    def _broken(self):
        for key, example in self._generate_examples(25):
            if key == 3:
                example["photo"] = io.BytesIO(b"not a picture")
            yield key, example


class TinySounds(tfds.core.GeneratorBasedBuilder):
    """No picture."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"loudness": np.float32})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": [(0, {"loudness": 0.0})]}

    def _generate_examples(self):
        return []


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    TinyPictures(data_dir=folder).download_and_prepare()
    BrokenPictures(data_dir=folder).download_and_prepare()
    return str(folder)


@pytest.fixture(scope="module", params=["memory", "disk", "none"])
def train_split(request, data_dir):
    data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, cache=request.param)
    return pipeline.load_split(data, SHAPE, "train")


def numbers(batch):
    return np.rint(np.asarray(batch)[:, 0, 0, 0] * 255).astype(int)


def first_batches(split, count, **arguments):
    return [np.asarray(b) for b in pipeline.training_batches(split, **arguments).take(count)]


def test_unreadable_images_are_left_out_with_their_labels(train_split):
    assert (train_split.size, train_split.skipped) == (248, 2)
    seen = [numbers(batch) for batch in pipeline.evaluation_batches(train_split, 50)]
    assert [len(batch) for batch in seen] == [50, 50, 50, 50, 48]
    seen = np.concatenate(seen)
    assert sorted(seen) == sorted(set(range(250)) - set(UNREADABLE))
    np.testing.assert_array_equal(train_split.labels["number"], seen)
    np.testing.assert_array_equal(train_split.labels["parity"], seen % 2)
    np.testing.assert_array_equal(train_split.labels["Large"], seen > 100)
    kinds = {name: values.dtype for name, values in train_split.labels.items()}
    assert kinds == {"number": np.float32, "parity": np.int64, "Large": bool, "Third": bool}
    assert train_split.class_names == {"parity": ["even", "odd"]}


def test_order_is_a_function_of_seed_and_step(train_split):
    whole = first_batches(train_split, 20, batch_size=32, seed=3, flip=True)
    again = first_batches(train_split, 20, batch_size=32, seed=3, flip=True)
    np.testing.assert_array_equal(whole, again)
    # 248 is no multiple of 32: steps 7 and 15 reach over an epoch's end, and step 9 is beyond one.
    for start in (1, 7, 9, 15):
        rest = first_batches(
            train_split, 20 - start, batch_size=32, seed=3, start_step=start, flip=True
        )
        np.testing.assert_array_equal(whole[start:], rest)
    other = first_batches(train_split, 20, batch_size=32, seed=4, flip=True)
    assert not np.array_equal(whole[0], other[0])


def test_each_epoch_is_another_permutation(train_split):
    batches = first_batches(train_split, 24, batch_size=31, seed=0)
    epochs = np.concatenate([numbers(batch) for batch in batches]).reshape(3, 248)
    for epoch in epochs:
        assert sorted(epoch) == sorted(set(range(250)) - set(UNREADABLE))
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])


def test_batches_are_float_and_flipped_half_of_the_time(train_split):
    dataset = pipeline.training_batches(train_split, 40, seed=0, flip=True)
    assert dataset.element_spec == tf.TensorSpec((40, *SHAPE), tf.float32)
    batches = np.concatenate(list(dataset.take(12).as_numpy_iterator()))
    mirrored = batches[:, 0, 0, 1] == 0
    assert 0.4 < mirrored.mean() < 0.6
    for image, flip in zip(batches, mirrored, strict=True):
        expected = picture(round(float(image[0, 0, 0]) * 255))
        expected = expected[:, ::-1] if flip else expected
        np.testing.assert_array_equal(image, expected / np.float32(255))
    plain = np.concatenate(first_batches(train_split, 2, batch_size=100, seed=0))
    assert (plain[:, 0, 0, 1] == 1).all()


def test_batch_larger_than_the_split(train_split):
    with pytest.raises(InputError, match="batch size 249 is larger than the 248 images"):
        pipeline.training_batches(train_split, 249, seed=0)


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)])
def test_permutations_of_neighbouring_epochs_and_seeds_are_unrelated(seeds):
    size = 20_000
    images = np.arange(size, dtype=np.uint32).view(np.uint8).reshape(size, 1, 1, 4)[..., :3]
    split = pipeline.Split("train", images, {}, {}, size)
    first, second = (
        np.asarray(next(iter(pipeline.training_batches(split, size, seed, start_step=step))))
        for step, seed in enumerate(seeds)
    )
    places = [np.rint(b[:, 0, 0] * 255) @ [1, 256, 65536] for b in (first, second)]
    # Five standard errors of the correlation of independent permutations.
    assert abs(np.corrcoef(*places)[0, 1]) < 5 / size**0.5


def test_unreadable_examples_are_named(data_dir, caplog):
    data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, cache="memory")
    with caplog.at_level(logging.WARNING):
        pipeline.load_split(data, SHAPE, "train")
    named = [r.getMessage().split(" ")[0] for r in caplog.records if "can't be read" in r.msg]
    assert len(named) == 2
    builder = TinyPictures(data_dir=data_dir)
    read = tfds.ReadConfig(add_tfds_id=True)
    decoders = {"photo": tfds.decode.SkipDecoding()}
    examples = builder.as_dataset(split="train", read_config=read, decoders=decoders)
    titles = {e["tfds_id"].decode(): e["title"].decode() for e in examples.as_numpy_iterator()}
    assert {titles[name] for name in named} == {str(number) for number in UNREADABLE}


def test_more_than_one_percent_unreadable_is_an_error(data_dir, tmp_path):
    for kind in ("memory", "disk", "none"):
        data = DataConfig(dataset="broken_pictures", data_dir=data_dir, cache=kind)
        with pytest.raises(InputError, match=r"more than 1% of its 25; .*broken_pictures-train"):
            pipeline.load_split(data, SHAPE, "train")
    assert not list((cache_folder(data_dir)).glob("broken*"))


def test_splits_and_slices(data_dir):
    data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, test_split="test[:5]")
    assert pipeline.load_split(data, SHAPE, "test").size == 5
    for expression in ("validation", "validation[:5]", "test[:x]"):
        data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, test_split=expression)
        with pytest.raises(InputError, match=r"has no split .*It has: (train, test|test, train)"):
            pipeline.load_split(data, SHAPE, "test")
    data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, test_split="test[:0]")
    with pytest.raises(InputError, match=r"'test\[:0\]' of tiny_pictures is empty"):
        pipeline.load_split(data, SHAPE, "test")
    with pytest.raises(InputError, match="there are train and test"):
        pipeline.load_split(data, SHAPE, "validation")


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


def test_unknown_data_set_is_told_the_configured_ones():
    message = tfds_source.unknown_dataset("mnits")
    configured = message.partition("Configured: ")[2].partition(";")[0].split(", ")
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
        pipeline.describe(DataConfig(dataset=name, data_dir=data_dir))


def test_a_config_keeps_its_case(data_dir):
    with pytest.raises(InputError, match="'Mnits' is not known. Close: .*mnist"):
        tfds_source.find_builder(DataConfig(dataset="Mnits", data_dir=data_dir))
    data = DataConfig(dataset="cifar10_corrupted/Brightness_1", data_dir=data_dir)
    with pytest.raises(InputError, match="TFDS can't open 'cifar10_corrupted/Brightness_1'"):
        tfds_source.find_builder(data)


def test_describe(data_dir):
    found = pipeline.describe(DataConfig(dataset="tiny_pictures", data_dir=data_dir))
    assert found.image_shape == SHAPE
    assert found.splits == {"train": 250, "test": 21}


def cache_folder(data_dir):
    return pipeline.pathlib.Path(data_dir) / "tf_mmdvlae_cache"


def load_test(data_dir, **settings):
    data = DataConfig(dataset="tiny_pictures", data_dir=str(data_dir), **settings)
    return pipeline.load_split(data, SHAPE, "test")


def test_auto_cache_goes_by_memory(data_dir, monkeypatch):
    monkeypatch.setattr(pipeline, "_available_memory", lambda: 4 * 21 * 8 * 8 * 3)
    assert not isinstance(load_test(data_dir).images, np.memmap)
    monkeypatch.setattr(pipeline, "_available_memory", lambda: 4 * 21 * 8 * 8 * 3 - 1)
    assert isinstance(load_test(data_dir).images, np.memmap)
    monkeypatch.setattr(pipeline, "_available_memory", lambda: 1000)
    with pytest.raises(InputError, match="use --cache=disk"):
        load_test(data_dir, cache="memory")


@pytest.fixture
def own_data_dir(data_dir, tmp_path):
    """The prepared data with caches of its own."""
    (tmp_path / "tiny_pictures").symlink_to(f"{data_dir}/tiny_pictures")
    return tmp_path


def test_disk_cache_is_reused_and_made_again_when_damaged(own_data_dir, monkeypatch, caplog):
    reads = []
    original = cache.read
    monkeypatch.setattr(cache, "read", lambda *a: reads.append(1) or original(*a))
    expected = load_test(own_data_dir, cache="memory")
    for _ in range(2):
        split = load_test(own_data_dir, cache="disk")
        np.testing.assert_array_equal(split.images, expected.images)
    assert len(reads) == 1
    (folder,) = cache_folder(own_data_dir).iterdir()
    for file, size in (("images.npy", 2000), ("label_0.npy", 20), ("metadata.json", 5)):
        with open(folder / file, "r+b") as damaged:
            damaged.truncate(size)
        caplog.clear()
        split = load_test(own_data_dir, cache="disk")
        assert "is damaged" in caplog.text
        np.testing.assert_array_equal(split.images, expected.images)
        assert split.labels.keys() == expected.labels.keys()
        for name, values in split.labels.items():
            np.testing.assert_array_equal(values, expected.labels[name])
    assert len(reads) == 4
    load_test(own_data_dir, cache="disk", crop=0.5)
    load_test(own_data_dir, cache="disk", test_split="test[:4]")
    assert len(reads) == 6
    assert len(list(cache_folder(own_data_dir).iterdir())) == 3


def test_stopped_run_leaves_no_cache(own_data_dir, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "read", stopped)
    with pytest.raises(KeyboardInterrupt):
        load_test(own_data_dir, cache="disk")
    assert not list(cache_folder(own_data_dir).iterdir())


def test_leftover_of_the_same_process_id_is_no_hindrance(own_data_dir):
    load_test(own_data_dir, cache="disk")
    (folder,) = cache_folder(own_data_dir).iterdir()
    folder.rename(folder.with_name(f"{folder.name}.partial-{os.getpid()}"))
    load_test(own_data_dir, cache="disk")
    assert folder.is_dir()


def test_cache_can_be_read_by_others(own_data_dir):
    load_test(own_data_dir, cache="disk")
    (folder,) = cache_folder(own_data_dir).iterdir()
    (own_data_dir / "ordinary").mkdir()
    assert folder.stat().st_mode == (own_data_dir / "ordinary").stat().st_mode


@pytest.mark.parametrize("number", [errno.ENOTEMPTY, errno.EEXIST])
def test_cache_of_a_faster_run_stands(own_data_dir, monkeypatch, number):
    reads, inodes = [], []
    read, rename = cache.read, os.rename

    def overtaken(*arguments):
        reads.append(1)
        if len(reads) == 1:
            load_test(own_data_dir, cache="disk")
            inodes.extend(path.stat().st_ino for path in whole_caches(own_data_dir))
        return read(*arguments)

    def renaming(*arguments):
        try:
            rename(*arguments)
        except OSError as error:
            raise OSError(number, os.strerror(number)) from error

    monkeypatch.setattr(cache, "read", overtaken)
    monkeypatch.setattr(os, "rename", renaming)
    split = load_test(own_data_dir, cache="disk")
    assert (len(reads), split.size) == (2, 21)
    assert [path.stat().st_ino for path in cache_folder(own_data_dir).iterdir()] == inodes
    assert len(inodes) == 1


def whole_caches(data_dir):
    return [path for path in cache_folder(data_dir).iterdir() if ".partial-" not in path.name]


def test_live_fill_is_not_taken_for_an_abandoned_one(own_data_dir, monkeypatch):
    monkeypatch.setattr(cache, "_HEARTBEAT_SECONDS", 0.01)
    read, long_ago = cache.read, time.time() - 10 * cache._ABANDONED_SECONDS
    abandoned = cache_folder(own_data_dir) / "other.partial-x"

    def slow(*arguments):
        (partial,) = cache_folder(own_data_dir).iterdir()
        os.utime(partial, (long_ago, long_ago))
        until = time.monotonic() + 10
        while partial.stat().st_mtime < long_ago + 1 and time.monotonic() < until:
            time.sleep(0.01)
        abandoned.mkdir()
        os.utime(abandoned, (long_ago, long_ago))
        cache._remove_abandoned(cache_folder(own_data_dir))
        assert list(cache_folder(own_data_dir).iterdir()) == [partial]
        return read(*arguments)

    monkeypatch.setattr(cache, "read", slow)
    assert load_test(own_data_dir, cache="disk").size == 21


def test_cache_that_cannot_be_written(own_data_dir):
    cache_folder(own_data_dir).write_text("in the way")
    with pytest.raises(InputError, match=r"can't be written .*--cache=memory"):
        load_test(own_data_dir, cache="disk")


def test_not_prepared_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_source, "network_reachable", lambda url: False)
    before = time.monotonic()
    data = DataConfig(dataset="celeb_a", data_dir=str(tmp_path))
    with pytest.raises(InputError) as error:
        pipeline.load_split(data, SHAPE, "train")
    assert time.monotonic() - before < 5
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


def test_failed_download_leaves_nothing(tmp_path, monkeypatch):
    def failing(builder, **arguments):
        litter = tmp_path / "downloads" / "celeb_a" / "file.tmp.0123"
        litter.mkdir(parents=True)
        raise ConnectionError("quota exceeded\nand more")

    monkeypatch.setattr(tfds_source, "network_reachable", lambda url: True)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", failing)
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


def test_one_process_prepares_and_the_others_wait(tmp_path, monkeypatch, capsys):
    """As several workers do where nothing is prepared yet."""
    drawn = []
    begun, goes_on = threading.Event(), threading.Event()
    generate = TinyPictures._generate_examples

    def slowly(builder, count):
        drawn.append(count)
        begun.set()
        assert goes_on.wait(60)
        yield from generate(builder, count)

    monkeypatch.setattr(tfds_source, "network_reachable", lambda url: True)
    monkeypatch.setattr(TinyPictures, "_generate_examples", slowly)
    data = DataConfig(dataset="tiny_pictures", data_dir=str(tmp_path))
    builders = [TinyPictures(data_dir=tmp_path) for _ in range(2)]
    threads = [
        threading.Thread(target=tfds_source.ensure_prepared, args=(builder, data))
        for builder in builders
    ]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    said, deadline = "", time.monotonic() + 60
    while "Another process is preparing tiny_pictures" not in said:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        said += capsys.readouterr().out
    goes_on.set()
    for thread in threads:
        thread.join(60)
    assert all(builder.is_prepared() for builder in builders)
    assert sorted(drawn) == [21, 250]
    assert not list(tmp_path.glob(".*"))


def test_network_reachable(monkeypatch):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(405)

        def log_message(self, *arguments):
            pass

    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/file"
        assert tfds_source.network_reachable(url)
        server.shutdown()
    assert not tfds_source.network_reachable(url)


def test_synthetic_faces_is_drawn_on_first_use(tmp_path, monkeypatch, capsys):
    sizes = {"train": 6, "validation": 2, "test": 3}
    monkeypatch.setattr(synthetic_faces.SyntheticFaces, "SPLIT_SIZES", sizes)
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


def encoded(pixels, kind="PNG", **settings):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **settings)
    return file.getvalue()


def test_decode_keeps_pixels_of_the_right_size():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    decoded, enlarged = decode(encoded(pixels), (6, 9, 3))
    np.testing.assert_array_equal(decoded, pixels)
    assert not enlarged
    assert decode(encoded(pixels), (12, 12, 3))[1]
    assert decode(encoded(pixels), (5, 5, 3), crop=0.5)[1]


@pytest.mark.parametrize("channels", [1, 3])
def test_decode_crops_and_scales_like_tensorflow(channels):
    coarse = np.random.default_rng(0).integers(0, 256, (28, 23, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((178, 218), Image.Resampling.BICUBIC))
    decoded, _ = decode(encoded(pixels), (64, 64, channels), crop=148 / 178)
    centre = tf.image.resize(pixels[35:183, 15:163], (64, 64), antialias=True).numpy()
    if channels == 1:
        centre = centre @ np.array([[0.299], [0.587], [0.114]])
    assert decoded.shape == (64, 64, channels)
    np.testing.assert_allclose(decoded, centre, atol=1.5)


def test_decode_reduces_large_photographs_without_harm():
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((1600, 1200), Image.Resampling.BICUBIC))
    from_jpeg, _ = decode(encoded(pixels, "JPEG", quality=98), (32, 32, 3), crop=0.9)
    from_png, _ = decode(encoded(pixels), (32, 32, 3), crop=0.9)
    difference = np.abs(from_jpeg.astype(int) - from_png)
    assert difference[1:-1, 1:-1].max() <= 4
    assert difference.mean() < 1.5


def test_decode_converts_channels():
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    colour, _ = decode(encoded(grey), SHAPE)
    np.testing.assert_array_equal(colour, np.repeat(grey[..., None], 3, -1))
    deep, _ = decode(encoded(grey.astype(np.uint16) * 1028), (8, 8, 1))
    np.testing.assert_array_equal(deep[..., 0], grey.astype(int) * 4)
    clear = np.zeros((8, 8, 4), np.uint8)
    assert (decode(encoded(clear), SHAPE)[0] == 255).all()


def test_small_images_are_enlarged_with_one_warning(data_dir, caplog):
    data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, cache="memory")
    split = pipeline.load_split(data, (16, 16, 1), "test")
    assert split.images.shape == (21, 16, 16, 1)
    warnings = [r.getMessage() for r in caplog.records if "enlarged" in r.msg]
    assert len(warnings) == 1
    assert "21 of the 21 images of tiny_pictures test are smaller than 16x16" in warnings[0]
