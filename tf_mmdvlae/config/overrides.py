"""Fields of a config that a person typed, as in --config.train.learning_rate=5e-4.

A change is a pair: a field's dotted path, such as "train.learning_rate", and its value as text: a
number, true or false, None, words, or numbers with commas between them. A path that is not known or
a value that does not fit is an InputError.
"""

from __future__ import annotations

import ast
import dataclasses
import typing
from collections.abc import Iterable

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.parsing import fields_from_dict
from tf_mmdvlae.config.settings import Config, DataConfig, TrainConfig


def override(config: Config, changes: Iterable[tuple[str, str]]) -> Config:
    """Applies all changes together, so that fields which fit only each other can change at once."""
    return config.changed(**_fields_by_section(changes))


def check_changes(changes: Iterable[tuple[str, str]]) -> None:
    """Refuses what `override` would refuse for every config, before there is one."""
    fields = _fields_by_section(changes)
    # Whether the model's fields fit depends on its other fields.
    DataConfig(**fields["data"])
    TrainConfig(**fields["train"])


def _fields_by_section(changes):
    sections = typing.get_type_hints(Config)
    values = {section: {} for section in sections}
    for path, text in changes:
        section, _, field = path.partition(".")
        if section not in sections or not field:
            paths = [f"{s}.{f.name}" for s in sections for f in dataclasses.fields(sections[s])]
            raise InputError(f"--config.{path} is not known. Known: {', '.join(paths)}.")
        values[section][field] = _value(text)
    return {s: fields_from_dict(sections[s], values[s], f"config.{s}") for s in sections}


def _value(text):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return text
