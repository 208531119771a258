"""Decoded images on disk, so that the next run need not decode them again."""

import contextlib
import errno
import hashlib
import json
import logging
import os
import pathlib
import shutil
import tempfile
import threading
import time

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.reading import read

_log = logging.getLogger(__name__)

_FORMAT = 1
_ABANDONED_SECONDS = 3600
_HEARTBEAT_SECONDS = 60


def cached(source, image_shape, crop):
    """Reads a source through its disk cache, which is filled when it is not there or not whole.

    A cache is a folder that appears under its name when it is complete.

    Args:
      source: a `TFDSSource` or `FolderSource`.
      image_shape: height, width, channels.
      crop: side of the centre that is kept, in (0, 1].

    Returns:
      images, a uint8 np.memmap [n, height, width, channels], and labels, name -> [n].

    Raises:
      InputError: if the folder can't be written, the disk has no room, or images can't be read.
    """
    key = json.dumps([_FORMAT, source.fingerprint, list(image_shape), crop])
    name = "".join(c if c.isalnum() else "_" for c in source.name)[-60:].strip("_")
    folder = source.cache_folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    found = _open(folder, image_shape)
    if found is None:
        # Before another run can have put a whole one in its place.
        shutil.rmtree(folder, ignore_errors=True)
        _fill(folder, source, image_shape, crop)
        found = _open(folder, image_shape)
    if found is None:
        raise InputError(f"The cache {folder} can't be read back; use --cache=memory.")
    return found


def _open(folder, image_shape):
    if not folder.exists():
        return None
    try:
        metadata = json.loads((folder / "metadata.json").read_text())
        images = np.load(folder / "images.npy", mmap_mode="r")
        if images.shape[1:] != tuple(image_shape) or len(images) < metadata["size"]:
            raise ValueError("its images have another shape")
        labels = {}
        for number, label in enumerate(metadata["labels"]):
            labels[label] = np.load(folder / f"label_{number}.npy")
            if len(labels[label]) != metadata["size"]:
                raise ValueError(f"its label {label} has another length")
    except (OSError, ValueError, KeyError, EOFError) as error:
        _log.warning("The cache %s is damaged (%s) and is made again.", folder, error)
        return None
    return images[: metadata["size"]], labels


def _fill(folder, source, image_shape, crop):
    shape = (source.count, *image_shape)
    with _explained(source.cache_folder):
        source.cache_folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(source.cache_folder)
        needed, free = int(np.prod(shape)), shutil.disk_usage(source.cache_folder).free
        if needed > free:
            raise InputError(
                f"The cache of {source.name} takes {needed / 1e9:.1f} GB, but "
                f"{source.cache_folder} has {free / 1e9:.1f} GB free; "
                "use --cache=memory or --cache=none."
            )
        partial = tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=source.cache_folder)
    try:
        with _explained(source.cache_folder), _heartbeat(partial):
            # mkdtemp's folder is for one user's eyes only; the cache is not.
            temporary = pathlib.Path(partial) / "whole"
            temporary.mkdir()
            store = np.lib.format.open_memmap(temporary / "images.npy", "w+", np.uint8, shape)
            reading = read(source, image_shape, crop, store)
            store.flush()
            for number, values in enumerate(reading.labels.values()):
                np.save(temporary / f"label_{number}.npy", values)
            metadata = {"size": int(reading.readable.sum()), "labels": list(reading.labels)}
            (temporary / "metadata.json").write_text(json.dumps(metadata))
            try:
                temporary.rename(folder)
            except OSError as error:
                # When another run was faster its cache stands, and is the same.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _explained(folder):
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The image cache {folder} can't be written ({error.strerror or error}); "
            "use --cache=memory."
        ) from error


@contextlib.contextmanager
def _heartbeat(folder):
    """Keeps a folder's time of change recent; what is written through a memory map may not."""
    done = threading.Event()

    def beat():
        while not done.wait(_HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(folder)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _remove_abandoned(folder: pathlib.Path):
    for partial in folder.glob("*.partial-*"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(partial, ignore_errors=True)
