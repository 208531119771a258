"""Reads every image of a source once, in several threads, and leaves out what can't be read.

In this room `image_shape` is the height, width and channels of the model's images, and `crop`, in
(0, 1], the side of the centre of an image that is kept.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.progress import Progress

if TYPE_CHECKING:
    import tensorflow as tf

_log = logging.getLogger(__name__)

TOLERATED = 0.01
"""The share of unreadable images above which something else must be wrong."""

_BATCH = 256
_TASK = 32
_IN_FLIGHT = 4
_QUIET_SECONDS = 3

Shape = tuple[int, ...]


class Source(Protocol):
    """The stored images and the labels of one split, in an order that is always the same.

    Attributes:
      name: data set and split, for messages.
      count: number of images, unreadable ones included.
      files: number of files that hold them.
      class_names: label name -> the names of its classes, for the labels that are class ids.
      shuffle_buffer: number of elements of `contents` to shuffle among.
    """

    name: str
    count: int
    files: int
    class_names: dict[str, list[str]]
    shuffle_buffer: int

    @property
    def cache_folder(self) -> pathlib.Path:
        """Where a disk cache of the data set belongs."""

    @property
    def fingerprint(self) -> Iterable[str]:
        """What the key of a disk cache is made of."""

    def batches(self, size: int) -> Iterator[tuple[list[bytes], dict[str, np.ndarray]]]:
        """Yields (contents for `decode`, labels: name -> [at most `size`]) in order."""

    def identify(self, position: int) -> str:
        """The name, for messages, of the image at `position`."""

    def contents(self, part: int = 0, parts: int = 1) -> tf.data.Dataset:
        """The contents for `decode` in order, as scalar strings.

        With several parts, at most `files`, those in every `parts`-th file from `part` on.
        """

    def decode(self, content: bytes, image_shape: Shape, crop: float) -> tuple[np.ndarray, bool]:
        """What `data.decode.decode` gives for one content."""


def read(
    source: Source,
    image_shape: Shape,
    crop: float,
    store: np.ndarray | None = None,
    tolerated: float = TOLERATED,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Decodes every image of `source`; more unreadable ones than `tolerated`, a share, are an
    InputError.

    The n readable images go into the first n rows of `store`, uint8 [source.count, height, width,
    channels]; None keeps no pixels. Returns which images are readable, bool [source.count], and the
    labels of those, name -> [n].
    """
    readable = np.zeros(source.count, bool)
    labels = collections.defaultdict(list)
    position = size = enlarged = 0
    progress = Progress(source.count, "images read", delay=_QUIET_SECONDS)
    with contextlib.closing(_decoded_batches(source, image_shape, crop)) as batches:
        for outcomes, batch_labels in batches:
            for pixels, is_enlarged in outcomes:
                readable[position] = not isinstance(pixels, Exception)
                if not readable[position]:
                    _leave_out(source, position, position - size + 1, pixels, tolerated)
                else:
                    if store is not None:
                        store[size] = pixels
                    size += 1
                    enlarged += is_enlarged
                position += 1
            for name, values in batch_labels.items():
                labels[name].append(values)
            progress.update(position, source.name)
    progress.close()
    if enlarged:
        _log.warning(
            "%d of the %d images of %s are smaller than %dx%d pixels and were enlarged.",
            *(enlarged, size, source.name, image_shape[1], image_shape[0]),
        )
    return readable, {name: np.concatenate(parts)[readable] for name, parts in labels.items()}


def _leave_out(source, position, unreadable, error, tolerated):
    identifier = source.identify(position)
    _log.warning("%s can't be read and is left out: %s", identifier, error)
    if unreadable > tolerated * source.count:
        raise InputError(
            f"{unreadable} images of {source.name} can't be read, more than {tolerated:.0%} of its "
            f"{source.count}; the last was {identifier}: {error}"
        )


def _decoded_batches(source, image_shape, crop):
    """Yields ((pixels or the error, whether enlarged) of each image, labels) of every batch."""

    def attempt(content):
        try:
            return source.decode(content, image_shape, crop)
        except Exception as error:  # Pillow raises whatever its decoders ran into.
            return error, False

    def attempt_some(contents):
        return [attempt(content) for content in contents]

    waiting = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(processors()) as pool:
        try:
            for contents, labels in source.batches(_BATCH):
                tasks = [contents[at : at + _TASK] for at in range(0, len(contents), _TASK)]
                outcomes = pool.map(attempt_some, tasks)
                waiting.append((itertools.chain.from_iterable(outcomes), labels))
                if len(waiting) == _IN_FLIGHT:
                    yield waiting.popleft()
            yield from waiting
        finally:
            pool.shutdown(cancel_futures=True)


def processors() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
