"""Decoded images on disk, so that the next run does not decode them again."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import math
import os
import pathlib
import shutil
import time

import numpy as np

from tf_mmdvlae.common import files
from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.data.reading import Shape, Source, read

_log = logging.getLogger(__name__)

_FORMAT = 1
_CHUNK = 4096
_QUICK_SECONDS = 5


def cached(
    source: Source, image_shape: Shape, crop: float
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reads a source from its disk cache; writes the cache where it is missing or damaged.

    A cache is a folder that appears under its name when it is complete. Its digest is compared when
    it is opened; one without a digest, as older versions wrote it, is made again. Without a folder
    to write, room on the disk or readable images there is an InputError.

    Returns:
      images, a uint8 np.memmap [n, height, width, channels], and labels, name -> [n].
    """
    folder = _folder(source, image_shape, crop)
    contents = _open(folder, image_shape)
    if contents is None:
        _fill(folder, source, image_shape, lambda store: read(source, image_shape, crop, store))
        # Its digest was made a moment ago.
        contents = _open(folder, image_shape, is_new=True)
    if contents is None:
        raise InputError(f"The cache {folder} can't be read back; use --cache=memory.")
    return contents


def cached_if_slow(
    source: Source, image_shape: Shape, crop: float
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """As `cached`, but images that are decoded within five seconds stay in memory alone.

    So do those whose cache can't be written.
    """
    folder = None
    with contextlib.suppress(InputError):
        folder = _folder(source, image_shape, crop)
        if contents := _open(folder, image_shape):
            return contents
    images, began = np.empty((source.count, *image_shape), np.uint8), time.monotonic()
    readable, labels = read(source, image_shape, crop, images)

    def copy(store):
        store[:] = images
        return readable, labels

    if folder and (time.monotonic() - began > _QUICK_SECONDS or os.path.exists(folder)):
        with contextlib.suppress(InputError):
            _fill(folder, source, image_shape, copy)
    return images[: readable.sum()], labels


def _folder(source, image_shape, crop):
    name = "".join(c if c.isalnum() else "_" for c in source.name)[-60:].strip("_")
    return source.cache_folder / f"{name}-{_key(source, image_shape, crop)[:16]}"


def _key(source, image_shape, crop):
    """The digest of what decides on the content, as JSON; a million paths come a few at a time."""
    parts = iter(source.fingerprint)
    chunks = iter(lambda: list(itertools.islice(parts, _CHUNK)), [])
    key, comma = hashlib.sha256(f"[{_FORMAT}, [".encode()), ""
    for chunk in chunks:
        key.update((comma + json.dumps(chunk)[1:-1]).encode())
        comma = ", "
    key.update(f"], {json.dumps(list(image_shape))}, {json.dumps(crop)}]".encode())
    return key.hexdigest()


def _open(folder, image_shape, is_new=False):
    # Of a folder that may not be looked into Path.exists() raises an error.
    if not os.path.exists(folder):
        return None
    try:
        fields = {"size": int, "labels": list, "sha256": str}
        metadata = files.read_json(folder / "metadata.json", fields=fields)
        if not is_new and _digest(folder, metadata) != metadata["sha256"]:
            raise ValueError("its bytes have changed")
        images = np.load(folder / "images.npy", mmap_mode="r")
        if images.shape[1:] != tuple(image_shape) or len(images) < metadata["size"]:
            raise ValueError("its images have another shape")
        labels = {}
        for number, label in enumerate(metadata["labels"]):
            labels[label] = np.load(folder / f"label_{number}.npy")
            if len(labels[label]) != metadata["size"]:
                raise ValueError(f"its label {label} has another length")
    except (OSError, ValueError, EOFError) as error:
        _log.warning("The cache %s is damaged (%s) and is made again.", folder, error)
        return None
    return images[: metadata["size"]], labels


def _fill(folder: pathlib.Path, source, image_shape, read_into):
    """Makes a cache; `read_into` fills an array, and returns what `reading.read` does."""
    shape = (source.count, *image_shape)
    failure = f"The image cache {source.cache_folder} can't be written"
    with explained(failure, "Use --cache=memory."):
        # Now, for another run may put a whole cache there while this one reads.
        shutil.rmtree(folder, ignore_errors=True)
        source.cache_folder.mkdir(parents=True, exist_ok=True)
        files.remove_abandoned(source.cache_folder)
        advice = "Use --cache=memory or --cache=none."
        files.require_space(source.cache_folder, math.prod(shape), advice)
        with files.hidden_folder(folder) as hidden:
            store = np.lib.format.open_memmap(hidden / "images.npy", "w+", np.uint8, shape)
            with open(hidden / "images.npy", "r+b") as file:
                files.allocate(file, os.fstat(file.fileno()).st_size)
            readable, labels = read_into(store)
            store.flush()
            for number, values in enumerate(labels.values()):
                np.save(hidden / f"label_{number}.npy", values)
            metadata = {"size": int(readable.sum()), "labels": list(labels)}
            metadata["sha256"] = _digest(hidden, metadata)
            files.write_json(hidden / "metadata.json", metadata)
            # A run that was faster leaves the same cache; that one stands.
            files.place_folder(hidden, folder)


def _digest(folder, metadata):
    """One digest of all that a cache holds."""
    arrays = {path.name: files.digest(path) for path in sorted(folder.glob("*.npy"))}
    content = json.dumps([metadata["size"], metadata["labels"], arrays])
    return hashlib.sha256(content.encode()).hexdigest()
