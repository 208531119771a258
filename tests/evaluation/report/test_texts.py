"""Estimates as the words of a table."""

import pytest

from tf_mmdvlae.evaluation.report.texts import with_error


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.18812, 0.0039, "0.1881 ± 0.0039"),
        (-1.5, 0.2, "\N{MINUS SIGN}1.50 ± 0.20"),
        (123.456, 12.3, "123 ± 12"),
        (0.5, None, "0.5"),
        (None, None, "\N{EN DASH}"),
        (float("nan"), 0.1, "\N{EN DASH}"),
    ],
)
def test_numbers_are_rounded_to_what_their_error_leaves_certain(value, error, text):
    assert with_error(value, error) == text
