"""Keys, the toolbar and the slices' slider do what they say."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.server.page.desk import COLORS, PLAIN, Desk, browsing, desk_in
from tests.server.page.viewing import Phantom
from tests.server.page.where import Lie

LIE = Lie("SPL", (21, 33, 17), (4.0, 0.8, 0.5))
FIRST, KEY = 10, 14
OUTLINED = (3, 7, 12, 13, KEY, 20)
BARS = """() => { const c = document.querySelector(".viewer-strip");
  const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
  return Array.from({ length: c.width }, (_, x) => Array.from({ length: c.height },
    (_, y) => data[4 * (y * c.width + x) + 3] > 127).filter(Boolean).length); }"""


@pytest.fixture(scope="module")
def page_with_viewer() -> Iterator[Desk]:
    with browsing() as browser, desk_in(browser) as desk:
        yield desk


@pytest.fixture
def desk(page_with_viewer: Desk) -> Desk:
    """A volume at slice 11 of 21, the viewer's stage focused."""
    page_with_viewer.show(scan(), slice=FIRST)
    page_with_viewer.page.locator(".viewer-stage").focus()
    return page_with_viewer


def scan() -> Phantom:
    mask = np.zeros(LIE.shape, np.uint8)
    for slice_ in OUTLINED:
        mask[slice_, 5:9, 5 : 15 if slice_ == KEY else 8] = 1
    more = {"affine": LIE.affine.tolist(), "plane": "axial", "directions": LIE.letters(0)}
    pixels = np.full(LIE.shape, 100, np.uint16)
    return Phantom(pixels, mask, 255 * mask, 128 * mask, spacing=LIE.spacing, more=more)


def press(desk: Desk, *keys: str) -> dict[str, Any]:
    for key in keys:
        desk.page.keyboard.press(key)
    return desk.state


@pytest.mark.parametrize(
    ("key", "slice_"),
    [
        ("ArrowRight", FIRST + 1),
        ("ArrowDown", FIRST + 1),
        ("ArrowLeft", FIRST - 1),
        ("ArrowUp", FIRST - 1),
        ("PageDown", FIRST + 2),
        ("PageUp", FIRST - 2),
        ("Home", 0),
        ("End", 20),
        ("k", KEY),
    ],
)
def test_keys_go_through_the_slices(desk: Desk, key: str, slice_: int) -> None:
    before = desk.state
    assert press(desk, key) == before | {"slice": slice_}
    assert f"Slice {slice_ + 1} of 21" in desk.words()
    assert desk.page.locator(".viewer-slice-text").inner_text() == f"{slice_ + 1} / 21"


def test_keys_stop_at_the_first_and_the_last_slice(desk: Desk) -> None:
    assert press(desk, "Home", "ArrowLeft", "PageUp")["slice"] == 0
    assert press(desk, "End", "ArrowRight", "PageDown")["slice"] == 20


@pytest.mark.parametrize(("key", "tool"), [("w", "window"), ("p", "pan"), ("r", "ruler"), ("c", "crosshair")])
def test_keys_choose_the_tools(desk: Desk, key: str, tool: str) -> None:
    desk.apply(tool="pan" if tool != "pan" else "ruler")
    for each in (key, key.upper()):
        assert press(desk, each)["tool"] == tool
    assert (
        desk.page.locator('.viewer-tools [aria-pressed="true"]').get_attribute("aria-label")
        == {
            "window": "Window and level",
            "pan": "Pan",
            "ruler": "Ruler",
            "crosshair": "Crosshair",
        }[tool]
    )


@pytest.mark.parametrize(
    ("key", "name"), [("o", "outline"), ("f", "fill"), ("h", "heat"), ("u", "uncertain")]
)
def test_keys_switch_what_is_drawn_over_the_slice_on_and_off(desk: Desk, key: str, name: str) -> None:
    desk.apply(**PLAIN, slice=KEY)
    plain = desk.picture()
    assert press(desk, key)[name]
    assert np.abs(desk.picture() - plain).max() > 30
    assert not press(desk, key)[name]
    assert np.abs(desk.picture() - plain).max() == 0


def test_keys_zoom_and_fit(desk: Desk) -> None:
    for key, zoom in (("+", 1.25), ("=", 1.25**2), ("-", 1.25), ("-", 1)):
        assert press(desk, key)["zoom"] == pytest.approx(zoom)
    desk.apply(zoom=3, center=[0.2, 0.9, 0.4])
    state = press(desk, "0")
    assert (state["zoom"], state["center"]) == (1, [0.5, 0.5, 0.5])
    assert press(desk, *40 * ["+"])["zoom"] == 40
    assert press(desk, *40 * ["-"])["zoom"] == 0.5


