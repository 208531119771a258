"""The kinds of labels: what their arrays hold, and which rows have a value.

A label is an array [n]. Whole numbers are class ids, of which those below zero stand for no value.
Bools are an attribute; where some images have no value, it is int8: 1 for yes, 0 for no, -1 for no
value. Floats are a factor, and what is not finite is no value.
"""

from __future__ import annotations

import numpy as np


def kind_of(values: np.ndarray) -> str:
    """Says "class", "attribute" or "factor", or "" of an array that is no label."""
    if values.dtype == np.int8 and values.max(initial=0) <= 1:
        return "attribute"
    return {"b": "attribute", "i": "class", "u": "class", "f": "factor"}.get(values.dtype.kind, "")


def has_value(values: np.ndarray) -> np.ndarray:
    """Which rows have a value, bool [n]."""
    return np.isfinite(values) if values.dtype.kind == "f" else values >= 0
