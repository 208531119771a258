"""Texts that are numbers to a person, and those that are numbers to Python alone."""

import pytest

from tf_mmdvlae.common.numbers import number, whole_number


def test_numbers():
    assert [whole_number(text) for text in ("7", "-07", " +7 ", "\N{MINUS SIGN}7")] == [
        7,
        -7,
        7,
        -7,
    ]
    texts = ("7", "-.5", "+2.", "1E-3", "\N{MINUS SIGN}0.25", "1e999")
    assert [number(text) for text in texts] == [7, -0.5, 2, 1e-3, -0.25, float("inf")]


@pytest.mark.parametrize(
    "text", ["", "-", "1_0", "0x10", "1,5", "\N{ARABIC-INDIC DIGIT ONE}", "nan", "inf", "1 0", "x"]
)
@pytest.mark.parametrize("read", [number, whole_number])
def test_what_is_no_number(read, text):
    with pytest.raises(ValueError, match="is not a .*number in digits"):
        read(text)


def test_digits_without_end():
    with pytest.raises(ValueError, match="is not a whole number"):
        whole_number("9" * 5000)
