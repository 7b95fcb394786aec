"""The page without a mouse: everything is reached, the focus is always seen, and what happens is said."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FloatRect, Page, expect

from tests.server.page.conftest import Known
from tests.server.page.scan_files import ScanFiles
from tests.server.page.screen import differs, image_of, pane, settled, told_mask
from tests.server.page.visits import ROOMY, Visits, cards, choose, kept_ids
from tests.server.running import Running

MOST = 90  # stops until a test gives up
CONTROLS = "a[href], button, input, select, summary, textarea, [tabindex]"
FOCUSED = """() => {
  const it = document.activeElement;
  if (it === null || it === document.body) return null;
  const box = it.getBoundingClientRect();
  const style = getComputedStyle(it);
  const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return {
    number: window.controls?.indexOf(it) ?? -1,
    name: (it.getAttribute("aria-label") ?? it.innerText ?? it.id).trim().split("\\n")[0],
    box: { x: box.x, y: box.y, width: box.width, height: box.height },
    ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    inView: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    covered: at !== null && at !== it && !it.contains(at) && !at.contains(it),
  };
}"""
NUMBER = """(selector) => {
  const seen = (it) => it.checkVisibility({ visibilityProperty: true }) && !it.disabled && it.tabIndex >= 0;
  window.controls = [...document.querySelectorAll(selector)].filter(seen);
  return window.controls.map((it) => it.getAttribute("aria-label") ?? it.innerText ?? it.id);
}"""


def focused(page: Page) -> dict[str, Any] | None:
    """What has the focus; None where the browser itself has it."""
    found: dict[str, Any] | None = page.evaluate(FOCUSED)
    return found


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab until something with a name has the focus."""
    passed = []
    for _ in range(MOST):
        page.keyboard.press(key)
        found = focused(page)
        if found and re.match(name, found["name"]):
            return
        passed.append(found and found["name"])
    pytest.fail(f"{name} wasn't reached, only {passed}")


@pytest.fixture
def result(visits: Visits, known: Known) -> Page:
    """A stack and a slice, with all controls in sight."""
    return visits.open(known.stack["id"], known.slice["id"], viewport=ROOMY)


def test_a_mask_is_saved_from_a_sample_without_a_mouse(page: Page, real: Running, tmp_path: Path) -> None:
    tab_to(page, "Glioma")
    page.keyboard.press("Enter")
    cards(page, 1)
    expect(page.locator("#said")).to_have_text(
        re.compile(r"glioma, .*% confidence|glioma, .*high confidence\.")
    )
    expect(page.locator(".card-open")).to_be_focused()
    expect(pane(page)).to_be_visible()
    tab_to(page, "Scan$")
    before = settled(page)
    page.keyboard.press("f")
    assert differs(settled(page), before)
    tab_to(page, "Mask$")
    with page.expect_download() as coming:
        page.keyboard.press("Enter")
    coming.value.save_as(tmp_path / "mask.png")
    expect(page.locator("#said")).to_contain_text("-mask.png is saved.")
    with Image.open(tmp_path / "mask.png") as image:
        assert np.array_equal(np.asarray(image) > 0, told_mask(real.client, kept_ids(page)[0])[0])


def test_a_file_is_chosen_and_its_report_opened_without_a_mouse(page: Page, scans: ScanFiles) -> None:
    page.on("filechooser", lambda _: None)  # from now on none is opened for real
    tab_to(page, "Choose files")
    with page.expect_file_chooser() as asked:
        page.keyboard.press("Enter")
    asked.value.set_files(scans.volume)
    cards(page, 1)
    expect(page.locator(".card-open")).to_be_focused()
    tab_to(page, "Scan$")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".viewer-slice-text")).to_have_text("3 / 6")
    tab_to(page, "Slice$")  # the slider, after the layout's button of that name
    page.keyboard.press("ArrowRight")
    expect(page.locator(".viewer-slice-text")).to_have_text("4 / 6")
    tab_to(page, "Open report")
    with page.expect_popup() as opened:
        page.keyboard.press("Enter")
    expect(opened.value.locator("body")).to_contain_text("meningioma")


def test_every_slider_menu_and_switch_works_by_keys(result: Page) -> None:
    before = settled(result)
    tab_to(result, "Opacity of the fill")
    result.keyboard.press("ArrowRight")
    expect(result.get_by_label("Opacity of the fill")).to_have_value("5")
    assert differs(filled := settled(result), before)
    tab_to(result, "Uncertain edge")
    result.keyboard.press("Space")
    assert differs(hatched := settled(result), filled)
    tab_to(result, "Window preset")
    result.keyboard.press("ArrowDown")
    assert differs(settled(result), hatched)
    tab_to(result, "Reset the window")
    result.keyboard.press("Enter")
    tab_to(result, "Uncertain edge", "Shift+Tab")
    result.keyboard.press("Space")
    tab_to(result, "Opacity of the fill", "Shift+Tab")
    result.keyboard.press("ArrowLeft")
    assert not differs(settled(result), before)


