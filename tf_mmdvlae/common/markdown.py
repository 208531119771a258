"""Names that strangers chose, as text of a Markdown page that can't be taken for its marks."""

from __future__ import annotations

import re

# An underscore within a word is none.
_MARKS = re.compile(r"([\\`*\[\]<>#|~&$]|(?<!\w)_|_(?!\w))")


def escaped(text: object) -> str:
    """Text on one line with a backslash before every mark; it also fits a cell of a table."""
    return _MARKS.sub(r"\\\1", _one_line(text))


def code(text: object) -> str:
    """Text as code on one line, in as many backticks as it needs; it also fits a cell."""
    line = _one_line(text)
    # In a table a bar ends the cell, within code too.
    if "|" in line:
        return escaped(line)
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest or not line.strip() else ""
    return f"{fence}{space}{line}{space}{fence}"


def _one_line(text):
    return "".join(c if c.isprintable() else " " for c in str(text))
