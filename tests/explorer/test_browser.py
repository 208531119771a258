"""The page in a real browser: Debian's chromium, driven by playwright, where both are there."""

import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from tf_mmdvlae.explorer.server import Server
from tf_mmdvlae.explorer.subject import Subject
from tf_mmdvlae.serving.loaded import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
# Pixels of a canvas, as one text.
PIXELS = """(canvas) => canvas.getContext("2d").getImageData(
    0, 0, canvas.width, canvas.height).data.join()"""


@pytest.fixture(scope="module", params=["synthetic_faces", "mnist"])
def server(request):
    served = load(request.config.rootpath / "exports" / request.param)
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
def page(server, browser):
    """The opened page; afterwards it has asked nothing of other machines and reported no error."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    own = (server.address, "data:", f"blob:{server.address}")
    page.on("request", lambda asked: asked.url.startswith(own) or faults.append(asked.url))
    _open(page, server.address)
    yield page
    page.close()
    assert not faults


def _open(page, address):
    page.goto(address)
    page.get_by_role("tab", name="Layers").wait_for()
    _settle(page)


def _settle(page):
    """Waits until nothing is asked of the server any more."""
    page.wait_for_timeout(300)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)


def _picture(page):
    return page.locator("#picture").evaluate(PIXELS)


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


def test_a_slider_changes_the_picture_and_back_undoes_it(page):
    first = _picture(page)
    _slide(page, _first_slider(page), 2.5)
    second = _picture(page)
    assert second != first
    page.go_back()
    _settle(page)
    assert _picture(page) == first
    page.go_forward()
    _settle(page)
    assert _picture(page) == second
    page.get_by_role("button", name="Reset").click()
    _settle(page)
    assert _picture(page) == first


def test_what_is_drawn_is_what_the_model_draws(page, server):
    """The numbers of the file of codes give the picture that is seen."""
    page.get_by_text("Save, share").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save code (file)").click()
    values = np.array([])
    for _, layer in sorted(_json(download.value).items()):
        if isinstance(layer, list):
            values = np.concatenate([values, layer])
    expected = server.subject.decode(np.float32(values)[None])[0]
    seen = np.array(_picture(page).split(","), int).reshape(*expected.shape[:2], 4)
    assert np.abs(seen[..., : expected.shape[-1]] - expected).max() <= 1


def _json(download):
    import json

    return json.loads(open(download.path()).read())


def test_a_layer_is_drawn_anew(page, server):
    first = _picture(page)
    page.get_by_role("button", name="Draw layer 1 anew").click()
    _settle(page)
    assert _picture(page) != first
    for layer in range(1, len(server.subject.about["latent_dims"]) + 1):
        assert page.get_by_label(f"Layer {layer}, variant 5").is_visible()


def test_an_attribute_changes_the_picture_in_the_ticked_layers_only(page, server):
    first = _picture(page)
    page.get_by_role("tab", name="Attributes").click()
    _slide_first_attribute(page, 2)
    assert _picture(page) != first
    boxes = page.get_by_role("tabpanel").get_by_role("checkbox")
    for index in range(boxes.count()):
        boxes.nth(index).uncheck()
    _settle(page)
    assert _picture(page) == first


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
    shown = panel.get_by_label("The result of a minus b plus c").evaluate(PIXELS)
    assert shown == panel.get_by_label("Place a:").locator("canvas").evaluate(PIXELS)
    items.nth(2).drag_to(panel.get_by_label("Place c"))
    _settle(page)
    assert panel.get_by_label("The result of a minus b plus c").evaluate(PIXELS) != shown
    panel.get_by_role("button", name="Keep this row").click()
    panel.get_by_role("button", name="Keep this row").click()
    assert panel.locator(".rows .sum").count() == 2


def test_a_photograph_is_encoded_and_shown_beside_its_drawing(page, request, tmp_path):
    face = request.config.rootpath / "exports" / "examples" / "face.png"
    first = _picture(page)
    page.locator("#file").set_input_files(face)
    page.get_by_label("Your photograph", exact=False).first.wait_for()
    _settle(page)
    assert _picture(page) != first
    (tmp_path / "wrong.png").write_bytes(b"no picture")
    page.locator("#file").set_input_files(tmp_path / "wrong.png")
    page.get_by_text("can't be read as a picture").wait_for()
    # The browser itself reports the answer 400 on the console.


def test_a_share_link_shows_the_same_in_another_window(page, browser):
    page.get_by_role("tab", name="Attributes").click()
    _slide_first_attribute(page, 1.5)
    address = page.url
    other = browser.new_page()
    _open(other, address)
    assert _picture(other) == _picture(page)
    slider = other.locator(".attributes input[type=range]").first
    assert slider.input_value() == "1.5"
    _open(other, "about:blank") if False else other.goto(address.split("#")[0] + "#z=AAAA")
    other.get_by_text("This link is of another model, or cut off.").wait_for()
    other.close()


def test_the_map_leads_to_a_place(page):
    page.get_by_role("tab", name="Manifold").click()
    _settle(page)
    tile = page.locator(".map button").nth(8)
    pixels = tile.locator("canvas").evaluate(PIXELS)
    tile.click()
    _settle(page)
    seen = np.array(_picture(page).split(","), int)
    assert np.abs(seen - np.array(pixels.split(","), int)).max() <= 1
    assert "here" in tile.get_attribute("class")


def test_a_walk_plays_and_stops_where_it_began(page):
    page.get_by_role("tab", name="Interpolate").click()
    _settle(page)
    first = _picture(page)
    page.get_by_role("button", name="▶ Play").last.click()
    page.wait_for_timeout(700)
    assert _picture(page) != first
    page.get_by_role("button", name="■ Stop").last.click()
    _settle(page)
    assert _picture(page) == first


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 740})
    for tab in page.get_by_role("tab").all():
        tab.click()
        _settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    with Image.open(_screenshot(page)) as picture:
        assert picture.size[0] == width


def _screenshot(page):
    import io

    return io.BytesIO(page.screenshot())
