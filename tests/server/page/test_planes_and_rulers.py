"""Three planes, the surface, crosshair and rulers."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.server.page.conftest import Known
from tests.server.page.scan_files import SPACING
from tests.server.page.screen import (
    all_loaded,
    assert_changed,
    assert_same,
    center,
    colored,
    differs,
    drawn,
    inside,
    pane,
    picture,
    settled,
    told_mask,
    wait_for,
)
from tests.server.page.visits import ROOMY, Visits, pull
from tests.server.running import Running

RULER = (240, 228, 66)


@pytest.fixture
def page(visits: Visits, known: Known) -> Page:
    """A stack."""
    return visits.open(known.stack["id"], viewport=ROOMY)


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def pixels_a_mm(page: Page, index: int, across: float, down: float) -> float:
    """Of a pane that shows something of a size in mm as a whole."""
    box = pane(page, index).bounding_box()
    assert box is not None
    return min(box["width"] / across, box["height"] / down)


def test_three_planes_outline_the_tumor_where_the_masks_say_and_one_slice_comes_back(
    page: Page, known: Known, real: Running
) -> None:
    before = settled(page)
    button(page, "Planes")
    expect(page.locator(".viewer-pane:visible")).to_have_count(3)
    masks = np.stack([told_mask(real.client, known.stack["id"], index)[0] for index in range(6)])
    rows, columns = np.argwhere(masks[3]).mean(axis=0).astype(int)
    click_at(page, rows, columns)
    # Coronal: the patient's right at the left, superior up. Sagittal: anterior at the left.
    for index, (cut, spacing) in enumerate(
        [(masks[:, rows], SPACING[2]), (masks[:, :, columns], SPACING[1])], 1
    ):
        wait_for(page, lambda index=index: bool(colored(drawn(pane(page, index))).any()), "an outline")
        shown = settled(page, index)
        scale = pixels_a_mm(page, index, 224 * spacing, 6 * SPACING[0])
        away = np.argwhere(cut).mean(axis=0) + 0.5 - (3, 112)
        wanted = np.array(shown.shape[:2]) / 2 + scale * away * (-SPACING[0], spacing)
        line = np.argwhere(colored(shown, reach=90))
        assert (line.min(axis=0) + line.max(axis=0)) / 2 == pytest.approx(wanted, abs=scale * SPACING[0])
    button(page, "Slice")
    expect(page.locator(".viewer-pane:visible")).to_have_count(1)
    assert_same(page, before)


def click_at(page: Page, row: int, column: int) -> None:
    """Click on a place of the axial plane."""
    box = pane(page).bounding_box()
    assert box is not None
    scale = pixels_a_mm(page, 0, 224 * SPACING[2], 224 * SPACING[1])
    x = box["x"] + box["width"] / 2 + scale * (column + 0.5 - 112) * SPACING[2]
    y = box["y"] + box["height"] / 2 + scale * (row + 0.5 - 112) * SPACING[1]
    page.mouse.click(x, y)


def test_the_wheel_over_one_plane_moves_the_cross_in_the_others(page: Page) -> None:
    button(page, "Planes")
    all_loaded(page, 6)
    before = [settled(page, index) for index in range(3)]
    pane(page, 2).hover()
    page.mouse.wheel(0, 120)
    assert_changed(page, before[0])
    assert_changed(page, before[2], 2)
    page.mouse.wheel(0, -120)
    for index in range(3):
        assert_same(page, before[index], index)


def test_the_crosshair_is_shown_where_somebody_points(page: Page) -> None:
    before = settled(page)
    page.locator(".viewer-stage").press("c")
    crossed = assert_changed(page, before)
    click_at(page, 60, 150)
    moved = assert_changed(page, crossed)
    lines = colored(moved, (120, 200, 255), reach=40)
    scale = pixels_a_mm(page, 0, 224 * SPACING[2], 224 * SPACING[1])
    wanted = np.array(moved.shape[:2]) / 2 + scale * np.array(
        [(60.5 - 112) * SPACING[1], (150.5 - 112) * SPACING[2]]
    )
    found = [lines.sum(axis=1).argmax(), lines.sum(axis=0).argmax()]
    assert found == pytest.approx(wanted, abs=1.5)
    page.locator(".viewer-stage").press("w")
    assert_same(page, before)


def test_the_surface_is_drawn_turned_and_left(page: Page) -> None:
    before = settled(page)
    button(page, "Surface")
    solid = page.locator(".viewer-solid")
    expect(solid).to_be_visible()
    wait_for(page, lambda: bool(orange(picture(solid)).sum() > 500), "the tumor's surface")
    first = picture(solid)
    pull(page, page.locator(".viewer-surface"), 120, 30)
    wait_for(page, lambda: differs(picture(solid), first), "the surface turns")
    button(page, "Fit to the window")
    wait_for(page, lambda: not differs(picture(solid), first), "the surface as it was first")
    button(page, "Zoom in")
    wait_for(page, lambda: orange(picture(solid)).sum() > 1.3 * orange(first).sum(), "a larger surface")
    button(page, "Slice")
    expect(solid).to_be_hidden()
    assert_same(page, before)


def orange(shown: np.ndarray) -> np.ndarray:
    """Where the surface is: the outline's colour in any light."""
    red, green, blue = np.moveaxis(shown, 2, 0)
    return np.asarray((red > 40) & (red > 1.2 * green) & (green > 1.5 * blue))


