"""The page in a real browser: the files that it saves."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.explorer.pages import are_same, picture, pixels, settle, slide, turn_to

pytestmark = pytest.mark.browser


def _saved(page, name):
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return download.value.path()


def test_a_code_is_saved_and_opened_again(page, server):
    """The numbers of the file of codes give the picture that is seen."""
    page.get_by_text("Save, share").click()
    path = _saved(page, "Save code (file)")
    saved = json.loads(path.read_text())
    layers = [saved[f"z_{layer}"] for layer in range(1, len(saved))]
    expected = server.subject.decode(np.float32(np.concatenate(layers))[None])[0]
    first = picture(page)
    np.testing.assert_array_equal(first[..., :1], expected)
    page.get_by_role("button", name="New picture").click()
    assert not are_same(picture(page), first)
    page.locator("#open").set_input_files(
        {"name": "a.json", "mimeType": "application/json", "buffer": path.read_bytes()}
    )
    page.get_by_text("a.json is open").wait_for()
    assert are_same(picture(page), first)


def test_the_picture_is_saved(page):
    page.get_by_text("Save, share").click()
    with Image.open(_saved(page, "Save picture (PNG)")) as image:
        assert image.size == (4 * 28, 4 * 28)
        small = np.asarray(image.convert("L").resize((28, 28), Image.Resampling.BOX))
    assert np.abs(small - picture(page)[..., 0].astype(int)).mean() < 8


def test_the_menu_closes_when_it_is_left(page):
    menu = page.locator("details")
    leave = [
        lambda: page.keyboard.press("Escape"),
        lambda: turn_to(page, "Map"),
        lambda: _saved(page, "Save picture (PNG)"),
    ]
    for each in leave:
        page.get_by_text("Save, share").click()
        assert menu.get_attribute("open") is not None
        each()
        assert menu.get_attribute("open") is None


@pytest.mark.parametrize("server", ["synthetic_faces"], indirect=True)
def test_a_walk_is_saved_as_strip_loop_and_film(page):
    turn_to(page, "Walk")
    page.get_by_role("button", name="Stop 3").click()
    settle(page)
    with Image.open(_saved(page, "Save strip (PNG)")) as image:
        assert image.size == (9 * (2 * 64 + 4) - 4, 2 * 64)
        strip = np.asarray(image.convert("RGB"), int)[:, :128]
    with Image.open(_saved(page, "Save film (GIF)")) as image:
        assert (image.n_frames, image.info["loop"]) == (26, 0)
        assert image.info["duration"] == 80
        frames = []
        for number in range(26):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB").resize((128, 128)), int))
    # The palette costs a few levels.
    assert np.abs(frames[0] - strip).mean() < 4
    slide(page, page.get_by_label("Place on the walk"), 1)
    last = picture(page)[..., :3].astype(np.uint8)
    last = np.asarray(Image.fromarray(last).resize((128, 128), Image.Resampling.BILINEAR), int)
    assert np.abs(frames[-1] - last).mean() < 4
    assert _saved(page, "Save film (WebM)").read_bytes()[:4] == b"\x1aE\xdf\xa3"


def test_a_map_is_saved(page):
    panel = turn_to(page, "Map")
    with Image.open(_saved(page, "Save map (PNG)")) as image:
        assert image.size == (9 * (2 * 28 + 4) - 4,) * 2
        corner = np.asarray(image.convert("L").resize((267, 267), Image.Resampling.BOX), int)
    shown = pixels(panel.locator(".map canvas").first)[..., 0].astype(int)
    assert np.abs(corner[:28, :28] - shown).mean() < 12
