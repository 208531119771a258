"""A folder of JPEG, PNG and WebP images as a data set."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import pathlib
import time
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import ImageMode

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.paths import expanded, user_cache
from tf_mmdvlae.data.copies import originals
from tf_mmdvlae.data.decode import decode, opened
from tf_mmdvlae.data.label_file import read_label_file
from tf_mmdvlae.data.listing import (
    ENDINGS,
    OLD_RULES,
    in_words,
    is_hidden,
    list_pictures,
    warn_once,
)

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_mmdvlae.config.settings import DataConfig
    from tf_mmdvlae.data.reading import Shape

NO_LABELS = "none"
"""The value of `DataConfig.labels` that takes sub-folders for no classes."""

_MOST_CLASSES = 1000
_LOOKED_AT = 1000
# A batch normalization and an MMD need two.
_LEAST_OF_SPLIT = 2
# Within less, some file systems give two changes one time.
_SETTLED_SECONDS = 3


class FolderSource:
    """One split of a folder of images at any depth, a `reading.Source`.

    A file is in the test split when a hash of its name within the folder says so; a file keeps its
    split when others are added. But files with the same bytes are all in the training split if one
    of them belongs there. The order within a split is that of the same hashes, so that it is
    always the same and the first n images come from all sub-folders. Labels are the columns of
    `data.labels`, or else "class", the first level of sub-folders, where there are two or more, up
    to 1,000. Both splits have the same classes. Images are turned as their EXIF orientation says.

    A folder that is missing or holds fewer than two images or too many classes, an empty split, and
    a file of labels that is missing, malformed or of other images are an InputError.
    """

    def __init__(self, data: DataConfig, which: str) -> None:
        self._root = _root(data)
        self._prefix = str(self._root / "-")[:-1]
        names, places, labels, self.class_names = _contents(data)
        is_test = places < np.uint64(math.ceil(data.test_fraction * 2**64))
        rows = np.flatnonzero(is_test == (which == "test"))
        rows = rows[np.argsort(places[rows], kind="stable")]
        self._names = [names[row] for row in rows]
        self._labels = {name: values[rows] for name, values in labels.items()}
        self.name = f"{self._root} {which}"
        if not self._names:
            raise InputError(
                f"None of the {len(names)} images in {self._root} is in the {which} split with "
                f"--config.data.test_fraction={data.test_fraction}; change it or add pictures."
            )
        self.count = self.files = self.shuffle_buffer = len(rows)

    @property
    def cache_folder(self) -> pathlib.Path:
        """Where a disk cache belongs; an `InputError` without a home folder."""
        return user_cache("--cache=memory")

    @property
    def fingerprint(self) -> Iterator[str]:
        yield from (str(self._root.resolve()), *self.class_names)
        for position in range(self.count):
            yield (path := self.identify(position))
            try:
                status = os.stat(path)
            except OSError:  # The pass over the images reports it, a link to nothing say.
                yield "unreadable"
            else:
                yield from (str(status.st_size), str(status.st_mtime_ns))
        for name, values in self._labels.items():
            yield from (name, hashlib.sha256(values.tobytes()).hexdigest())

    def batches(self, size: int) -> Iterator[tuple[list[bytes], dict[str, np.ndarray]]]:
        for start in range(0, self.count, size):
            rows = range(start, min(start + size, self.count))
            labels = {name: values[start : rows.stop] for name, values in self._labels.items()}
            yield self._paths(rows), labels

    def identify(self, position: int) -> str:
        """The path of the image at `position`."""
        return self._prefix + self._names[position]

    def contents(self, part: int = 0, parts: int = 1) -> tf.data.Dataset:
        """The paths of the images, in order."""
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(self._paths(range(part, self.count, parts)))

    def decode(self, content: bytes, image_shape: Shape, crop: float) -> tuple[np.ndarray, bool]:
        return decode(os.fsdecode(content), image_shape, crop, upright=True)

    def _paths(self, positions):
        return [os.fsencode(self.identify(position)) for position in positions]


def require_outside(path: pathlib.Path | str, data: DataConfig) -> None:
    """Refuses a run's folder inside an image folder, whose pictures the figures would become."""
    if not data.image_dir:
        return
    root, place = os.path.realpath(data.image_dir), os.path.realpath(path)
    is_inside = os.path.commonpath([root, place]) == root
    if is_inside and not any(map(is_hidden, place[len(root) :].split(os.sep))):
        raise InputError(
            f"{path} lies in --image_dir={data.image_dir}, where the figures of the run would be "
            "pictures to train on. Give a --workdir elsewhere, or go to another folder."
        )


def describe_folder(data: DataConfig) -> tuple[tuple[int, int, int], dict[str, int], float]:
    """What a folder holds, by the names of its files and the headers of at most 1,000 of them.

    Returns:
      Height, width and channels: the side of the largest square that most pictures fill, once cut
      to `data.crop`, and 1 channel if all are grey, 3 if not (or if no header can be read); then
      the number of pictures in "train" and "test"; then the test fraction that gives these numbers:
      `data.test_fraction`, or the next that leaves each split two pictures.

    Raises:
      InputError: for fewer than four pictures, and as for `FolderSource`.
    """
    root, contents = _root(data), _contents(data)
    if len(contents.names) < 2 * _LEAST_OF_SPLIT:
        raise InputError(_too_few(root, len(contents.names)))
    order = np.argsort(contents.places, kind="stable")
    names = [contents.names[row] for row in order]
    shares = contents.places[order] / 2.0**64
    wanted = np.count_nonzero(shares < data.test_fraction)
    counts = np.flatnonzero(np.diff(shares)) + 1
    counts = counts[(counts >= _LEAST_OF_SPLIT) & (counts <= len(names) - _LEAST_OF_SPLIT)]
    if not len(counts):
        raise InputError(
            f"The {len(names)} pictures in {root} are copies of {len(np.unique(shares))}; at least "
            f"{2 * _LEAST_OF_SPLIT} different ones are needed."
        )
    count = int(counts[np.argmin(np.abs(counts - wanted))])
    fraction = data.test_fraction
    if count != wanted:
        below, above = map(float, shares[count - 1 : count + 1])
        rounded = (round((below + above) / 2, digits) for digits in range(1, 20))
        fraction = next(share for share in rounded if below < share <= above)
    splits = {"train": len(names) - count, "test": count}
    return _usual_shape([root / name for name in names[:_LOOKED_AT]], data.crop), splits, fraction


