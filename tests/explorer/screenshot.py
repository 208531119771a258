"""Draws docs/images/explorer.png: `make picture`, after a change of the page."""

import io
import pathlib
import shutil
import threading

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.explorer import pages
from tf_mmdvlae.explorer.server import Server
from tf_mmdvlae.explorer.subject import Subject
from tf_mmdvlae.serving.loaded import load

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    subject = Subject(load(ROOT / "exports" / "synthetic_faces"))
    with Server(subject) as server, sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 812})
        pages.visit(page, server.address)
        # A friendly face, and a slider in hand, whose ends are seen larger.
        page.locator("#items button").nth(1).click()
        page.get_by_role("slider", name="Layer 4, direction 5", exact=True).hover()
        page.wait_for_timeout(500)
        pages.settle(page)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        server.shutdown()
    # Colours in steps of 4 make two thirds of the file.
    picture = picture.point([min(255, (value + 2) // 4 * 4) for value in range(256)] * 3)
    picture.save(ROOT / "docs" / "images" / "explorer.png", optimize=True)


if __name__ == "__main__":
    main()
