"""Files that are written whole or not at all."""

import contextlib
import json
import math
import os
import pathlib
import shutil
import zipfile

import numpy as np

from tf_mmdvlae.common.errors import InputError


@contextlib.contextmanager
def replacing(path):
    """Yields a temporary path beside `path`, which takes its place when the block ends well.

    The temporary name keeps `path`'s endings. If the block fails, `path` stays as it was and the
    temporary file is removed.

    Raises:
      InputError: if the disk is full or the folder cannot be written.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"Could not write {path}: {error.strerror or error}. What was there is unchanged."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def require_space(folder, size):
    """Proves that `size` bytes fit in `folder`; HDF5 takes the process down where they do not.

    Raises:
      InputError: if they do not.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InputError(
            f"No space left in {folder}: {size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are "
            "free."
        )


def write_json(path, values):
    """Writes `values` to `path` as indented JSON, whole or not at all; NaN becomes null."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_finite(values), indent=2, allow_nan=False) + "\n")


def write_arrays(path, arrays):
    """Writes name -> array to `path` as .npz, whole or not at all."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_arrays(path):
    """Reads what `write_arrays` wrote: name -> array.

    Raises:
      InputError: if the file cannot be read.
    """
    try:
        with np.load(path) as content:
            return dict(content)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _finite(values):
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_finite(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return None
    return values


def make_folder(path):
    """Makes the folder `path` and proves that files can be written there.

    Raises:
      InputError: if it cannot be made or written.
    """
    path = pathlib.Path(path)
    probe = path / f".{os.getpid()}.probe"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"Cannot write to {path}: {error.strerror or error}. Choose another folder."
        ) from error
    return path
