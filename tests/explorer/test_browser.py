"""The page in a real browser: what a person does with layers, attributes, arithmetic and links."""

import re

import pytest

from tests.explorer.pages import are_same, picture, pixels, settle, slide, turn_to, visit

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("server", ["synthetic_faces", "mnist"], indirect=True)


@BOTH
def test_a_slider_changes_the_picture_and_back_undoes_it(page):
    first = picture(page)
    slide(page, page.locator(".column input[type=range]:visible").first, 2.5)
    second = picture(page)
    assert not are_same(second, first)
    page.go_back()
    assert are_same(picture(page), first)
    page.go_forward()
    assert are_same(picture(page), second)
    page.get_by_role("button", name="Reset").click()
    assert are_same(picture(page), first)


def test_a_layer_is_drawn_anew(page, server):
    first = picture(page)
    page.get_by_role("button", name="Draw layer 1 anew").click()
    assert not are_same(picture(page), first)
    for layer in range(1, len(server.subject.about["latent_dims"]) + 1):
        assert page.get_by_label(f"Layer {layer}, variant 5").is_visible()


def test_a_variant_is_seen_large_while_it_is_pointed_at(page):
    first = picture(page)
    variant = page.get_by_label("Layer 3, variant 1")
    variant.hover()
    assert are_same(picture(page), pixels(variant.locator("canvas")))
    page.mouse.move(1, 1)
    assert are_same(picture(page), first)


def test_the_ends_of_a_slider_are_the_pictures_there(page):
    row = page.locator(".column .row:visible").first
    ends = [pixels(row.locator("canvas").nth(side)) for side in (0, 1)]
    for value, end in zip((-3, 3), ends, strict=True):
        slide(page, row.locator("input"), value)
        assert are_same(picture(page), end)
    before = row.locator("canvas").first.bounding_box()["width"]
    row.locator("input").focus()
    page.wait_for_timeout(300)
    assert row.locator("canvas").first.bounding_box()["width"] > 2 * before
    page.get_by_label("wider sliders").check()
    assert row.locator("input").get_attribute("max") == "6"


@BOTH
def test_an_attribute_changes_the_picture_in_the_ticked_layers_only(page):
    first = picture(page)
    panel = turn_to(page, "Attributes")
    slide(page, panel.get_by_role("slider").first, 2)
    assert not are_same(picture(page), first)
    for box in panel.get_by_role("checkbox").all():
        box.uncheck()
    assert are_same(picture(page), first)


def test_arithmetic_gives_a_for_equal_b_and_c(page):
    panel = turn_to(page, "Arithmetic")
    items = page.locator("#items button")
    for item in (3, 1, 1):
        items.nth(item).click()
    settle(page)
    result = panel.get_by_label("The result of a minus b plus c")
    shown = pixels(result)
    assert are_same(shown, pixels(panel.get_by_label("Place a:").locator("canvas")))
    items.nth(2).drag_to(panel.get_by_label("Place c"))
    settle(page)
    assert not are_same(pixels(result), shown)


def test_rows_are_collected_by_keys_alone_and_a_link_holds_them(page, browser):
    page.get_by_role("tab", name="Layers").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    panel = page.get_by_role("tabpanel", name="Arithmetic")
    for item in (1, 2, 3):
        page.locator("#items button").nth(item).focus()
        page.keyboard.press("Enter")
    for count in (1, 2):
        panel.get_by_role("button", name="Keep this row").focus()
        page.keyboard.press("Enter")
        settle(page)
        assert panel.locator(".rows .sum").count() == count
    other = browser.new_page()
    visit(other, page.url)
    assert other.locator(".rows .sum").count() == 2
    last = (".rows .sum:last-child canvas:last-child", ".sum figure canvas")
    assert are_same(*(pixels(other.locator(each)) for each in last))
    other.close()


def test_a_share_link_shows_the_same_in_another_window(page, browser):
    panel = turn_to(page, "Attributes")
    slide(page, panel.get_by_role("slider").first, 1.5)
    other = browser.new_page()
    visit(other, page.url)
    assert are_same(picture(other), picture(page))
    assert other.get_by_role("tabpanel").get_by_role("slider").first.input_value() == "1.5"
    other.goto(page.url.split("#")[0] + "#z=AAAA")
    other.get_by_text("This link is of another model, or cut off.").wait_for()
    other.close()


def test_the_map_leads_to_a_place(page):
    tile = turn_to(page, "Map").locator(".map button").nth(8)
    there = pixels(tile.locator("canvas"))
    tile.click()
    assert are_same(picture(page), there)
    assert "here" in tile.get_attribute("class")


def test_a_walk_plays_and_stops_where_it_began(page):
    panel = turn_to(page, "Walk")
    first = picture(page)
    panel.get_by_role("button", name="▶ Play").click()
    page.wait_for_timeout(700)
    # The picture never rests while it plays.
    assert not are_same(pixels(page.locator("#picture")), first)
    panel.get_by_role("button", name="■ Stop").click()
    assert are_same(picture(page), first)


def test_a_model_without_attributes_has_no_such_tab(page, server, monkeypatch):
    monkeypatch.setattr(server.subject, "about", server.subject.about | {"attributes": []})
    page.reload()
    page.get_by_role("tab", name="Map").wait_for()
    assert page.get_by_role("tab", name="Attributes").count() == 0
    settle(page)


@BOTH
def test_each_control_has_a_name_and_nothing_is_wider_than_the_window(page):
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 740})
        for tab in page.get_by_role("tab").all():
            tab.click()
            settle(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            seen = page.locator("body").aria_snapshot()
            assert re.search("- slider|- button", seen)
            assert not re.findall(r"- (?:button|slider|checkbox|combobox|tab|img)\b(?! \")", seen)
