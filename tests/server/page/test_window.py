"""Window and level: by dragging, presets, typing, and back."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.server.page.conftest import Known
from tests.server.page.screen import Picture, assert_changed, assert_same, pane, settled
from tests.server.page.visits import ROOMY, Visits, pull
from tests.server.running import Running


@pytest.fixture
def page(visits: Visits, known: Known) -> Page:
    """A stack with all controls in sight, and no outline in the way."""
    page = visits.open(known.stack["id"], viewport=ROOMY)
    before = settled(page)
    page.locator(".viewer-stage").press("o")
    assert_changed(page, before)
    return page


def fields(page: Page) -> tuple[float, float]:
    """Width and level."""
    width, level = (page.get_by_label(f"Window {name}").input_value() for name in ("width", "level"))
    return float(width), float(level)


def middle(shown: Picture) -> np.ndarray:
    """Gray values without what is written near the edges."""
    height, width = shown.shape[:2]
    return shown[height // 5 : -height // 5, width // 3 : -width // 3, 0]


def test_dragging_to_the_right_flattens_the_picture_and_reset_takes_it_back(page: Page) -> None:
    before, (width, level) = settled(page), fields(page)
    pull(page, pane(page), 150, 0)
    after = assert_changed(page, before)
    assert middle(after).std() < 0.9 * middle(before).std()
    assert fields(page)[0] > width + 10
    assert fields(page)[1] == pytest.approx(level, abs=1)
    page.get_by_role("button", name="Reset the window").click()
    assert_same(page, before)
    assert fields(page) == (width, level)


def test_dragging_up_is_brighter_and_down_is_darker(page: Page) -> None:
    before, (width, level) = settled(page), fields(page)
    for down, sign in ((-120, 1), (120, -1)):
        pull(page, pane(page), 0, down)
        after = assert_changed(page, before)
        assert sign * (middle(after).mean() - middle(before).mean()) > 5
        assert sign * (level - fields(page)[1]) > 10
        assert fields(page)[0] == pytest.approx(width, abs=1)
        page.get_by_role("button", name="Reset the window").click()
        assert_same(page, before)


def test_each_preset_is_shown_as_the_server_tells_it(page: Page, known: Known, real: Running) -> None:
    before = settled(page)
    presets = real.client.get(f"/v1/analyses/{known.stack['id']}/view").json()["presets"]
    menu = page.get_by_label("Window preset")
    assert menu.locator("option:not([hidden])").all_inner_texts() == [each["name"] for each in presets]
    seen = []
    for each in presets:
        menu.select_option(label=each["name"])
        low, high = each["low"], each["high"]
        assert fields(page) == pytest.approx((high - low, (low + high) / 2), abs=0.6)
        seen.append(settled(page))
    assert len({shown.tobytes() for shown in seen}) == len(presets) >= 3
    menu.select_option(label=presets[0]["name"])
    assert_same(page, before)


def test_a_typed_window_is_shown_and_a_dragged_one_is_nobodys_preset(page: Page, known: Known) -> None:
    before, (width, level) = settled(page), fields(page)
    page.get_by_label("Window width").fill("120")
    page.get_by_label("Window width").press("Enter")
    narrow = assert_changed(page, before)
    # Between black and white there is little left where the window is narrow.
    assert np.isin(middle(narrow), (0, 255)).mean() > 1.5 * np.isin(middle(before), (0, 255)).mean()
    expect(page.get_by_label("Window preset")).to_have_value("own")
    page.get_by_label("Window width").fill(str(width))
    page.get_by_label("Window level").fill(str(level))
    page.get_by_label("Window level").press("Enter")
    page.get_by_role("button", name="Reset the window").click()
    expect(page.get_by_label("Window preset")).to_have_value("0")
    assert_same(page, before)


def test_the_value_under_the_pointer_is_the_scans_own(page: Page, known: Known, real: Running) -> None:
    box = pane(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 5, box["y"] + box["height"] / 2 + 9)
    readout = page.locator(".viewer-readout")
    expect(readout).to_contain_text("Slice 4, row")
    words = readout.inner_text().replace(",", "").replace(":", "").split()
    row, column, value = int(words[3]) - 1, int(words[5]) - 1, float(words[6])
    view = real.client.get(f"/v1/analyses/{known.stack['id']}/view").json()
    content = real.client.get(f"/v1/analyses/{known.stack['id']}/view/slices/3").content
    pixels = np.frombuffer(content, "<u2", 224 * 224).reshape(224, 224)
    assert (row, column) == (118, 114) or abs(row - 115) < 6
    assert value == pytest.approx(float(pixels[row, column]) * view["slope"] + view["intercept"], abs=0.6)
