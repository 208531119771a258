"""Paths as people type them, and those that can't be."""

from __future__ import annotations

import os
import pathlib
import re

from tf_mmdvlae.common.errors import InputError

# The limit of most file systems, 255 bytes, less what temporary names add.
_LONGEST_NAME = 240


def expanded(path: pathlib.Path | str) -> pathlib.Path:
    """The path with a home folder in place of "~"; an `InputError` where there is none."""
    try:
        return pathlib.Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path} can't be found: {error} Give the path in full.") from error


def user_cache(instead: str) -> pathlib.Path:
    """The folder, there or not, of what can be made or fetched again.

    Without a home folder and XDG_CACHE_HOME it is an `InputError`, which names the flag that helps
    too, such as "--cache=memory".
    """
    try:
        return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "tf_mmdvlae"
    except InputError as error:
        raise InputError(f"{error} XDG_CACHE_HOME says it, or use {instead}.") from error


def require_short(path: str) -> None:
    """Refuses a path with a name that no file can have."""
    for name in path.split("/"):
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise InputError(f"A name of more than {_LONGEST_NAME} bytes can't be: {name}")


def as_cell(name: str) -> str:
    """A file's name for a table: a spreadsheet would take one that begins with "=" for a formula.

    As a path the result means the same.
    """
    return f"./{name}" if name[0] in "=+-@\t\r" else name


def require_plain(path: pathlib.Path | str) -> None:
    """Refuses a path that TensorFlow takes for a pattern of names, and so can't read back."""
    if re.search(r"\[.+\]|\\", str(path)):
        raise InputError(
            f"{path} has brackets or a backslash in its name, and TensorFlow can't read it; "
            "choose another folder."
        )
