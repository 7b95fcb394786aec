"""Zoom, pan and the way through the slices."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.server.page.conftest import Known
from tests.server.page.screen import (
    assert_changed,
    assert_outlined,
    assert_same,
    center,
    colored,
    drawn,
    fitted,
    inside,
    pane,
    settled,
    told_mask,
)
from tests.server.page.visits import ROOMY, Visits, pull
from tests.server.running import Running


@pytest.fixture
def page(visits: Visits, known: Known) -> Page:
    """A stack."""
    return visits.open(known.stack["id"], viewport=ROOMY)


@pytest.fixture
def single(visits: Visits, known: Known) -> Page:
    """A single slice."""
    return visits.open(known.picture["id"], viewport=ROOMY)


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_the_wheel_enlarges_a_slice_around_the_pointer_and_fit_takes_it_back(single: Page) -> None:
    before = settled(single)
    box = pane(single).bounding_box()
    assert box is not None
    row, column = center(inside(before))
    single.mouse.move(box["x"] + column, box["y"] + row)
    single.mouse.wheel(0, -120)
    larger = assert_changed(single, before)
    assert inside(larger).sum() == pytest.approx(1.44 * inside(before).sum(), rel=0.06)
    assert center(inside(larger)) == pytest.approx((row, column), abs=2.5)
    single.mouse.wheel(0, 120)
    assert_same(single, before)
    single.mouse.wheel(0, -240)
    assert_changed(single, before)
    button(single, "Fit to the window")
    assert_same(single, before)


def test_buttons_and_keys_zoom_around_the_middle(page: Page) -> None:
    before = settled(page)
    stage = page.locator(".viewer-stage")
    middle = np.array(before.shape[:2]) / 2
    moved = middle + 1.25 * (center(inside(before)) - middle)
    ways = [
        (lambda: button(page, "Zoom in"), lambda: button(page, "Zoom out")),
        (lambda: stage.press("+"), lambda: stage.press("-")),
    ]
    for larger, smaller in ways:
        larger()
        assert center(inside(assert_changed(page, before))) == pytest.approx(moved, abs=2.5)
        smaller()
        assert_same(page, before)
        smaller()
        small = assert_changed(page, before)
        assert inside(small).sum() == pytest.approx(0.64 * inside(before).sum(), rel=0.08)
        stage.press("0")
        assert_same(page, before)


def test_panning_moves_the_slice_with_the_pointer(page: Page) -> None:
    before = settled(page)

    def by_space_bar() -> None:
        page.locator(".viewer-stage").focus()
        page.keyboard.down(" ")
        pull(page, pane(page), 60, -25)
        page.keyboard.up(" ")

    def by_tool() -> None:
        button(page, "Pan")
        pull(page, pane(page), 60, -25)

    for way in (by_space_bar, lambda: pull(page, pane(page), 60, -25, button="middle"), by_tool):
        way()
        after = assert_changed(page, before)
        assert center(inside(after)) - center(inside(before)) == pytest.approx((-25, 60), abs=1)
        button(page, "Fit to the window")
        assert_same(page, before)


def test_every_way_through_the_slices_shows_the_slice_it_says(
    page: Page, known: Known, real: Running
) -> None:
    number, stage = page.locator(".viewer-slice-text"), page.locator(".viewer-stage")
    slider = page.get_by_role("slider", name="Slice")
    expect(number).to_have_text("4 / 6")
    pane(page).hover()
    ways = [
        (lambda: page.mouse.wheel(0, -120), 3),
        (lambda: page.mouse.wheel(0, 120), 4),
        (lambda: stage.press("ArrowDown"), 5),
        (lambda: stage.press("ArrowUp"), 4),
        (lambda: stage.press("PageDown"), 6),
        (lambda: stage.press("PageUp"), 4),
        (lambda: stage.press("Home"), 1),
        (lambda: stage.press("End"), 6),
        (lambda: stage.press("k"), 4),
        (lambda: slider.fill("1"), 2),
        (lambda: slider.press("ArrowRight"), 3),
        (lambda: button(page, "Go to the key slice"), 4),
    ]
    for way, wanted in ways:
        before = drawn(pane(page))
        way()
        expect(number).to_have_text(f"{wanted} / 6")
        shown = assert_changed(page, before)
        mask, spacing = told_mask(real.client, known.stack["id"], wanted - 1)
        if mask.any():
            assert_outlined(shown, mask, spacing)
        else:
            assert not colored(shown).any()


def test_the_slider_is_marked_where_tumor_was_found(page: Page, known: Known, real: Running) -> None:
    outlined = real.client.get(f"/v1/analyses/{known.stack['id']}/view").json()["outlined"]
    assert [count > 0 for count in outlined] == [False, True, True, True, True, False]
    marks = colored(drawn(page.locator(".viewer-strip")))
    width = marks.shape[1]
    thumb = 16  # its middle stands over the slice that it is at
    places = [round(thumb / 2 + index * (width - thumb) / 5) for index in range(6)]
    assert [bool(marks[:, max(at - 1, 0) : at + 2].any()) for at in places] == [each > 0 for each in outlined]
    heights = [marks[:, at].sum() for at in places]
    assert heights[3] == max(heights) > heights[1]
    box = page.get_by_role("slider", name="Slice").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + places[1], box["y"] + box["height"] / 2)
    expect(page.locator(".viewer-slice-text")).to_have_text("2 / 6")


def test_a_slice_is_announced_with_what_was_found_on_it(page: Page) -> None:
    told = page.locator(".viewer [role=status]")
    page.locator(".viewer-stage").press("Home")
    expect(told).to_have_text("Slice 1 of 6, no tumor outlined")
    page.locator(".viewer-stage").press("k")
    expect(told).to_have_text("Slice 4 of 6, tumor outlined")


def test_each_scan_is_found_as_it_was_left(visits: Visits, known: Known) -> None:
    page = visits.open(known.stack["id"], known.slice["id"], viewport=ROOMY)
    stage = page.locator(".viewer-stage")
    settled(page)
    stage.press("ArrowUp")
    stage.press("+")
    left = settled(page)
    page.keyboard.press(".")
    assert_changed(page, left)
    page.keyboard.press(",")
    assert_same(page, left)
    expect(page.locator(".viewer-slice-text")).to_have_text("3 / 6")


def test_slices_with_unequal_pixels_are_shown_in_true_proportions(
    page: Page, known: Known, real: Running
) -> None:
    mask, (row, column) = told_mask(real.client, known.stack["id"])
    shown = inside(settled(page))
    rows, columns = (np.ptp(np.argwhere(part), axis=0) + 1 for part in (shown, mask))
    assert row != column
    assert rows[0] / rows[1] == pytest.approx((columns[0] * row) / (columns[1] * column), rel=0.06)
    assert not np.array_equal(fitted(mask, (1, 1), shown.shape), fitted(mask, (row, column), shown.shape))