def test_a_ruler_is_laid_moved_and_deleted_by_keys(result: Page) -> None:
    before = settled(result)
    result.locator(".viewer-stage").focus()
    result.keyboard.press("r")
    result.keyboard.press("Enter")
    told = result.locator(".viewer [role=status]")
    expect(told).to_have_text(re.compile(r"^Ruler 1: [\d.]+ millimeters$"))
    first = float(told.inner_text().split()[2])
    for _ in range(10):
        result.keyboard.press("ArrowRight")
    expect(told).to_have_text(f"Ruler 1: {first + 10 * 0.75:.1f} millimeters")
    result.keyboard.press("Delete")
    expect(told).to_have_text("Ruler 1 deleted")
    result.keyboard.press("w")
    assert not differs(settled(result), before)


@pytest.mark.parametrize("state", ["first look", "result", "comparison", "problem"])
def test_tab_reaches_every_control_once_shows_the_focus_and_is_never_trapped(
    visits: Visits, known: Known, tmp_path: Path, state: str
) -> None:
    page = opened_in(visits, known, tmp_path, state)
    names = page.evaluate(NUMBER, CONTROLS)
    page.locator(".skip").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")  # on the first again, by a key
    visited = []
    while (found := focused(page)) is not None and found["number"] not in visited:
        visited.append(found["number"])
        assert found["ring"] >= 2, f"the focus on {found['name']} can't be seen"
        assert found["inView"], f"{found['name']} is focused out of sight"
        assert not found["covered"], f"{found['name']} is focused behind something"
        page.keyboard.press("Tab")
    assert sorted(visited) == list(range(len(names))), [
        name for index, name in enumerate(names) if visited.count(index) != 1
    ]
    # Backward from the last, not by way of the browser's own controls, which take and give the focus late.
    page.evaluate("(last) => window.controls[last].focus()", visited[-1])
    backward = [visited[-1]]
    for _ in visited[1:]:
        page.keyboard.press("Shift+Tab")
        found = focused(page)
        assert found is not None, f"no focus before {names[backward[-1]]}"
        backward.append(found["number"])
    assert backward == visited[::-1]


def opened_in(visits: Visits, known: Known, tmp_path: Path, state: str) -> Page:
    if state == "first look":
        page = visits.open()
        expect(page.locator("#model dl")).to_be_visible()
    elif state == "problem":
        page = visits.open()
        (tmp_path / "letter.txt").write_text("no scan")
        choose(page, tmp_path / "letter.txt")
        cards(page, 1, "failed")
        visits.forgive("422")
    else:
        page = visits.open(known.stack["id"], known.slice["id"], viewport=ROOMY)
        settled(page)
    if state == "comparison":
        page.keyboard.press("s")
        expect(page.locator(".pane .type")).to_have_count(2)
        expect(page.locator(".pane .viewer-pane:visible")).to_have_count(2)
        settled(page, 0)  # until each has a viewer, which takes the place of another control
        settled(page, 1)
    return page


def test_the_focus_is_seen_on_the_screen_wherever_it_is(result: Page) -> None:
    settled(result)
    seen = 0
    result.locator(".skip").focus()
    while (found := focused(result)) is not None and seen < MOST:
        clip = around(result, found["box"])
        before = image_of(result, clip)
        result.keyboard.press("Tab")
        assert differs(before, image_of(result, clip)), f"the focus on {found['name']} can't be seen"
        seen += 1
    assert seen > 30


def around(page: Page, box: dict[str, float]) -> FloatRect:
    """What is around something, cut at the window's edges."""
    size = page.viewport_size
    assert size is not None
    left, top = max(box["x"] - 5, 0), max(box["y"] - 5, 0)
    right = min(box["x"] + box["width"] + 5, size["width"])
    bottom = min(box["y"] + box["height"] + 5, size["height"])
    return FloatRect(x=left, y=top, width=right - left, height=bottom - top)


def test_the_first_stop_leads_past_the_heading_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#choose-files")).to_be_focused()


def test_removing_a_scan_leaves_the_focus_on_the_next_one(page: Page, scans: ScanFiles) -> None:
    choose(page, scans.picture, scans.slice)
    cards(page, 2)
    tab_to(page, "Remove meningioma.png")
    page.keyboard.press("Enter")
    expect(page.locator(".card-name")).to_have_text(["104.mat"])
    expect(page.locator(".card-open")).to_be_focused()


def test_letters_do_nothing_where_somebody_types_or_switched_them_off(result: Page) -> None:
    settled(result)
    result.get_by_label("Window width").focus()
    result.keyboard.press("s")
    expect(result.locator("#compare")).to_be_hidden()
    result.keyboard.press("Tab")
    result.keyboard.press("Tab")
    result.keyboard.press("?")
    expect(result.locator("#keys-dialog")).to_be_visible()
    result.get_by_label("Single letters work anywhere").uncheck()
    result.keyboard.press("Escape")
    result.keyboard.press("s")
    expect(result.locator("#compare")).to_be_hidden()
    result.keyboard.press("?")
    expect(result.locator("#keys-dialog")).to_be_visible()
    result.get_by_label("Single letters work anywhere").check()
    result.keyboard.press("Escape")
    result.keyboard.press("s")
    expect(result.locator("#compare")).to_be_visible()
