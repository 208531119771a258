"""The written page in a real browser, from a web server and from disk, without TensorFlow."""

import base64
import functools
import http.server
import io
import threading

import numpy as np
import pytest
from PIL import Image

from tests.explorer import pages
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.explorer.runtime import find_runtime
from tf_mmdvlae.explorer.static import write_page
from tf_mmdvlae.explorer.subject import Subject
from tf_mmdvlae.serving.loaded import load

pytest.importorskip("tf2onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.browser
ENCODE = """async (content) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const { code, picture } = await explorer.encode(new Blob([bytes]));
  return [[...code], [...picture.pixels]];
}"""
DECODE = """async (codes) =>
  [...await explorer.images(codes.map((code) => Float32Array.from(code)))]"""


@pytest.fixture(scope="module")
def runtime():
    try:
        return find_runtime()
    except InputError as error:
        pytest.skip(f"{error}")


@pytest.fixture(scope="module", params=["synthetic_faces", "mnist"])
def subject(request):
    return Subject(load(request.config.rootpath / "exports" / request.param))


@pytest.fixture(scope="module")
def folder(subject, runtime, tmp_path_factory):
    """A folder of that name with the page in it, and the same in one file."""
    folder = tmp_path_factory.mktemp("static")
    write_page(subject, runtime, folder / "site")
    write_page(subject, runtime, folder / "page.html")
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module", params=["folder", "file"])
def address(request, folder):
    if request.param == "file":
        yield (folder / "page.html").as_uri()
        return
    handler = functools.partial(_Quiet, directory=folder / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def opened(address, browser):
    """The page, opened once; the other requests than for its own files; its errors."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults = []
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    own = (address, "data:", f"blob:{address}", "blob:null/")
    page.on("request", lambda asked: asked.url.startswith(own) or faults.append(asked.url))
    pages.visit(page, address)
    yield page, faults
    page.close()


@pytest.fixture
def page(opened):
    page, faults = opened
    page.get_by_role("tab", name="Layers").click()
    pages.settle(page)
    yield page
    assert not faults


def _first_slider(page):
    return page.locator(".column input[type=range]:visible").first


def _codes(subject, count=3):
    return np.random.default_rng(0).standard_normal((count, subject.dimensions), np.float32)


def test_the_networks_give_what_the_savedmodel_gives(page, subject):
    codes = _codes(subject)
    images = page.evaluate(DECODE, codes.tolist())
    layers = np.split(codes, np.cumsum(subject.served.latent_dims)[:-1], axis=1)
    expected = subject.served.decode({f"z_{i}": part for i, part in enumerate(layers, 1)})
    np.testing.assert_allclose(np.reshape(images, expected.shape), expected, atol=1e-4)


def _noise(mode, size):
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], bands), np.uint8)
    return Image.fromarray(pixels if bands > 1 else pixels[..., 0])


@pytest.mark.parametrize(
    ("mode", "size"), [("RGB", (64, 64)), ("RGB", (217, 301)), ("L", (100, 45)), ("RGB", (20, 31))]
)
def test_a_picture_is_read_and_encoded_as_by_the_commands(page, subject, mode, size):
    """Noise shows the slightest difference in what is cut or how it is scaled."""
    file = io.BytesIO()
    _noise(mode, size).save(file, "png")
    content = file.getvalue()
    code, pixels = page.evaluate(ENCODE, base64.b64encode(content).decode())
    expected, picture = subject.encode(content)
    np.testing.assert_array_equal(pixels, picture.ravel())
    np.testing.assert_allclose([code], expected, atol=1e-4)


def test_a_photograph_is_turned_and_a_large_one_reduced_first(page, subject):
    wide = Image.linear_gradient("L").resize((4200, 3000)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    wide.save(file, "jpeg", exif=exif, quality=95)
    _, pixels = page.evaluate(ENCODE, base64.b64encode(file.getvalue()).decode())
    _, picture = subject.encode(file.getvalue())
    np.testing.assert_allclose(pixels, picture.ravel(), atol=3)


def test_what_is_no_picture_is_refused_in_words(page, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    page.locator("#file").set_input_files(tmp_path / "a.png")
    page.get_by_text("can't be read as a picture").wait_for()


def test_a_slider_changes_the_picture_and_back_undoes_it(page):
    first = pages.picture(page)
    pages.slide(page, _first_slider(page), 2.5)
    assert not pages.are_same(pages.picture(page), first)
    page.go_back()
    pages.settle(page)
    assert pages.are_same(pages.picture(page), first)


def test_arithmetic_gives_a_for_equal_b_and_c(page):
    page.get_by_role("tab", name="Arithmetic").click()
    items = page.locator("#items button")
    for item in (3, 1, 1):
        items.nth(item).click()
    pages.settle(page)
    panel = page.get_by_role("tabpanel")
    result = pages.pixels(panel.get_by_label("The result of a minus b plus c"))
    assert pages.are_same(result, pages.pixels(panel.get_by_label("Place a:").locator("canvas")))


def test_a_photograph_is_shown_beside_its_drawing(page, request):
    face = request.config.rootpath / "exports" / "examples" / "face.png"
    first = pages.picture(page)
    page.locator("#file").set_input_files(face)
    page.locator("#photo canvas").wait_for()
    pages.settle(page)
    assert not pages.are_same(pages.picture(page), first)


def test_a_share_link_shows_the_same_in_another_window(page, browser):
    pages.slide(page, _first_slider(page), -2)
    other = browser.new_page()
    pages.visit(other, page.url)
    assert pages.are_same(pages.picture(other), pages.picture(page))
    other.close()


def test_draws_depend_on_their_seeds_alone(page):
    seeds = "async ([seed, count]) => (await explorer.draw(seed, count)).map((i) => [...i.code])"
    one, three = page.evaluate(seeds, [4, 1]), page.evaluate(seeds, [3, 3])
    assert three[1] == one[0]
    assert three[0] != one[0]


def test_draws_come_from_the_mixture(page, subject):
    from tf_mmdvlae.explorer.fitted import find_mixture
    from tf_mmdvlae.model import latents

    draw = "async () => (await explorer.draw(0, 2000)).map((item) => [...item.code.slice(0, 6)])"
    drawn = np.array(page.evaluate(draw))
    expected = latents.join(find_mixture(subject.served).sample(2000, 0))[:, :6]
    error = 5 * expected.std(axis=0) / np.sqrt(2000)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - expected.mean(axis=0)), 2 * error)
    np.testing.assert_allclose(drawn.std(axis=0), expected.std(axis=0), rtol=0.15)


def test_a_page_in_a_folder_says_why_it_does_not_open_from_disk(browser, folder):
    page = browser.new_page()
    page.goto((folder / "site" / "index.html").as_uri())
    page.get_by_text("This page needs a web server").wait_for()
    page.close()
