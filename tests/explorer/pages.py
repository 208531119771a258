"""What tests do on the page, and what they see there."""

import numpy as np

PIXELS = """(canvas) => canvas.getContext("2d").getImageData(
    0, 0, canvas.width, canvas.height).data"""
SLIDE = """(slider, value) => {
  slider.value = value;
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  slider.dispatchEvent(new Event("change", {bubbles: true}));
}"""


def visit(page, address):
    page.goto(address)
    page.get_by_role("tab", name="Layers").wait_for()
    settle(page)


def settle(page):
    """Waits until all that is seen has been drawn."""
    page.locator("html[data-pending='0']").wait_for(state="attached")


def turn_to(page, tab):
    """Opens a tab and gives its panel."""
    page.get_by_role("tab", name=tab).click()
    settle(page)
    return page.get_by_role("tabpanel")


def pixels(canvas):
    """A canvas' pixels, uint8 [height, width, 4]."""
    values = np.array(list(canvas.evaluate(PIXELS)), np.uint8)
    height = canvas.evaluate("(canvas) => canvas.height")
    return values.reshape(height, -1, 4)


def picture(page):
    """The pixels of the large picture."""
    settle(page)
    return pixels(page.locator("#picture"))


def are_same(one, other):
    """Whether two pictures are the same but for a level, which the rounding of links may cost."""
    return one.shape == other.shape and np.abs(one.astype(int) - other).max() <= 1


def slide(page, slider, value):
    slider.evaluate(SLIDE, value)
    settle(page)
