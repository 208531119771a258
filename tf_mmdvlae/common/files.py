"""Files and folders that are written whole or not at all, and read with helpful errors.

What can't be read, what can't be written and a full disk are an `InputError`, where a function says
nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import glob
import hashlib
import json
import logging
import math
import os
import pathlib
import re
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from tf_mmdvlae.common.errors import InputError, explained, first_line
from tf_mmdvlae.common.paths import expanded
from tf_mmdvlae.common.shapes import misfit

_log = logging.getLogger(__name__)
# The least that a file takes on most disks.
_BLOCK = 4096


@contextlib.contextmanager
def replacing(path: pathlib.Path | str) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside the file `path`; the file there replaces `path` at the end.

    The temporary name keeps `path`'s endings. If the block fails, `path` stays as it was and the
    temporary file is removed. The next process that writes to the folder removes those that killed
    processes left there.
    """
    path = pathlib.Path(path)
    temporary = _temporary(path)
    advice = "What was there is unchanged; make room or write elsewhere."
    with explained(f"Could not write {path}", advice), made_folder(path.parent):
        _remove_temporary(path.parent)
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _temporary(path):
    return path.with_name(f".{os.getpid()}.partial.{path.name}")


@functools.cache
def _remove_temporary(folder):
    """Removes the temporary files of dead processes, once a process: many files may follow."""
    # Here, because a client reads manifests with NumPy alone.
    import psutil

    for path in folder.glob(".[0-9]*.partial.*"):
        number = path.name.split(".")[1]
        if re.fullmatch("[0-9]{1,9}", number) and not psutil.pid_exists(int(number)):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: pathlib.Path | str) -> Iterator[pathlib.Path]:
    """Yields an empty folder beside the folder `path`, which it replaces at the end.

    If the block fails, `path` stays as it was. `hidden_folder` says what a killed process leaves.
    A link to a folder stays a link.
    """
    path = pathlib.Path(path).resolve()
    advice = "What was there is unchanged; make room or give another folder."
    with explained(f"Could not write {path}", advice), hidden_folder(path) as hidden:
        if path.is_file():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file")
        yield hidden
        if not path.exists():
            os.replace(hidden, path)
            return
        # Without a lock file nobody takes it for a dead process's leftover: killed between the two
        # renames, this one loses nothing.
        old = path.with_name(f".old.{secrets.token_hex(4)}.{path.name}")
        os.replace(path, old)
        try:
            os.replace(hidden, path)
        except BaseException:
            os.replace(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def hidden_folder(path: pathlib.Path | str) -> Iterator[pathlib.Path]:
    """Yields an empty folder that is named .<random>.<name of `path`> and lies beside `path`.

    The block moves the folder to its final place (see `place_folder`); whatever is still there at
    the end is removed. A killed process leaves its folder behind, and the next one that calls this
    function with `path` removes it. A lock file beside each folder shows whether its process lives.
    A folder that can't be made is an `OSError`.
    """
    path = pathlib.Path(path)
    hidden = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    lock = pathlib.Path(f"{hidden}.lock")
    with contextlib.ExitStack() as stack:
        stack.enter_context(made_folder(path.parent))
        stack.callback(_mark_abandoned, hidden, lock)
        remove_abandoned(path.parent, glob.escape(path.name))
        if not stack.enter_context(locked(lock, f"Waiting for {lock} ...", wait=True)):
            lock.unlink(missing_ok=True)
        stack.callback(shutil.rmtree, hidden, ignore_errors=True)
        hidden.mkdir()
        yield hidden


def _mark_abandoned(hidden, lock):
    """Leaves a lock that nobody holds where a second signal has stopped the removal."""
    if hidden.exists():
        lock.touch()


def remove_abandoned(folder: pathlib.Path, name: str = "*") -> None:
    """Removes what killed processes left of their hidden folders for `name` (a glob pattern)."""
    for lock in folder.glob(f".{'[0-9a-f]' * 8}.{name}.lock"):
        with contextlib.suppress(InputError, OSError), locked(lock, "") as is_locked:
            if is_locked:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)


