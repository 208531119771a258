"""The pictures in a folder, at any depth: which files are read, and what is left out."""

from __future__ import annotations

import collections
import functools
import logging
import os
import pathlib
from typing import NamedTuple

from tf_mmdvlae.common.errors import InputError

_log = logging.getLogger(__name__)

ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".webp")
OLD_RULES = "0.2"
"""The `DataConfig.listing` of runs that began before hidden folders, links and WebP had rules."""

_OLD_ENDINGS = (".jpg", ".jpeg", ".png")
_OTHER_PICTURES = {
    *(".arw", ".avif", ".bmp", ".cr2", ".cr3", ".dng", ".eps", ".gif", ".heic", ".heif", ".ico"),
    *(".jp2", ".jxl", ".nef", ".orf", ".pbm", ".pgm", ".ppm", ".psd", ".raf", ".raw", ".rw2"),
    *(".svg", ".tga", ".tif", ".tiff", ".webp"),
}
# The limit of Linux, less the zero that ends a path.
_LONGEST_PATH = 4_095
# What file managers, network drives, archives and notebooks put beside a person's pictures.
_SYSTEM_FOLDERS = {
    *("@eadir", "@recycle", "#recycle", "@tmp", "__macosx", "__pycache__"),
    *("$recycle.bin", "system volume information", "lost+found"),
}


class Listing(NamedTuple):
    """The pictures of a folder.

    Attributes:
      names: of the pictures within the folder, with / between folders, sorted.
      files: the number of all files that were seen.
      left_out: what was left out, in words: what -> how many.
      folders: the paths of all folders that were read.
    """

    names: list[str]
    files: int
    left_out: dict[str, int]
    folders: list[str]


def list_pictures(root: pathlib.Path | str, rules: str = "") -> Listing:
    """Lists the JPEG, PNG and WebP files below `root`, by their endings; the log counts the rest.

    Hidden and system folders, hidden files and what is no regular file are left out. Links are
    followed. A folder to which several ways lead is read once, and under its own name if it lies
    below `root`. A link to nothing is listed, so that its reader reports it. A folder that can't be
    read (the log names the first) and files with too long a path are left out. With `OLD_RULES`
    there are no WebP files, links to folders are left out, and hidden folders are read.

    Raises:
      InputError: for a `root` that can't be read, and a picture whose path is not UTF-8.
    """
    is_old = rules == OLD_RULES
    endings = _OLD_ENDINGS if is_old else ENDINGS
    names: list[str] = []
    files, unreadable, left_out = 0, "", collections.Counter[str]()
    read: list[str] = []
    real = pathlib.Path(root).resolve()
    seen = {_identity(folder) for folder in real.parents}
    # All real folders come before the first link, so that they keep their own names.
    folders, links = [(os.fspath(root), "")], collections.deque[tuple[str, str]]()
    while folders or links:
        folder, prefix = folders.pop() if folders else links.popleft()
        try:
            if (identity := _identity(folder)) in seen:
                left_out["link(s) to folders that are read anyway"] += 1
                continue
            seen.add(identity)
            entries = list(os.scandir(folder))
            read.append(folder)
        except OSError as error:
            reason = f"The folder {folder} can't be read: {error.strerror}."
            if not prefix or is_old:
                raise InputError(reason) from error
            unreadable = unreadable or f" {reason}"
            left_out["folder(s) that can't be read"] += 1
            continue
        for entry in entries:
            name, ending = prefix + entry.name, os.path.splitext(entry.name)[1].lower()
            if _is(entry.is_dir):
                if is_old and entry.is_symlink():
                    continue
                if not is_old and is_hidden(entry.name):
                    left_out["hidden or system folder(s)"] += 1
                    continue
                waiting = links if entry.is_symlink() else folders
                waiting.append((entry.path, f"{name}/"))
                continue
            files += 1
            if entry.name.startswith("."):
                continue
            if ending not in endings:
                left_out[f"{ending} file(s)"] += ending in _OTHER_PICTURES
            elif len(os.fsencode(entry.path)) > _LONGEST_PATH:
                left_out[f"file(s) with a path of more than {_LONGEST_PATH:,} bytes"] += 1
            elif not _is(entry.is_file) and os.path.exists(entry.path):
                left_out["device(s), pipe(s) or socket(s)"] += 1
            else:
                names.append(name)
    left_out = +left_out
    if not is_old:
        for name in names:
            _check_name(root, name)
        if left_out:
            taken = f"{', '.join(ENDINGS)} are read"
            warn_once(f"Left out of {root}: {in_words(left_out)}; {taken}.{unreadable}")
    return Listing(sorted(names), files, dict(left_out), read)


def in_words(left_out: dict[str, int]) -> str:
    """What a `Listing` left out, with commas between the kinds."""
    return ", ".join(f"{count:,} {what}" for what, count in sorted(left_out.items()))


@functools.cache
def warn_once(message: str) -> None:
    """Logs a warning once a process: a folder is listed for each split, and before."""
    _log.warning(message)


def _is(question):
    try:
        return question()
    except OSError:  # A link that leads to itself.
        return False


def _identity(folder):
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def is_hidden(name: str) -> bool:
    """Whether a folder of this name is left out."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


def _check_name(root, name):
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{root}: the name {os.fsencode(name)!r:.200} is not UTF-8. Rename the file or folder."
        ) from None
