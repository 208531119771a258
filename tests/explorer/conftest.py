"""The page in a real browser: Debian's chromium, driven by playwright, where both are there."""

import contextlib
import shutil
import threading

import pytest

from tests.explorer import pages
from tf_mmdvlae.explorer.server import Server
from tf_mmdvlae.explorer.subject import Subject
from tf_mmdvlae.serving.loaded import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def servers(request):
    """The running server of an export, by its name; each is started once."""
    running = {}
    with contextlib.ExitStack() as stack:

        def server_of(name):
            if name not in running:
                served = load(request.config.rootpath / "exports" / name)
                server = stack.enter_context(Server(Subject(served)))
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                stack.callback(thread.join)
                stack.callback(server.shutdown)
                running[name] = server
            return running[name]

        yield server_of


@pytest.fixture
def server(request, servers):
    """The server of an export, of MNIST where a test does not ask for another."""
    return servers(getattr(request, "param", "mnist"))


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
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
    pages.visit(page, server.address)
    yield page
    page.close()