def place_folder(folder: pathlib.Path, path: pathlib.Path) -> bool:
    """Moves `folder` to `path`; returns False, and does nothing, where another folder stands."""
    try:
        os.rename(folder, path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


@contextlib.contextmanager
def locked(path: pathlib.Path | str, message: str, wait: bool = False) -> Iterator[bool]:
    """Holds the lock file `path` for the length of a block, so that one process alone is in it.

    The lock ends with its process, however that ends. The file is removed with the lock; its folder
    must exist. If another process holds the lock, `wait` decides: True prints `message` and waits,
    False raises an InputError of `message`. Yields False where the file system has no locks, so
    that nothing is locked; else True.
    """
    path = pathlib.Path(path)
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(open(path, "a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise InputError(message) from None
                print(message, flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                _log.warning("%s can't be locked; let one process alone work there.", path)
                yield False
                return
            # The process before may have removed the file while this one waited for its lock.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    break
        stack.callback(path.unlink, missing_ok=True)
        yield True


def digest(path: pathlib.Path | str) -> str:
    """The SHA-256 of the file `path`, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def made_folder(path: pathlib.Path | str) -> Iterator[pathlib.Path]:
    """Makes the folder `path` for a block; at the end, what it made and is still empty goes again.

    A folder that can't be made is an `OSError`.
    """
    path = pathlib.Path(path)
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield path
    finally:
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()


def require_folder(path: pathlib.Path | str) -> pathlib.Path:
    """Proves that files can be written to the folder `path`, there or not, and leaves nothing."""
    path = expanded(path)
    with explained(f"Cannot write to {path}", "Choose another folder."), made_folder(path):
        # It has no name that a killed process could leave.
        tempfile.TemporaryFile(dir=path).close()
    return path


def require_file(path: pathlib.Path | str) -> pathlib.Path:
    """Proves that `replacing` can write the file `path`, and leaves nothing."""
    path = expanded(path)
    with explained(f"Cannot write {path}", "Choose another file."), made_folder(path.parent):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is no regular file")
        _temporary(path).touch()
        _temporary(path).unlink()
    return path


def require_space(folder: pathlib.Path | str, size: int, advice: str = "") -> None:
    """Proves that a file of `size` bytes fits in `folder`; `advice` ends the message of the error.

    HDF5 takes the process down where it does not fit.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        needed = f"{size / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free."
        raise InputError(f"No space left in {folder}: {needed} {advice}".rstrip())
    # What is free may be another user's, or more than a file may have.
    failure = f"A file of {size / 1e6:,.0f} MB can't be written to {folder}"
    with explained(failure, advice), tempfile.TemporaryFile(dir=folder) as file:
        allocate(file, size)


def require_space_for_files(folder: pathlib.Path | str, count: int) -> None:
    """Proves that the disk of `folder`, which need not be there yet, has a block for each file."""
    folder = pathlib.Path(folder).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    needed, free = count * _BLOCK, shutil.disk_usage(there).free
    if free < needed:
        raise InputError(
            f"No space left in {there}: {count:,} files need {needed / 1e9:,.1f} GB at least, and "
            f"{free / 1e9:,.1f} GB are free."
        )


def allocate(file: IO[bytes], size: int) -> None:
    """Makes sure of `size` bytes on the disk for an open file; an `OSError` where there are none.

    A file that is mapped into memory takes the process down where its disk is full.
    """
    # Not every system can.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)


def read_json(
    path: pathlib.Path | str, advice: str = "", fields: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Reads a JSON object that has `fields`: the keys, and the shapes of their values (`misfit`).

    `advice`, a sentence on what the user should do, ends the message of the InputError for a file
    that is missing, is not JSON, or lacks a field. The error's `__cause__` is the `OSError` or
    `ValueError` behind it.
    """
    try:
        _require_regular(path)
        return parse_json(pathlib.Path(path).read_text(encoding="utf-8"), fields)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}). {advice}".rstrip()) from error


def _require_regular(path):
    # A pipe would be waited for, and a device read without end.
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError("it is no regular file")


def parse_json(text: str, fields: Mapping[Any, Any] | None = None) -> dict[str, Any]:
    """A JSON object from text, with `fields` as in `read_json`; else a `ValueError`."""
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if reason := misfit(values, dict(fields or {})):
        raise ValueError(reason)
    return values


def write_json(path: pathlib.Path | str, values: object) -> None:
    """Writes `values` to `path` as indented JSON, whole or not at all; NaN becomes null."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_finite(values), indent=2, allow_nan=False) + "\n")


def _finite(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_finite(value) for value in values]
    if isinstance(values, float) and not math.isfinite(values):
        return None
    return values


def read_arrays(path: pathlib.Path | str) -> dict[str, np.ndarray]:
    """Reads what `write_arrays` wrote: name -> array."""
    try:
        _require_regular(path)
        # A plain array, which NumPy reads too, is no archive.
        with zipfile.ZipFile(path), np.load(path) as content:
            return dict(content)
    except Exception as error:  # NumPy and zlib raise whatever their parsers ran into.
        raise InputError(f"{path} cannot be read: {first_line(error)}") from error


def write_arrays(path: pathlib.Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes name -> array to `path` as .npz, whole or not at all."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
