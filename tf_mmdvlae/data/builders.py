"""TFDS builders: the one that has a name, and how its data come onto this machine."""

from __future__ import annotations

import contextlib
import difflib
import pathlib
import shutil
import urllib.parse
from typing import TYPE_CHECKING

import tensorflow_datasets as tfds
from tensorflow_datasets.core.naming import camelcase_to_snakecase

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.files import locked
from tf_mmdvlae.common.network import network_reachable
from tf_mmdvlae.config import known_datasets
from tf_mmdvlae.data.prepare import (
    FILES,
    PAGES,
    bars_on_terminals_only,
    explained_tfds,
    tfds_root,
)

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig


def find_builder(data: DataConfig) -> tfds.core.DatasetBuilder:
    """The TFDS builder of `data.dataset`, prepared or not; an InputError lists similar names."""
    data_dir = tfds_root(data.data_dir)
    name, _, version = data.dataset.partition(":")
    # TFDS takes MNIST and Mnist for mnist, but our config of that name would not be found.
    if any(letter.isupper() for letter in data.dataset.partition("/")[0]):
        raise InputError(_unknown(data.dataset))
    try:
        if name == "synthetic_faces":
            from tf_mmdvlae.data.faces.builder import SyntheticFaces

            return SyntheticFaces(data_dir=data_dir, version=version or None)
        return tfds.builder(data.dataset, data_dir=data_dir)
    except InputError:
        raise
    except tfds.core.DatasetNotFoundError as error:
        raise InputError(_unknown(data.dataset)) from error
    except Exception as error:  # TFDS raises whatever its parsers ran into.
        raise InputError(f"TFDS can't open {data.dataset!r}: {first_line(error)}") from error


def _unknown(dataset):
    # Community data sets are listed on a server, and without a network that takes half a minute.
    names = {*known_datasets(), *tfds.list_builders(with_community_datasets=False)}
    name = dataset.partition("/")[0].partition(":")[0]
    message = f"Data set {dataset!r} is not known"
    for lower in (name.lower(), camelcase_to_snakecase(name)):
        if lower != name and lower in names:
            meant = dataset.replace(name, lower, 1)
            return f"{message}: names are lower case; did you mean {meant}?"
    close = ", ".join(difflib.get_close_matches(dataset.lower(), sorted(names), n=5))
    close = f" Close: {close}." if close else ""
    configured = ", ".join(known_datasets())
    return f"{message}.{close} Configured: {configured}; any image set of TFDS works too."


def is_prepared(data: DataConfig) -> bool:
    """Whether a TFDS data set is on this machine; an InputError for one that is not known."""
    return _is_prepared(find_builder(data))


def _is_prepared(builder):
    return builder.data_path.exists() and builder.is_prepared()


def ensure_prepared(builder: tfds.core.DatasetBuilder, data: DataConfig) -> None:
    """Draws or downloads a data set that is not on this machine yet.

    Without a network (within seconds) and where the download fails, an InputError says what to
    fetch and where to put it.
    """
    if _is_prepared(builder):
        return
    bars_on_terminals_only()
    if builder.name == "synthetic_faces":
        print(f"Drawing {builder.name} into {builder.data_dir}, once.")
        with explained_tfds(f"{builder.name} could not be written to {builder.data_dir_root}"):
            _prepare_alone(builder)
        return
    server = next(iter(builder.url_infos or {}), "https://storage.googleapis.com/")
    steps = _manual_steps(builder, data)
    if not network_reachable(server):
        raise InputError(
            f"{builder.name} is not prepared in {builder.data_dir_root} (--data_dir names another "
            f"place), and {urllib.parse.urlsplit(server).netloc} can't be reached.\n{steps}"
        )
    print(f"Downloading {builder.name} into {builder.data_dir}, once.")
    try:
        _prepare_alone(builder)
    except InputError:
        raise
    except Exception as error:  # TFDS passes on whatever its many download paths raise.
        message = f"The download of {builder.name} failed: {first_line(error)}\n{steps}"
        raise InputError(message) from error


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
    """Prepares while other processes wait; a failure removes all but the files that came whole."""
    root = pathlib.Path(builder.data_dir_root).expanduser()
    root.mkdir(parents=True, exist_ok=True)
    downloads = root / "downloads"
    message = f"Another process is preparing {builder.name}; waiting for it ..."
    with locked(root / f".{builder.name}.lock", message, wait=True):
        if builder.name == "synthetic_faces":
            # Nobody else draws these, and whoever holds the lock draws alone.
            for leftover in builder.data_path.parent.glob("incomplete.*"):
                shutil.rmtree(leftover, ignore_errors=True)
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
