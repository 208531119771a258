"""The page in a real browser: pictures of one's own."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.explorer.pages import are_same, picture, pixels, settle, turn_to, visit

pytestmark = pytest.mark.browser

# Faces of 90 x 110 pixels, of which the model sees the centre 72 x 72.
LAYOUT = {"height": 110, "width": 90, "points": [[30, 50], [60, 50], [35, 80], [55, 80]]}
GIVE = """([kind, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, {type: "image/png"}));
  const inits = {paste: {clipboardData: files}, drop: {dataTransfer: files}};
  const Kind = {paste: ClipboardEvent, drop: DragEvent}[kind];
  document.body.dispatchEvent(new Kind(kind, {bubbles: true, cancelable: true, ...inits[kind]}));
}"""


@pytest.fixture
def face(request):
    return request.config.rootpath / "exports" / "examples" / "face.png"


def _wait(page):
    page.locator("#photo canvas").wait_for()
    settle(page)


@pytest.mark.parametrize("server", ["synthetic_faces"], indirect=True)
def test_a_photograph_stands_beside_what_the_model_draws_of_it(page, face):
    first = picture(page)
    page.locator("#file").set_input_files(face)
    _wait(page)
    assert not are_same(picture(page), first)
    seen = pixels(page.locator("#photo canvas"))[..., :3].astype(int)
    given = np.asarray(Image.open(face).convert("RGB").resize((64, 64)))
    assert np.abs(seen - given).max() <= 3
    assert np.abs(picture(page)[..., :3] - seen).mean() < 10
    page.get_by_label("Picture 1 of the gallery, your photograph").wait_for()
    page.go_back()
    assert are_same(picture(page), first)
    assert page.locator("#photo").is_hidden()


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_photograph_is_pasted_or_dropped(page, face, kind):
    first = picture(page)
    content = base64.b64encode(face.read_bytes()).decode()
    page.evaluate(GIVE, [kind, "face.png", content])
    _wait(page)
    assert not are_same(picture(page), first)
    assert page.get_by_role("tabpanel", name="Own photo").is_visible()


def test_a_camera_gives_a_picture(page):
    panel = turn_to(page, "Own photo")
    panel.get_by_role("button", name="Camera").click()
    panel.get_by_role("button", name="Take the picture").click()
    _wait(page)
    assert panel.locator("video").is_hidden()


def _photograph():
    """A smooth random picture as the layout has it, and the same turned and in half its size."""
    rows = np.random.default_rng(0).uniform(0, 255, (9, 7)).astype(np.uint8)
    laid = Image.fromarray(rows).resize((90, 110), Image.Resampling.BICUBIC)
    angle = np.radians(25)
    turn = 2 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    # `turn` carries offsets in the photograph to offsets in the picture.
    shift = np.array([45, 55]) - turn @ [80, 60]
    size, coefficients = (160, 120), np.column_stack([turn, shift]).ravel()
    photo = laid.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
    marks = (np.array(LAYOUT["points"]) + 0.5 - shift) @ np.linalg.inv(turn).T
    content = io.BytesIO()
    photo.save(content, "png")
    return laid, content.getvalue(), marks


def test_marks_on_eyes_and_mouth_lay_a_face(page, server, monkeypatch):
    about = server.subject.about | {"layout": LAYOUT, "crop": 0.8}
    monkeypatch.setattr(server.subject, "about", about)
    laid, content, marks = _photograph()
    visit(page, server.address)
    file = {"name": "face.png", "mimeType": "image/png", "buffer": content}
    page.locator("#file").set_input_files(file)
    _wait(page)
    circles = page.locator(".photo circle")
    canvas = page.locator(".photo canvas").bounding_box()
    for circle, mark in zip(circles.all(), marks, strict=True):
        box = circle.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        x, y = canvas["width"] / 160 * mark
        page.mouse.move(canvas["x"] + x, canvas["y"] + y, steps=2)
        page.mouse.up()
    settle(page)
    seen = pixels(page.locator("#photo canvas"))[..., 0].astype(int)
    # The server, whose export has no such layout, takes the largest square of what it gets.
    wanted = laid.crop((0, 10, 90, 100)).resize((28, 28), Image.Resampling.BILINEAR)
    middle = np.s_[8:20, 8:20]  # The turned photograph lacks the corners.
    assert np.abs(seen - np.asarray(wanted))[middle].mean() < 4
    before = circles.first.get_attribute("cx")
    circles.first.focus()
    page.keyboard.press("ArrowRight")
    settle(page)
    assert float(circles.first.get_attribute("cx")) == pytest.approx(float(before) + 0.8)
    assert page.get_by_role("button", name="Eye on the left").is_visible()


def test_marks_go_to_the_face_that_is_found_or_where_a_laid_one_has_them(
    page, server, face, monkeypatch
):
    about = server.subject.about | {"layout": LAYOUT, "finds": True}
    monkeypatch.setattr(server.subject, "about", about)
    found = np.array([[20.0, 30.0], [40.0, 32.0], [22.0, 45.0], [38.0, 46.0]])
    # face.png is small enough to be sent as it is.
    answers = [found, None]
    monkeypatch.setattr(server.subject, "find", lambda content: answers.pop(0))
    visit(page, server.address)
    scale = 64 / 110
    laid = np.array(LAYOUT["points"]) * scale + 0.5 * scale + [(64 - 90 * scale) / 2, 0]
    for wanted, count in ((found + 0.5, 1), (laid, 2)):
        page.locator("#file").set_input_files(face)
        page.locator(f"#items button[aria-label*='photograph']:nth-child({count})").wait_for()
        settle(page)
        marks = [
            [float(circle.get_attribute(name)) for name in ("cx", "cy")]
            for circle in page.locator(".photo circle").all()
        ]
        np.testing.assert_allclose(marks, wanted, atol=0.02)
    assert "No face was found" in page.get_by_role("status").inner_text()


def test_a_file_that_is_no_picture_is_refused_in_words(page, tmp_path):
    first = picture(page)
    for name, content, words in (
        ("a.png", "no picture", "a.png can't be read as a picture"),
        ("a.json", "no picture", "is no file of a code"),
        ("b.json", '{"z_1": [1]}', "This file is no code of this model: z_1 needs"),
    ):
        (tmp_path / name).write_text(content)
        page.locator("#file").set_input_files(tmp_path / name)
        page.get_by_text(words).wait_for()
    assert are_same(picture(page), first)