@pytest.mark.parametrize(
    ("key", "axis", "sign"),
    [("ArrowRight", 2, 1), ("ArrowLeft", 2, -1), ("ArrowDown", 1, 1), ("ArrowUp", 1, -1)],
)
def test_shift_and_an_arrow_key_pan_that_way(desk: Desk, key: str, axis: int, sign: int) -> None:
    """The picture's part in that direction comes into view."""
    desk.apply(zoom=3)
    center = press(desk, f"Shift+{key}")["center"]
    look = desk.look(LIE, zoom=3)
    step = 0.05 * min(look.width, look.height) / look.size()[0 if axis == 2 else 1] / LIE.shape[axis]
    expected = [0.5, 0.5, 0.5]
    expected[axis] += sign * step
    assert center == pytest.approx(expected)


def test_arrow_keys_pan_a_single_slice(desk: Desk) -> None:
    desk.show(Phantom(np.full((1, 33, 17), 9, np.uint16)), zoom=3)
    state = press(desk, "ArrowRight", "ArrowDown")
    assert state["center"][1] > 0.5
    assert state["center"][2] > 0.5


def test_the_space_bar_lets_any_tool_pan(desk: Desk) -> None:
    desk.apply(zoom=2, tool="window")
    window = desk.state["window"]
    desk.page.keyboard.down(" ")
    desk.drag(0, (400, 300), (440, 300))
    desk.page.keyboard.up(" ")
    state = desk.state
    assert state["window"] == window
    assert state["center"][2] < 0.5
    desk.drag(0, (400, 300), (440, 300))
    assert desk.state["center"] == state["center"]
    assert desk.state["window"] != window


def rulers(desk: Desk, pane: int = 0) -> list[str]:
    return [each for each in desk.words(pane) if re.fullmatch(r"\d+\.\d mm", each)]


def test_keys_lay_move_leave_and_delete_a_ruler(desk: Desk) -> None:
    press(desk, "r", "Enter")
    assert rulers(desk) == ["8.5 mm"]
    press(desk, "ArrowLeft", "ArrowLeft")
    assert rulers(desk) == ["7.5 mm"]
    assert desk.state["slice"] == FIRST
    press(desk, "Escape", "ArrowRight")
    assert desk.state["slice"] == FIRST + 1
    assert rulers(desk) == []
    press(desk, "ArrowLeft")
    assert rulers(desk) == ["7.5 mm"]
    press(desk, "Delete")  # none is chosen
    assert rulers(desk) == ["7.5 mm"]
    press(desk, "Enter", "Backspace")  # a second one
    assert rulers(desk) == ["7.5 mm"]


def test_keys_move_no_ruler_that_isnt_to_be_seen(desk: Desk) -> None:
    desk.apply(layout="planes", tool="ruler", cursor=[16, 8])
    desk.page.evaluate("whole()")
    desk.frame()
    look = desk.look(LIE, 1)
    desk.drag(1, (look.width * 0.5, look.height * 0.4), (look.width * 0.52, look.height * 0.6))
    [length] = rulers(desk, 1)
    desk.apply(layout="slice")
    assert press(desk, "ArrowRight")["slice"] == FIRST + 1
    desk.apply(layout="planes", slice=FIRST)
    desk.frame()
    assert rulers(desk, 1) == [length]
    look = desk.look(LIE, 1)
    desk.page.mouse.click(*desk.client(1, look.width * 0.5, look.height * 0.4))  # choose it
    desk.apply(cursor=[5, 8])
    assert press(desk, "ArrowRight")["slice"] == FIRST + 1


def test_no_ruler_is_laid_where_none_can_be_seen(desk: Desk) -> None:
    desk.apply(layout="surface", tool="ruler")
    press(desk, "Enter")
    desk.apply(layout="slice")
    assert rulers(desk) == []


def test_keys_with_control_or_outside_the_stage_are_left_to_the_browser(desk: Desk) -> None:
    before = desk.state
    assert press(desk, "Control+c", "Alt+p", "Meta+r") == before
    desk.page.locator(".viewer-slices .viewer-button").focus()
    assert press(desk, "r", "o", "h", "Home") == before


def test_the_help_names_every_key(desk: Desk) -> None:
    described = desk.page.locator(".viewer-stage").get_attribute("aria-describedby")
    text = desk.page.locator(f"#{described}").text_content()
    assert text is not None
    for word in (
        *(
            "Arrow keys",
            "Page Up",
            "Page Down",
            "Home",
            "End",
            "Shift",
            "Plus",
            "minus",
            "0 fits",
            "W window",
        ),
        *(
            "P pan",
            "R ruler",
            "C crosshair",
            "O outline",
            "F fill",
            "H heatmap",
            "U uncertain",
            "K key slice",
        ),
        *("Enter", "Delete", "Escape", "Space"),
    ):
        assert word in text, word


