"""What a value that was read from a file must look like: types, nested in dicts and lists."""

from __future__ import annotations

from typing import Any

_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def misfit(value: Any, shape: Any, path: str = "") -> str | None:
    """Says where a value differs from a shape, such as "it lacks 'a.b'"; None if it fits.

    A shape is a type (a float may be a whole number, a whole number is no bool); None; a tuple of
    shapes, of which the value must have one; `[shape]`, a list of any length; {"key": shape, ...},
    a dict with these keys and perhaps others; or {str: shape}, a dict with any keys. `path` leads
    to the value.
    """
    if isinstance(shape, tuple):
        reasons = [misfit(value, one, path) for one in shape]
        return None if None in reasons else reasons[0]
    if isinstance(shape, dict) and isinstance(value, dict):
        inner = dict.fromkeys(value, shape[str]) if str in shape else shape
        for key, one in inner.items():
            place = f"{path}.{key}" if path else str(key)
            reason = misfit(value[key], one, place) if key in value else f"it lacks {place!r}"
            if reason:
                return reason
        return None
    if isinstance(shape, list) and isinstance(value, list):
        reasons = [misfit(one, shape[0], f"{path}[{index}]") for index, one in enumerate(value)]
        return next(filter(None, reasons), None)
    if shape is None or isinstance(shape, type):
        kinds = (int, float) if shape is float else type(None) if shape is None else shape
        is_wrong_bool = isinstance(value, bool) and shape in (int, float)
        if isinstance(value, kinds) and not is_wrong_bool:
            return None
    kind = {dict: "JSON object", list: "list", type(None): "null"} | _WORDS
    name = kind.get(shape if isinstance(shape, type) else type(shape), "value of that kind")
    return f"{path!r} is no {name}" if path else f"it holds no {name}"
