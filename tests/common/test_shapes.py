"""What differs from a shape is named by the path that leads to it."""

import pytest

from tf_mmdvlae.common.shapes import misfit

ESTIMATE = {"value": (float, None)}


@pytest.mark.parametrize(
    ("value", "shape", "reason"),
    [
        ({"a": 1, "more": []}, {"a": float}, None),
        ({"a": True}, {"a": int}, "'a' is no whole number"),
        ({"a": 1.5}, {"a": int}, "'a' is no whole number"),
        ({}, {"a": int}, "it lacks 'a'"),
        ([], {}, "it holds no JSON object"),
        ({"a": {"b": {}}}, {"a": {str: ESTIMATE}}, "it lacks 'a.b.value'"),
        ({"a": {"b": {"value": None}}}, {"a": {str: ESTIMATE}}, None),
        ({"a": {"b": {"value": "x"}}}, {"a": {str: ESTIMATE}}, "'a.b.value' is no number"),
        ({"a": [1, "x"]}, {"a": [int]}, "'a[1]' is no whole number"),
        ({"a": {"0": 1}}, {"a": [int]}, "'a' is no list"),
        ({"a": 1}, {"a": None}, "'a' is no null"),
        ({"a": 1}, {"a": {"b": int}}, "'a' is no JSON object"),
    ],
)
def test_a_value_fits_or_the_first_difference_is_named(value, shape, reason):
    assert misfit(value, shape) == reason
