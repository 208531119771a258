"""Settings as dataclasses: what their fields may hold, and how they are read from dicts and lists.

A field's type says what it holds: `Literal` lists its choices, `Annotated[float, at_least(0)]`
limits a number. Values that do not fit raise an InputError, which names the field by its path.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from tf_mmdvlae.common.errors import InputError

_Settings = TypeVar("_Settings")


class Limit(NamedTuple):
    """What a value must be: `holds` decides it; `words` stand after "it must" in messages."""

    holds: Callable[[Any], bool]
    words: str


def at_least(low: float) -> Limit:
    """The limit of numbers that are not below `low`."""
    return Limit(lambda number: number >= low, f"be at least {low}")


ABOVE_ZERO = Limit(lambda number: number > 0, "be above 0")
FRACTION = Limit(lambda number: 0 <= number <= 1, "lie in [0, 1]")


def check(settings: Any, path: str) -> None:
    """Compares each field of a dataclass with its choices or limit; None is within any limit.

    Numbers are finite and whole numbers have at most 64 bits.
    """
    hints = typing.get_type_hints(type(settings), include_extras=True)
    for name, hint in hints.items():
        value, kind = getattr(settings, name), typing.get_origin(hint)
        if kind is Literal and value not in typing.get_args(hint):
            choices = ", ".join(typing.get_args(hint))
            raise InputError(f"{path}.{name} is {value!r}; it must be one of {choices}.")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int) and not -(2**63) <= number < 2**63:
                raise InputError(f"{path}.{name} is a number of more than 64 bits.")
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(f"{path}.{name} is {number}; it must be a finite number.")
        for limit in hint.__metadata__ if kind is Annotated and value is not None else ():
            if not limit.holds(value):
                raise InputError(f"{path}.{name} is {value}; it must {limit.words}.")


def from_dict(cls: type[_Settings], values: object, path: str = "config") -> _Settings:
    """Builds a dataclass, such as `Config`, from (nested) dicts and lists, which become tuples."""
    return cls(**fields_from_dict(cls, values, path))


def fields_from_dict(cls: type, values: object, path: str) -> dict[str, Any]:
    """The arguments of a dataclass from (nested) dicts and lists, for `from_dict`."""
    hints = typing.get_type_hints(cls)
    if not isinstance(values, dict):
        raise InputError(f"{path} is {values!r:.40}; it must hold {', '.join(hints)} by name.")
    fields = {}
    for key, value in values.items():
        if key not in hints:
            raise InputError(f"{path}.{key} is not known. Known: {', '.join(hints)}.")
        read = from_dict if dataclasses.is_dataclass(hints[key]) else _convert
        fields[key] = read(hints[key], value, f"{path}.{key}")
    return fields


_IN_WORDS = {
    int: "a whole number",
    float: "a finite number",
    str: "text",
    bool: "true or false",
    types.NoneType: "None",
    tuple[int, ...]: "whole numbers with commas between them",
    tuple[float, ...]: "numbers with commas between them",
    tuple[str, ...]: "names with commas between them",
    tuple[tuple[str, ...], ...]: 'blocks, such as "conv16/2 conv32/2 | dense256"',
}


def _convert(hint, value, path):
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = [str if typing.get_origin(kind) is Literal else kind for kind in kinds]
    for kind in kinds:
        try:
            return _convert_to(kind, value)
        except (TypeError, OverflowError):
            continue
    words = " or ".join(_IN_WORDS[kind] for kind in kinds)
    raise InputError(f"{path} is {value!r:.200}; it must be {words}.")


def _convert_to(kind, value):
    if typing.get_origin(kind) is tuple:
        item_kind = typing.get_args(kind)[0]
        if isinstance(value, list | tuple):
            return tuple(_convert_to(item_kind, item) for item in value)
        if item_kind is str and isinstance(value, str):
            return tuple(value.split(",")) if value else ()
        if typing.get_origin(item_kind) is not tuple:
            return (_convert_to(item_kind, value),)
        if isinstance(value, str):
            return tuple(tuple(item.split()) for item in value.split("|"))
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif type(value) is kind:
        return value
    raise TypeError
