"""Turns files that a person downloaded by hand into a TFDS data set, without the network."""

from __future__ import annotations

import contextlib
import gzip
import logging
import math
import pathlib
import sys
import zipfile
import zlib
from collections.abc import Iterator

from tf_mmdvlae.common.errors import InputError, explained, first_line
from tf_mmdvlae.common.files import (
    digest,
    hidden_folder,
    made_folder,
    place_folder,
    remove_abandoned,
)
from tf_mmdvlae.common.paths import expanded, require_plain

_log = logging.getLogger(__name__)

FILES = {
    "celeb_a": (
        "img_align_celeba.zip",
        "list_attr_celeba.txt",
        "list_eval_partition.txt",
        "list_landmarks_align_celeba.txt",
        "identity_CelebA.txt",
    ),
    "mnist": (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ),
}
"""The data sets that `prepare` takes, and the files that each consists of."""

PAGES = {
    "celeb_a": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (Align&Cropped Images)",
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/<file>",
}
"""Where a person finds those files."""

MNIST_IMAGES = {"train": 60_000, "t10k": 10_000}
"""Number of images in each part of MNIST."""


def prepare(
    dataset: str, source: pathlib.Path | str, data_dir: pathlib.Path | str | None = None
) -> str:
    """Prepares a TFDS data set from files on this machine; no connection is attempted.

    Either the whole data set is there afterwards, or nothing of it. Another data set, a file that
    is missing, truncated, unreadable or not what its name says, and a full disk are an InputError.

    Args:
      dataset: "celeb_a" or "mnist".
      source: the folder with the files, which may lie in its sub-folders. MNIST's may be unpacked.
      data_dir: the root of the TFDS data sets; None is TFDS's own default.

    Returns:
      The folder of the prepared data set.
    """
    if dataset not in FILES:
        names = ", ".join(sorted(FILES))
        raise InputError(f"{dataset!r} can't be prepared from files; these can: {names}.")
    import tensorflow_datasets as tfds

    bars_on_terminals_only()
    data_dir = tfds_root(data_dir)
    builder = tfds.builder(dataset, data_dir=data_dir)
    root = pathlib.Path(builder.data_dir_root)
    remove_abandoned(root, f"prepare_{dataset}")
    if builder.data_path.exists() and builder.is_prepared():
        print(f"{dataset} is prepared already in {builder.data_dir}.")
        return str(builder.data_dir)
    paths = _find(dataset, source)
    failure = f"{root} can't be written"
    with explained(failure), hidden_folder(root / f"prepare_{dataset}") as stage:
        _stage(dataset, paths, stage)
        # Within the hidden folder, so that a killed process leaves nothing elsewhere.
        hidden = tfds.builder(dataset, data_dir=stage / "data")
        with _recorded_as(hidden, stage), explained_tfds(failure):
            config = tfds.download.DownloadConfig(manual_dir=str(stage), try_download_gcs=False)
            downloads = str(stage / "downloads")
            hidden.download_and_prepare(download_dir=downloads, download_config=config)
        place = pathlib.Path(builder.data_dir)
        with made_folder(place.parent):
            # Another process may have prepared the same in the meantime.
            place_folder(pathlib.Path(hidden.data_dir), place)
    print(f"{dataset} is ready in {builder.data_dir}.")
    return str(builder.data_dir)


def bars_on_terminals_only() -> None:
    """Stops TFDS from writing its progress bars, thousands of lines, into files and pipes."""
    if not sys.stderr.isatty():
        import tensorflow_datasets as tfds

        tfds.disable_progress_bar()


