"""The page in a real browser: Debian's chromium, driven by playwright, where both are there."""

import json
import shutil
import threading

import numpy as np
import pytest

from tf_mmdvlae.explorer.server import Server
from tf_mmdvlae.explorer.subject import Subject
from tf_mmdvlae.serving.loaded import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
PIXELS = """(canvas) => canvas.getContext("2d").getImageData(
    0, 0, canvas.width, canvas.height).data"""


BOTH = pytest.mark.parametrize("server", ["synthetic_faces", "mnist"], indirect=True)


@pytest.fixture(scope="module")
def server(request):
    """The server of an export, of MNIST where a test does not ask for another."""
    name = getattr(request, "param", "mnist")
    served = load(request.config.rootpath / "exports" / name)
    with Server(Subject(served)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def faults():
    """Errors of the page, and what it asked of other machines; there are none after a test."""
    faults = []
    yield faults
    assert not faults


@pytest.fixture
def page(server, browser, faults):
    """The opened page."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on(
        "console",
        lambda message: message.type == "error" and faults.append(message.text),
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    own = (server.address, "data:", f"blob:{server.address}")
    page.on("request", lambda asked: asked.url.startswith(own) or faults.append(asked.url))
    _open(page, server.address)
    yield page
    page.close()


def _open(page, address):
    page.goto(address)
    page.get_by_role("tab", name="Layers").wait_for()
    _settle(page)


def _settle(page):
    """Waits until all that is seen has been drawn."""
    page.locator("html[data-pending='0']").wait_for(state="attached")


def _pixels(canvas):
    """Its pixels' channels, 0 to 255."""
    return np.array(list(canvas.evaluate(PIXELS)))


def _picture(page):
    return _pixels(page.locator("#picture"))


def _are_same(one, other):
    # A link rounds codes, which may change a pixel by a level.
    return one.shape == other.shape and np.abs(one - other).max() <= 1


def _slide(page, name, value):
    page.get_by_label(name, exact=True).first.evaluate(
        """(slider, value) => {
          slider.value = value;
          slider.dispatchEvent(new Event("input", {bubbles: true}));
          slider.dispatchEvent(new Event("change", {bubbles: true}));
        }""",
        value,
    )
    _settle(page)


def _first_slider(page):
    return page.locator(".column input[type=range]:visible").first.get_attribute("aria-label")


@BOTH
def test_a_slider_changes_the_picture_and_back_undoes_it(page):
    first = _picture(page)
    _slide(page, _first_slider(page), 2.5)
    second = _picture(page)
    assert not _are_same(second, first)
    page.go_back()
    _settle(page)
    assert _are_same(_picture(page), first)
    page.go_forward()
    _settle(page)
    assert _are_same(_picture(page), second)
    page.get_by_role("button", name="Reset").click()
    _settle(page)
    assert _are_same(_picture(page), first)


def test_what_is_drawn_is_what_the_model_draws(page, server):
    """The numbers of the file of codes give the picture that is seen."""
    page.get_by_text("Save, share").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save code (file)").click()
    saved = json.loads(download.value.path().read_text())
    layers = [saved[f"z_{layer}"] for layer in range(1, len(saved))]
    expected = server.subject.decode(np.float32(np.concatenate(layers))[None])[0]
    seen = _picture(page).reshape(*expected.shape[:2], 4)[..., : expected.shape[-1]]
    np.testing.assert_array_equal(seen, expected)


def test_a_layer_is_drawn_anew(page, server):
    first = _picture(page)
    page.get_by_role("button", name="Draw layer 1 anew").click()
    _settle(page)
    assert not _are_same(_picture(page), first)
    for layer in range(1, len(server.subject.about["latent_dims"]) + 1):
        assert page.get_by_label(f"Layer {layer}, variant 5").is_visible()


def test_a_variant_is_seen_large_while_it_is_pointed_at(page):
    first = _picture(page)
    variant = page.get_by_label("Layer 3, variant 1")
    variant.hover()
    _settle(page)
    assert _are_same(_picture(page), _pixels(variant.locator("canvas")))
    page.mouse.move(1, 1)
    _settle(page)
    assert _are_same(_picture(page), first)


@BOTH
def test_an_attribute_changes_the_picture_in_the_ticked_layers_only(page, server):
    first = _picture(page)
    page.get_by_role("tab", name="Attributes").click()
    _slide_first_attribute(page, 2)
    assert not _are_same(_picture(page), first)
    boxes = page.get_by_role("tabpanel").get_by_role("checkbox")
    for index in range(boxes.count()):
        boxes.nth(index).uncheck()
    _settle(page)
    assert _are_same(_picture(page), first)


def _slide_first_attribute(page, value):
    slider = page.locator(".attributes input[type=range]").first
    _slide(page, slider.get_attribute("aria-label"), value)


def test_arithmetic_gives_a_for_equal_b_and_c(page):
    page.get_by_role("tab", name="Arithmetic").click()
    items = page.locator("#items button")
    for item in (3, 1, 1):
        items.nth(item).click()
    _settle(page)
    panel = page.get_by_role("tabpanel")
    result = panel.get_by_label("The result of a minus b plus c")
    shown = _pixels(result)
    assert _are_same(shown, _pixels(panel.get_by_label("Place a:").locator("canvas")))
    items.nth(2).drag_to(panel.get_by_label("Place c"))
    _settle(page)
    assert not _are_same(_pixels(result), shown)
    panel.get_by_role("button", name="Keep this row").click()
    panel.get_by_role("button", name="Keep this row").click()
    assert panel.locator(".rows .sum").count() == 2


@BOTH
def test_a_photograph_is_encoded_and_shown_beside_its_drawing(page, request):
    face = request.config.rootpath / "exports" / "examples" / "face.png"
    first = _picture(page)
    page.locator("#file").set_input_files(face)
    page.locator("#photo canvas").wait_for()
    _settle(page)
    assert not _are_same(_picture(page), first)
    page.get_by_label("Picture 1 of the gallery, your photograph").wait_for()
    page.locator("#items button").nth(1).click()
    assert page.locator("#photo").is_hidden()


def test_a_file_that_is_no_picture_is_refused_in_words(page, faults, tmp_path):
    first = _picture(page)
    for name, words in (
        ("a.png", "can't be read as a picture"),
        ("a.json", "is no file of a code"),
    ):
        (tmp_path / name).write_bytes(b"no picture")
        page.locator("#file").set_input_files(tmp_path / name)
        page.get_by_text(words).wait_for()
    (tmp_path / "b.json").write_text('{"z_1": [1]}')
    page.locator("#open").set_input_files(tmp_path / "b.json")
    page.get_by_text("This file is no code of this model: z_1 needs").wait_for()
    assert _are_same(_picture(page), first)
    # The browser reports an answer of status 400 by itself.
    assert "400" in faults.pop()


def test_a_share_link_shows_the_same_in_another_window(page, browser):
    page.get_by_role("tab", name="Attributes").click()
    _slide_first_attribute(page, 1.5)
    address = page.url
    other = browser.new_page()
    _open(other, address)
    assert _are_same(_picture(other), _picture(page))
    slider = other.locator(".attributes input[type=range]").first
    assert slider.input_value() == "1.5"
    other.goto(address.split("#")[0] + "#z=AAAA")
    other.get_by_text("This link is of another model, or cut off.").wait_for()
    other.close()


def test_the_map_leads_to_a_place(page):
    page.get_by_role("tab", name="Manifold").click()
    _settle(page)
    tile = page.locator(".map button").nth(8)
    pixels = _pixels(tile.locator("canvas"))
    tile.click()
    _settle(page)
    assert _are_same(_picture(page), pixels)
    assert "here" in tile.get_attribute("class")


def test_a_walk_plays_and_stops_where_it_began(page):
    page.get_by_role("tab", name="Interpolate").click()
    _settle(page)
    first = _picture(page)
    page.get_by_role("button", name="▶ Play").last.click()
    page.wait_for_timeout(700)
    assert not _are_same(_picture(page), first)
    page.get_by_role("button", name="■ Stop").last.click()
    _settle(page)
    assert _are_same(_picture(page), first)


def test_a_model_without_attributes_has_no_such_tab(page, server):
    about = server.subject.about
    server.subject.about = about | {"attributes": []}
    try:
        page.reload()
        page.get_by_role("tab", name="Manifold").wait_for()
        assert page.get_by_role("tab", name="Attributes").count() == 0
        _settle(page)
    finally:
        server.subject.about = about


@BOTH
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 740})
    for tab in page.get_by_role("tab").all():
        tab.click()
        _settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
