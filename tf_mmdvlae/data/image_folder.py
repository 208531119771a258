"""A folder of JPEG, PNG and WebP images as a data set."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import ImageMode

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.paths import expanded, user_cache
from tf_mmdvlae.data.copies import copies
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
        self.class_names: dict[str, list[str]]
        by_name, labels, self.class_names = _labelled(data)
        names, places = list(by_name), list(by_name.values())
        limit = data.test_fraction * 2**64
        rows = [row for row in range(len(names)) if (places[row] < limit) == (which == "test")]
        rows.sort(key=places.__getitem__)
        self._names = [names[row] for row in rows]
        self._labels = {name: values[rows] for name, values in labels.items()}
        self.name = f"{self._root} {which}"
        if not rows:
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
    def fingerprint(self) -> list[str]:
        parts = [str(self._root.resolve()), *self.class_names]
        for position in range(self.count):
            parts.append(path := self.identify(position))
            try:
                status = os.stat(path)
            except OSError:  # The pass over the images reports it, a link to nothing say.
                parts.append("unreadable")
            else:
                parts += [str(status.st_size), str(status.st_mtime_ns)]
        for name, values in self._labels.items():
            parts += [name, hashlib.sha256(values.tobytes()).hexdigest()]
        return parts

    def batches(self, size: int) -> Iterator[tuple[list[bytes], dict[str, np.ndarray]]]:
        paths = self._paths()
        for start in range(0, self.count, size):
            labels = {name: values[start : start + size] for name, values in self._labels.items()}
            yield paths[start : start + size], labels

    def identify(self, position: int) -> str:
        """The path of the image at `position`."""
        return str(self._root / self._names[position])

    def contents(self, part: int = 0, parts: int = 1) -> tf.data.Dataset:
        """The paths of the images, in order."""
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(self._paths()[part::parts])

    def decode(self, content: bytes, image_shape: Shape, crop: float) -> tuple[np.ndarray, bool]:
        return decode(os.fsdecode(content), image_shape, crop, upright=True)

    def _paths(self):
        return [os.fsencode(self.identify(position)) for position in range(self.count)]


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
    root, (places, _, _) = _root(data), _labelled(data)
    names = sorted(places, key=places.__getitem__)
    if len(names) < 2 * _LEAST_OF_SPLIT:
        raise InputError(_too_few(root, len(names)))
    shares = [places[name] / 2**64 for name in names]
    wanted = sum(share < data.test_fraction for share in shares)
    counts = [
        count
        for count in range(_LEAST_OF_SPLIT, len(names) - _LEAST_OF_SPLIT + 1)
        if shares[count - 1] < shares[count]
    ]
    if not counts:
        raise InputError(
            f"The {len(names)} pictures in {root} are copies of {len(set(shares))}; at least "
            f"{2 * _LEAST_OF_SPLIT} different ones are needed."
        )
    count = min(counts, key=lambda count: abs(count - wanted))
    fraction = data.test_fraction
    if count != wanted:
        below, above = shares[count - 1], shares[count]
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


def _labelled(data):
    """Names within the folder -> places; column -> [n] labels of these; column -> class names.

    A place is a number below 2**64. Those of files with the same bytes are the same.
    """
    root, names = _root(data), _pictures(data)
    places = dict(zip(names, map(_hash, names), strict=True))
    if data.listing != OLD_RULES:
        groups = copies([str(root / name) for name in names])
        for group in groups:
            # They lie in the training split if one of them does.
            place = max(places[names[row]] for row in group)
            places |= dict.fromkeys((names[row] for row in group), place)
        if extra := sum(map(len, groups)) - len(groups):
            warn_once(f"{extra} of the {len(names)} pictures in {root} are copies of others.")
    if data.labels and data.labels != NO_LABELS:
        names, labels, class_names = read_label_file(data.labels, names, data.listing)
        return {name: places[name] for name in names}, labels, class_names
    is_old = data.listing == OLD_RULES
    folder_of = {name: _folder(name) if is_old else _composed(_folder(name)) for name in names}
    folders = sorted(set(folder_of.values()))
    if data.labels == NO_LABELS or len(folders) == 1:
        return places, {}, {}
    if len(folders) > _MOST_CLASSES and not is_old:
        raise InputError(
            f"{root} has {len(folders):,} sub-folders, and {_MOST_CLASSES:,} classes are the most. "
            "--labels=none trains without classes, --labels=FILE.csv names other labels."
        )
    ids = {folder: number for number, folder in enumerate(folders)}
    classes = np.array([ids[folder_of[name]] for name in names], np.int64)
    return places, {"class": classes}, {"class": folders}


def _root(data):
    if not data.image_dir:
        raise InputError("--dataset=image_folder needs --image_dir=DIR.")
    root = expanded(data.image_dir)
    if not root.is_dir():
        raise InputError(f"--image_dir={root} is {'not a folder' if root.exists() else 'missing'}.")
    return root


def _pictures(data):
    root = _root(data)
    names, files, left_out = list_pictures(root, data.listing)
    if not names:
        what = f"{files} files but no" if files else "nothing, and no"
        others = f" There are {in_words(left_out)}." if left_out else ""
        raise InputError(f"{root} holds {what} image ({', '.join(ENDINGS)}) at any depth.{others}")
    if len(names) == 1:
        raise InputError(_too_few(root, 1))
    return names


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
