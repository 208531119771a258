"""Fields of a config that a person typed, as in --config.train.learning_rate=5e-4.

A change is a pair: a field's dotted path, such as "train.learning_rate", and its value as text: a
number, true or false, None, words, numbers with commas between them, or the blocks of a network. A
path that is not known or a value that does not fit is an InputError.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
import types
import typing
from collections.abc import Iterable
from typing import Any

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.parsing import fields_from_dict
from tf_mmdvlae.config.settings import Config

_PYTHONS_NUMBERS = re.compile(r"\d_\d|\b0[box]", re.IGNORECASE)


def override(config: Config, changes: Iterable[tuple[str, str]]) -> Config:
    """Applies all changes together, so that fields which fit only each other can change at once."""
    return config.changed(**fields_by_section(changes))


def fields_by_section(changes: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """The values of all changes: "model", "data" and "train", each field name -> value."""
    sections = typing.get_type_hints(Config)
    values: dict[str, dict[str, Any]] = {section: {} for section in sections}
    for path, text in changes:
        section, _, field = path.partition(".")
        if section not in sections or not field:
            paths = [f"{s}.{f.name}" for s in sections for f in dataclasses.fields(sections[s])]
            raise InputError(f"--config.{path} is not known. Known: {', '.join(paths)}.")
        value, hint = _value(text), typing.get_type_hints(sections[section]).get(field)
        # A name may look like a number.
        is_name = _takes_text(hint) and value is not None and not isinstance(value, str)
        values[section][field] = text if is_name else value
    return {s: fields_from_dict(sections[s], values[s], f"config.{s}") for s in sections}


def as_flags(config: Config) -> list[str]:
    """Every field as a shell takes it: --config.train.steps=5000."""
    return [
        f"--config.{section}.{name}={shlex.quote(_text(value))}"
        for section, fields in config.to_dict().items()
        for name, value in fields.items()
    ]


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, tuple):
        return str(value)
    if value and isinstance(value[0], tuple):
        return " | ".join(" ".join(block) for block in value)
    return ",".join(map(str, value))


def _takes_text(hint):
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return any(kind is str or typing.get_origin(kind) is typing.Literal for kind in kinds)


def _value(text):
    # Python's own ways to write numbers are not those of `common.numbers`.
    if _PYTHONS_NUMBERS.search(text):
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text.replace("\N{MINUS SIGN}", "-"))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return text
