"""Turns files that a person downloaded by hand into a TFDS data set, without the network."""

import contextlib
import gzip
import hashlib
import logging
import os
import pathlib
import shutil
import tempfile
import zipfile
import zlib

from tf_mmdvlae.common.errors import InputError

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
"""The data sets that `prepare` knows, and the files that each is made of."""

PAGES = {
    "celeb_a": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (Align&Cropped Images)",
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/<file>",
}
"""Where a person finds those files."""

_MNIST_SHAPES = {
    "train-images-idx3-ubyte.gz": (60000, 28, 28),
    "train-labels-idx1-ubyte.gz": (60000,),
    "t10k-images-idx3-ubyte.gz": (10000, 28, 28),
    "t10k-labels-idx1-ubyte.gz": (10000,),
}
_LABELS_AT = 8


def prepare(dataset, source, data_dir=None):
    """Prepares a TFDS data set from files on this machine; no connection is attempted.

    Either the whole data set is there afterwards, or nothing of it.

    Args:
      dataset: "celeb_a" or "mnist".
      source: the folder with the files, which may lie in sub-folders of it. MNIST's may be
        gzipped or not.
      data_dir: the root of the TFDS data sets; None is TFDS's own default.

    Returns:
      The folder of the prepared data set, as a string.

    Raises:
      InputError: if the data set is not one of these; if a file is missing, truncated, not what
        its name says or can't be read; or if the disk has no room.
    """
    if dataset not in FILES:
        raise InputError(
            f"{dataset!r} can't be prepared from files; these can: {', '.join(sorted(FILES))}."
        )
    import tensorflow_datasets as tfds

    # TFDS would make a folder whose name is "~".
    builder = tfds.builder(dataset, data_dir=data_dir and os.path.expanduser(data_dir))
    if builder.data_path.exists() and builder.is_prepared():
        print(f"{dataset} is prepared already in {builder.data_dir}.")
        return str(builder.data_dir)
    found = _find(dataset, source)
    root = pathlib.Path(builder.data_dir_root).expanduser()
    try:
        root.mkdir(parents=True, exist_ok=True)
        staging = tempfile.mkdtemp(prefix=f"prepare_{dataset}_", dir=root)
    except OSError as error:
        raise InputError(f"{root} can't be written: {error.strerror}.") from error
    try:
        _stage(dataset, found, pathlib.Path(staging))
        digests = {}
        for name, path in found.items():
            with _reading(path):
                digests[name] = _digest(pathlib.Path(staging) / name)
        with _recorded_as(builder, digests):
            builder.download_and_prepare(
                download_dir=os.path.join(staging, "downloads"),
                download_config=tfds.download.DownloadConfig(
                    manual_dir=staging, try_download_gcs=False
                ),
            )
    except OSError as error:
        raise InputError(f"{dataset} could not be written to {root}: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    print(f"{dataset} is ready in {builder.data_dir}.")
    return str(builder.data_dir)


def _find(dataset, source):
    source = pathlib.Path(source).expanduser()
    if not source.is_dir():
        raise InputError(f"--source={source} is not a folder.")
    by_name = {}
    for path in sorted(source.rglob("*")):
        if path.is_file():
            by_name.setdefault(path.name.lower(), path)
    found, missing = {}, []
    for name in FILES[dataset]:
        spellings = [name.lower()]
        if name.endswith(".gz"):
            plain = name.removesuffix(".gz")
            spellings += [
                plain,
                plain.replace("-idx", ".idx"),
                plain.replace("-idx", ".idx") + ".gz",
            ]
        path = next((by_name[s] for s in spellings if s in by_name), None)
        if path is None:
            missing.append(name)
        else:
            found[name] = path
    if missing:
        hint = f" Get them from {PAGES[dataset]}."
        if any(pathlib.Path(name).stem.lower() + ".csv" in by_name for name in missing):
            hint = f" The .csv files there are a repackaging; the .txt files are needed.{hint}"
        elif "img_align_celeba.zip" in missing and "000001.jpg" in by_name:
            hint = f" The images must stay in their zip file.{hint}"
        raise InputError(f"{source} lacks {', '.join(missing)}.{hint}")
    return found


def _stage(dataset, found, staging):
    """Checks the files and lays them out under the names by which TFDS finds them."""
    for name, path in found.items():
        target = staging / name
        if dataset == "mnist":
            content = _read_idx(path, _MNIST_SHAPES[name])
            if "labels" in name and (largest := max(content[_LABELS_AT:])) > 9:
                raise InputError(f"{path} holds the label {largest}; digits go from 0 to 9.")
            if path.name == name:
                target.symlink_to(path.resolve())
            else:
                target.write_bytes(gzip.compress(content, 1, mtime=0))
        elif name.endswith(".txt") and not (content := _read(path)).endswith(b"\n"):
            # TFDS drops what follows the last line break.
            target.write_bytes(content + b"\n")
        else:
            target.symlink_to(path.resolve())
    if dataset == "celeb_a":
        _check_celeb_a(found)


@contextlib.contextmanager
def _reading(path):
    """Tells a source that can't be read from a target that can't be written."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}.") from error


def _read(path):
    with _reading(path):
        return path.read_bytes()


def _read_idx(path, shape):
    content = _read(path)
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} is truncated or damaged: {error}") from error
    elif path.suffix == ".gz":
        raise InputError(f"{path} is not a gzip file.")
    header = b"\x00\x00\x08" + bytes([len(shape)])
    header += b"".join(side.to_bytes(4, "big") for side in shape)
    if content[:4] != header[:4]:
        raise InputError(f"{path} is not an IDX file of {len(shape)}-dimensional bytes.")
    if content[: len(header)] != header:
        sides = [
            int.from_bytes(content[at : at + 4], "big") for at in range(4, 4 + 4 * len(shape), 4)
        ]
        raise InputError(f"{path} holds {sides}, but MNIST's has {list(shape)}.")
    length = len(header)
    size = 1
    for side in shape:
        size *= side
    if len(content) != length + size:
        state = "truncated" if len(content) < length + size else "too long"
        raise InputError(f"{path} is {state}: {len(content)} bytes unpacked, not {length + size}.")
    return content


def _check_celeb_a(found):
    from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as celeb_a

    partition = _rows(found["list_eval_partition.txt"], columns=1)
    attributes = _rows(found["list_attr_celeba.txt"], names=celeb_a.ATTR_HEADINGS)
    landmarks = _rows(found["list_landmarks_align_celeba.txt"], names=celeb_a.LANDMARK_HEADINGS)
    identity = _rows(found["identity_CelebA.txt"], columns=1)
    for name, values in partition.items():
        if values not in (["0"], ["1"], ["2"]):
            raise InputError(
                f"{found['list_eval_partition.txt']} puts {name} in part {values[0]}; "
                "it must be 0 (train), 1 (validation) or 2 (test)."
            )
    for part, split in (("0", "train"), ("1", "validation"), ("2", "test")):
        if [part] not in partition.values():
            raise InputError(
                f"{found['list_eval_partition.txt']} has no image in part {part} ({split})."
            )
    for file, rows in (
        ("list_attr_celeba.txt", attributes),
        ("list_landmarks_align_celeba.txt", landmarks),
        ("identity_CelebA.txt", identity),
    ):
        absent = partition.keys() - rows.keys()
        if absent:
            raise InputError(
                f"{found[file]} lacks {len(absent)} of the {len(partition)} images in "
                f"list_eval_partition.txt, {min(absent)} for one; it is truncated or strange."
            )
    _check_zip(found["img_align_celeba.zip"], partition)


def _rows(path, names=None, columns=None):
    """Reads `file value value ...` lines; with `names`, a count and a heading come first."""
    try:
        lines = _read(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file.") from error
    if any("<html" in line.lower() for line in lines[:5]):
        raise InputError(f"{path} is a web page, not the file; its download was refused.")
    expected = None
    if names is not None:
        if len(lines) < 2 or not lines[0].strip().isdigit():
            raise InputError(f"{path} must start with the number of its rows and a heading.")
        expected = int(lines[0])
        if sorted(lines[1].split()) != sorted(names):
            raise InputError(f"{path} must have these columns: {' '.join(names)}.")
        columns = len(names)
        lines = lines[2:]
    rows = {}
    for line in lines:
        fields = line.split()
        if not fields:
            continue
        if len(fields) != columns + 1 or not all(_is_integer(field) for field in fields[1:]):
            raise InputError(
                f"{path} is truncated or damaged at {fields[0]}: "
                f"a file name and {columns} whole numbers belong there."
            )
        rows[fields[0]] = fields[1:]
    if not rows or (expected is not None and len(rows) != expected):
        raise InputError(f"{path} has {len(rows)} rows, not the {expected or 'many'} it should.")
    return rows


def _is_integer(text):
    return text.removeprefix("-").isdigit()


def _check_zip(path, partition):
    try:
        with _reading(path), zipfile.ZipFile(path) as archive:
            members = {pathlib.PurePosixPath(name).name for name in archive.namelist()}
            absent = partition.keys() - members
            if absent:
                raise InputError(
                    f"{path} lacks {len(absent)} of the {len(partition)} images in "
                    f"list_eval_partition.txt, {min(absent)} for one."
                )
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


def _digest(path):
    with open(path, "rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _recorded_as(builder, digests):
    """Lets TFDS take these files, whose content was checked above, for the ones on its record."""
    from tensorflow_datasets.core.download import checksums

    record = builder.url_infos
    original = dict(record)
    try:
        for url, info in original.items():
            if info.filename not in digests:
                continue
            size, digest = digests[info.filename]
            if digest != info.checksum:
                _log.warning(
                    "%s is whole but not byte for byte TFDS's own (%d bytes for %d); it is taken.",
                    info.filename,
                    size,
                    info.size,
                )
            record[url] = checksums.UrlInfo(
                size=type(info.size)(size), checksum=digest, filename=info.filename
            )
        yield
    finally:
        record.update(original)
