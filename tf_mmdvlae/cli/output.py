"""What a command writes on a terminal: names come from strangers, and steer nothing there."""

from __future__ import annotations

import logging
import unicodedata
from typing import Any, TextIO


def printable(text: str) -> str:
    """The text with escapes in place of what would steer a terminal, line ends among that."""
    return "".join(c if _is_plain(c) else ascii(c)[1:-1] for c in text)


def _is_plain(character):
    # Wide spaces and joiners are parts of names in some scripts.
    is_space = unicodedata.category(character) == "Zs"
    return character.isprintable() or is_space or character in "\u200c\u200d"


class Printable:
    """A stream of text whose lines become `printable`; all else is the inner stream's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write("\n".join(map(printable, text.split("\n"))))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def plain_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A record of Python's logging, `printable` if it is this package's."""
    record = logging.LogRecord(*args, **kwargs)
    if record.name.startswith("tf_mmdvlae"):
        record.msg, record.args = printable(record.getMessage()), ()
    return record
