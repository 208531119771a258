"""A folder of JPEG and PNG images as a data set."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import logging
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageMode

from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.data.decode import decode

if TYPE_CHECKING:
    import tensorflow as tf

    from tf_mmdvlae.config.settings import DataConfig
    from tf_mmdvlae.data.reading import Shape

_log = logging.getLogger(__name__)

ENDINGS = (".jpg", ".jpeg", ".png")

_FEW_INTEGERS = 100
_MOST_CLASSES = 1000
_LOOKED_AT = 1000
# A batch normalization and an MMD need two.
_LEAST_OF_SPLIT = 2
_TRUE = {"1", "true"}
_FALSE = ({"0", "false"}, {"-1", "false"})


class FolderSource:
    """One split of a folder of images at any depth, a `reading.Source`.

    A file is in the test split when a hash of its name within the folder says so; a file keeps its
    split when others are added. The order within a split is that of the same hashes, so that it is
    always the same and the first n images come from all sub-folders. Labels are the columns of
    `data.labels`, or else "class", the first level of sub-folders, where there are two or more.
    Both splits have the same classes. Images are turned as their EXIF orientation says.

    A folder that is missing or holds fewer than two images, an empty split, and a file of labels
    that is missing, malformed or of other images are an InputError.
    """

    def __init__(self, data: DataConfig, which: str) -> None:
        self._root = _root(data)
        self.class_names: dict[str, list[str]]
        names, labels, self.class_names = _labelled(data)
        limit = data.test_fraction * 2**64
        hashes = [_hash(name) for name in names]
        rows = [row for row in range(len(names)) if (hashes[row] < limit) == (which == "test")]
        rows.sort(key=hashes.__getitem__)
        self._names = [names[row] for row in rows]
        self._labels = {name: values[rows] for name, values in labels.items()}
        self.name = f"{self._root} {which}"
        if not rows:
            raise InputError(
                f"None of the {len(names)} images in {self._root} is in the {which} split with "
                f"--config.data.test_fraction={data.test_fraction}; change it or add pictures."
            )
        self.count = self.files = self.shuffle_buffer = len(rows)
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        self.cache_folder = pathlib.Path(cache).expanduser() / "tf_mmdvlae"

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
    root, (names, _, _) = _root(data), _labelled(data)
    if len(names) < 2 * _LEAST_OF_SPLIT:
        raise InputError(_too_few(root, len(names)))
    names = sorted(names, key=_hash)
    shares = [_hash(name) / 2**64 for name in names]
    wanted = sum(share < data.test_fraction for share in shares)
    count = min(max(wanted, _LEAST_OF_SPLIT), len(names) - _LEAST_OF_SPLIT)
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
        with contextlib.suppress(OSError, ValueError, SyntaxError), Image.open(path) as image:
            sides.append(round(crop * min(image.size)))
            all_grey = all_grey and ImageMode.getmode(image.mode).basemode == "L"
    if not sides:
        return None, None, 3
    side = sorted(sides)[(len(sides) - 1) // 2]
    return side, side, 1 if all_grey else 3


def _labelled(data):
    """The names of the images within the folder, column -> [n] labels, column -> class names."""
    names = _image_names(_root(data))
    if data.labels:
        return _read_labels(data.labels, names)
    folders = sorted({_folder(name) for name in names})
    if len(folders) == 1:
        return names, {}, {}
    ids = {folder: number for number, folder in enumerate(folders)}
    classes = np.array([ids[_folder(name)] for name in names], np.int64)
    return names, {"class": classes}, {"class": folders}


def _read_labels(path, names):
    """Reads a CSV file of labels: a heading, then one row per image.

    The first column is a file's name, with its folders or without them where that is unique. Of
    the others, those of true and false, of 1 and 0 or of 1 and -1 become bool (but with 0 and -1
    both, classes), those of words or of at most 100 different integers classes, and those of other
    numbers float32 (an empty field is NaN). A column without any value is left out.

    Returns those of `names` that have a row, column -> [n] values, and column -> class names.
    """
    heading, rows = _read_csv(path)
    by_name = {name: name for name in names}
    for name in names:
        base = name.rpartition("/")[2]
        if base != name:
            by_name[base] = None if base in by_name else name
    if by_name.get(heading[0]):
        raise InputError(f"{path} has no heading; its first row is of the image {heading[0]}.")
    if len(heading) < 2:
        raise InputError(f"{path} needs a column of file names and then one column per attribute.")
    values_of, strangers = {}, 0
    for row in rows:
        name = by_name.get(row[0].strip().replace("\\", "/").removeprefix("./"))
        if name is None:
            strangers += 1
        else:
            values_of[name] = [value.strip() for value in row[1:]]
    if not rows:
        raise InputError(f"{path} has no row below its heading.")
    if not values_of:
        examples = f"its first is {rows[0][0]!r}, an image is {names[0]!r}"
        raise InputError(f"No row of {path} names an image of the folder; {examples}.")
    labelled = [name for name in names if name in values_of]
    if strangers:
        _log.warning("%d rows of %s name no image (or several) and are left out.", strangers, path)
    if without := len(names) - len(labelled):
        _log.warning("%d images have no row in %s and are left out.", without, path)
    labels, class_names = {}, {}
    for column, label in enumerate(heading[1:]):
        values = [values_of[name][column] for name in labelled]
        array, classes = _typed(values, f"{path}, column {label!r}")
        if array is not None:
            labels[label] = array
        if classes:
            class_names[label] = classes
    return labelled, labels, class_names


def _root(data):
    if not data.image_dir:
        raise InputError("--dataset=image_folder needs --image_dir=DIR.")
    root = pathlib.Path(data.image_dir).expanduser()
    if not root.is_dir():
        raise InputError(f"--image_dir={root} is {'not a folder' if root.exists() else 'missing'}.")
    return root


def _image_names(root):
    files = [pathlib.Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    images = [file for file in files if file.suffix.lower() in ENDINGS and file.name[0] != "."]
    names = sorted(image.relative_to(root).as_posix() for image in images)
    if not names:
        what = f"{len(files)} files but no" if files else "nothing, and no"
        raise InputError(f"{root} holds {what} image ({', '.join(ENDINGS)}) at any depth.")
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


def _read_csv(path):
    path = pathlib.Path(path).expanduser()
    failure = f"--labels={path} can't be read"
    try:
        with explained(failure), open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--labels={path} is not a CSV file: {error}") from error
    if not rows:
        raise InputError(f"--labels={path} is empty; it needs a heading and one row per image.")
    heading = [field.strip() for field in rows[0]]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(heading):
            raise InputError(f"{path}, row {number}: {len(row)} fields, not {len(heading)}.")
    return heading, rows[1:]


def _typed(values, where):
    different = set(values)
    lower = {value.lower() for value in different}
    if any(lower <= _TRUE | false for false in _FALSE):
        return np.array([value.lower() in _TRUE for value in values], bool), None
    integers = _all_parse(different, int)
    if not (integers and len(different) <= _FEW_INTEGERS) and _all_parse(different - {""}, float):
        array = np.array([value or "nan" for value in values], np.float32)
        if not np.isfinite(array).any():
            _log.warning("%s has no value and is left out.", where)
            return None, None
        return array, None
    if "" in different:
        raise InputError(f"{where}: {values.count('')} fields are empty.")
    if len(different) > _MOST_CLASSES:
        _log.warning("%s has %d different words and is left out.", where, len(different))
        return None, None
    classes = sorted(different, key=int if integers else None)
    ids = {value: number for number, value in enumerate(classes)}
    return np.array([ids[value] for value in values], np.int64), classes


def _all_parse(values, kind):
    try:
        for value in values:
            kind(value)
    except ValueError:
        return False
    return True