def _usual_shape(paths, crop):
    sides, all_grey = [], True
    for path in paths:
        # The pass over the images reports what can't be read.
        with contextlib.suppress(OSError, ValueError), opened(path) as image:
            sides.append(round(crop * min(image.size)))
            all_grey = all_grey and ImageMode.getmode(image.mode).basemode == "L"
    if not sides:
        return None, None, 3
    side = sorted(sides)[(len(sides) - 1) // 2]
    return side, side, 1 if all_grey else 3


class _Contents(NamedTuple):
    """What a folder holds.

    Attributes:
      names: of the pictures, within the folder.
      places: uint64 [n], which decide on split and order; equal for files with the same bytes.
      labels: column -> [n].
      class_names: column -> the names of its classes.
    """

    names: list[str]
    places: np.ndarray
    labels: dict[str, np.ndarray]
    class_names: dict[str, list[str]]


# The last contents and what they depend on: the settings, and when what was read had changed.
_remembered: tuple[tuple, dict[str, int | None], _Contents] | None = None


def _contents(data) -> _Contents:
    """The contents of a folder, found anew where a file came or went since the last call.

    A run asks several times, and a large folder takes a minute.
    """
    global _remembered
    settings = (data.image_dir, data.labels, data.listing)
    if _remembered and _remembered[0] == settings and _changes(_remembered[1]) == _remembered[1]:
        return _remembered[2]
    _remembered, began = None, time.time_ns()
    root, listing = _root(data), _pictures(data)
    contents = _labelled(data, root, listing.names)
    has_file = data.labels and data.labels != NO_LABELS
    changes = _changes([*listing.folders, *([expanded(data.labels)] if has_file else [])])
    # Of a later change the time alone would not tell.
    if all(change and change < began - _SETTLED_SECONDS * 1e9 for change in changes.values()):
        _remembered = settings, changes, contents
    return contents


def _changes(paths):
    """Path -> when it was changed; None where it can't be read."""
    changes = dict.fromkeys(map(str, paths))
    for path in changes:
        with contextlib.suppress(OSError):
            changes[path] = os.stat(path).st_mtime_ns
    return changes


def _labelled(data, root, names) -> _Contents:
    places = np.fromiter(map(_hash, names), np.uint64, len(names))
    if data.listing != OLD_RULES:
        firsts = originals(str(root), names)
        # They lie in the training split if one of them does.
        latest = places.copy()
        np.maximum.at(latest, firsts, places)
        places = latest[firsts]
        if extra := np.count_nonzero(firsts != np.arange(len(names))):
            warn_once(f"{extra} of the {len(names)} pictures in {root} are copies of others.")
    if data.labels and data.labels != NO_LABELS:
        place_of = dict(zip(names, places, strict=True))
        names, labels, class_names = read_label_file(data.labels, names, data.listing)
        places = np.array([place_of[name] for name in names], np.uint64)
        return _Contents(names, places, labels, class_names)
    is_old = data.listing == OLD_RULES
    class_of = functools.cache(lambda folder: folder if is_old else _composed(folder))
    folder_of = [class_of(_folder(name)) for name in names]
    folders = sorted(set(folder_of))
    if data.labels == NO_LABELS or len(folders) == 1:
        return _Contents(names, places, {}, {})
    if len(folders) > _MOST_CLASSES and not is_old:
        raise InputError(
            f"{root} has {len(folders):,} sub-folders, and {_MOST_CLASSES:,} classes are the most. "
            "--labels=none trains without classes, --labels=FILE.csv names other labels."
        )
    ids = {folder: number for number, folder in enumerate(folders)}
    classes = np.array([ids[folder] for folder in folder_of], np.int64)
    return _Contents(names, places, {"class": classes}, {"class": folders})


def _root(data):
    if not data.image_dir:
        raise InputError("--dataset=image_folder needs --image_dir=DIR.")
    root = expanded(data.image_dir)
    if not root.is_dir():
        raise InputError(f"--image_dir={root} is {'not a folder' if root.exists() else 'missing'}.")
    return root


def _pictures(data):
    root = _root(data)
    listing = list_pictures(root, data.listing)
    names, files, left_out, _ = listing
    if not names:
        what = f"{files} files but no" if files else "nothing, and no"
        others = f" There are {in_words(left_out)}." if left_out else ""
        raise InputError(f"{root} holds {what} image ({', '.join(ENDINGS)}) at any depth.{others}")
    if len(names) == 1:
        raise InputError(_too_few(root, 1))
    return listing


def _too_few(root, count):
    least = _LEAST_OF_SPLIT
    return (
        f"{root} holds {count} picture{'s' * (count > 1)}; at least {2 * least} are needed, "
        f"{least} to train on and {least} to test on."
    )


def _hash(name):
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big")


def _folder(name):
    return name.partition("/")[0] if "/" in name else "."


def _composed(name):
    """The name in one of the ways to write accents, without spaces around it: a class has one."""
    return unicodedata.normalize("NFC", name).strip() or name
