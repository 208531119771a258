"""Layouts of aligned pictures, and that of an export."""

import json

import pytest

from tf_mmdvlae.config.layouts import LAYOUTS, from_json, layout_of

CELEB_A = LAYOUTS["celeb_a"]


def test_an_export_says_its_layout_and_an_old_one_of_celeb_a_has_celeb_as():
    layout = json.loads(json.dumps(CELEB_A._replace(height=100)._asdict()))
    assert layout_of({"dataset": "celeb_a", "layout": layout}) == CELEB_A._replace(height=100)
    assert layout_of({"dataset": "celeb_a", "layout": None}) is None
    assert layout_of({"dataset": "celeb_a:2.1.0"}) == CELEB_A
    assert layout_of({"dataset": "image_folder"}) is None
    assert layout_of({}) is None


@pytest.mark.parametrize(
    "value",
    [
        *(None, [], {}, {"height": 8, "width": 8, "points": []}),
        {"height": 8, "width": 0, "points": [[1, 2]] * 4},
        {"height": 8, "width": 8, "points": [[1, 2, 3]] * 4},
        {"height": 8, "width": 8, "points": [[1, None]] * 4},
    ],
)
def test_what_is_no_layout(value):
    assert from_json(value) is None
