"""The columns of a table of labels: which are attributes, classes and numbers, and what is missing.

A column is a list of (line of the file, text) with one pair for each image.
"""

from __future__ import annotations

import collections
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.numbers import number
from tf_mmdvlae.data.listing import warn_once

_FEW_INTEGERS = 30
_MOST_CLASSES = 1000
_MOST_WORDS_FOR_NO_VALUE = 2
# One word among nine numbers or more is taken for a mistake.
_NUMBERS_PER_WORD = 9
_NO_VALUE = {"", ".", "?", "na", "n/a", "nan", "-nan", "null", "#n/a", "<na>", "-"}
_LARGEST = float(np.finfo(np.float32).max)
_TRUTHS = {"true": 1.0, "false": 0.0}
_BOOLS = ({1.0, 0.0}, {1.0, -1.0})
_WHOLE = re.compile(r"([+-]?\d+)([.]0*)?", re.ASCII)
_DIGIT = re.compile(r"\d")
# Nobody can tell whether 1,000 is one or a thousand, and 12% is 12 or 0.12.
_NEARLY_A_NUMBER = re.compile(
    r"[+-]?\d+(,\d+|[,' \u00a0\u2019\u202f]\d{3})+([.]\d+)?%?|[+-]?\d*[.]?\d+%"
    r"|[+-]?\d{1,3}([.]\d{3})+,\d+",
    re.ASCII,
)


def typed(
    fields: Sequence[tuple[int, str]], path: str, label: str, has_decimal_comma: bool
) -> tuple[np.ndarray | None, list[str] | None]:
    """Reads the column `label` of the file `path`.

    "NA", "N/A", "#N/A", "<NA>", "NaN", "NULL", "None", ".", "?", "-" and empty fields are no value.
    Where most values are numbers, so are one or two other words that are there twice or more; the
    log names them. A column of true and false, of 1 and 0 or of 1 and -1 becomes an attribute (but
    with 0 and -1 both, classes); one of words or of at most 30 different whole numbers classes; one
    of other numbers a factor. 1, 01, +1 and 1.0 are one class, of the shortest of these names. A
    column without any value is left out, and so is one of more than 1,000 words, or of more than 30
    that are more than half as many as the images.

    Returns:
      The values [n], as `data.labels` says, and the names of the classes; None where there are
      none.

    Raises:
      InputError: for other words where most values are numbers, but for few among at most 30
        different whole numbers; and for values such as 1,000 and 12%.
    """
    column = f"{path}, column {label!r}"
    texts = [text for _, text in fields]
    composed = {text: unicodedata.normalize("NFC", text) for text in set(texts)}
    if any(text != name for text, name in composed.items()):
        texts = [composed[text] for text in texts]
        fields = [(line, text) for (line, _), text in zip(fields, texts, strict=True)]
    present = {text for text in composed.values() if not is_missing(text)}
    numbers = {text: as_number(text, has_decimal_comma) for text in present}
    truths = {text: _TRUTHS.get(text.lower(), value) for text, value in numbers.items()}
    values = truths if _are_bools(set(truths.values()) - {None}) else numbers
    if None in values.values():
        for word in _words_for_no_value(fields, values, path, label):
            del numbers[word], truths[word]
    if not numbers:
        warn_once(f"{column} has no value and is left out.")
        return None, None
    if _are_bools(set(truths.values())):
        answers = {text: value == 1.0 for text, value in truths.items()}
        array = np.array([answers.get(text, -1) for text in texts], np.int8)
        return (array == 1 if array.min() >= 0 else array), None
    means = {text: _meaning(text, value) for text, value in numbers.items()}
    kinds, filled = set(means.values()), sum(text in means for text in texts)
    if None not in numbers.values():
        is_whole = all(isinstance(meaning, int) for meaning in kinds)
        if not is_whole or len(kinds) > _FEW_INTEGERS:
            return np.array([numbers.get(text, np.nan) for text in texts], np.float32), None
    if len(kinds) > min(_MOST_CLASSES, max(_FEW_INTEGERS, filled / 2)):
        # Such as names, dates, or numbers with their units: each picture would be a class.
        warn_once(f"{column} has {len(kinds)} different words for {filled} images and is left out.")
        return None, None
    return _classes(texts, means, None not in numbers.values())


def _classes(texts, means, are_numbers):
    # The last of the texts that mean the same is the shortest.
    spelt = sorted(means, key=lambda text: (-len(text), text))
    names = {means[text]: text for text in spelt}
    order = sorted(names, key=None if are_numbers else names.get)
    ids = {meaning: row for row, meaning in enumerate(order)}
    classes = [_whole(names[m])[1] if isinstance(m, int) else names[m] for m in order]
    return np.array([ids.get(means.get(text), -1) for text in texts], np.int64), classes


def _meaning(text, value):
    """What tells classes apart: a whole number, or else the text."""
    whole = None if value is None else _whole(text)
    return int(whole[1]) if whole else text


def _whole(text):
    return _WHOLE.fullmatch(text.replace("\N{MINUS SIGN}", "-"))


def _are_bools(values):
    return any(values <= bools for bools in _BOOLS)


def is_missing(text: str) -> bool:
    """Whether a field holds no value."""
    return text.lower() in _NO_VALUE or text == "None"


def as_number(text: str, has_decimal_comma: bool) -> float | None:
    """The number that a text is, within the range of float32; None for all other texts."""
    if has_decimal_comma and text.count(",") == 1:
        text = text.replace(",", ".")
    try:
        value = number(text)
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None


def _words_for_no_value(fields, numbers, path, label):
    """The words that are no value in a column; an InputError for a mixture nobody understands.

    `numbers` has the number of each text that is there, None for a word.
    """
    words = collections.Counter(text for _, text in fields if numbers.get(text, 0) is None)
    if {word.lower() for word in words} == {"none"}:
        # Beside other words, as in a column of beards, it is one of them.
        return set(words)
    wrong = words.total()
    count = sum(text in numbers for _, text in fields) - wrong
    kinds = len(numbers) - len(words)
    are_most = count > wrong or kinds > _FEW_INTEGERS
    are_nearly = all(map(_NEARLY_A_NUMBER.fullmatch, words))
    # Percentages alone may be classes.
    are_nearly &= bool(count) or not all(word.endswith("%") for word in words)
    if not are_most and not are_nearly:
        return set()
    is_repeated = len(words) <= _MOST_WORDS_FOR_NO_VALUE and min(words.values()) > 1
    if is_repeated and not any(map(_DIGIT.search, words)):
        warn_once(
            f"{path}, column {label!r}: {' and '.join(map(repr, sorted(words)))}, {wrong} of "
            f"{count + wrong} values, stand for no value, as the others are numbers."
        )
        return set(words)
    are_whole = all(value is None or value.is_integer() for value in numbers.values())
    are_many = count >= _NUMBERS_PER_WORD * wrong or kinds > _FEW_INTEGERS
    if are_whole and not are_many and not are_nearly:
        return set()
    line, text = next((line, text) for line, text in fields if text in words)
    others = f", unlike {count} other values" if count else ""
    advice = "write it with digits and a decimal point" if are_nearly else "correct it"
    raise InputError(
        f"{path}, line {line}: {text!r} is no number{others} in column {label!r}; {advice}, leave "
        "the field empty, or remove the column."
    )
