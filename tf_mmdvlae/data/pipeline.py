"""Images as tf.data batches whose order is a function of seed and step.

A batch is float32 [batch, height, width, channels] in [0, 1]. A data set that is unknown, holds no
image or can't be had is an InputError of whatever reads it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.memory import available_memory
from tf_mmdvlae.data.cache import cached, cached_if_slow
from tf_mmdvlae.data.image_folder import FolderSource
from tf_mmdvlae.data.reading import TOLERATED, Shape, Source, read

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig

_SHARE_OF_MEMORY = 0.25
_SMALL = 512 * 2**20


@dataclasses.dataclass(frozen=True)
class Split:
    """The readable images of one split, with their labels.

    Attributes:
      name: "train" or "test".
      images: uint8 [size, height, width, channels] in 0..255, in memory or a np.memmap; None when
        they are decoded anew each time (`cache="none"`).
      labels: name -> [size]: int64 class ids, bool attributes or float32 factors.
      class_names: name -> the classes' names, for the int64 ones.
      size: number of images.
      skipped: images that could not be read and were left out.
      stream: decodes the images anew; None when `images` is given.
    """

    name: str
    images: np.ndarray | None
    labels: dict[str, np.ndarray]
    class_names: dict[str, list[str]]
    size: int
    skipped: int = 0
    stream: Stream | None = dataclasses.field(default=None, repr=False, compare=False)


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of every batch that process 0 ... `processes` - 1 takes when several train together.

    A batch is cut into as many equal pieces as all processes have `devices`, in order: a process's
    pieces lie side by side.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1


def load_split(data: DataConfig, image_shape: Shape, which: str) -> Split:
    """Reads one split, `which` = "train" or "test", or opens its cache.

    `image_shape` is height, width and channels of the model's images. Unreadable images are named
    in the log and left out, with their labels; more than 1% of them are an InputError, and so are
    an unknown split and a cache that can't be written.
    """
    if which not in ("train", "test"):
        raise InputError(f"There is no split {which!r}; there are train and test.")
    source = _open_source(data, which)
    return _read(
        source, which, _choose_cache(data.cache, source, image_shape), image_shape, data.crop
    )


def _read(source, which, cache, image_shape, crop, tolerated=TOLERATED) -> Split:
    stream, images = None, None
    if cache in ("auto", "disk"):
        open_or_read = cached if cache == "disk" else cached_if_slow
        images, labels = open_or_read(source, image_shape, crop)
        size = len(images)
    else:
        store = np.empty((source.count, *image_shape), np.uint8) if cache == "memory" else None
        readable, labels = read(source, image_shape, crop, store, tolerated)
        size = int(readable.sum())
        if store is not None:
            images = store[:size]
        else:
            stream = Stream(source, readable, image_shape, crop)
    return Split(which, images, labels, source.class_names, size, source.count - size, stream)


class _First:
    """The first images of a source."""

    def __init__(self, source, count):
        self._source, self.count = source, min(count, source.count)

    def __getattr__(self, name):
        return getattr(self._source, name)

    def batches(self, size):
        left = self.count
        for contents, labels in self._source.batches(size):
            yield contents[:left], {name: values[:left] for name, values in labels.items()}
            left -= len(contents)
            if left <= 0:
                return

    def contents(self, part=0, parts=1):
        return self._source.contents(part, parts).take(self.count)


def load_first(data: DataConfig, image_shape: Shape, count: int) -> tuple[Split, dict[str, int]]:
    """Reads at most `count` training images, the first ones, and writes nothing.

    A data set that is not prepared would be. With `cache="none"` the images are decoded anew each
    time, otherwise they lie in memory.

    Returns:
      These images as a split without labels, and the number of images in "train" and "test".
    """
    sources = {name: _open_source(data, name) for name in ("train", "test")}
    sizes = {name: source.count for name, source in sources.items()}
    source: Any = _First(sources["train"], count)
    cache = "none" if data.cache == "none" else "memory"
    # One of few says nothing about all.
    split = _read(source, "train", cache, image_shape, data.crop, tolerated=0.5)
    return dataclasses.replace(split, labels={}, class_names={}), sizes


def training_batches(
    split: Split,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    flip: bool = False,
    share: Share | None = None,
) -> tf.data.Dataset:
    """Endless shuffled batches; the k-th is a function of `seed`, an integer from 0, and k alone.

    Images kept in memory and on disk come in the same order; with `cache="none"` it is another one,
    shuffled within a buffer only. Each epoch is a permutation of the split, and a batch may reach
    into the next epoch. Starting at `start_step` gives the batches that a run from step 0 would get
    from there on, at no cost when the images are cached.

    Args:
      batch_size: images per batch; more than `split.size`, and what can't be cut into the equal
        pieces of `share`, are an InputError.
      flip: True mirrors each image left to right with probability 1/2.
      share: the `Share` of each batch that is wanted; None for all. Its pieces follow each other,
        one per element; of images in memory or on disk only theirs are read. With `cache="none"`
        each process shuffles a part of the data of its own, so that the batches are others than in
        one process.
    """
    share = share or Share()
    pieces = share.processes * share.devices
    if batch_size % pieces:
        raise InputError(
            f"The batch size {batch_size} can't be divided between {pieces} devices; give a "
            f"multiple of {pieces}."
        )
    if batch_size > split.size:
        raise InputError(
            f"The batch size {batch_size} is larger than the {split.size} images of the "
            f"{split.name} split."
        )
    size = batch_size // pieces
    own = share.devices * size
    first = share.process * own
    if split.stream is not None:
        items = split.stream.contents(share.process, share.processes)
        items = items.shuffle(split.stream.shuffle_buffer, seed, reshuffle_each_iteration=True)
        items = items.repeat().skip(start_step * own).batch(size, drop_remainder=True)
        fetch = split.stream.fetch
    else:
        items = _shuffled_indices(split.size, batch_size, seed, start_step)
        items = items.map(lambda batch: batch[first : first + own]).rebatch(size)
        fetch = _gather(split.images)

    def to_piece(number, piece):
        images = fetch(piece)
        images = tf.ensure_shape(images, [size, *images.shape[1:]])
        if flip:
            step = start_step + number // share.devices
            start = first + number % share.devices * size
            # A seed below zero belongs to no permutation and to none of the model's noise.
            noise = tf.random.stateless_uniform([batch_size], [-1 - seed, step], alg="philox")
            rows = tf.where(noise[start : start + size] < 0.5)
            # Choosing between all images and all mirrored ones costs three times as much.
            mirrored = tf.reverse(tf.gather_nd(images, rows), [2])
            images = tf.tensor_scatter_nd_update(images, rows, mirrored)
        return images

    # Where several workers don't know that there is always one more, each step asks all of them.
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return _scaled(items.enumerate(), to_piece).apply(endless)


def evaluation_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """Every image once, in the order of `split.labels`; the last batch may be shorter."""
    if split.stream is not None:
        items, fetch = split.stream.contents(), split.stream.fetch
    else:
        items, fetch = tf.data.Dataset.range(split.size), _gather(split.images)
    return _scaled(items.batch(batch_size), fetch)


@contextlib.contextmanager
def explained_stream(split: Split) -> Iterator[None]:
    """Turns TensorFlow's error of an image that can be read no more into an `InputError`."""
    try:
        yield
    except tf.errors.OpError as error:
        if split.stream is None or split.stream.failure is None:
            raise
        raise split.stream.failure from error