def test_a_ruler_is_as_long_as_the_spacing_says_and_goes_when_deleted(page: Page) -> None:
    before = settled(page)
    button(page, "Ruler")
    remove = page.get_by_role("button", name="Delete the chosen ruler")
    told = page.locator(".viewer [role=status]")
    scale = pixels_a_mm(page, 0, 224 * SPACING[2], 224 * SPACING[1])
    for number, (right, down) in enumerate([(160, 0), (0, 110), (-90, 70)], 1):
        expect(remove).to_be_disabled()
        pull(page, pane(page), right, down)
        shown = assert_changed(page, before)
        expect(told).to_have_text(re.compile(rf"^Ruler {number}: [\d.]+ millimeters$"))
        assert float(told.inner_text().split()[2]) == pytest.approx(np.hypot(right, down) / scale, abs=0.2)
        line = colored(shown, RULER, reach=40) & ~colored(before, RULER, reach=40)
        wanted = np.array(before.shape[:2]) / 2 + (down / 2, right / 2)
        assert center(line) == pytest.approx(wanted, abs=40)
        page.locator(".viewer-stage").press("Delete") if number % 2 else remove.click()
        assert_same(page, before)


def test_a_rulers_end_can_be_moved_and_it_stays_with_its_slice(page: Page) -> None:
    before = settled(page)
    button(page, "Ruler")
    pull(page, pane(page), 100, 0)
    told = page.locator(".viewer [role=status]")
    expect(told).to_have_text(re.compile("^Ruler 1"))
    first = float(told.inner_text().split()[2])
    box = pane(page).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2 + 100, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50, y, steps=3)
    page.mouse.up()
    wait_for(page, lambda: told.inner_text() != f"Ruler 1: {first:.1f} millimeters", "another length")
    assert float(told.inner_text().split()[2]) == pytest.approx(1.5 * first, abs=0.3)
    laid = settled(page)
    stage = page.locator(".viewer-stage")
    stage.press("Escape")
    stage.press("ArrowDown")
    assert not colored(assert_changed(page, laid), RULER, reach=40).sum() > 300
    stage.press("ArrowUp")
    assert differs(settled(page), before)


def test_a_ruler_without_known_spacing_counts_pixels(visits: Visits, known: Known) -> None:
    page = visits.open(known.picture["id"], viewport=ROOMY)
    settled(page)
    button(page, "Ruler")
    pull(page, pane(page), 120, 0)
    told = page.locator(".viewer [role=status]")
    expect(told).to_have_text(re.compile(r"^Ruler 1: \d+ pixels, the spacing is unknown$"))
    wanted = 120 / pixels_a_mm(page, 0, 512, 512)
    assert float(told.inner_text().split()[2]) == pytest.approx(wanted, abs=1)


def test_a_single_slice_has_no_planes_and_a_scan_without_a_tumor_no_surface(
    visits: Visits, known: Known
) -> None:
    page = visits.open(known.picture["id"], viewport=ROOMY)
    settled(page)
    expect(page.get_by_role("button", name="Planes", exact=True)).to_be_hidden()
    assert inside(settled(page)).any()
