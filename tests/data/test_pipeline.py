"""Splits and batches, on small TFDS data sets whose pixels tell which example they are."""

import logging
import pathlib
import types

import numpy as np
import psutil
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.data.description import describe

SHAPE = (8, 8, 3)
UNREADABLE = (17, 140)


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


def picture(number):
    """The picture of an example of `tiny_pictures`."""
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[..., 0] = number
    pixels[:, :4, 1] = 255
    return pixels


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


def test_unreadable_examples_are_named(data_dir, tiny_pictures, caplog):
    data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, cache="memory")
    with caplog.at_level(logging.WARNING):
        pipeline.load_split(data, SHAPE, "train")
    named = [r.getMessage().split(" ")[0] for r in caplog.records if "can't be read" in r.msg]
    assert len(named) == 2
    builder = tiny_pictures(data_dir=data_dir)
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
    assert not list(pathlib.Path(data_dir, "tf_mmdvlae_cache").glob("*broken*"))


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


def test_the_first_images_are_read_without_writing(train_split, data_dir):
    cache = pathlib.Path(data_dir, "tf_mmdvlae_cache")
    before = sorted(cache.rglob("*"))
    kind = "none" if train_split.images is None else "disk"
    data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, cache=kind)
    first, sizes = pipeline.load_first(data, SHAPE, 20)
    assert sizes == {"train": 250, "test": 21}
    assert (first.size + first.skipped, first.stream is None) == (20, kind == "disk")
    found = np.concatenate([np.asarray(b) for b in pipeline.evaluation_batches(first, 8)])
    whole = np.concatenate([np.asarray(b) for b in pipeline.evaluation_batches(train_split, 50)])
    assert np.array_equal(found[: first.size], whole[: first.size])
    assert sorted(cache.rglob("*")) == before


def test_describe(data_dir):
    description = describe(DataConfig(dataset="tiny_pictures", data_dir=data_dir))
    assert description.image_shape == SHAPE
    assert description.splits == {"train": 250, "test": 21}
    assert description.count("train[:40%]") == 100
    with pytest.raises(InputError, match="has no split 'holdout'"):
        description.count("holdout")


def test_auto_cache_goes_by_memory(data_dir, monkeypatch):
    def load(available, cache="auto"):
        memory = types.SimpleNamespace(available=available)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, cache=cache)
        return pipeline.load_split(data, SHAPE, "test")

    assert not isinstance(load(4 * 21 * 8 * 8 * 3).images, np.memmap)
    assert isinstance(load(4 * 21 * 8 * 8 * 3 - 1).images, np.memmap)
    with pytest.raises(InputError, match="use --cache=disk"):
        load(1000, cache="memory")


def test_small_images_are_enlarged_with_one_warning(data_dir, caplog):
    data = DataConfig(dataset="tiny_pictures", data_dir=data_dir, cache="memory")
    split = pipeline.load_split(data, (16, 16, 1), "test")
    assert split.images.shape == (21, 16, 16, 1)
    warnings = [r.getMessage() for r in caplog.records if "enlarged" in r.msg]
    assert len(warnings) == 1
    assert "21 of the 21 images of tiny_pictures test are smaller than 16x16" in warnings[0]
