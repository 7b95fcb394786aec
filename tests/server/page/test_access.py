"""The page for everybody: by axe's rules, at every width, in both themes, with nothing cut off."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.server.page.conftest import Known
from tests.server.page.rules import violations
from tests.server.page.screen import settled
from tests.server.page.visits import Visits, cards, choose

SIZES = {390: 844, 1280: 800, 2560: 1440}
CUT_OFF = """() => {
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
    const it = text.parentElement;
    if (text.textContent.trim() === "" || !it.checkVisibility({ visibilityProperty: true })) continue;
    if (it.closest(".unseen, .viewer-unseen, .skip, option, noscript")) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    for (const box of range.getClientRects()) if (hidden(box, it)) found.push(text.textContent);
  }
  function hidden(box, it) {
    for (let each = it; each !== document.body; each = each.parentElement) {
      const style = getComputedStyle(each);
      const around = each.getBoundingClientRect();
      const [x, y] = [style.overflowX, style.overflowY];
      if (x === "hidden" && (box.left < around.left - 1 || box.right > around.right + 1)) return true;
      if (y === "hidden" && (box.top < around.top - 2 || box.bottom > around.bottom + 2)) return true;
      if (x === "auto" || y === "auto") return false; // it can be scrolled to
    }
    return box.left < -1 || box.right > document.documentElement.clientWidth + 1;
  }
  return [...new Set(found)];
}"""


def looks(page: Page, visits: Visits, tmp_path: Path) -> Iterator[str]:
    """Bring the page from look to look: their names."""
    expect(page.locator(".viewer-pane:visible")).to_have_count(1)
    yield "result"
    page.get_by_role("button", name="Planes", exact=True).click()
    expect(page.locator(".viewer-pane:visible")).to_have_count(3)
    if page.get_by_role("button", name="Display").is_visible():
        page.get_by_role("button", name="Display").click()
    yield "planes"
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".pane .type")).to_have_count(2)
    yield "comparison"
    for name in ("Keys", "About the model"):
        page.get_by_role("button", name=name).click()
        yield name
        page.keyboard.press("Escape")
    (tmp_path / "letter.txt").write_text("no scan")
    choose(page, tmp_path / "letter.txt")
    cards(page, 1, "failed")
    visits.forgive("422")
    yield "problem"


@pytest.mark.parametrize("width", SIZES)
def test_nothing_keeps_people_out_or_is_cut_off_in_either_theme(
    visits: Visits, known: Known, tmp_path: Path, width: int
) -> None:
    viewport = {"width": width, "height": SIZES[width]}
    first = visits.open(viewport=viewport)
    expect(first.locator("#model dl")).to_be_visible()
    fine(first, "first look")
    page = visits.open(known.stack["id"], known.slice["id"], viewport=viewport)
    for look in looks(page, visits, tmp_path):
        fine(page, look)


def fine(page: Page, look: str) -> None:
    page.emulate_media(color_scheme="light")
    assert violations(page) == [], look
    page.emulate_media(color_scheme="dark")
    # Only the colors are others there.
    assert violations(page, "color-contrast", "link-in-text-block") == [], f"{look}, dark"
    assert_whole(page, look)


def assert_whole(page: Page, look: str) -> None:
    assert page.evaluate(CUT_OFF) == [], look
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{look} scrolls sideways"


@pytest.mark.parametrize("width", [1280, 2560])
def test_a_result_fills_the_window_and_only_its_numbers_scroll(
    visits: Visits, known: Known, width: int
) -> None:
    page = visits.open(known.stack["id"], viewport={"width": width, "height": SIZES[width]})
    settled(page)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    for part in (".viewer-toolbar", ".viewer-foot", "#result", "#list"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= SIZES[width] + 1
    stage = page.locator(".viewer-stage").bounding_box()
    assert stage is not None
    assert stage["width"] * stage["height"] > 0.4 * width * SIZES[width]


@pytest.mark.parametrize("width", SIZES)
def test_letters_and_targets_are_large_enough_for_the_window(
    visits: Visits, known: Known, width: int
) -> None:
    page = visits.open(
        known.stack["id"], viewport={"width": width, "height": SIZES[width]}, has_touch=width == 390
    )
    settled(page)
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("button, select, input:not([type=file])")]
          .filter((it) => it.checkVisibility({ visibilityProperty: true }))
          .map((it) => [it.getAttribute("aria-label") ?? it.innerText, it.getBoundingClientRect()])
          .filter(([, box]) => Math.min(box.width, box.height) < least).map(([name]) => name)""",
        {390: 24, 1280: 24, 2560: 24}[width],
    )
    assert small == []
    letters = page.evaluate(
        """() => Math.min(...[...document.querySelectorAll("#result *, .viewer-toolbar *, .card *")]
          .filter((it) => it.checkVisibility() && it.innerText?.trim())
          .map((it) => parseFloat(getComputedStyle(it).fontSize)))"""
    )
    assert letters >= {390: 12, 1280: 12, 2560: 14}[width]


@pytest.mark.parametrize("zoom", [2, 4])
def test_with_the_browser_zoomed_in_nothing_is_cut_off(visits: Visits, known: Known, zoom: int) -> None:
    # A browser that enlarges a window of 1280 × 1024 lays out a smaller one.
    viewport = {"width": 1280 // zoom, "height": 1024 // zoom}
    page = visits.open(known.stack["id"], known.slice["id"], viewport=viewport, device_scale_factor=zoom)
    expect(page.locator(".viewer-pane:visible")).to_have_count(1)
    assert_whole(page, "result")
    picture, result = (page.locator(each).bounding_box() for each in (".viewer", "#result"))
    assert picture is not None
    assert result is not None
    assert picture["y"] + picture["height"] <= result["y"] + 1, "the pictures lie over the result"
    page.keyboard.press("s")
    expect(page.locator(".pane .type")).to_have_count(2)
    assert_whole(page, "comparison")
