"""TFDS builders: the one that has a name, and how its data come onto this machine."""

from __future__ import annotations

import contextlib
import difflib
import os
import pathlib
import shutil
import urllib.parse
from typing import TYPE_CHECKING

import tensorflow_datasets as tfds
from tensorflow_datasets.core.naming import camelcase_to_snakecase

from tf_mmdvlae.common.errors import InputError, explained, first_line
from tf_mmdvlae.common.files import locked
from tf_mmdvlae.common.network import network_reachable
from tf_mmdvlae.config import known_datasets
from tf_mmdvlae.data.prepare import FILES, PAGES

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig


def find_builder(data: DataConfig) -> tfds.core.DatasetBuilder:
    """The TFDS builder of `data.dataset`, prepared or not.

    Raises:
      InputError: if there is none of that name; the message lists similar names.
    """
    # TFDS would look into a folder whose name is "~".
    data_dir = data.data_dir and os.path.expanduser(data.data_dir)
    if data.dataset == "synthetic_faces":
        from tf_mmdvlae.data.faces.builder import SyntheticFaces

        return SyntheticFaces(data_dir=data_dir)
    # TFDS takes MNIST and Mnist for mnist, but our config of that name would not be found.
    if any(letter.isupper() for letter in data.dataset.partition("/")[0]):
        raise InputError(_wrong_case(data.dataset))
    try:
        return tfds.builder(data.dataset, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise InputError(_unknown(data.dataset)) from error
    except (ValueError, ImportError, RuntimeError, AssertionError) as error:
        raise InputError(f"TFDS can't open {data.dataset!r}: {first_line(error)}") from error


def _unknown(name):
    close = difflib.get_close_matches(name.lower(), sorted(_names()), n=5)
    message = f"Data set {name!r} is not known."
    if close:
        message += f" Close: {', '.join(close)}."
    configured = ", ".join(known_datasets())
    return f"{message} Configured: {configured}; any image set of TFDS works too."


def _wrong_case(dataset):
    name = dataset.partition("/")[0].partition(":")[0]
    names = _names()
    meant = next((n for n in (name.lower(), camelcase_to_snakecase(name)) if n in names), None)
    if meant is None:
        return _unknown(dataset)
    return (
        f"Data set {dataset!r} is not known: names are lower case; "
        f"did you mean {meant}{dataset.removeprefix(name)}?"
    )


def _names():
    # Community data sets are listed on a server, and without a network that takes half a minute.
    return {*known_datasets(), *tfds.list_builders(with_community_datasets=False)}


def ensure_prepared(builder: tfds.core.DatasetBuilder, data: DataConfig) -> None:
    """Draws or downloads a data set that is not on this machine yet.

    Raises:
      InputError: within seconds when there is no network, or when the download fails; the message
        says what to fetch and where to put it.
    """
    if builder.data_path.exists() and builder.is_prepared():
        return
    if data.dataset == "synthetic_faces":
        print(f"Drawing {builder.name} into {builder.data_dir}, once.")
        with explained(f"{builder.name} could not be written to {builder.data_dir_root}"):
            _prepare_alone(builder)
        return
    server = next(iter(builder.url_infos or {}), "https://storage.googleapis.com/")
    if not network_reachable(server):
        raise InputError(
            f"{builder.name} is not prepared in {builder.data_dir_root} (--data_dir names another "
            f"place), and {urllib.parse.urlsplit(server).netloc} can't be reached.\n"
            f"{_manual_steps(builder, data)}"
        )
    print(f"Downloading {builder.name} into {builder.data_dir}, once.")
    try:
        _prepare_alone(builder)
    except InputError:
        raise
    except Exception as error:  # TFDS passes on whatever its many download paths raise.
        raise InputError(
            f"The download of {builder.name} failed: {first_line(error)}\n"
            f"{_manual_steps(builder, data)}"
        ) from error


def _manual_steps(builder, data):
    if builder.name not in FILES:
        return (
            f"Where there is a network, run `tfds build {data.dataset}`, then copy its folder "
            f"{builder.name} to {builder.data_dir_root}."
        )
    root = f" --data_dir={data.data_dir}" if data.data_dir else ""
    advice = (
        f"Fetch {', '.join(FILES[builder.name])}\n"
        f"from {PAGES[builder.name]} into one folder, then run\n"
        f"  bin/prepare --dataset={builder.name} --source=THAT_FOLDER{root}"
    )
    if builder.name == "celeb_a":
        advice += (
            "\nGoogle Drive's daily quota is the usual cause of a failed download of this set; "
            "a browser that is signed in often gets past it."
        )
    return advice


def _prepare_alone(builder):
    """Prepares in one process while others wait; workers all start with nothing there.

    On failure what was half done is removed, but no file that arrived whole.
    """
    root = pathlib.Path(builder.data_dir_root).expanduser()
    root.mkdir(parents=True, exist_ok=True)
    downloads = root / "downloads"
    message = f"Another process is preparing {builder.name}; waiting for it ..."
    with locked(root / f".{builder.name}.lock", message, wait=True):
        before = set(downloads.rglob("*.tmp.*"))
        try:
            # This does nothing where another process has prepared the data set in the meantime.
            builder.download_and_prepare()
        except BaseException:
            for path in set(downloads.rglob("*.tmp.*")) - before:
                shutil.rmtree(path, ignore_errors=True)
            folders = [path for path in downloads.rglob("*") if path.is_dir()]
            for folder in [*sorted(folders, reverse=True), downloads, builder.data_path.parent]:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise
