"""A table of labels in a text file: a heading, then one row per image.

The first column is a file's name, and each further column one label. Commas, semicolons, tabs or
spaces stand between the columns. CelebA's own text files, whose first line is a count and whose
heading need not name the first column, are read too, and so is Excel's first line "sep=;".
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import stat
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.common.paths import expanded
from tf_mmdvlae.data.label_columns import typed
from tf_mmdvlae.data.listing import OLD_RULES, warn_once

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SPACES = "spaces"
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
_SPACE = re.compile(r"[^\S\r\n]")
_EXCELS_FIRST_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)


class Table(NamedTuple):
    """A text file.

    Attributes:
      heading: the names of the columns.
      rows: the fields of each row, as many as the heading's, with the number of its line.
      separator: in words, such as "commas".
      announced: the number of rows that the first line says.
    """

    heading: list[str]
    rows: list[tuple[int, list[str]]]
    separator: str
    announced: int | None = None


def read_label_file(
    path: str, names: Sequence[str], rules: str = ""
) -> tuple[list[str], dict[str, np.ndarray], dict[str, list[str]]]:
    """Reads the labels of the images `names`, which are those of `listing.list_pictures`.

    A row names an image with its folders, or without them where that is unique; an exact name wins.
    Ways to write an accent are alike, and spaces around a name do not count. `label_columns.typed`
    says what becomes of each further column.

    Returns:
      Those of `names` that have a row; column -> [n] values, as `data.labels` says; and column ->
      class names.

    Raises:
      InputError: for a file that can't be read as such a table, names no image, has a column twice,
        or has two rows for one image that differ; and for a column that can't be understood.
    """
    find = _old_finder(names) if rules == OLD_RULES else finder(names)
    table = read_table(path, find, "--labels")
    heading, rows = table.heading, table.rows
    if find(heading[0]):
        raise InputError(f"{path} has no heading; its first row is of the image {heading[0]}.")
    row_of: dict[str, tuple[int, list[str]]] = {}
    strangers = []
    for line, (text, *values) in rows:
        name = find(text)
        if name is None:
            strangers.append(line)
        elif row_of.setdefault(name, (line, values))[1] != values:
            raise InputError(
                f"{path}, lines {row_of[name][0]} and {line}: the rows of {name} differ; keep one."
            )
    if not row_of:
        raise InputError(
            f"No row of {path} names an image of the folder in its first column; the first has "
            f"{rows[0][1][0]!r}, an image is {names[0]!r}."
        )
    if strangers:
        warn_once(
            f"{len(strangers)} rows of {path} name no image (or several) and are left out, the "
            f"first in line {strangers[0]}."
        )
    labelled = [name for name in names if name in row_of]
    if without := len(names) - len(labelled):
        warn_once(f"{without} images have no row in {path} and are left out.")
    labels, class_names = {}, {}
    rows = [row_of[name] for name in labelled]
    for column, label in enumerate(heading[1:]):
        fields = [(line, values[column]) for line, values in rows]
        array, classes = typed(fields, path, label, table.separator != "commas")
        if array is not None:
            labels[label] = array
        if classes:
            class_names[label] = classes
    return labelled, labels, class_names


def finder(names: Sequence[str]) -> Callable[[str], str | None]:
    """A function from what a table calls an image to its name, as `read_label_file` says."""
    exact = set(names)
    by_path, by_base = _by(names, _normal), _by(names, lambda name: _normal(_base(name)))

    def find(text):
        if text in exact:
            return text
        key = _normal(_path(text))
        return by_path[key] if key in by_path else by_base.get(key)

    return find


def _old_finder(names) -> Callable[[str], str | None]:
    """As in version 0.2: a name without folders that several images share names none of them."""
    exact, by_base = set(names), _by(names, _base)

    def find(text):
        path = _path(text.strip())
        return by_base.get(path, path if path in exact else None)

    return find


def _by(names: Sequence[str], key: Callable[[str], str]) -> dict[str, str | None]:
    """Key -> the name that has it; None where several have."""
    found: dict[str, str | None] = {}
    for name in names:
        found[key(name)] = None if key(name) in found else name
    return found


def _path(text):
    return text.replace("\\", "/").removeprefix("./")


def _base(name):
    return name.rpartition("/")[2]


def _normal(name):
    return unicodedata.normalize("NFC", name).strip()


def read_table(path: str, find: Callable[[str], str | None], name: str) -> Table:
    """The table of a file, with the separator by which most rows name an image.

    Args:
      find: a `finder`.
      name: that of the flag, for messages.

    Raises:
      InputError: for a file that can't be read as a table, or has a column twice.
    """
    flag, place = f"{name}={path}", expanded(path)
    with explained(f"{flag} can't be read"):
        # A pipe would wait for ever, and a device may have no end.
        if not stat.S_ISREG(place.stat().st_mode):
            raise InputError(f"{flag} is not a file of text.")
        content = place.read_bytes()
    try:
        tables = _tables(_text(content))
    except (UnicodeError, csv.Error) as error:
        raise InputError(
            f"{flag} is not a CSV file in UTF-8: {error}. Save it anew as one."
        ) from error

    def rows_of_images(table):
        columns = len(table.heading)
        rows = table.rows if columns > 1 else []
        return sum(len(fields) == columns and find(fields[0]) is not None for _, fields in rows)

    return _checked(
        max(tables, key=lambda one: (rows_of_images(one), len(one.heading))), path, flag
    )


def _text(content):
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    if "\0" in text:
        raise UnicodeError("it holds bytes of zero")
    return text


def _tables(text) -> list[Table]:
    if excels := _EXCELS_FIRST_LINE.match(text):
        return [_split("\n" + text[excels.end() :], excels[1])]
    separators = [one for one in _SEPARATORS if one in text] or [","]
    tables = [_split(text, separator) for separator in separators]
    return [*tables, _split_at_spaces(text)] if _SPACE.search(text) else tables


def _split(text, separator) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    rows, line = [], 1
    for fields in reader:
        if any(map(str.strip, fields)):
            # Spaces may be part of a file's name.
            rows.append((line, [*fields[:1], *map(str.strip, fields[1:])]))
        line = reader.line_num + 1
    words = _SEPARATORS.get(separator, repr(separator))
    return Table(rows[0][1] if rows else [], rows[1:], words)


def _split_at_spaces(text) -> Table:
    lines = enumerate(text.splitlines(), 1)
    rows = [(number, line.split()) for number, line in lines if line.strip()]
    heading = rows[0][1] if rows else []
    if len(rows) > 1 and len(heading) == 1 and _COUNT.fullmatch(heading[0]):
        names, announced = rows[1][1], int(heading[0])
        if len(rows) > 2 and len(names) + 1 == len(rows[2][1]):
            names = ["file", *names]
        return Table(names, rows[2:], _SPACES, announced)
    return Table(heading, rows[1:], _SPACES)


def _checked(table, path, flag) -> Table:
    heading, rows, separator, announced = table
    if not heading:
        raise InputError(f"{flag} is empty; it needs a heading and one row per image.")
    if len(heading) < 2:
        raise InputError(
            f"{path} needs a column of file names and then one column per attribute, with commas, "
            "semicolons, tabs or spaces between them."
        )
    if not rows:
        raise InputError(f"{path} has no row below its heading.")
    if announced not in (None, len(rows)):
        raise InputError(
            f"{path}: line 1 says that there are {announced:,} rows, and there are {len(rows):,}. "
            "Complete the file, or correct its first line."
        )
    for line, fields in rows:
        if "\n" in (joined := "".join(fields)) or "\r" in joined:
            raise InputError(
                f"{path}, line {line}: a field that begins with a quotation mark there ends in "
                "another line; close it, or leave the mark out."
            )
        if len(fields) != len(heading):
            raise InputError(
                f"{path}, line {line}: {len(fields)} fields with {separator} between them, not "
                f"{len(heading)}."
            )
    # A spreadsheet may write empty columns.
    kept = [
        column
        for column, name in enumerate(heading)
        if column == 0 or name or any(fields[column] for _, fields in rows)
    ]
    names = [_normal(heading[column]) for column in kept]
    for number, name in enumerate(names[1:], 2):
        if not name:
            raise InputError(f"{path}: column {number} has no name in the heading.")
        if name in names[1 : number - 1]:
            raise InputError(f"{path} has two columns {name!r}; rename or remove one.")
    if len(kept) < len(heading):
        rows = [(line, [fields[column] for column in kept]) for line, fields in rows]
    return Table(names, rows, separator)