def _open_source(data, which) -> Source:
    if data.dataset == "image_folder":
        return FolderSource(data, which)
    from tf_mmdvlae.data.tfds_source import TFDSSource

    return TFDSSource(data, data.train_split if which == "train" else data.test_split)


def _choose_cache(cache, source, image_shape):
    needed, available = source.count * int(np.prod(image_shape)), available_memory()
    if cache == "memory" and needed > available:
        sizes = f"takes {needed / 1e9:.1f} GB of memory, but {available / 1e9:.1f} GB are free"
        raise InputError(f"{source.name} {sizes}; use --cache=disk.")
    is_large = needed > min(_SMALL, _SHARE_OF_MEMORY * available)
    return "disk" if cache == "auto" and is_large else cache


def _shuffled_indices(size, batch_size, seed, start_step):
    first, offset = divmod(start_step * batch_size, size)

    def permutation(epoch):
        # index_shuffle would need no whole permutation, but for neighbouring seeds its permutations
        # of 60,000 correlate by 0.9.
        order = tf.random.experimental.stateless_shuffle(
            tf.range(size, dtype=tf.int64), [seed, epoch], alg="philox"
        )
        return order[tf.where(epoch == first, tf.cast(offset, tf.int64), 0) :]

    epochs = tf.data.Dataset.counter(first).map(permutation)
    return epochs.prefetch(1).rebatch(batch_size, drop_remainder=True)


def _gather(images):
    # NumPy gathers from memory and from disk alike; a tf.constant would be a second copy of all.
    return _numpy_map(lambda indices: np.take(images, indices, axis=0), images.shape[1:])


def _numpy_map(function, image_shape):
    """`function` from a batch of items to uint8 [batch, *image_shape], as one of tensors."""

    def fetch(items):
        batch = tf.numpy_function(function, [items], tf.uint8, False)
        return tf.ensure_shape(batch, [None, *image_shape])

    return fetch


def _scaled(items, to_bytes):
    """What `to_bytes` gives for each element of `items`, uint8 in 0..255, as float32 in [0, 1]."""

    def to_images(*item):
        return tf.cast(to_bytes(*item), tf.float32) / 255.0

    images = items.map(to_images, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return images.prefetch(tf.data.AUTOTUNE)


class Stream:
    """The stored images of a source without the unreadable ones, decoded batch by batch.

    `readable`, bool [source.count], says which can be decoded.

    Attributes:
      shuffle_buffer: number of elements of `contents` to shuffle among.
      fetch: decodes a tensor of some `contents` to uint8 [batch, height, width, channels].
      failure: why `fetch` failed, None if it did not; TensorFlow buries what Python raised.
    """

    def __init__(
        self, source: Source, readable: np.ndarray, image_shape: Shape, crop: float
    ) -> None:
        self._source, self._readable = source, readable
        self.shuffle_buffer = source.shuffle_buffer
        self.failure: InputError | None = None

        def decode(contents):
            try:
                return np.stack([source.decode(item, image_shape, crop)[0] for item in contents])
            except Exception as error:  # Pillow raises whatever its decoders ran into.
                self.failure = InputError(
                    f"An image of {source.name} can be read no more: {first_line(error)}."
                )
                raise

        self.fetch = _numpy_map(decode, image_shape)

    def contents(self, part: int = 0, parts: int = 1) -> tf.data.Dataset:
        """The stored images in order, or with several parts a share of them; see `Source`."""
        if self._readable.all() and parts <= self._source.files:
            return self._source.contents(part, parts)
        readable = tf.data.Dataset.from_tensor_slices(self._readable)
        pairs = tf.data.Dataset.zip(self._source.contents(), readable)
        contents = pairs.filter(lambda content, good: good).map(lambda content, good: content)
        return contents.shard(parts, part)
