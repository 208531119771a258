"""Names of strangers in Markdown."""

import pytest

from tf_mmdvlae.common.markdown import code, escaped


@pytest.mark.parametrize(
    ("name", "text", "as_code"),
    [
        ("5_o_Clock", "5_o_Clock", "`5_o_Clock`"),
        ("<b>&_x_", r"\<b\>\&\_x\_", "`<b>&_x_`"),
        ("a|b", r"a\|b", r"a\|b"),
        ("`a``b", r"\`a\`\`b", "``` `a``b ```"),
        ("one\n# two\u2028", r"one \# two ", "`one # two `"),
        ("[a](b)", r"\[a\](b)", "`[a](b)`"),
    ],
)
def test_a_name_has_no_marks(name, text, as_code):
    assert escaped(name) == text
    assert code(name) == as_code