@contextlib.contextmanager
def explained_tfds(failure: str) -> Iterator[None]:
    """Turns any error of the block, in which TFDS writes a data set, into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # TFDS passes on whatever its threads and TensorFlow raise.
        advice = "Make room there, and give the same command again."
        raise InputError(f"{failure}: {first_line(error)}. {advice}") from error


def tfds_root(data_dir: pathlib.Path | str | None) -> pathlib.Path:
    """The root of the TFDS data sets: `data_dir`, or TFDS's own.

    A root that is a home folder which nobody has, or that TFDS can't read back, is an `InputError`.
    """
    from tensorflow_datasets.core import constants

    # TFDS would make a folder whose name is "~".
    root = expanded(data_dir or constants.DATA_DIR)
    require_plain(root)
    return root


def _find(dataset, source):
    source = expanded(source)
    if not source.is_dir():
        raise InputError(f"--source={source} is not a folder.")
    files = (path for path in sorted(source.rglob("*"), reverse=True) if path.is_file())
    by_name = {path.name.lower(): path for path in files}
    paths = {}
    for name in FILES[dataset]:
        plain = name.lower().removesuffix(".gz")
        spellings = [name.lower(), plain]
        if name.endswith(".gz"):
            dotted = plain.replace("-idx", ".idx")
            spellings += [dotted, f"{dotted}.gz"]
        paths[name] = next((by_name[s] for s in spellings if s in by_name), None)
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        hint = f" Get them from {PAGES[dataset]}."
        if any(pathlib.Path(name).stem.lower() + ".csv" in by_name for name in missing):
            hint = f" The .csv files there are a repackaging; the .txt files are needed.{hint}"
        elif "img_align_celeba.zip" in missing and "000001.jpg" in by_name:
            hint = f" The images must stay in their zip file.{hint}"
        raise InputError(f"{source} lacks {', '.join(missing)}.{hint}")
    return paths


def _stage(dataset, paths, stage):
    """Checks the files and lays them out under the names by which TFDS finds them."""
    for name, path in paths.items():
        content = None
        if dataset == "mnist":
            unpacked = _read_idx(path, name)
            if path.name != name:
                content = gzip.compress(unpacked, 1, mtime=0)
        elif name.endswith(".txt") and not (text := _read(path)).endswith(b"\n"):
            # TFDS drops what follows the last line break.
            content = text + b"\n"
        if content is None:
            (stage / name).symlink_to(path.resolve())
        else:
            (stage / name).write_bytes(content)
    if dataset == "celeb_a":
        _check_celeb_a(paths)


def _read(path):
    with explained(f"{path} can't be read"):
        return path.read_bytes()


def _read_idx(path, name):
    """The unpacked content of one of MNIST's files; the format is that of LeCun's page."""
    content = _read(path)
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} is truncated or damaged: {error}") from error
    elif path.suffix == ".gz":
        raise InputError(f"{path} is not a gzip file.")
    is_labels = "labels" in name
    shape = [MNIST_IMAGES[name.partition("-")[0]]] + ([] if is_labels else [28, 28])
    if content[:4] != bytes([0, 0, 8, len(shape)]):
        raise InputError(f"{path} is not an IDX file of bytes in {len(shape)} dimensions.")
    length = 4 + 4 * len(shape)
    sides = [int.from_bytes(content[at : at + 4], "big") for at in range(4, length, 4)]
    if sides != shape:
        raise InputError(f"{path} has shape {sides}; MNIST's has {shape}.")
    size = length + math.prod(shape)
    if len(content) != size:
        state = "truncated" if len(content) < size else "too long"
        raise InputError(f"{path} is {state}: {len(content)} bytes unpacked, not {size}.")
    if is_labels and (largest := max(content[length:])) > 9:
        raise InputError(f"{path} holds the label {largest}; digits go from 0 to 9.")
    return content


def _check_celeb_a(paths):
    from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as celeb_a

    list_file = paths["list_eval_partition.txt"]
    partition = _rows(list_file)
    splits = {"0": "train", "1": "validation", "2": "test"}
    for name, (part,) in partition.items():
        if part not in splits:
            choices = "0 (train), 1 (validation) or 2 (test)"
            raise InputError(f"{list_file} puts {name} in part {part}; it must be {choices}.")
    for part, split in splits.items():
        if [part] not in partition.values():
            raise InputError(f"{list_file} has no image in part {part} ({split}).")
    headings = {
        "list_attr_celeba.txt": celeb_a.ATTR_HEADINGS,
        "list_landmarks_align_celeba.txt": celeb_a.LANDMARK_HEADINGS,
        "identity_CelebA.txt": None,
    }
    for name, heading in headings.items():
        rows = _rows(paths[name], heading)
        _check_complete(paths[name], partition, rows, "; it is truncated or strange")
    _check_zip(paths["img_align_celeba.zip"], partition)


def _check_complete(path, partition, names, remark=""):
    absent = partition.keys() - names
    if absent:
        raise InputError(
            f"{path} lacks {len(absent)} of the {len(partition)} images in "
            f"list_eval_partition.txt, {min(absent)} for one{remark}."
        )


def _rows(path, heading=None):
    """Reads lines of a file's name and values: one, or those of `heading` and its row count."""
    try:
        lines = _read(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file.") from error
    if any("<html" in line.lower() for line in lines[:5]):
        raise InputError(f"{path} is a web page, not the file; its download was refused.")
    expected, columns = None, 1
    if heading is not None:
        if len(lines) < 2 or not lines[0].strip().isdigit():
            raise InputError(f"{path} must start with the number of its rows and a heading.")
        if sorted(lines[1].split()) != sorted(heading):
            raise InputError(f"{path} must have these columns: {' '.join(heading)}.")
        expected, columns = int(lines[0]), len(heading)
        lines = lines[2:]
    rows = {}
    for name, *values in filter(None, map(str.split, lines)):
        if len(values) != columns or not all(v.removeprefix("-").isdigit() for v in values):
            rule = f"a file name and {columns} whole numbers belong there"
            raise InputError(f"{path} is truncated or damaged at {name}: {rule}.")
        rows[name] = values
    if not rows or (expected is not None and len(rows) != expected):
        raise InputError(f"{path} has {len(rows)} rows, not the {expected or 'many'} it should.")
    return rows


def _check_zip(path, partition):
    try:
        with explained(f"{path} can't be read"), zipfile.ZipFile(path) as archive:
            members = {pathlib.PurePosixPath(name).name for name in archive.namelist()}
            _check_complete(path, partition, members)
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        raise InputError(f"{path} is truncated or not a zip file: {error}") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    except RuntimeError as error:  # Encrypted, or packed in a way that Python does not know.
        raise InputError(f"{path} can't be unpacked: {error}") from error
    if damaged:
        raise InputError(f"{path} is damaged at {damaged}; download it again.")
    surplus = sum(name.lower().endswith(".jpg") for name in members) - len(partition)
    if surplus > 0:
        _log.warning("%s has %d images that no list names; they are left out.", path, surplus)


@contextlib.contextmanager
def _recorded_as(builder, stage):
    """Lets TFDS take the staged files, whose content was checked, for the ones on its record."""
    from tensorflow_datasets.core.download import checksums

    record = builder.url_infos
    original = dict(record)
    try:
        for url, info in original.items():
            if info.filename not in FILES[builder.name]:
                continue
            path = stage / info.filename
            with explained(f"{path.resolve()} can't be read"):
                size, checksum = path.stat().st_size, digest(path)
            if checksum != info.checksum:
                _log.warning(
                    "%s is whole but not byte for byte TFDS's own (%d bytes for %d); it is taken.",
                    *(info.filename, size, info.size),
                )
            record[url] = checksums.UrlInfo(type(info.size)(size), checksum, info.filename)
        yield
    finally:
        record.update(original)