def gray(desk: Desk) -> int:
    """In the middle of the picture."""
    colors = desk.picture()
    return int(colors[colors.shape[0] // 2, colors.shape[1] // 2, 0])


def test_dragging_with_the_window_tool_widens_to_the_right_and_brightens_upwards(desk: Desk) -> None:
    low, high = desk.state["window"].values()
    bright = gray(desk)
    desk.drag(0, (400, 300), (440, 300))
    wider = desk.state["window"]
    assert wider["high"] - wider["low"] == pytest.approx((high - low) * 1.1)
    assert wider["high"] + wider["low"] == pytest.approx(high + low)
    desk.apply(window={"low": low, "high": 2 * high})
    darker = gray(desk)
    assert darker < bright
    desk.drag(0, (400, 400), (400, 300))
    assert gray(desk) > darker


def test_marks_stand_over_the_sliders_thumb_at_slices_with_tumor(desk: Desk) -> None:
    heights = np.array(desk.page.evaluate(BARS))
    box = desk.page.locator(".viewer-track input").bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(len(heights), abs=1)
    left, middle = round(box["x"]), round(box["y"] + box["height"] / 2)
    found = []
    desk.color(**{"--viewer-text": "rgb(255 255 255)"})  # the thumb's as well
    for slice_ in range(21):
        desk.apply(slice=slice_)
        desk.frame()
        is_thumb = desk.screenshot()[middle, left : left + len(heights)].min(axis=1) > 215
        thumb = float(np.flatnonzero(is_thumb).mean())
        if heights[round(thumb)] == 0:
            continue
        found.append(slice_)
        if slice_ in (3, 7):  # marks that stand alone
            start, end = round(thumb), round(thumb)
            while heights[start - 1] > 0:
                start -= 1
            while heights[end + 1] > 0:
                end += 1
            assert (start + end) / 2 == pytest.approx(thumb, abs=1.5)
    desk.color(**COLORS)
    assert tuple(found) == OUTLINED


def test_the_largest_outline_has_the_highest_mark(desk: Desk) -> None:
    heights = np.array(desk.page.evaluate(BARS))
    at = [round(8 + slice_ * (len(heights) - 16) / 20) for slice_ in OUTLINED]  # the thumb is 16 pixels wide
    highest = {slice_: int(heights[x]) for slice_, x in zip(OUTLINED, at, strict=True)}
    assert max(highest, key=lambda slice_: highest[slice_]) == KEY
    assert len({high for slice_, high in highest.items() if slice_ != KEY}) == 1


def test_the_slider_and_the_key_slices_button_go_to_slices(desk: Desk) -> None:
    desk.page.locator(".viewer-slices button").click()
    assert desk.state["slice"] == KEY
    slider = desk.page.locator(".viewer-track input")
    slider.focus()
    assert press(desk, "ArrowRight")["slice"] == KEY + 1
    assert slider.get_attribute("aria-valuetext") == "Slice 16 of 21, no tumor outlined"


def test_a_single_slice_has_no_slider_no_layouts_and_no_mark(desk: Desk) -> None:
    mask = np.zeros((1, 5, 7), np.uint8)
    mask[0, 0, 0] = 1
    desk.show(Phantom(np.full((1, 5, 7), 9, np.uint16), mask), outline=True)
    for hidden in (".viewer-slices", ".viewer-layouts"):
        assert not desk.page.locator(hidden).is_visible()
    assert desk.words()[-1] != "Slice 1 of 1"
    assert press(desk, "PageDown", "End", "k")["slice"] == 0
    desk.apply(layout="planes")
    assert desk.state["layout"] == "slice"


def test_a_volume_without_outline_offers_no_surface(desk: Desk) -> None:
    nothing = np.zeros(LIE.shape, np.uint8)
    desk.show(Phantom(np.full(LIE.shape, 9, np.uint16), nothing, spacing=LIE.spacing), outline=True)
    surface = desk.page.get_by_role("button", name="Surface")
    assert surface.is_disabled()
    assert surface.get_attribute("title") == "No tumor is outlined."
    desk.apply(layout="surface")
    assert desk.state["layout"] == "slice"
    assert press(desk, "k")["slice"] == 10
    desk.show(scan())
    assert surface.is_enabled()
    assert surface.get_attribute("title") == "Surface"
