"""The images and labels of a TFDS data set, which is prepared where it is not there yet.

One that is unknown, has no image, can't be had or lacks the split is an InputError.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import operator
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.data.builders import ensure_prepared, find_builder
from tf_mmdvlae.data.decode import decode

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig

_SHUFFLED_BYTES = 256 * 2**20


class TFDSSource:
    """The images of one TFDS split expression as they are stored, a `reading.Source`."""

    decode = staticmethod(decode)

    def __init__(self, data: DataConfig, split: str) -> None:
        builder = self._builder = find_builder(data)
        self._split = split
        self._image, self._labels = _find_features(builder)
        ensure_prepared(builder, data)
        info = _split_info(builder, split)
        with self._explained():
            self._shards = info.file_instructions
        self.name = f"{builder.name} {split}"
        self.count: int = info.num_examples
        self.files = len(self._shards)
        self.class_names = {
            name: list(feature.names)
            for name, (_, feature) in self._labels.items()
            if hasattr(feature, "names")
        }
        self.cache_folder = pathlib.Path(builder.data_dir_root).expanduser() / "tf_mmdvlae_cache"
        whole = builder.info.splits[split.partition("[")[0]] if "[" in split else info
        self.fingerprint = [builder.info.full_name, split, str(self.count), str(whole.num_bytes)]
        average = max(1, whole.num_bytes // max(1, whole.num_examples))
        self.shuffle_buffer = max(1, min(self.count, _SHUFFLED_BYTES // average))

    def batches(self, size: int) -> Iterator[tuple[list[bytes], dict[str, np.ndarray]]]:
        batches = self._read().batch(size).as_numpy_iterator()
        while True:
            with self._explained():
                batch = next(batches, None)
            if batch is None:
                return
            labels = {
                name: _at(batch, path).astype(_dtype(feature))
                for name, (path, feature) in self._labels.items()
            }
            yield list(_at(batch, self._image)), labels

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except (ValueError, tf.errors.OpError) as error:
            raise InputError(
                f"The records of {self._builder.name} in {self._builder.data_dir} can't be read: "
                f"{first_line(error)}. Remove that folder and prepare the data set again."
            ) from error

    def identify(self, position: int) -> str:
        """The TFDS id of the example at `position`: its shard, and its index in the shard."""
        for shard in self._shards:
            if position < shard.take:
                return f"{os.path.basename(shard.filename)}__{shard.skip + position}"
            position -= shard.take
        raise IndexError(position)

    def contents(self, part: int = 0, parts: int = 1) -> tf.data.Dataset:
        return self._read(part, parts, labels=False).map(lambda example: _at(example, self._image))

    def _read(self, part=0, parts=1, labels=True):
        wanted = [self._image] + [path for path, _ in self._labels.values()] * labels
        skip = _nested({self._image: tfds.decode.SkipDecoding()})
        decoders = tfds.decode.PartialDecoding(_nested(dict.fromkeys(wanted, True)), skip)
        # One shard after the other, so that `identify` can count.
        config = tfds.ReadConfig(interleave_cycle_length=1)
        if parts > 1:
            config.input_context = tf.distribute.InputContext(parts, part)
        with _no_deprecations():
            return self._builder.as_dataset(self._split, decoders=decoders, read_config=config)


def describe_builder(
    data: DataConfig,
) -> tuple[tuple[int | None, int | None, int | None], dict[str, int], Callable[[str], int]]:
    """The shape of the stored images, the splits (name -> number of examples), and a function that
    counts the examples of a split expression."""
    builder = find_builder(data)
    path, _ = _find_features(builder)
    ensure_prepared(builder, data)
    counts = {name: split.num_examples for name, split in builder.info.splits.items()}
    shape = tuple(_at(builder.info.features, path).shape)
    return shape, counts, lambda split: _split_info(builder, split).num_examples


def _split_info(builder, split):
    splits = f"It has: {', '.join(builder.info.splits)}."
    try:
        info = builder.info.splits[split]
    except (KeyError, ValueError) as error:
        raise InputError(f"{builder.name} has no split {split!r}. {splits}") from error
    if not info.num_examples:
        raise InputError(f"Split {split!r} of {builder.name} is empty. {splits}")
    return info


def _find_features(builder):
    """The path of a builder's image, and its labels: name -> (path, feature)."""
    leaves = dict(_leaves(builder.info.features))
    images = [path for path, feature in leaves.items() if _is_image(feature)]
    if not images:
        names = ", ".join("/".join(path) for path in leaves)
        raise InputError(f"{builder.name} has no 8-bit image among its features: {names}.")
    image = ("image",) if ("image",) in images else images[0]
    labels = {}
    for path, feature in leaves.items():
        if _dtype(feature) is not None:
            name = path[-1] if path[-1] not in labels else "/".join(path)
            labels[name] = path, feature
    return image, labels


def _is_image(feature):
    return type(feature) is tfds.features.Image and feature.np_dtype == np.uint8


def _leaves(features, path=()):
    if isinstance(features, tfds.features.FeaturesDict):
        for name, feature in features.items():
            yield from _leaves(feature, (*path, name))
    else:
        yield path, features


def _dtype(feature):
    """The NumPy type in which a label is kept; None for what is not a label."""
    if isinstance(feature, tfds.features.ClassLabel):
        return np.int64 if feature.num_classes else None
    if not isinstance(feature, tfds.features.Tensor) or feature.shape != ():
        return None
    if np.issubdtype(feature.np_dtype, np.floating):
        return np.float32
    return np.bool_ if feature.np_dtype == np.bool_ else None


def _at(example, path):
    return functools.reduce(operator.getitem, path, example)


def _nested(by_path):
    nested = {}
    for path, value in by_path.items():
        inner = nested
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return nested


@contextlib.contextmanager
def _no_deprecations():
    """Keeps TFDS from logging that it uses deprecated functions itself."""

    def is_wanted(record):
        return "deprecated" not in record.getMessage()

    with contextlib.ExitStack() as stack:
        for logger in (logging.getLogger("absl"), logging.getLogger("tensorflow")):
            logger.addFilter(is_wanted)
            stack.callback(logger.removeFilter, is_wanted)
        yield
