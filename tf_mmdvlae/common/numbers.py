"""Numbers as people write them: the one place where texts become numbers.

Python's `int` and `float` take more than a person means: "1_0" is ten to them, and so is a ten in
digits of another script. Here a number has the digits 0 to 9, and perhaps a sign, a decimal point
and an exponent; the sign may be the minus of typography. Spaces around it do not count.
"""

from __future__ import annotations

import re

_WHOLE = re.compile(r"[+-]?\d{1,4000}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+[.]?\d*|[.]\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def whole_number(text: str) -> int:
    """The whole number that a text is; a `ValueError` for all other texts."""
    return int(_matching(_WHOLE, text, "a whole number"))


def number(text: str) -> float:
    """The number that a text is, infinite if it is too large; a `ValueError` for other texts."""
    return float(_matching(_NUMBER, text, "a number"))


def _matching(pattern, text, kind):
    plain = text.strip().replace("\N{MINUS SIGN}", "-")
    if not pattern.fullmatch(plain):
        raise ValueError(f"{text!r:.200} is not {kind} in digits")
    return plain
