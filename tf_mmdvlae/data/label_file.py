"""A table of labels in a text file: a heading, then one row per image.

The first column is a file's name, and each further column one label. Commas, semicolons, tabs or
spaces stand between the columns. CelebA's own text files, whose first line is a count and whose
heading does not name the first column, are read too.
"""

from __future__ import annotations

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
from tf_mmdvlae.data.listing import OLD_RULES, warn_once

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SPACES = "spaces"
_FEW_INTEGERS = 30
_MOST_CLASSES = 1000
# One word among nine numbers or more is taken for a mistake.
_NUMBERS_PER_WORD = 9
_NO_VALUE = {"", ".", "?", "na", "n/a", "nan", "-nan", "null", "#n/a", "<na>", "-"}
_NUMBER = re.compile(r"[+-]?(\d+[.]?\d*|[.]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_LARGEST = float(np.finfo(np.float32).max)
_TRUTHS = {"true": 1.0, "false": 0.0}
_BOOLS = ({1.0, 0.0}, {1.0, -1.0})


class _Table(NamedTuple):
    heading: list[str]
    rows: list[tuple[int, list[str]]]  # with the number of each row's line in the file
    separator: str


def read_label_file(
    path: str, names: Sequence[str], rules: str = ""
) -> tuple[list[str], dict[str, np.ndarray], dict[str, list[str]]]:
    """Reads the labels of the images `names`, which are those of `listing.list_pictures`.

    A row names an image with its folders, or without them where that is unique; an exact name wins,
    and ways to write an accent are alike. "NA", "N/A", "#N/A", "<NA>", "NaN", "NULL", "None", ".",
    "?", "-" and empty fields are no value. A column of true and false, of 1 and 0 or of 1 and -1
    becomes an attribute (but with 0 and -1 both, classes); one of words or of at most 30 different
    whole numbers classes; one of other numbers a factor. A column without any value is left out,
    and so is one of more than 1,000 words, or of more than 30 that are more than half as many as
    the images.

    Returns:
      Those of `names` that have a row; column -> [n] values, as `data.labels` says; and column ->
      class names.

    Raises:
      InputError: for a file that can't be read as such a table, names no image, has a column twice,
        or has two rows for one image that differ; and for a word in a column of numbers.
    """
    table = _read_table(expanded(path))
    find = _old_finder(names) if rules == OLD_RULES else _finder(names)
    heading, rows, _ = table
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
        examples = f"its first is {rows[0][1][0]!r}, an image is {names[0]!r}"
        raise InputError(f"No row of {path} names an image of the folder; {examples}.")
    if strangers:
        warn_once(
            f"{len(strangers)} rows of {path} name no image (or several) and are left out, the "
            f"first in line {strangers[0]}."
        )
    labelled = [name for name in names if name in row_of]
    if without := len(names) - len(labelled):
        warn_once(f"{without} images have no row in {path} and are left out.")
    labels, class_names = {}, {}
    for column, label in enumerate(heading[1:]):
        fields = [(row_of[name][0], row_of[name][1][column]) for name in labelled]
        array, classes = _typed(fields, path, label, table.separator)
        if array is not None:
            labels[label] = array
        if classes:
            class_names[label] = classes
    return labelled, labels, class_names


def _finder(names) -> Callable[[str], str | None]:
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
        path = _path(text)
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
    return unicodedata.normalize("NFC", name)


def _read_table(path) -> _Table:
    flag = f"--labels={path}"
    try:
        with explained(f"{flag} can't be read"):
            # A pipe would wait for ever, and a device may have no end.
            if not stat.S_ISREG(path.stat().st_mode):
                raise InputError(f"{flag} is not a file of text.")
            with open(path, newline="", encoding="utf-8-sig") as file:
                text = file.read()
        tables = [_split(text, separator) for separator in _SEPARATORS]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{flag} is not a CSV file in UTF-8: {error}.") from error
    widest = max(tables, key=lambda table: len(table.heading))
    if len(widest.heading) < 2:
        widest = _split_at_spaces(text)
    return _checked(next(filter(_is_whole, tables), widest), path)


def _split(text, separator) -> _Table:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows, line = [], 1
    for fields in reader:
        if any(fields := [field.strip() for field in fields]):
            rows.append((line, fields))
        line = reader.line_num + 1
    return _Table(rows[0][1] if rows else [], rows[1:], _SEPARATORS[separator])


def _split_at_spaces(text) -> _Table:
    lines = enumerate(text.splitlines(), 1)
    rows = [(number, line.split()) for number, line in lines if line.strip()]
    heading = rows[0][1] if rows else []
    if len(rows) > 2 and len(heading) == 1 and heading[0].isdigit():
        names = ["file", *rows[1][1]]
        if len(names) == len(rows[2][1]):
            return _Table(names, rows[2:], _SPACES)
    return _Table(heading, rows[1:], _SPACES)


def _is_whole(table):
    columns = len(table.heading)
    return columns > 1 and all(len(fields) == columns for _, fields in table.rows)


def _checked(table, path) -> _Table:
    heading, rows, separator = table
    if not heading:
        raise InputError(f"--labels={path} is empty; it needs a heading and one row per image.")
    if len(heading) < 2:
        raise InputError(
            f"{path} needs a column of file names and then one column per attribute, with commas, "
            "semicolons, tabs or spaces between them."
        )
    if not rows:
        raise InputError(f"{path} has no row below its heading.")
    for line, fields in rows:
        if any("\n" in field or "\r" in field for field in fields):
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
    return _Table(names, [(line, [f[c] for c in kept]) for line, f in rows], separator)


def _typed(fields, path, label, separator):
    """The labels [n] of one column and their classes, of the (line, field) of each image."""
    column, texts = f"{path}, column {label!r}", [text for _, text in fields]
    present = {text for text in texts if not _is_missing(text)}
    numbers = {text: _number(text, separator != "commas") for text in present}
    truths = {text: _TRUTHS.get(text.lower(), numbers[text]) for text in present}
    words = {text for text in present if truths[text] is None}
    if {word.lower() for word in words} == {"none"}:
        # Beside other words, as in a column of beards, it is one of them.
        present, words = present - words, set()
    if not present:
        warn_once(f"{column} has no value and is left out.")
        return None, None
    if not words and any({truths[text] for text in present} <= bools for bools in _BOOLS):
        answers = {text: truths[text] == 1.0 for text in present}
        array = np.array([answers.get(text, -1) for text in texts], np.int8)
        return (array == 1 if array.min() >= 0 else array), None
    words = {text for text in present if numbers[text] is None}
    misfits = [(line, text) for line, text in fields if text in words]
    filled = sum(text in present for text in texts)
    count = filled - len(misfits)
    if misfits and count >= _NUMBERS_PER_WORD * len(misfits):
        line, text = misfits[0]
        raise InputError(
            f"{path}, line {line}: {text!r} is no number, unlike {count} other values of column "
            f"{label!r}; correct it, or leave the field empty."
        )
    is_whole = all(map(_WHOLE.fullmatch, present))
    if not words and not (is_whole and len(present) <= _FEW_INTEGERS):
        array = np.array([numbers.get(text, np.nan) for text in texts], np.float32)
        return array, None
    if len(present) > min(_MOST_CLASSES, max(_FEW_INTEGERS, filled / 2)):
        # Such as names, dates, or numbers with their units: each picture would be a class.
        words = f"{len(present)} different words for {filled} images"
        warn_once(f"{column} has {words} and is left out.")
        return None, None
    classes = sorted(present, key=None if words else numbers.get)
    ids = {text: number for number, text in enumerate(classes)}
    return np.array([ids.get(text, -1) for text in texts], np.int64), classes


def _is_missing(text):
    return text.lower() in _NO_VALUE or text == "None"


def _number(text, has_decimal_comma):
    """The number that a text is, within the range of float32; None for all other texts."""
    if has_decimal_comma and text.count(",") == 1:
        text = text.replace(",", ".")
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if abs(number) <= _LARGEST else None
